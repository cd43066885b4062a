"""A client has its answers though the pool takes its time to start, and none of them is wrong."""

import fcntl
import json
import os
import stat
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
import trio.testing
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION

from supervisor.greeting import (
    ACKNOWLEDGED,
    ALIKE,
    HANDSHAKE,
    HANDSHAKE_VERSIONS,
    INITIALIZE,
    KEPT_LIMIT,
    LISTEN,
    SHIPPED,
    SUBSCRIPTION,
    TOOLS,
)
from tests.client import Client, Message, Project, Refused, open_client, until
from tests.greeting.record import CLIENT, of_version, recorded
from tests.greeting.stage import early, held_back
from tests.lifecycle.deaf import flood, unread
from tests.lifecycle.foreground import foreground

LISTS = [method for method in ALIKE if method.endswith("list")]
ALL_TOOLS = '[frontend]\ntools = "all"\n'
OTHER_TOOLS = '[frontend]\ntools = ["invoke", "list"]\n'


def shipped() -> dict[str, Message]:
    found: dict[str, Message] = json.loads(Path(SHIPPED).read_bytes())
    return found


def names(listed: Message) -> list[str]:
    return [tool["name"] for tool in listed["tools"]]


def changes(client: Client) -> list[str]:
    """The lists of whose change the client has been told."""
    methods = [one["method"] for one in client.notifications]
    return [method for method in methods if method.endswith("list_changed")]


async def test_what_is_shipped_is_what_the_pool_of_an_empty_project_says(tmp_path: Path) -> None:
    assert shipped() == await recorded(tmp_path), "python -m tests.greeting.record"


def test_the_versions_that_a_session_may_have_are_those_of_the_sdk() -> None:
    assert HANDSHAKE_VERSIONS == HANDSHAKE_PROTOCOL_VERSIONS


async def test_a_client_is_answered_before_the_pool_is_up(project: Project) -> None:
    with held_back(project):
        async with early(project) as client:
            lists = {method: (await client.request(method))["result"] for method in LISTS}
            assert project.pool_pid() is None
    expected = shipped()[HANDSHAKE]
    assert lists == {method: expected[method] for method in LISTS}
    assert client.server == expected[INITIALIZE]


async def test_so_is_one_of_the_era_without_a_session(project: Project) -> None:
    params = of_version(LATEST_MODERN_VERSION)
    with held_back(project):
        async with project.connect_raw() as client:
            listening = {"notifications": {"toolsListChanged": True, "promptsListChanged": False}}
            number, _ = await client.start(LISTEN, {**params, **listening})
            methods = ["server/discover", *LISTS]
            found = {one: (await client.request(one, params))["result"] for one in methods}
            assert project.pool_pid() is None
    (acknowledged,) = client.notifications
    assert acknowledged["method"] == ACKNOWLEDGED
    assert acknowledged["params"] == {
        "notifications": {"toolsListChanged": True},
        "_meta": {SUBSCRIPTION: number},
    }
    assert found == shipped()[LATEST_MODERN_VERSION]


async def test_a_session_has_the_version_that_the_pool_would_agree_on(project: Project) -> None:
    versions = [*HANDSHAKE_PROTOCOL_VERSIONS, "1999-01-01"]
    with held_back(project):
        early = [await begun(project, version) for version in versions]
    async with project.connect():
        assert [await begun(project, version) for version in versions] == early


async def begun(project: Project, version: str) -> Message:
    """What a client is answered who would begin a session of that version."""
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
    async with project.connect_raw() as client:
        answer = await client.request(INITIALIZE, params)
        result: Message = answer["result"]
        return result


async def test_all_that_was_sent_meanwhile_reaches_the_pool_and_is_answered_once(
    project: Project,
) -> None:
    project.write_agent("coder")
    with held_back(project) as release:
        async with early(project) as client:  # which takes no answer twice
            await client.request(TOOLS)
            calls = [
                await client.start_call("invoke", agent="coder", task=f"[[say {number}]]")
                for number in range(3)
            ]
            release()
            said = [(await call)["content"][0]["text"] for _, call in calls]
            assert said == ["0", "1", "2"]
            assert names((await client.request(TOOLS))["result"]) == names(
                shipped()[HANDSHAKE][TOOLS]
            )


