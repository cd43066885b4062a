"""Several workers serve one queue; each has a process once there is work for it."""

import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client, Message
from tests.pool.conftest import Share


@pytest.fixture
def three(share: Share) -> str:
    return share.agent("three", config="replicas = 3")


@pytest.fixture
def ready(share: Share) -> str:
    return share.agent("ready", config='replicas = 2\nmin_replicas = 1\nidle_timeout = "200ms"')


@pytest.fixture
def going(share: Share) -> str:
    return share.agent("going", config='replicas = 2\nidle_timeout = "200ms"')


@pytest.fixture
def brief(share: Share) -> str:
    return share.agent("brief", config='replicas = 2\nrestart = "temporary"')


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


async def test_tasks_that_come_together_run_side_by_side(client: Client, three: str) -> None:
    tasks = [f"[[sleep 1]] [[say n{n}]]" for n in range(3)]
    answers = await at_once(client, three, tasks)

    assert [a["content"][0]["text"] for a in answers] == ["n0", "n1", "n2"]
    assert len(pids(answers)) == 3
    assert len({w["pid"] for w in (await client.agent(three))["workers"]}) == 3


async def test_one_task_after_the_other_needs_one_process(client: Client, three: str) -> None:
    answers = [await client.call("invoke", agent=three, task="[[say x]]") for _ in range(4)]

    assert len(pids(answers)) == 1
    await until_states(client, three, ["idle", "stopped", "stopped"])


async def test_more_tasks_than_workers_all_have_their_own_answer(
    client: Client, three: str
) -> None:
    answers = await at_once(client, three, [f"[[say n{n}]]" for n in range(20)])

    assert [a["content"][0]["text"] for a in answers] == [f"n{n}" for n in range(20)]
    assert len(pids(answers)) <= 3


async def test_a_worker_that_crashes_takes_no_other_along(client: Client, three: str) -> None:
    fine = await client.start_call("invoke", agent=three, task="[[sleep 1]] [[say fine]]")
    crashed = await client.call("invoke", agent=three, task="[[crash 3]]")

    assert crashed["_meta"]["code"] == "agent_crashed"
    assert (await fine[1])["content"][0]["text"] == "fine"


async def test_a_reset_ends_the_processes_of_all(client: Client, three: str) -> None:
    await at_once(client, three, ["[[sleep 1]] [[say x]]"] * 3)
    await client.call("reset", agent=three)

    assert await states(client, three) == ["stopped"] * 3


async def test_what_has_no_work_goes_down_to_the_least_number(
    client: Client, ready: str, going: str
) -> None:
    await at_once(client, ready, ["[[sleep 1]] [[say x]]"] * 2)
    await at_once(client, going, ["[[sleep 1]] [[say x]]"] * 2)

    await until_states(client, going, ["stopped", "stopped"])
    await until_states(client, ready, ["idle", "stopped"])


async def test_an_agent_is_down_once_all_of_its_temporary_workers_have_ended(
    client: Client, brief: str
) -> None:
    first = await client.call("invoke", agent=brief, task="[[crash 3]]")
    await until_states(client, brief, ["stopped", "stopped"])
    second = await client.call("invoke", agent=brief, task="[[crash 3]]")

    assert [a["_meta"]["code"] for a in (first, second)] == ["agent_crashed"] * 2
    await until_down(client, brief)
    await client.call("reset", agent=brief)
    answer = await client.call("invoke", agent=brief, task="[[say back]]")
    assert answer["content"][0]["text"] == "back"
