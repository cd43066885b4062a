"""Tasks whose caller does not wait: handed over, waited for, collected, cancelled by their id."""

from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, Message, open_project
from tests.pool.conftest import Share


@pytest.fixture
def one(share: Share) -> str:
    return share.agent("one")


@pytest.fixture
def two(share: Share) -> str:
    return share.agent("two", "tools: Bash", config="replicas = 2")


async def submit(client: Client, agent: str, task: str, **more: Any) -> str:
    answer = await client.call("submit", agent=agent, task=task, **more)
    task_id: str = answer["structuredContent"]["task_id"]
    return task_id


async def wait(client: Client, *ids: str, **more: Any) -> list[dict[str, Any]]:
    answer = await client.call("wait", task_ids=list(ids), **more)
    rows: list[dict[str, Any]] = answer["structuredContent"]["tasks"]
    return rows


def text(answer: Message) -> str:
    return "".join(block["text"] for block in answer["content"])


async def test_a_task_is_handed_over_at_once_and_collected_later(client: Client, one: str) -> None:
    task_id = await submit(client, one, "[[sleep 1]] [[say later]]")
    running = await client.call("result", task_id=task_id)
    assert running["_meta"]["code"] == "task_running"
    (row,) = await wait(client, task_id)

    assert (row["state"], row["outcome"], row["agent"]) == ("ended", "result", one)
    answer = await client.call("result", task_id=task_id)
    assert text(answer) == "later"
    assert answer["_meta"]["task_id"] == task_id


async def test_waiting_for_any_ends_with_the_first_and_for_all_with_the_last(
    client: Client, two: str
) -> None:
    slow = await submit(client, two, "[[hang]]")
    quick = await submit(client, two, "[[say quick]]")
    rows = {row["task_id"]: row for row in await wait(client, slow, quick, mode="any")}
    assert (rows[slow]["state"], rows[quick]["state"]) == ("running", "ended")
    assert [r["state"] for r in await wait(client, slow, timeout_s=0)] == ["running"]
    await client.call("cancel", task_id=slow)
    rows = {row["task_id"]: row for row in await wait(client, slow, quick)}

    assert (rows[slow]["outcome"], rows[quick]["outcome"]) == ("cancelled", "result")


async def test_a_task_that_waits_can_be_cancelled(client: Client, one: str) -> None:
    first = await submit(client, one, "[[hang]]")
    second = await submit(client, one, "[[say never]]")
    await client.call("cancel", task_id=second)
    (row,) = await wait(client, second)

    assert (row["outcome"], row["attempts"]) == ("cancelled", 0)
    await client.call("cancel", task_id=first)


async def test_a_background_task_outlives_its_client(
    client: Client, share: Share, one: str
) -> None:
    share.configure(disconnect_grace="1s")
    async with share.project.connect() as other:
        task_id = await submit(other, one, "[[sleep 2]] [[say done]]")
    (row,) = await wait(client, task_id)

    assert row["outcome"] == "result"
    assert text(await client.call("result", task_id=task_id)) == "done"


async def test_the_outcome_of_a_call_that_was_lost_is_found_by_its_id(
    client: Client, share: Share, one: str
) -> None:
    async with share.project.connect() as other:
        await other.start_call("invoke", agent=one, task="[[sleep 0.5]] [[say found]]")
        listed = (await client.call("tasks", agent=one))["structuredContent"]["tasks"]
        while not listed:
            listed = (await client.call("tasks", agent=one))["structuredContent"]["tasks"]
    await wait(client, listed[0]["task_id"])

    assert text(await client.call("result", task_id=listed[0]["task_id"])) == "found"


async def test_a_call_can_hand_back_an_id_in_place_of_a_late_result(
    client: Client, one: str
) -> None:
    call: dict[str, Any] = {"agent": one, "if_longer_than_s": 0.5}
    answer = await client.call("invoke", task="[[sleep 1.5]] [[say late]]", **call)
    task_id = answer["_meta"]["task_id"]
    assert task_id in text(answer)
    assert not answer.get("isError")
    await wait(client, task_id)
    assert text(await client.call("result", task_id=task_id)) == "late"
    assert text(await client.call("invoke", task="[[say soon]]", **call)) == "soon"


async def test_tasks_lists_the_newest_first_and_by_agent_and_state(tmp_path: Path) -> None:
    async with open_project(tmp_path) as project:
        for name in ("one", "two"):
            project.write_agent(name)
        async with project.connect() as client:
            ids = [await submit(client, agent, "[[say x]]") for agent in ("one", "two", "one")]
            await wait(client, *ids)
            everything = (await client.call("tasks"))["structuredContent"]["tasks"]
            ones = (await client.call("tasks", agent="one", limit=1))["structuredContent"]["tasks"]
            queued = (await client.call("tasks", state="queued"))["structuredContent"]["tasks"]

            assert [row["task_id"] for row in everything] == ids[::-1]
            assert [row["task_id"] for row in ones] == [ids[2]]
            assert queued == []


async def test_many_tasks_have_their_outcomes_in_their_places(
    client: Client, one: str, two: str
) -> None:
    wanted = [
        {"agent": one, "task": "[[sleep 1]] [[say first]]"},
        {"agent": "nobody", "task": "x"},
        {"agent": two, "task": "[[crash 3]]"},
        {"agent": two, "task": "[[say fourth]]"},
    ]
    answer = await client.call("invoke_many", tasks=wanted)
    blocks = [block["text"] for block in answer["content"]]

    assert not answer.get("isError")
    assert blocks[0].endswith("\nfirst")
    assert "unknown_agent" in blocks[1]
    assert "agent_crashed" in blocks[2]
    assert blocks[3].endswith("\nfourth")
    codes = [one.get("code") for one in answer["_meta"]["outcomes"]]
    assert codes == [None, "unknown_agent", "agent_crashed", None]


async def test_many_tasks_run_no_more_at_once_than_asked_for(
    client: Client, share: Share, two: str
) -> None:
    mark = share.project.folder / share.name("running")
    task = f"[[bash test -e {mark} && echo TOGETHER; touch {mark}; sleep 0.2; rm {mark}]]"
    wanted = [{"agent": two, "task": task} for _ in range(4)]
    answer = await client.call("invoke_many", tasks=wanted, max_parallel=1)

    assert "TOGETHER" not in text(answer)
    assert not any("code" in one for one in answer["_meta"]["outcomes"])


async def test_an_unknown_task_is_an_error_that_says_where_ids_come_from(client: Client) -> None:
    for tool, arguments in (
        ("result", {"task_id": "t-none"}),
        ("cancel", {"task_id": "t-none"}),
        ("wait", {"task_ids": ["t-none"]}),
    ):
        answer = await client.call(tool, **arguments)
        assert answer["_meta"]["code"] == "unknown_task"
