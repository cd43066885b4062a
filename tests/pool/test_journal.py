"""The journal alone: what is on record, whatever becomes of the service that keeps it."""

from pathlib import Path

import pytest
import trio
import trio.testing

from supervisor.ledger import Ledger, TaskFilter
from supervisor.pool.book import TaskBook
from supervisor.pool.config import LedgerTable
from supervisor.pool.events import PoolEvent
from supervisor.pool.journal import Journal
from supervisor.pool.known_tasks import KnownTasks
from supervisor.pool.outcome import Attempt, PoolError, Task, TaskResult
from supervisor.protocol import Usage
from supervisor.tree import ChildSpec, Supervisor, SupervisorFlags

LIMIT_S = 30.0
TABLE = LedgerTable.model_validate(
    {
        "enabled": True,
        "keep_text": True,
        "texts_for": "1d",
        "texts_total": "1GiB",
        "tasks_for": "1d",
    }
)
RESULT = TaskResult("done", Usage(output_tokens=3), 0.5, None)


async def test_a_crash_of_its_service_costs_no_open_task_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash, crashed = trio.Event(), trio.Event()

    async def prune(_: Ledger) -> None:
        if crashed.is_set():
            return
        await crash.wait()
        crashed.set()
        raise RuntimeError("as asked")

    monkeypatch.setattr(Ledger, "prune", prune)
    told: list[PoolEvent] = []
    journal = Journal(tmp_path, lambda: TABLE, told.append)
    root = Supervisor("root", SupervisorFlags(), [ChildSpec("ledger", journal.run)])
    with trio.fail_after(LIMIT_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run)
            task = Task("a", "text", 60)
            await journal.accept(task, background=False)
            task.begin_attempt(Attempt(1, 4711, 0.0))
            crash.set()
            await crashed.wait()
            await trio.testing.wait_all_tasks_blocked()
            task.settle(RESULT)
            await journal.written(task)
            found = await journal.find(task.id)
            nursery.cancel_scope.cancel()

    assert found is not None
    assert isinstance(found.outcome, TaskResult)
    assert (found.outcome.text, found.attempts) == ("done", 1)
    assert told == []


async def test_what_a_later_pool_finds_open_has_been_interrupted(tmp_path: Path) -> None:
    tasks = [Task("a", "text", 60) for _ in range(2)]
    outcomes = []
    for run in range(2):
        journal = Journal(tmp_path, lambda: TABLE, lambda _: None)
        with trio.fail_after(LIMIT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(journal.run)
                if run == 0:
                    for task in tasks:
                        await journal.accept(task, background=True)
                    tasks[0].begin_attempt(Attempt(1, 4711, 0.0))
                    await journal.written(tasks[0])
                else:
                    outcomes = [await journal.find(task.id) for task in tasks]
                nursery.cancel_scope.cancel()

    codes = [getattr(one.outcome, "code", None) for one in outcomes if one is not None]
    assert codes == ["interrupted", "interrupted"]


async def test_a_ledger_that_cannot_be_read_is_told_of_whatever_is_asked(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"somebody's letter\n" * 300)
    book = TaskBook()
    journal = Journal(tmp_path, lambda: TABLE, lambda _: None)
    known = KnownTasks(book, journal)
    with trio.fail_after(LIMIT_S):
        with pytest.raises(PoolError) as found:
            await known.find("t-1")
        with pytest.raises(PoolError) as listed:
            await known.newest(TaskFilter(), 10)

    assert [one.value.error.code for one in (found, listed)] == ["ledger_unavailable"] * 2


async def test_tasks_of_this_pool_are_known_without_a_readable_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"somebody's letter\n" * 300)
    book, task = TaskBook(), Task("a", "text", 60)
    book.add(task)
    known = KnownTasks(book, Journal(tmp_path, lambda: TABLE, lambda _: None))
    with trio.fail_after(LIMIT_S):
        assert await known.find(task.id) is task
        assert await known.newest(TaskFilter(), 10) == [task]


async def test_a_ledger_that_can_be_used_again_is_used_by_the_next_task(tmp_path: Path) -> None:
    letter = tmp_path / "ledger.sqlite"
    letter.write_bytes(b"somebody's letter\n" * 300)
    told: list[PoolEvent] = []
    journal, task = Journal(tmp_path, lambda: TABLE, told.append), Task("a", "text", 60)
    with trio.fail_after(LIMIT_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(journal.run)
            for _ in range(2):
                with pytest.raises(PoolError):
                    await journal.accept(task, background=False)
            letter.unlink()
            await journal.accept(task, background=False)
            nursery.cancel_scope.cancel()

    assert len(told) == 1
    assert journal.problem is None
