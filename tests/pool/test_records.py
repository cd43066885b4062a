"""Every task is on record: after the pool's end, and after its death."""

import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client, Message, Project, open_project, until
from tests.pool.conftest import Share

CONFIG = """\
[agents.careful]
on_restart = "run"
"""


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        for name in ("one", "careful"):
            project.write_agent(name)
        project.write_config(CONFIG)
        yield project


def text(answer: Message) -> str:
    return "".join(block["text"] for block in answer["content"])


async def submit(client: Client, agent: str, task: str) -> str:
    answer = await client.call("submit", agent=agent, task=task)
    task_id: str = answer["structuredContent"]["task_id"]
    return task_id


async def outcomes(client: Client, *ids: str) -> list[str | None]:
    answer = await client.call("wait", task_ids=list(ids))
    return [row["outcome"] for row in answer["structuredContent"]["tasks"]]


async def until_running(client: Client, task_id: str) -> None:
    with trio.fail_after(LIMIT_S):
        while True:
            listed = await client.call("tasks", state="running")
            if task_id in [row["task_id"] for row in listed["structuredContent"]["tasks"]]:
                return
            await trio.sleep(POLL_S)


def database(project: Project) -> Path:
    return Path(project.place.folder) / "ledger.sqlite"


async def kill_pool(project: Project) -> None:
    pid = project.pool_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: project.place.holder() is None, "the end of the pool")


async def test_a_result_is_found_by_its_id_in_the_next_pool(project: Project) -> None:
    async with project.connect() as client:
        answer = await client.call("invoke", agent="one", task="[[say remembered]]")
    await project.run("stop")
    async with project.connect() as client:
        later = await client.call("result", task_id=answer["_meta"]["task_id"])

        assert text(later) == "remembered"
        assert later["_meta"]["usage"] == answer["_meta"]["usage"]


async def test_after_the_death_of_the_pool_its_tasks_have_ended_as_interrupted(
    project: Project,
) -> None:
    async with project.connect() as client:
        done = (await client.call("invoke", agent="one", task="[[say x]]"))["_meta"]["task_id"]
        running = await submit(client, "one", "[[hang]]")
        await until_running(client, running)
        queued = await submit(client, "one", "[[say y]]")
        await kill_pool(project)
    async with project.connect() as client:
        found = await outcomes(client, done, running, queued)
        assert found == ["result", "interrupted", "interrupted"]

        answer = await client.call("result", task_id=running)
        assert answer["_meta"]["code"] == "interrupted"


async def test_what_was_queued_is_run_by_the_next_pool_where_it_is_asked_for(
    project: Project,
) -> None:
    async with project.connect() as client:
        running = await submit(client, "careful", "[[hang]]")
        await until_running(client, running)
        queued = await submit(client, "careful", "[[say run after all]]")
        await kill_pool(project)
    async with project.connect() as client:
        assert await outcomes(client, running, queued) == ["interrupted", "result"]
        assert text(await client.call("result", task_id=queued)) == "run after all"


async def test_a_ledger_that_cannot_be_used_refuses_tasks_and_the_pool_lives(
    project: Project,
) -> None:
    database(project).parent.mkdir(parents=True, exist_ok=True)
    database(project).write_bytes(b"this is no database, but somebody's letter\n" * 100)
    async with project.connect() as client:
        answer = await client.call("invoke", agent="one", task="[[say x]]")

        assert answer["_meta"]["code"] == "ledger_unavailable"
        assert str(database(project)) in text(answer)
        listed = await client.call("list")
        assert not listed.get("isError")
        assert str(database(project)) in listed["structuredContent"]["ledger"]
        status = await project.run("status")
        assert (status.returncode, "new tasks are refused: " in status.stdout) == (1, True)
    assert database(project).read_bytes().startswith(b"this is no database")


async def test_without_a_ledger_tasks_are_served(project: Project) -> None:
    project.write_config("[ledger]\nenabled = false\n")
    async with project.connect() as client:
        answer = await client.call("invoke", agent="one", task="[[say x]]")
        assert text(answer) == "x"
        later = await client.call("result", task_id=answer["_meta"]["task_id"])
        assert text(later) == "x"

    assert not database(project).exists()