async def test_a_list_that_the_pool_has_otherwise_is_told_of_as_changed(project: Project) -> None:
    project.write_agent("coder")
    with held_back(project) as release:
        async with early(project) as client:
            given = (await client.request("resources/list"))["result"]
            release()
            await until(lambda: changes(client), "the notice")
            true = (await client.request("resources/list"))["result"]
            assert changes(client) == ["notifications/resources/list_changed"]
    assert "pool://agents/coder" not in {one["uri"] for one in given["resources"]}
    assert "pool://agents/coder" in {one["uri"] for one in true["resources"]}


async def test_who_listens_is_told_of_it_by_that_stream_and_acknowledged_once(
    project: Project,
) -> None:
    project.write_agent("coder")
    params = of_version(LATEST_MODERN_VERSION)
    listening = {"notifications": {"resourcesListChanged": True}}
    with held_back(project) as release:
        async with project.connect_raw() as client:
            number, _ = await client.start(LISTEN, {**params, **listening})
            await client.request("resources/list", params)
            release()
            await until(lambda: changes(client), "the notice")
            await client.request("prompts/list", params)
            acknowledged, notice = client.notifications
    assert acknowledged["method"] == ACKNOWLEDGED
    assert notice["params"] == {"_meta": {SUBSCRIPTION: number}}


async def test_the_next_start_knows_what_the_pool_has_said(project: Project) -> None:
    project.write_agent("coder")
    with held_back(project) as release:
        async with early(project) as client:
            await client.request("resources/list")
            release()
            await until(lambda: changes(client), "the notice")
    await project.run("stop")
    with held_back(project) as release:
        async with early(project) as client:
            given = (await client.request("resources/list"))["result"]
            assert "pool://agents/coder" in {one["uri"] for one in given["resources"]}
            release()
            await client.call("list")
            assert changes(client) == []
    assert stat.S_IMODE(os.stat(project.place.greeting).st_mode) == 0o600


async def test_a_project_that_may_have_other_tools_gets_its_list_from_the_pool_alone(
    project: Project,
) -> None:
    project.write_config(ALL_TOOLS)
    with held_back(project) as release:
        async with early(project) as client:
            _, tools = await client.start(TOOLS)
            await client.request("prompts/list")
            assert not tools.come
            release()
            assert "stats" in names(await tools)
            await client.call("list")
            assert changes(client) == []


async def test_and_from_the_next_start_on_at_once_while_the_configuration_is_the_same(
    project: Project,
) -> None:
    project.write_config(OTHER_TOOLS)
    with held_back(project) as release:
        async with early(project) as client:
            _, tools = await client.start(TOOLS)
            release()
            assert names(await tools) == ["invoke", "list"]
    await project.run("stop")
    with held_back(project):
        async with early(project) as client:
            assert names((await client.request(TOOLS))["result"]) == ["invoke", "list"]
    project.write_config(ALL_TOOLS)
    with held_back(project) as release:
        async with early(project) as client:
            _, tools = await client.start(TOOLS)
            release()
            assert "stats" in names(await tools)


ONLY_THE_POOL: tuple[tuple[str, Message], ...] = (
    (INITIALIZE, {"protocolVersion": "2025-11-25"}),  # of no client
    (TOOLS, {}),  # without a session
    (TOOLS, of_version("2099-01-01")),
    (LISTEN, of_version("2099-01-01")),
    (TOOLS, {**of_version(LATEST_MODERN_VERSION), "cursor": "x"}),
    ("tools/call", {**of_version(LATEST_MODERN_VERSION), "name": "list"}),
)


async def test_what_only_the_pool_can_answer_waits_for_it(project: Project) -> None:
    async with AsyncExitStack() as clients:
        with held_back(project):
            asked = []
            for one in ONLY_THE_POOL:
                client = await clients.enter_async_context(project.connect_raw())
                asked.append((await client.start(*one))[1])
            async with early(project) as last:  # which has waited for its answers, too
                await last.request(TOOLS)
            assert not any(answer.come for answer in asked)
        waited = [await answer.message() for answer in asked]
    async with project.connect():
        for one, found in zip(ONLY_THE_POOL, waited, strict=True):
            async with project.connect_raw() as client:
                number, direct = await client.start(*one)
                assert shape(await direct.message()) == shape({**found, "id": number}), one


