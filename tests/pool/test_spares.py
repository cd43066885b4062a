"""Processes that stand by without a role, and take over."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

from tests.client import LIMIT_S, Client, Project, open_project, until

CONFIG = """\
[pool]
spares = 1
[agents.counted]
max_tasks = 1
"""


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        project.write_agent("alone", "You are ALONE.")
        project.write_agent("model", "You are MODEL.", "model: sonnet")
        project.write_agent("counted", "You are COUNTED.")
        project.write_config(CONFIG)
        yield project


def connect(project: Project) -> AbstractAsyncContextManager[Client]:
    """With the project's own agents alone, which are all of one profile."""
    return project.connect(AGENTS_DIR=str(project.folder / ".claude" / "agents"))


def log(project: Project, event: str) -> list[dict[str, Any]]:
    return [line for line in project.log_lines() if line["event"] == event]


def standing_by(project: Project) -> list[int]:
    """The pids of those that stand by, as the log tells."""
    ready = [line["pid"] for line in log(project, "spare_ready")]
    gone = {line["pid"] for line in log(project, "spare_ended")}
    gone |= {line["pid"] for line in log(project, "worker_started") if line.get("spare")}
    return [pid for pid in ready if pid not in gone]


async def a_spare(project: Project, *, other_than: int = 0) -> int:
    found = await until(
        lambda: [pid for pid in standing_by(project) if pid != other_than], "a spare"
    )
    return found[0]


async def invoke(client: Client, agent: str, task: str) -> tuple[str, int]:
    answer = await client.call("invoke", agent=agent, task=task)
    return answer["content"][0]["text"], answer["_meta"]["pid"]


async def test_a_spare_takes_the_first_invoke_with_the_role_of_its_agent(project: Project) -> None:
    async with connect(project) as client:
        spare = await a_spare(project)

        assert await invoke(client, "alone", "[[system]]") == ("You are ALONE.", spare)


async def test_a_spare_gets_the_model_of_its_agent(project: Project) -> None:
    async with connect(project) as client:
        spare = await a_spare(project)
        text, pid = await invoke(client, "model", "[[system]]")

        assert (text, pid) == ("You are MODEL.", spare)
        assert "--model" not in psutil.Process(pid).cmdline()


async def test_a_spare_that_was_taken_is_replaced(project: Project) -> None:
    async with connect(project) as client:
        first = await a_spare(project)
        await invoke(client, "alone", "[[say x]]")
        second = await a_spare(project)

        assert second != first
        assert (await invoke(client, "model", "[[say x]]"))[1] == second


async def test_a_spare_takes_over_after_a_crash_and_at_a_recycling(project: Project) -> None:
    async with connect(project) as client:
        await a_spare(project)
        await invoke(client, "alone", "[[say x]]")
        spare = await a_spare(project)
        await client.call("invoke", agent="alone", task="[[crash 3]]")
        assert await invoke(client, "alone", "[[system]]") == ("You are ALONE.", spare)
        await a_spare(project)
        await invoke(client, "counted", "[[say x]]")
        assert (await client.agent("counted"))["tasks_failed"] == 0
        started = log(project, "worker_started")
        assert started[-1]["agent"] == "counted"
        assert any(line.get("spare") for line in started if line["agent"] == "counted")


async def test_a_spare_that_dies_is_replaced_and_nobody_notices(project: Project) -> None:
    async with connect(project) as client:
        first = await a_spare(project)
        os.kill(first, signal.SIGKILL)
        second = await a_spare(project, other_than=first)

        assert await invoke(client, "alone", "[[system]]") == ("You are ALONE.", second)
        found = await client.agent("alone")
        assert (found["restarts"], found["tasks_failed"]) == (0, 0)


async def test_a_spare_is_the_first_to_go_when_room_is_needed(project: Project) -> None:
    project.write_config("[pool]\nspares = 1\nbudget = '1MiB'\n")
    async with connect(project) as client:
        spare = await a_spare(project)
        project.write_agent("toolful", "You are TOOLFUL.", "tools: Bash")
        text, pid = await invoke(client, "toolful", "[[system]]")

        assert text == "You are TOOLFUL."
        assert pid != spare
        await until(lambda: not psutil.pid_exists(spare), "the end of the spare")
        assert log(project, "spare_ended")[0]["why"] == "room is needed for toolful"


async def test_an_agent_of_another_profile_gets_a_process_of_its_own(project: Project) -> None:
    async with connect(project) as client:
        spare = await a_spare(project)
        project.write_agent("toolful", "You are TOOLFUL.", "tools: Bash")
        _, pid = await invoke(client, "toolful", "[[system]]")

        assert pid != spare
        assert spare in standing_by(project)


async def test_ps_names_the_agent_that_a_spare_has_become(project: Project) -> None:
    async with connect(project) as client:
        _, pid = await a_spare(project), (await invoke(client, "alone", "[[say x]]"))[1]
        standing = await a_spare(project)
        rows = json.loads((await project.run("ps", "--json")).stdout)["processes"]

        agents = {row["pid"]: row["agent"] for row in rows}
        assert (agents[pid], agents[standing]) == ("alone", "spare")


async def test_without_spares_configured_there_are_none(project: Project) -> None:
    project.write_config("")
    async with connect(project) as client:
        await invoke(client, "alone", "[[say x]]")
        await invoke(client, "model", "[[say x]]")

    assert not log(project, "spare_ready")


async def test_fewer_of_them_are_fewer_at_once_and_more_are_started(project: Project) -> None:
    project.write_config("[pool]\nspares = 3\n")
    async with connect(project):
        before = await until(lambda: some(project, 3), "three spares")
        project.write_config("[pool]\nspares = 1\n")
        left = await until(lambda: some(project, 1), "the end of two of them")
        assert set(left) < set(before)
        await until(lambda: len(living(before)) == 1, "the end of their processes")
        project.write_config("[pool]\nspares = 2\n")
        assert set(left) < set(await until(lambda: some(project, 2), "another one"))


def some(project: Project, number: int) -> list[int] | None:
    """Those that stand by, if they are that many."""
    found = standing_by(project)
    return found if len(found) == number else None


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid)]


async def test_a_pool_that_stops_leaves_no_spare(project: Project) -> None:
    async with connect(project):
        spare = await a_spare(project)
        await project.run("stop")

    with trio.fail_after(LIMIT_S):
        await until(lambda: not psutil.pid_exists(spare), "the end of the spare")


async def test_a_pool_that_is_killed_leaves_no_spare(project: Project) -> None:
    async with connect(project):
        spare = await a_spare(project)
        pool = project.pool_pid()
        assert pool is not None
        os.kill(pool, signal.SIGKILL)
        await until(lambda: not psutil.pid_exists(spare), "the end of the spare")