async def test_the_record_tells_of_attempts_and_states(project: Project) -> None:
    async with project.connect() as client:
        answer = await client.call("invoke", agent="one", task="[[crash 3]]")
        await client.call("invoke", agent="one", task="[[say x]]")
    await project.run("stop")
    with sqlite3.connect(database(project)) as connection:
        rows = connection.execute("SELECT id, outcome, attempts FROM task ORDER BY number")
        (crashed, done) = rows.fetchall()
    connection.close()

    assert crashed[:2] == (answer["_meta"]["task_id"], "agent_crashed")
    assert '"agent_crashed"' in crashed[2]
    assert ", 3, " in crashed[2]
    assert done[1] == "result"


@pytest.fixture
def one(share: Share) -> str:
    """An agent of the shared pool, for what needs no end of a pool."""
    return share.agent("one")


async def test_a_day_that_has_cost_too_much_takes_no_more_tasks(
    client: Client, share: Share, one: str
) -> None:
    spender = share.agent("spender", config="max_cost_usd_per_day = 0.000001")
    if time.time() % 86_400 > 86_370:  # pragma: no cover - the day is about to end
        pytest.skip("midnight (UTC) is near")
    first = await client.call("invoke", agent=spender, task="[[say something long enough]]")
    second = await client.call("invoke", agent=spender, task="[[say x]]")
    other = await client.call("invoke", agent=one, task="[[say x]]")

    assert first["_meta"]["cost_usd"] > 0.000001
    assert second["_meta"]["code"] == "budget_exceeded"
    assert text(other) == "x"


async def test_a_long_reply_is_a_digest_with_a_file_and_parts(project: Project) -> None:
    async with project.connect() as client:
        answer = await client.call("invoke", agent="one", task="[[size 100000]]")
        meta = answer["_meta"]
        assert len(text(answer)) < 5_000
        path = trio.Path(meta["reply_path"])
        whole = await path.read_text()
        assert len(whole) == meta["reply_bytes"] == 100_000
        assert (await path.stat()).st_mode & 0o777 == 0o600
        parts = [
            text(await client.call("result", task_id=meta["task_id"], part=number))
            for number in range(1, meta["parts"] + 1)
        ]
        assert "".join(parts) == whole
        beyond = await client.call("result", task_id=meta["task_id"], part=meta["parts"] + 1)
        assert beyond["_meta"]["code"] == "invalid_arguments"
    await project.run("stop")
    async with project.connect() as client:
        assert text(await client.call("result", task_id=meta["task_id"])) == text(answer)


async def test_a_long_reply_is_whole_where_that_is_asked_for(client: Client, one: str) -> None:
    call: dict[str, Any] = {"agent": one, "task": "[[size 100000]]"}
    assert len(text(await client.call("invoke", **call, reply="full"))) == 100_000
    many = await client.call("invoke_many", tasks=[{**call, "reply": "full"}, call])

    sizes = [len(block["text"]) for block in many["content"]]
    assert sizes[0] > 100_000 > 5_000 > sizes[1]


async def test_a_short_reply_is_long_where_the_caller_says_so(client: Client, one: str) -> None:
    call: dict[str, Any] = {"agent": one, "task": "[[size 9000]]"}
    assert len(text(await client.call("invoke", **call))) == 9_000
    assert len(text(await client.call("invoke", **call, reply_limit=8_000))) < 5_000


async def test_stats_tell_tokens_costs_and_outcomes(client: Client, one: str) -> None:
    for task in ("[[say x]]", "[[say y]]", "[[crash 3]]"):
        await client.call("invoke", agent=one, task=task)
    rows = (await client.call("stats", by="agent"))["structuredContent"]["stats"]

    (row,) = [row for row in rows if row["agent"] == one]
    assert row["tasks"] == 3
    assert row["outcomes"] == {"result": 2, "agent_crashed": 1}
    assert row["output_tokens"] > 0
    assert row["cost_usd"] > 0
