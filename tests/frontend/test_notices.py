"""What clients are told unasked: changed resources, changed lists, warnings."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from supervisor.frontend import _notices
from supervisor.frontend._notices import MESSAGES, SUBSCRIPTIONS
from supervisor.pool.events import (
    AgentDown,
    ConfigurationRefused,
    ConfigurationReloaded,
    StderrLine,
    TaskStarted,
    WorkerReady,
)
from tests.client import LIMIT_S
from tests.frontend.stage import HANDSHAKE_VERSIONS, MODERN_VERSION, Raw, Stage, serving

UPDATED = "notifications/resources/updated"
TOOLS = "notifications/tools/list_changed"
RESOURCES = "notifications/resources/list_changed"
LOG = "notifications/message"

RELOADED = ConfigurationReloaded("", "a test", ("agent x: new",), (), True)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with serving(tmp_path, coder="") as stage:
        yield stage


async def listen(client: Raw, *uris: str, **kinds: bool) -> None:
    """Ask for notices of these, in the way of the client's version."""
    if not client.is_modern:
        for uri in uris:
            await client.result("resources/subscribe", uri=uri)
        return
    wanted = {"resourceSubscriptions": list(uris), **kinds}
    await client.start("subscriptions/listen", notifications=wanted)
    await client.notice("notifications/subscriptions/acknowledged")


def told(client: Raw, method: str) -> list[str]:
    return [one["params"].get("uri", "") for one in client.notices if one["method"] == method]


@pytest.mark.parametrize("version", [*HANDSHAKE_VERSIONS, MODERN_VERSION])
async def test_who_subscribed_is_told_when_an_agent_does_something(
    stage: Stage, version: str
) -> None:
    async with stage.raw(version) as client:
        await listen(client, "pool://agents/coder")

        stage.front_end.told(WorkerReady("coder", 7, 0.5))

        assert (await client.notice(UPDATED))["uri"] == "pool://agents/coder"


@pytest.mark.parametrize(
    "uri", ["pool://tree", "pool://agents/coder", "pool://tasks/t-1", "pool://logs/coder"]
)
async def test_an_event_of_a_task_changes_the_tree_its_agent_the_task_and_the_log(
    stage: Stage, uri: str
) -> None:
    async with stage.raw() as client:
        await listen(client, uri)

        stage.front_end.told(TaskStarted("coder", 7, task_id="t-1"))

        assert (await client.notice(UPDATED))["uri"] == uri


async def test_what_a_conversation_does_changes_its_agent(stage: Stage) -> None:
    async with stage.raw() as client:
        await listen(client, "pool://agents/coder")

        stage.front_end.told(WorkerReady("coder@review", 7, 0.5))

        assert (await client.notice(UPDATED))["uri"] == "pool://agents/coder"


@pytest.mark.parametrize("version", ["2025-11-25", MODERN_VERSION])
async def test_nobody_is_told_of_what_he_did_not_subscribe_to(stage: Stage, version: str) -> None:
    async with stage.raw(version) as client:
        await listen(client, "pool://agents/coder")

        stage.front_end.told(WorkerReady("other", 7, 0.5))
        await trio.sleep(2 * _notices.GAP_S)
        stage.front_end.told(WorkerReady("coder", 7, 0.5))
        await client.notice(UPDATED)

        assert told(client, UPDATED) == ["pool://agents/coder"]


@pytest.mark.parametrize("version", ["2025-11-25", MODERN_VERSION])
async def test_a_flood_of_events_is_a_few_notices(stage: Stage, version: str) -> None:
    async with stage.raw(version) as client:
        await listen(client, "pool://agents/coder", "pool://tasks/t-last")

        for number in range(5_000):
            stage.front_end.told(TaskStarted("coder", 7, task_id=f"t-{number}"))
            if number % 500 == 0:
                await trio.lowlevel.checkpoint()
        stage.front_end.told(TaskStarted("coder", 7, task_id="t-last"))
        await client.until(
            lambda message: message.get("params", {}).get("uri") == "pool://tasks/t-last"
        )

        assert 1 <= told(client, UPDATED).count("pool://agents/coder") <= 3


async def test_who_unsubscribed_is_not_told(stage: Stage) -> None:
    async with stage.raw() as client:
        await listen(client, "pool://agents/coder", "pool://tree")
        await client.result("resources/unsubscribe", uri="pool://agents/coder")

        stage.front_end.told(WorkerReady("coder", 7, 0.5))
        await client.notice(UPDATED)
        await client.result("ping")

        assert told(client, UPDATED) == ["pool://tree"]


