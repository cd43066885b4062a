"""Lists of tasks: the newest first, filtered, in pages, and without reading all of them."""

from pathlib import Path
from typing import Any

import pytest

from supervisor.ledger import Ledger, TaskFilter, TaskRecord
from supervisor.ledger._schema import open_reader
from tests.ledger.stage import NAME, NOW, accepted, no_write_works, opened, task


async def ids(ledger: Ledger, **wanted: Any) -> list[str]:
    return [record.id for record in await ledger.tasks(TaskFilter(**wanted))]


async def a_few(ledger: Ledger) -> None:
    """Four tasks."""
    await ledger.accept(task("t-1", "a", accepted_at=NOW + 1, caller="x", conversation="c"), "")
    await ledger.accept(task("t-2", "b", accepted_at=NOW + 2, caller="x"), "")
    await ledger.accept(task("t-3", "a", accepted_at=NOW + 3, caller="y"), "")
    await ledger.accept(task("t-4", "b", accepted_at=NOW + 4, caller="y", conversation="c"), "")


def go_on(ledger: Ledger) -> None:
    """They become one of each state, and one that failed."""
    ledger.ended("t-1", "result")
    ledger.ended("t-2", "cancelled")
    ledger.started("t-3", 4711)


WANTED: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["t-4", "t-3", "t-2", "t-1"]),
    ({"agent": "a"}, ["t-3", "t-1"]),
    ({"agent": "nobody"}, []),
    ({"state": "queued"}, ["t-4"]),
    ({"state": "running"}, ["t-3"]),
    ({"state": "ended"}, ["t-2", "t-1"]),
    ({"outcome": "cancelled"}, ["t-2"]),
    ({"since": NOW + 3}, ["t-4", "t-3"]),
    ({"caller": "x"}, ["t-2", "t-1"]),
    ({"conversation": "c"}, ["t-4", "t-1"]),
    ({"agent": "b", "caller": "y", "state": "queued", "since": NOW}, ["t-4"]),
    ({"agent": "a", "outcome": "cancelled"}, []),
]


@pytest.mark.parametrize(("wanted", "found"), WANTED)
async def test_tasks_are_found_by_what_they_are(
    tmp_path: Path, wanted: dict[str, Any], found: list[str]
) -> None:
    async with opened(tmp_path) as ledger:
        await a_few(ledger)
        go_on(ledger)
        await ledger.written("t-3")
        assert ledger.unwritten == 0
        assert await ids(ledger, **wanted) == found


@pytest.mark.parametrize(("wanted", "found"), WANTED)
async def test_they_are_found_as_well_before_they_are_written(
    tmp_path: Path, wanted: dict[str, Any], found: list[str]
) -> None:
    async with opened(tmp_path) as ledger:
        await a_few(ledger)
        with no_write_works():
            go_on(ledger)
            assert await ids(ledger, **wanted) == found
            assert ledger.unwritten == 3


async def test_pages_follow_one_another_without_gaps(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for number in range(7):
            # Some were accepted in the same instant, and the clock was set back once.
            at = NOW + (0, 1, 1, 1, 0, 2, 2)[number]
            await ledger.accept(task(f"t-{number}", accepted_at=at), "")
        whole = await ledger.tasks()
        pages: list[TaskRecord] = []
        last = None
        while page := await ledger.tasks(limit=2, before=last):
            pages += page
            last = page[-1].id

    assert [record.id for record in whole] == ["t-6", "t-5", "t-3", "t-2", "t-1", "t-4", "t-0"]
    assert tuple(pages) == whole


async def test_a_page_after_a_task_that_never_was_is_an_error(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        with pytest.raises(ValueError, match='before = "t-9": there is no such task'):
            await ledger.tasks(before="t-9")


async def test_no_more_come_than_are_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, *(f"t-{number}" for number in range(60)))

        assert len(await ledger.tasks()) == 50
        assert len(await ledger.tasks(limit=3)) == 3
        assert await ledger.tasks(limit=0) == ()


@pytest.mark.parametrize(
    "wanted",
    [
        TaskFilter(),
        TaskFilter(agent="a"),
        TaskFilter(state="queued"),
        TaskFilter(state="running"),
        TaskFilter(state="ended"),
        TaskFilter(outcome="result"),
        TaskFilter(caller="x"),
        TaskFilter(conversation="c"),
        TaskFilter(since=NOW),
        TaskFilter("a", "ended", "result", NOW, "x", "c"),
    ],
)
async def test_no_list_reads_or_sorts_all_tasks(tmp_path: Path, wanted: TaskFilter) -> None:
    async with opened(tmp_path):
        pass
    where, values = wanted.where()
    connection = open_reader(tmp_path / NAME)
    query = f"SELECT * FROM task WHERE {where} ORDER BY accepted_at DESC, number DESC LIMIT 50"
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    connection.close()

    assert len(plan) == 1  # else it is sorted, too
    assert " USING INDEX " in plan[0]
