"""What is kept for how long; nothing of an open task is ever taken."""

import os
from pathlib import Path
from typing import Any

import trio

from supervisor.ledger import Ledger, Pruned, Retention, TaskRecord
from supervisor.ledger._retention import _STEP_TASKS
from tests.ledger.stage import NAME, NOW, Clock, accepted, opened, task

DAY_S = 86_400
KEEP = Retention(texts_for_s=2 * DAY_S, texts_bytes=10**9, rows_for_s=5 * DAY_S)


async def ended(ledger: Ledger, task_id: str, days_ago: float, **rest: Any) -> None:
    await ledger.accept(task(task_id), "0123456789")
    ledger.ended(task_id, "result", at=NOW - days_ago * DAY_S, **{"reply": "0123456789", **rest})
    await ledger.written(task_id)


async def texts(ledger: Ledger, *task_ids: str) -> list[tuple[str | None, str | None]]:
    return [(await ledger.text_of(name), await ledger.reply_of(name)) for name in task_ids]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_old_texts_go_and_their_records_stay(tmp_path: Path) -> None:
    async with opened(tmp_path, retention=KEEP) as ledger:
        await ended(ledger, "t-old", 2.1, reply_in_file=True)
        await ended(ledger, "t-new", 1.9, reply_in_file=True)

        assert await ledger.prune() == Pruned(texts=1)
        assert await texts(ledger, "t-old", "t-new") == [(None, None), ("0123456789",) * 2]
        assert names(tmp_path / "replies") == ["t-new.txt"]
        record = await ledger.get("t-old")
        assert isinstance(record, TaskRecord)
        assert (record.reply_bytes, record.reply_path) == (10, None)


async def test_old_records_go_with_all_that_is_theirs(tmp_path: Path) -> None:
    async with opened(tmp_path, retention=KEEP) as ledger:
        await ended(ledger, "t-old", 5.1, reply_in_file=True)
        await ended(ledger, "t-new", 4.9)
        done = await ledger.prune()

        assert (done.rows, done.texts) == (1, 1)
        assert await ledger.get("t-old") is None
        assert await texts(ledger, "t-old") == [(None, None)]
        assert [record.id for record in await ledger.tasks()] == ["t-new"]
        assert names(tmp_path / "replies") == []


async def test_the_figures_of_old_days_go_with_their_records(tmp_path: Path) -> None:
    async with opened(tmp_path, retention=KEEP) as ledger:
        await ended(ledger, "t-old", 7)
        await ended(ledger, "t-new", 1)
        await ledger.prune()
        (pool,) = await ledger.stats()

        assert pool.tasks == 1


async def test_what_is_too_much_goes_the_oldest_first(tmp_path: Path) -> None:
    keep = Retention(texts_bytes=45)
    async with opened(tmp_path, retention=keep) as ledger:
        await ended(ledger, "t-2", 0.2)
        await ended(ledger, "t-3", 0.3, reply_in_file=True)
        await ended(ledger, "t-1", 0.1)

        assert await ledger.prune() == Pruned(texts=1)
        found = await texts(ledger, "t-1", "t-2", "t-3")
        assert [text is not None for text, _ in found] == [True, True, False]
        assert names(tmp_path / "replies") == []


async def test_open_tasks_keep_their_texts_whatever_their_age(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, retention=Retention(0, 0, 0), clock=clock) as ledger:
        await accepted(ledger, "t-queued", "t-running")
        ledger.started("t-running", 4711)
        await ledger.written("t-running")
        clock.now += 365 * DAY_S

        assert not await ledger.prune()
        assert await ledger.text_of("t-queued") == "the text of t-queued"
        assert await ledger.text_of("t-running") == "the text of t-running"


async def test_more_than_a_step_is_taken_in_several(tmp_path: Path) -> None:
    many = [f"t-{number}" for number in range(_STEP_TASKS + 1)]
    async with opened(tmp_path, retention=KEEP) as ledger:
        async with trio.open_nursery() as nursery:
            for name in many:
                nursery.start_soon(ledger.accept, task(name), "")
        for name in many:
            ledger.ended(name, "result", at=NOW - 9 * DAY_S)
        await ledger.written(many[-1])

        assert (await ledger.prune()).rows == len(many)
        assert await ledger.tasks() == ()


async def test_the_file_becomes_smaller_when_much_is_taken(tmp_path: Path) -> None:
    async with opened(tmp_path, retention=Retention(texts_bytes=0)) as ledger:
        await ledger.accept(task(), "x" * 20_000_000)
        ledger.ended("t-1", "result")
        await ledger.written("t-1")
        done = await ledger.prune()

    assert done.texts == 1
    assert 10_000_000 < done.bytes_freed < 20_000_000
    assert size(tmp_path / NAME) < 10_000_000


def size(path: Path) -> int:
    return path.stat().st_size


async def test_files_of_no_task_go_when_they_are_old(tmp_path: Path) -> None:
    replies = tmp_path / "replies"
    replies.mkdir()
    for name, days_ago in (("t-lost.txt", 3), ("t-late.txt", 1), ("t-half.txt.unfinished", 0)):
        (replies / name).write_text("x")
        os.utime(replies / name, (NOW, NOW - days_ago * DAY_S))
    async with opened(tmp_path, retention=KEEP) as ledger:
        assert (await ledger.prune()).files == 2

    assert names(replies) == ["t-late.txt"]


async def test_other_files_are_left_alone(tmp_path: Path) -> None:
    replies = tmp_path / "replies"
    (replies / "folder.txt").mkdir(parents=True)
    (replies / "notes.md").touch()
    (replies / "link.txt").symlink_to(replies / "notes.md")
    for path in (replies / "notes.md", replies / "folder.txt"):
        os.utime(path, (0, 0))
    os.utime(replies / "link.txt", (0, 0), follow_symlinks=False)
    async with opened(tmp_path, retention=KEEP) as ledger:
        assert not await ledger.prune()

    assert names(replies) == ["folder.txt", "link.txt", "notes.md"]


async def test_nothing_to_take_is_nothing_taken(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        assert await ledger.prune() == Pruned()
