"""Groups from pool.toml: agents that share a supervisor's strategy, intensity and fate."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client, Project, open_project, until
from tests.pool.conftest import Share

# In each, "{n}" is what a test's names have at their end.

ALL = """\
[supervisors.team{n}]
strategy = "one_for_all"
[agents.one{n}]
supervisor = "team{n}"
[agents.two{n}]
supervisor = "team{n}"
"""

REST = """\
[supervisors.line{n}]
strategy = "rest_for_one"
[agents.one{n}]
supervisor = "line{n}"
[agents.two{n}]
supervisor = "line{n}"
[agents.three{n}]
supervisor = "line{n}"
"""

STRICT = """\
[supervisors.team{n}]
intensity = 0
cool_down = "1h"
[supervisors.outer{n}]
[supervisors.inner{n}]
parent = "outer{n}"
intensity = 0
cool_down = "1h"
[agents.one{n}]
supervisor = "team{n}"
[agents.two{n}]
supervisor = "team{n}"
[agents.outside{n}]
supervisor = "outer{n}"
[agents.inside{n}]
supervisor = "inner{n}"
"""

NAMES = ("one", "two", "three", "outside", "inside", "alone")


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    """Whose pool is looked at as a whole."""
    async with open_project(tmp_path) as project:
        for name in NAMES:
            project.write_agent(name)
        yield project


class Cast:
    """Agents of the shared pool, each by the name that it has in this test."""

    def __init__(self, share: Share) -> None:
        self.share = share
        self.one, self.two, self.three, self.outside, self.inside, self.alone = map(
            share.agent, NAMES
        )

    def group(self, config: str) -> None:
        """Have `config`, with "{n}" in the names, hold for those of this test."""
        self.share.configure(config.format(n=self.share.suffix))


@pytest.fixture
def cast(share: Share) -> Cast:
    return Cast(share)


async def warm(client: Client, agent: str) -> int:
    answer = await client.call("warmup", agent=agent)
    assert not answer.get("isError"), answer
    pid: int = answer["structuredContent"]["pid"]
    return pid


async def new_pid(client: Client, agent: str, old: int) -> int:
    """The pid of an agent's next process, once that is ready."""
    with trio.fail_after(LIMIT_S):
        while True:
            pid: int | None = (await client.agent(agent))["pid"]
            if pid not in (None, old):
                return pid
            await trio.sleep(POLL_S)


async def state(client: Client, agent: str, wanted: str) -> dict[str, Any]:
    with trio.fail_after(LIMIT_S):
        while True:
            found = await client.agent(agent)
            if found["state"] == wanted:
                return found
            await trio.sleep(POLL_S)


def code_of(result: dict[str, Any]) -> str | None:
    code: str | None = result["_meta"].get("code")
    return code


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


async def test_one_for_all_replaces_the_processes_of_the_whole_group(
    client: Client, cast: Cast
) -> None:
    cast.group(ALL)
    one, two, alone = [await warm(client, name) for name in (cast.one, cast.two, cast.alone)]
    os.kill(one, signal.SIGKILL)

    assert await new_pid(client, cast.one, one) != two
    assert await new_pid(client, cast.two, two) != two
    assert (await client.agent(cast.alone))["pid"] == alone
    assert (await client.agent(cast.two))["restarts"] == 1


async def test_rest_for_one_replaces_those_that_follow_and_keeps_those_before(
    client: Client, cast: Cast
) -> None:
    cast.group(REST)
    one, two, three = [await warm(client, name) for name in (cast.one, cast.two, cast.three)]
    os.kill(two, signal.SIGKILL)

    await new_pid(client, cast.two, two)
    await new_pid(client, cast.three, three)
    assert (await client.agent(cast.one))["pid"] == one
    assert (await client.agent(cast.one))["restarts"] == 0