def shape(answer: Message) -> Message:
    """All of an error; of a result, which may tell the time, that it is one."""
    return {**answer, "result": True} if "result" in answer else answer


async def test_where_no_pool_can_be_had_the_next_call_says_why(project: Project) -> None:
    with held_back(project) as release:
        async with early(project) as client:
            await client.request(TOOLS)
            break_the_start(project)
            release()
            with pytest.raises(Refused, match="the pool ended at its start"):
                await client.call("list")
            assert await client.wait_closed() == 1
            assert "the pool ended at its start" in client.stderr


def break_the_start(project: Project) -> None:
    """No pool can hold its lock where a folder is in its place."""
    Path(project.place.lock).mkdir()


async def test_a_client_whose_settings_are_another_pools_is_told_with_its_next_call(
    project: Project,
) -> None:
    elsewhere = project.environment(AGENTS_DIR="/elsewhere")
    with held_back(project):
        async with open_client(cwd=project.folder, env=elsewhere, initialize=False) as client:
            await client.initialize(is_early=True)
            async with foreground(project):
                with pytest.raises(Refused, match="AGENTS_DIR"):
                    await client.call("list")
                assert await client.wait_closed() == 1


async def test_a_client_that_is_none_for_the_pool_ends_with_the_reason(project: Project) -> None:
    capable = {"protocolVersion": "2025-11-25", "capabilities": {"roots": True}}
    with held_back(project) as release:
        async with project.connect_raw() as client:
            answer = await client.request(INITIALIZE, {**capable, "clientInfo": CLIENT})
            assert "result" in answer
            release()
            assert await client.wait_closed() == 1
            assert "the pool does not serve this client" in client.stderr


async def test_a_connection_has_one_era(project: Project) -> None:
    greeting = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": CLIENT}
    with held_back(project) as release:
        async with project.connect_raw() as client:
            await client.request("server/discover", of_version(LATEST_MODERN_VERSION))
            _, waits = await client.start(INITIALIZE, greeting)
            await client.request("prompts/list", of_version(LATEST_MODERN_VERSION))
            assert not waits.come
            release()
            assert "error" in await waits.message()


async def test_what_a_client_takes_back_is_not_waited_for(project: Project) -> None:
    project.write_config(ALL_TOOLS)
    with held_back(project) as release:
        async with early(project) as client:
            number, _ = await client.start(TOOLS)
            await client.cancel(number)
            await client.request("prompts/list")
            release()
            assert "stats" in names((await client.request(TOOLS))["result"])


async def test_a_client_that_reads_nothing_keeps_nobody_from_starting(project: Project) -> None:
    async with unread(project) as deaf:
        await flood(deaf)
        await until(lambda: project.pool_pid() and is_free(project.place.start_lock), "the lock")
        async with project.connect() as client:
            assert not (await client.call("list"))["isError"]


def is_free(lock: str) -> bool:
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


async def test_a_client_that_goes_before_the_pool_is_up_is_not_waited_for(project: Project) -> None:
    with held_back(project):
        async with early(project) as client:
            client.close_input()
            assert await client.wait_closed() == 0
            assert client.stderr == ""


async def test_more_than_is_kept_reaches_the_pool_too(project: Project) -> None:
    project.write_agent("coder")
    long = "x" * 2 * KEPT_LIMIT
    with held_back(project) as release:
        async with early(project) as client:

            async def call() -> None:
                result = await client.call("invoke", agent="coder", task=f"[[say ok]] {long}")
                assert "ok" in result["content"][0]["text"]

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                release()


async def test_who_is_turned_away_is_heard_out(project: Project) -> None:
    long = "x" * 2 * KEPT_LIMIT
    with held_back(project) as release:
        async with early(project) as client:

            async def call() -> None:
                with pytest.raises(Refused, match="the pool ended at its start"):
                    await client.call("invoke", agent="coder", task=long)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                break_the_start(project)
                release()
