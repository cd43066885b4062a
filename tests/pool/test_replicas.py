"""Several workers serve one queue; each has a process once there is work for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client, Message, Project, open_project

CONFIG = """\
[agents.three]
replicas = 3
[agents.ready]
replicas = 2
min_replicas = 1
idle_timeout = "200ms"
[agents.going]
replicas = 2
idle_timeout = "200ms"
[agents.brief]
replicas = 2
restart = "temporary"
"""


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        for name in ("three", "ready", "going", "brief"):
            project.write_agent(name)
        project.write_config(CONFIG)
        yield project


async def states(client: Client, agent: str) -> list[str]:
    return [worker["state"] for worker in (await client.agent(agent))["workers"]]


async def until_states(client: Client, agent: str, wanted: list[str]) -> None:
    with trio.fail_after(LIMIT_S):
        while True:
            if await states(client, agent) == wanted:
                return
            await trio.sleep(POLL_S)


async def until_down(client: Client, agent: str) -> None:
    with trio.fail_after(LIMIT_S):
        while True:
            if (await client.agent(agent))["state"] == "down":
                return
            await trio.sleep(POLL_S)


async def at_once(client: Client, agent: str, tasks: list[str]) -> list[Message]:
    calls = [await client.start_call("invoke", agent=agent, task=task) for task in tasks]
    return [await answer for _, answer in calls]


def pids(answers: list[Message]) -> set[int]:
    return {answer["_meta"]["pid"] for answer in answers}


async def test_tasks_that_come_together_run_side_by_side(project: Project) -> None:
    async with project.connect() as client:
        tasks = [f"[[sleep 1]] [[say n{n}]]" for n in range(3)]
        answers = await at_once(client, "three", tasks)

        assert [a["content"][0]["text"] for a in answers] == ["n0", "n1", "n2"]
        assert len(pids(answers)) == 3
        assert len({w["pid"] for w in (await client.agent("three"))["workers"]}) == 3


async def test_one_task_after_the_other_needs_one_process(project: Project) -> None:
    async with project.connect() as client:
        answers = [await client.call("invoke", agent="three", task="[[say x]]") for _ in range(4)]

        assert len(pids(answers)) == 1
        await until_states(client, "three", ["idle", "stopped", "stopped"])


async def test_more_tasks_than_workers_all_have_their_own_answer(project: Project) -> None:
    async with project.connect() as client:
        answers = await at_once(client, "three", [f"[[say n{n}]]" for n in range(20)])

        assert [a["content"][0]["text"] for a in answers] == [f"n{n}" for n in range(20)]
        assert len(pids(answers)) <= 3


async def test_a_worker_that_crashes_takes_no_other_along(project: Project) -> None:
    async with project.connect() as client:
        fine = await client.start_call("invoke", agent="three", task="[[sleep 1]] [[say fine]]")
        crashed = await client.call("invoke", agent="three", task="[[crash 3]]")

        assert crashed["_meta"]["code"] == "agent_crashed"
        assert (await fine[1])["content"][0]["text"] == "fine"


async def test_a_reset_ends_the_processes_of_all(project: Project) -> None:
    async with project.connect() as client:
        await at_once(client, "three", ["[[sleep 1]] [[say x]]"] * 3)
        await client.call("reset", agent="three")

        assert await states(client, "three") == ["stopped"] * 3


async def test_what_has_no_work_goes_down_to_the_least_number(project: Project) -> None:
    async with project.connect() as client:
        await at_once(client, "ready", ["[[sleep 1]] [[say x]]"] * 2)
        await at_once(client, "going", ["[[sleep 1]] [[say x]]"] * 2)

        await until_states(client, "going", ["stopped", "stopped"])
        await until_states(client, "ready", ["idle", "stopped"])


async def test_an_agent_is_down_once_all_of_its_temporary_workers_have_ended(
    project: Project,
) -> None:
    async with project.connect() as client:
        first = await client.call("invoke", agent="brief", task="[[crash 3]]")
        await until_states(client, "brief", ["stopped", "stopped"])
        second = await client.call("invoke", agent="brief", task="[[crash 3]]")

        assert [a["_meta"]["code"] for a in (first, second)] == ["agent_crashed"] * 2
        await until_down(client, "brief")
        await client.call("reset", agent="brief")
        answer = await client.call("invoke", agent="brief", task="[[say back]]")
        assert answer["content"][0]["text"] == "back"