async def test_a_siblings_crash_ends_the_task_in_hand_and_keeps_those_that_wait(
    client: Client, cast: Cast
) -> None:
    cast.group(ALL)
    pid = await warm(client, cast.one)
    _, in_hand = await client.start_call("invoke", agent=cast.two, task="[[hang]]")
    await state(client, cast.two, "busy")
    _, waiting = await client.start_call("invoke", agent=cast.two, task="[[say served]]")
    os.kill(pid, signal.SIGKILL)

    assert code_of(await in_hand) == "agent_restarted"
    assert text_of(await waiting) == "served"


async def test_a_group_over_its_intensity_takes_down_its_agents_and_nothing_else(
    client: Client, cast: Cast
) -> None:
    cast.group(STRICT)
    one, alone = await warm(client, cast.one), await warm(client, cast.alone)
    _, in_hand = await client.start_call("invoke", agent=cast.two, task="[[hang]]")
    await state(client, cast.two, "busy")
    _, waiting = await client.start_call("invoke", agent=cast.two, task="[[say served]]")
    os.kill(one, signal.SIGKILL)

    assert code_of(await in_hand) == "agent_down"
    assert code_of(await waiting) == "agent_down"
    for agent in (cast.one, cast.two):
        found = await state(client, agent, "down")
        assert f"its group {cast.share.name('team')} failed 1 times" in found["error"]
        assert found["pid"] is None
        refused = await client.call("invoke", agent=agent, task="hello")
        assert code_of(refused) == "agent_down"
    assert (await client.agent(cast.alone))["pid"] == alone
    assert text_of(await client.call("invoke", agent=cast.outside, task="[[say fine]]")) == "fine"


async def test_who_asks_for_a_down_agent_is_told_when_it_is_started_again(
    project: Project,
) -> None:
    project.write_config(STRICT.format(n=""))
    async with project.connect() as client:
        os.kill(await warm(client, "one"), signal.SIGKILL)
        await state(client, "two", "down")

        refused = await client.call("invoke", agent="two", task="hello")
        status = await project.run("status")

    assert "; it is started again in 3" in text_of(refused)
    assert "the log has one's stderr" in text_of(refused)
    assert 3500 < refused["_meta"]["started_again_in_s"] <= 3600
    assert status.returncode == 1
    assert "down: one, two; agent-pool tail says why" in status.stdout


async def test_a_reset_of_one_brings_its_whole_group_back(client: Client, cast: Cast) -> None:
    cast.group(STRICT)
    os.kill(await warm(client, cast.one), signal.SIGKILL)
    await state(client, cast.two, "down")
    await client.call("reset", agent=cast.two)

    for agent in (cast.one, cast.two):
        answer = await client.call("invoke", agent=agent, task="[[say back]]")
        assert text_of(answer) == "back"


async def test_a_member_that_never_had_a_process_is_down_with_its_group(
    client: Client, cast: Cast
) -> None:
    cast.group(STRICT)
    os.kill(await warm(client, cast.one), signal.SIGKILL)
    await state(client, cast.two, "down")
    answer = await client.call("invoke", agent=cast.two, task="[[say back]]")

    assert code_of(answer) == "agent_down"
    assert (await client.agent(cast.one))["state"] == "down"


async def test_an_agent_that_is_called_like_a_group_is_none(client: Client, cast: Cast) -> None:
    cast.group(STRICT)
    like_a_group = cast.share.agent("group team")
    os.kill(await warm(client, cast.one), signal.SIGKILL)
    await state(client, cast.two, "down")
    answer = await client.call("invoke", agent=like_a_group, task="[[say here]]")
    assert text_of(answer) == "here"
    await client.call("reset", agent=cast.one)

    assert text_of(await client.call("invoke", agent=cast.two, task="[[say back]]")) == "back"
    assert await warm(client, like_a_group) == answer["_meta"]["pid"]