async def test_a_uri_is_told_as_the_client_wrote_it(stage: Stage) -> None:
    async with stage.raw() as client:
        await listen(client, "pool://agents/%63oder")

        stage.front_end.told(WorkerReady("coder", 7, 0.5))

        assert (await client.notice(UPDATED))["uri"] == "pool://agents/%63oder"


@pytest.mark.parametrize("uri", ["pool://nothing/x", "file:///etc/passwd", "pool://agents/"])
async def test_nobody_subscribes_to_what_cannot_be(stage: Stage, uri: str) -> None:
    async with stage.raw() as client:
        answer = await client.request("resources/subscribe", uri=uri)

        assert answer["error"]["code"] == -32002
        assert "pool://agents/{name}" in answer["error"]["message"]


async def test_subscriptions_of_one_client_are_limited(stage: Stage) -> None:
    async with stage.raw() as client:
        for number in range(SUBSCRIPTIONS):
            await client.result("resources/subscribe", uri=f"pool://tasks/t-{number}")
        answer = await client.request("resources/subscribe", uri="pool://tasks/t-more")

        assert "no more than 1,000" in answer["error"]["message"]


async def test_a_client_that_has_gone_is_forgotten(stage: Stage) -> None:
    async with stage.raw() as client:
        await listen(client, "pool://tree")
        assert len(stage.front_end.notices._outboxes) == 1
    await trio.testing.wait_all_tasks_blocked()

    assert not stage.front_end.notices._outboxes
    stage.front_end.told(WorkerReady("coder", 7, 0.5))


