"""A conversation keeps its context between calls, and leaks into nothing else."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client, Project, open_project, until
from tests.pool.conftest import Share


@pytest.fixture
def talker(share: Share) -> str:
    return share.agent("talker", config="max_conversations = 2")


async def say(
    client: Client, agent: str, text: str, conversation: str | None = None
) -> tuple[str, dict[str, Any]]:
    named: dict[str, Any] = {} if conversation is None else {"conversation": conversation}
    answer = await client.call("invoke", agent=agent, task=text, **named)
    return answer["content"][0]["text"], answer["_meta"]


async def conversations(client: Client, agent: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await client.agent(agent))["conversations"]}


async def test_what_was_said_is_known_later_in_the_same_conversation_and_in_no_other(
    client: Client, talker: str
) -> None:
    await say(client, talker, "[[say one]] alpha", "a")
    await say(client, talker, "[[say one]] beta", "b")
    in_a, _ = await say(client, talker, "[[context]]", "a")
    in_b, _ = await say(client, talker, "[[context]]", "b")
    plain, _ = await say(client, talker, "[[context]]")

    assert "alpha" in in_a
    assert "beta" not in in_a
    assert "beta" in in_b
    assert "alpha" not in in_b
    assert plain == "context: 0 user texts: []"


async def test_a_conversation_does_not_keep_a_plain_call_waiting(
    client: Client, talker: str
) -> None:
    number, _ = await client.start_call("invoke", agent=talker, task="[[hang]]", conversation="a")
    assert (await say(client, talker, "[[say soon]]"))[0] == "soon"
    await client.cancel(number)


async def test_a_conversation_is_taken_up_again_after_a_crash(client: Client, talker: str) -> None:
    _, meta = await say(client, talker, "[[say one]] alpha", "a")
    os.kill(meta["pid"], signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(meta["pid"]), "its end")
    text, later = await say(client, talker, "[[context]]", "a")

    assert "alpha" in text
    assert later["pid"] != meta["pid"]


async def test_the_least_recently_used_gives_its_process_up_and_is_taken_up_again(
    client: Client, talker: str
) -> None:
    for name in ("a", "b", "c"):
        await say(client, talker, f"[[say x]] secret-{name}", name)
    found = await conversations(client, talker)
    assert [found[name]["state"] for name in "abc"] == ["stopped", "idle", "idle"]

    text, _ = await say(client, talker, "[[context]]", "a")
    assert "secret-a" in text


async def test_more_conversations_than_may_be_at_once_are_refused_while_all_are_at_work(
    client: Client, talker: str
) -> None:
    calls = []
    for name in ("a", "b"):
        call: dict[str, Any] = {"agent": talker, "task": "[[hang]]", "conversation": name}
        calls.append(await client.start_call("invoke", **call))
    with trio.fail_after(LIMIT_S):
        while True:
            found = await conversations(client, talker)
            if [one["state"] for one in found.values()] == ["busy", "busy"]:
                break
            assert not any(answer.come for _, answer in calls), found
            await trio.sleep(POLL_S)
    _, meta = await say(client, talker, "x", "c")

    assert meta["code"] == "conversations_busy"
    for number, _ in calls:
        await client.cancel(number)


async def test_a_conversation_whose_context_is_gone_says_so_once_and_begins_anew(
    client: Client, share: Share, talker: str
) -> None:
    _, meta = await say(client, talker, "[[say one]] alpha", "a")
    for kept in (share.project.home / ".claude" / "rehearsal").iterdir():
        kept.unlink()
    os.kill(meta["pid"], signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(meta["pid"]), "its end")
    text, lost = await say(client, talker, "[[context]]", "a")
    assert lost["code"] == "conversation_lost"
    assert '"a"' in text

    assert (await say(client, talker, "[[context]]", "a"))[0] == "context: 0 user texts: []"


async def test_a_reset_of_a_conversation_ends_it_alone(client: Client, talker: str) -> None:
    for name in ("a", "b"):
        await say(client, talker, f"[[say x]] secret-{name}", name)
    await client.call("reset", agent=talker, conversation="a")

    assert (await say(client, talker, "[[context]]", "a"))[0] == "context: 0 user texts: []"
    assert "secret-b" in (await say(client, talker, "[[context]]", "b"))[0]


@pytest.mark.parametrize("name", ["", " ", "a b", "../a", "a@b", "a#0", "x" * 65, "-a", "é"])
async def test_a_name_that_cannot_be_one_is_refused(client: Client, name: str, talker: str) -> None:
    _, meta = await say(client, talker, "x", name)

    assert meta["code"] == "invalid_arguments"


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    """Whose pool may be stopped."""
    async with open_project(tmp_path) as project:
        project.write_agent("talker")
        yield project


async def test_a_conversation_is_taken_up_again_by_the_next_pool(project: Project) -> None:
    async with project.connect() as client:
        await say(client, "talker", "[[say one]] alpha", "a")
        await say(client, "talker", "[[say one]] beta", "b")
        await client.call("reset", agent="talker", conversation="b")
    await project.run("stop")
    async with project.connect() as client:
        assert "alpha" in (await say(client, "talker", "[[context]]", "a"))[0]
        assert (await say(client, "talker", "[[context]]", "b"))[0] == "context: 0 user texts: []"


async def test_a_reset_ends_also_what_an_earlier_pool_has_left_of_a_conversation(
    project: Project,
) -> None:
    async with project.connect() as client:
        await say(client, "talker", "[[say one]] alpha", "a")
    await project.run("stop")
    async with project.connect() as client:
        await client.call("reset", agent="talker", conversation="a")
        assert (await say(client, "talker", "[[context]]", "a"))[0] == "context: 0 user texts: []"