async def test_a_group_within_a_group_goes_down_alone(client: Client, cast: Cast) -> None:
    cast.group(STRICT)
    outside = await warm(client, cast.outside)
    os.kill(await warm(client, cast.inside), signal.SIGKILL)
    await state(client, cast.inside, "down")

    assert (await client.agent(cast.outside))["pid"] == outside
    await client.call("reset", agent=cast.inside)
    answer = await client.call("invoke", agent=cast.inside, task="[[say back]]")
    assert text_of(answer) == "back"


async def test_a_group_comes_back_by_itself_after_its_cool_down(client: Client, cast: Cast) -> None:
    cast.group(STRICT.replace('"1h"', '"200ms"'))
    os.kill(await warm(client, cast.one), signal.SIGKILL)
    await until(lambda: cast.share.log("agent_down"), "that the group is down")
    for agent in (cast.one, cast.two):
        await state(client, agent, "stopped")
        answer = await client.call("invoke", agent=agent, task="[[say back]]")
        assert text_of(answer) == "back"


async def test_an_agent_that_crashes_at_every_start_harms_no_other_group(
    client: Client, cast: Cast
) -> None:
    cast.group(STRICT)
    broken = cast.share.agent("broken")
    alone = await warm(client, cast.alone)
    cast.share.project.write_agent(broken, "Do it.\n\n[[crash at start]]")
    pids = [await warm(client, broken)]
    with trio.fail_after(LIMIT_S):
        while (await client.agent(broken))["state"] != "down":
            pid = (await client.agent(broken))["pid"]
            if pid is None:
                await client.call("warmup", agent=broken)
            elif pid != pids[-1]:
                pids.append(pid)
            if pid is not None:
                kill(pid)
    assert (await client.agent(cast.alone))["pid"] == alone
    assert len(pids) > 1
    tree = (await client.call("tree"))["structuredContent"]["tree"]
    down = next(one for one in tree if one["name"] == broken)
    assert (down["state"], down["agent_state"]) == ("undefined", "down")
    assert "failed 6 times" in down["error"]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


async def test_significant_agents_end_their_group(client: Client, cast: Cast) -> None:
    cast.group(
        """\
[supervisors.team{n}]
auto_shutdown = "any_significant"
[agents.one{n}]
supervisor = "team{n}"
restart = "temporary"
significant = true
[agents.two{n}]
supervisor = "team{n}"
"""
    )
    await warm(client, cast.two)
    os.kill(await warm(client, cast.one), signal.SIGKILL)
    found = await state(client, cast.two, "down")

    team = cast.share.name("team")
    assert f"its group {team} ended with {cast.one}#0, a significant child" in found["error"]
    assert f"group:{team}  transient, down" in (await cast.share.project.run("tree")).stdout
    await client.call("reset", agent=cast.two)
    for agent in (cast.one, cast.two):
        answer = await client.call("invoke", agent=agent, task="[[say back]]")
        assert text_of(answer) == "back"


async def test_the_command_tree_draws_supervisors_groups_and_workers(project: Project) -> None:
    project.write_config(ALL.format(n=""))
    async with project.connect() as client:
        pid = await warm(client, "one")
        await warm(client, "alone")
        drawn = await project.run("tree")
        record = await project.run("tree", "--json")

    assert drawn.returncode == record.returncode == 0
    lines = drawn.stdout.splitlines()
    assert lines[0] == "root  one_for_one"
    assert "│   ├── group:team  one_for_all, transient" in lines
    assert f"│   │   ├── one#0  permanent, idle, pid {pid}" in lines
    assert lines[-1] == "└── front end  permanent"
    paths = [row["path"] for row in json.loads(record.stdout)["tree"]]
    assert "root/agents/group:team/two#0" in paths
    assert "root/agents/alone/alone#0" in paths


async def test_the_command_tree_says_when_no_pool_runs(project: Project) -> None:
    answer = await project.run("tree", "--json")

    assert answer.returncode == 3
    assert json.loads(answer.stdout)["running"] is False
