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

ALL = """\
[supervisors.team]
strategy = "one_for_all"
[agents.one]
supervisor = "team"
[agents.two]
supervisor = "team"
"""

REST = """\
[supervisors.line]
strategy = "rest_for_one"
[agents.one]
supervisor = "line"
[agents.two]
supervisor = "line"
[agents.three]
supervisor = "line"
"""

STRICT = """\
[supervisors.team]
intensity = 0
cool_down = "1h"
[supervisors.outer]
[supervisors.inner]
parent = "outer"
intensity = 0
cool_down = "1h"
[agents.one]
supervisor = "team"
[agents.two]
supervisor = "team"
[agents.outside]
supervisor = "outer"
[agents.inside]
supervisor = "inner"
"""


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        for name in ("one", "two", "three", "outside", "inside", "alone"):
            project.write_agent(name)
        yield project


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


async def test_one_for_all_replaces_the_processes_of_the_whole_group(project: Project) -> None:
    project.write_config(ALL)
    async with project.connect() as client:
        one, two, alone = [await warm(client, name) for name in ("one", "two", "alone")]
        os.kill(one, signal.SIGKILL)

        assert await new_pid(client, "one", one) != two
        assert await new_pid(client, "two", two) != two
        assert (await client.agent("alone"))["pid"] == alone
        assert (await client.agent("two"))["restarts"] == 1


async def test_rest_for_one_replaces_those_that_follow_and_keeps_those_before(
    project: Project,
) -> None:
    project.write_config(REST)
    async with project.connect() as client:
        one, two, three = [await warm(client, name) for name in ("one", "two", "three")]
        os.kill(two, signal.SIGKILL)

        await new_pid(client, "two", two)
        await new_pid(client, "three", three)
        assert (await client.agent("one"))["pid"] == one
        assert (await client.agent("one"))["restarts"] == 0


async def test_a_siblings_crash_ends_the_task_in_hand_and_keeps_those_that_wait(
    project: Project,
) -> None:
    project.write_config(ALL)
    async with project.connect() as client:
        pid = await warm(client, "one")
        _, in_hand = await client.start_call("invoke", agent="two", task="[[hang]]")
        await state(client, "two", "busy")
        _, waiting = await client.start_call("invoke", agent="two", task="[[say served]]")
        os.kill(pid, signal.SIGKILL)

        assert code_of(await in_hand) == "agent_restarted"
        assert text_of(await waiting) == "served"


async def test_a_group_over_its_intensity_takes_down_its_agents_and_nothing_else(
    project: Project,
) -> None:
    project.write_config(STRICT)
    async with project.connect() as client:
        one, alone = await warm(client, "one"), await warm(client, "alone")
        _, in_hand = await client.start_call("invoke", agent="two", task="[[hang]]")
        await state(client, "two", "busy")
        _, waiting = await client.start_call("invoke", agent="two", task="[[say served]]")
        os.kill(one, signal.SIGKILL)

        assert code_of(await in_hand) == "agent_down"
        assert code_of(await waiting) == "agent_down"
        for agent in ("one", "two"):
            found = await state(client, agent, "down")
            assert "its group team failed 1 times" in found["error"]
            assert found["pid"] is None
            refused = await client.call("invoke", agent=agent, task="hello")
            assert code_of(refused) == "agent_down"
        assert (await client.agent("alone"))["pid"] == alone
        assert text_of(await client.call("invoke", agent="outside", task="[[say fine]]")) == "fine"


async def test_who_asks_for_a_down_agent_is_told_when_it_is_started_again(
    project: Project,
) -> None:
    project.write_config(STRICT)
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


async def test_a_reset_of_one_brings_its_whole_group_back(project: Project) -> None:
    project.write_config(STRICT)
    async with project.connect() as client:
        os.kill(await warm(client, "one"), signal.SIGKILL)
        await state(client, "two", "down")
        await client.call("reset", agent="two")

        for agent in ("one", "two"):
            answer = await client.call("invoke", agent=agent, task="[[say back]]")
            assert text_of(answer) == "back"