async def test_a_client_that_does_not_read_keeps_nobody_waiting(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stalled, server_end = trio.testing.lockstep_stream_pair()
    async with stage.connected(server_end), stage.raw() as reader:
        slow = Raw(stalled, "2025-11-25")
        await slow.begin()
        await listen(slow, "pool://agents/coder")
        await listen(reader, "pool://agents/coder")

        for number in range(1, 20):  # `slow` reads nothing from here on
            stage.front_end.told(WorkerReady("coder", number, 0.5))
            assert (await reader.notice(UPDATED))["uri"] == "pool://agents/coder"


async def test_after_a_restart_clients_are_told_as_before(stage: Stage) -> None:
    async with stage.raw() as client:
        await listen(client, "pool://agents/coder")
        await stage.restart_notices()

        stage.front_end.told(WorkerReady("coder", 7, 0.5))

        assert (await client.notice(UPDATED))["uri"] == "pool://agents/coder"


@pytest.mark.parametrize("version", [*HANDSHAKE_VERSIONS, MODERN_VERSION])
async def test_all_clients_are_told_when_tools_and_agents_changed(
    stage: Stage, version: str
) -> None:
    async with stage.raw(version) as one, stage.raw(version) as other:
        for client in (one, other):
            await listen(client, toolsListChanged=True, resourcesListChanged=True)

        stage.front_end.told(RELOADED)

        for client in (one, other):
            await client.notice(TOOLS)
            await client.notice(RESOURCES)


async def test_a_changed_configuration_changes_every_agent(stage: Stage) -> None:
    async with stage.raw() as client:
        await listen(client, "pool://agents/coder")

        stage.front_end.told(RELOADED)

        assert (await client.notice(UPDATED))["uri"] == "pool://agents/coder"


async def test_a_pool_that_stops_ends_the_streams_in_order(stage: Stage) -> None:
    async with stage.raw(MODERN_VERSION) as client:
        number = await client.start("subscriptions/listen", notifications={})
        await client.notice("notifications/subscriptions/acknowledged")

        await stage.front_end.flush()

        ended = await client.until(lambda message: message.get("id") == number)
        assert "result" in ended


# warnings


DOWN = AgentDown("coder", "it crashed 6 times", task_id="t-1")


async def test_a_client_is_sent_no_log_until_it_asks_for_one(stage: Stage) -> None:
    async with stage.raw() as client:
        stage.front_end.told(DOWN)
        await trio.sleep(2 * _notices.GAP_S)
        await client.result("ping")

        assert not told(client, LOG)


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_a_client_that_asks_is_told_that_an_agent_is_down(stage: Stage, version: str) -> None:
    async with stage.raw(version) as client:
        await client.result("logging/setLevel", level="warning")

        stage.front_end.told(DOWN)

        assert await client.notice(LOG) == {
            "level": "error",
            "logger": "agent-pool",
            "data": {
                "event": "agent_down", "agent": "coder", "reason": "it crashed 6 times",
                "task_id": "t-1",
            },
        }  # fmt: skip


@pytest.mark.parametrize(("level", "shown"), [("info", 2), ("notice", 1), ("error", 1)])
async def test_what_is_below_the_level_is_not_sent(stage: Stage, level: str, shown: int) -> None:
    async with stage.raw() as client:
        await client.result("logging/setLevel", level=level)

        stage.front_end.told(WorkerReady("coder", 7, 0.5))
        stage.front_end.told(DOWN)
        await client.until(
            lambda message: message.get("params", {}).get("data", {}).get("event") == "agent_down"
        )

        assert len(told(client, LOG)) == shown


async def test_what_looks_like_a_secret_is_not_sent(stage: Stage) -> None:
    async with stage.raw() as client:
        await client.result("logging/setLevel", level="debug")

        stage.front_end.told(StderrLine("coder", 7, "ANTHROPIC_API_KEY=sk-ant-0123456789abcdef"))

        assert "0123456789abcdef" not in str(await client.notice(LOG))


async def test_a_client_that_reads_too_slowly_is_told_how_much_it_missed(stage: Stage) -> None:
    stalled, server_end = trio.testing.lockstep_stream_pair()
    async with stage.connected(server_end):
        slow = Raw(stalled, "2025-11-25")
        await slow.begin()
        await slow.result("logging/setLevel", level="info")
        stage.front_end.told(WorkerReady("coder", 0, 0.5))
        await trio.testing.wait_all_tasks_blocked()  # it is being written
        for number in range(1, MESSAGES + 8):
            stage.front_end.told(WorkerReady("coder", number, 0.5))

        await slow.notice(LOG)
        with trio.fail_after(LIMIT_S):
            lost = await slow.notice(LOG)
            first = await slow.notice(LOG)

        assert lost["data"] == {"messages_lost": 7}
        assert first["data"]["pid"] == 8


# of a pool at work


@pytest.mark.parametrize("version", ["2025-11-25", MODERN_VERSION])
async def test_a_task_that_is_done_is_told_and_read_with_its_answer(
    stage: Stage, version: str
) -> None:
    task = await stage.pool.submit("coder", "[[say done]]", background=True)
    uri = f"pool://tasks/{task.id}"
    async with stage.raw(version) as client:
        await listen(client, uri)
        with trio.fail_after(LIMIT_S):
            await stage.pool.recorded(task)

        await client.notice(UPDATED)

        contents = (await client.result("resources/read", uri=uri))["contents"]
        assert [content["mimeType"] for content in contents] == ["application/json", "text/plain"]
        assert contents[1]["text"] == "done"


async def test_what_a_user_has_to_mend_is_told_unasked(stage: Stage) -> None:
    async with stage.raw() as client:
        await listen(client, "pool://tree")  # by then it has been greeted
        stage.front_end.told(ConfigurationRefused("", "a test", ("pool.toml:3: linger: wrong",)))

        message = await client.notice(LOG)
        assert message["level"] == "error"
        assert "pool.toml:3: linger: wrong" in str(message["data"])


LEVEL = "io.modelcontextprotocol/logLevel"


async def invoked(stage: Stage, version: str, **meta: str) -> list[dict[str, Any]]:
    """The log messages that come while a task is carried out, before its answer."""
    async with stage.raw(version) as client:
        asked = {"agent": "coder", "task": "[[say done]]"}
        await client.result("tools/call", name="invoke", arguments=asked, _meta=meta)
        said = [one for one in client.notices if one["method"] == LOG]
        return [one["params"]["data"] for one in said]


async def test_a_request_of_the_newest_version_has_the_log_messages_that_it_asks_for(
    stage: Stage,
) -> None:
    said = await invoked(stage, MODERN_VERSION, **{LEVEL: "info"})

    assert [one["event"] for one in said if one["event"].startswith("task_")] == [
        "task_started",
        "task_ended",
    ]


async def test_what_is_below_the_level_of_the_request_is_not_sent(stage: Stage) -> None:
    assert await invoked(stage, MODERN_VERSION, **{LEVEL: "error"}) == []


@pytest.mark.parametrize("version", [HANDSHAKE_VERSIONS[-1], MODERN_VERSION])
async def test_a_request_that_does_not_ask_has_no_log_messages(stage: Stage, version: str) -> None:
    meta = {LEVEL: "info"} if version != MODERN_VERSION else {}

    assert await invoked(stage, version, **meta) == []