async def test_a_member_that_never_had_a_process_is_down_with_its_group(project: Project) -> None:
    project.write_config(STRICT)
    async with project.connect() as client:
        os.kill(await warm(client, "one"), signal.SIGKILL)
        await state(client, "two", "down")
        answer = await client.call("invoke", agent="two", task="[[say back]]")

        assert code_of(answer) == "agent_down"
        assert (await client.agent("one"))["state"] == "down"


async def test_an_agent_that_is_called_like_a_group_is_none(project: Project) -> None:
    project.write_config(STRICT)
    project.write_agent("group team")
    async with project.connect() as client:
        os.kill(await warm(client, "one"), signal.SIGKILL)
        await state(client, "two", "down")
        answer = await client.call("invoke", agent="group team", task="[[say here]]")
        assert text_of(answer) == "here"
        await client.call("reset", agent="one")

        assert text_of(await client.call("invoke", agent="two", task="[[say back]]")) == "back"
        assert await warm(client, "group team") == answer["_meta"]["pid"]


async def test_a_group_within_a_group_goes_down_alone(project: Project) -> None:
    project.write_config(STRICT)
    async with project.connect() as client:
        outside = await warm(client, "outside")
        os.kill(await warm(client, "inside"), signal.SIGKILL)
        await state(client, "inside", "down")

        assert (await client.agent("outside"))["pid"] == outside
        await client.call("reset", agent="inside")
        answer = await client.call("invoke", agent="inside", task="[[say back]]")
        assert text_of(answer) == "back"


async def test_a_group_comes_back_by_itself_after_its_cool_down(project: Project) -> None:
    project.write_config(STRICT.replace('"1h"', '"200ms"'))
    async with project.connect() as client:
        os.kill(await warm(client, "one"), signal.SIGKILL)
        await until(
            lambda: [line for line in project.log_lines() if line["event"] == "agent_down"],
            "that the group is down",
        )
        for agent in ("one", "two"):
            await state(client, agent, "stopped")
            answer = await client.call("invoke", agent=agent, task="[[say back]]")
            assert text_of(answer) == "back"


async def test_an_agent_that_crashes_at_every_start_harms_no_other_group(project: Project) -> None:
    project.write_config(STRICT)
    broken = project.write_agent("broken", "Do it.")
    async with project.connect() as client:
        alone = await warm(client, "alone")
        broken.write_text(broken.read_text() + "\n[[crash at start]]\n")
        pids = [await warm(client, "broken")]
        with trio.fail_after(LIMIT_S):
            while (await client.agent("broken"))["state"] != "down":
                pid = (await client.agent("broken"))["pid"]
                if pid is None:
                    await client.call("warmup", agent="broken")
                elif pid != pids[-1]:
                    pids.append(pid)
                if pid is not None:
                    kill(pid)
        assert (await client.agent("alone"))["pid"] == alone
        assert len(pids) > 1
        tree = (await client.call("tree"))["structuredContent"]["tree"]
        down = next(one for one in tree if one["name"] == "broken")
        assert (down["state"], down["agent_state"]) == ("undefined", "down")
        assert "failed 6 times" in down["error"]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


async def test_significant_agents_end_their_group(project: Project) -> None:
    project.write_config(
        """\
[supervisors.team]
auto_shutdown = "any_significant"
[agents.one]
supervisor = "team"
restart = "temporary"
significant = true
[agents.two]
supervisor = "team"
"""
    )
    async with project.connect() as client:
        await warm(client, "two")
        os.kill(await warm(client, "one"), signal.SIGKILL)
        found = await state(client, "two", "down")

        assert "its group team ended with one#0, a significant child" in found["error"]
        assert "group:team  transient, down" in (await project.run("tree")).stdout
        await client.call("reset", agent="two")
        for agent in ("one", "two"):
            answer = await client.call("invoke", agent=agent, task="[[say back]]")
            assert text_of(answer) == "back"


async def test_the_command_tree_draws_supervisors_groups_and_workers(project: Project) -> None:
    project.write_config(ALL)
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
