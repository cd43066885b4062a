"""Bad disks and bad files: a clear error for what is new, and nothing lost of what was accepted."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from supervisor.ledger import Ledger, LedgerError, TaskFilter
from supervisor.ledger._writer import wait_after
from tests.ledger.stage import (
    LIMIT_S,
    NAME,
    accepted,
    broken,
    disk_full,
    mended,
    no_write_works,
    opened,
    task,
)


async def refused(folder: Path) -> LedgerError:
    """Why the ledger cannot be opened."""
    with pytest.raises(LedgerError) as caught:
        async with opened(folder):
            pass
    return caught.value


# ---- opening


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"These are my notes. " * 1000)
    error = await refused(tmp_path)

    assert error.trouble == "not_a_ledger"
    assert str(error).startswith(f"the ledger {tmp_path / NAME}: file is not a database; move it")
    assert (tmp_path / NAME).read_bytes() == b"These are my notes. " * 1000


async def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
    os.truncate(tmp_path / NAME, 8192)
    error = await refused(tmp_path)

    assert error.trouble == "damaged"
    assert "move the file away" in error.advice


async def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()

    assert "Is a directory" in str(await refused(tmp_path))


async def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    error = await refused(tmp_path / "nowhere")

    assert error.trouble == "missing"
    assert str(tmp_path / "nowhere" / NAME) in str(error)


OPEN = """
import os, sys, trio
from pathlib import Path
from supervisor.ledger import Ledger, LedgerError
async def main():
    try:
        await Ledger.open(Path(sys.argv[1]), Path("none"))
    except LedgerError as error:
        print(error.trouble)
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
trio.run(main)
"""


@pytest.mark.parametrize("mode", [None, 0o444, 0o666], ids=["no file", "read-only", "a file"])
def test_a_folder_that_cannot_be_written_is_an_error(mode: int | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if mode is not None:
            (folder / NAME).touch()
            (folder / NAME).chmod(mode)
        folder.chmod(0o555)
        command = [sys.executable, "-c", OPEN, str(folder / NAME)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        folder.chmod(0o755)

    assert done.stdout == "read_only\n"


async def test_a_file_that_another_program_has_locked_is_an_error(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    error = await refused(tmp_path)
    other.close()

    assert error.trouble == "locked"
    assert "end the other program" in error.advice


async def test_no_room_for_a_new_ledger_is_an_error(tmp_path: Path) -> None:
    with no_write_works():
        error = await refused(tmp_path)

    assert error.trouble in ("failed", "full")
    assert "has room" in error.advice or "make room" in error.advice


async def test_a_ledger_that_cannot_be_used_is_set_aside_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="x", reply_in_file=True)
    (tmp_path / f"{NAME}-wal").write_bytes(b"left")
    before = contents(tmp_path)
    moved = Ledger.set_aside(tmp_path / NAME, tmp_path / "replies")

    mark = moved.name.removeprefix(NAME)
    assert mark.startswith(".aside-2")
    assert contents(tmp_path) == {
        f"{NAME}{mark}": before[NAME],
        f"{NAME}{mark}-wal": b"left",
        f"replies{mark}/t-1.txt": b"x",
    }
    async with opened(tmp_path) as ledger:
        assert await ledger.tasks() == ()


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_setting_aside_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    Ledger.set_aside(tmp_path / NAME, tmp_path / "replies")

    assert list(tmp_path.iterdir()) == []


# ---- while it runs


async def test_without_working_writes_nothing_is_accepted(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        with no_write_works():
            for _ in range(2):  # the second one tries it anew
                with pytest.raises(LedgerError, match="disk I/O error; see whether its disk"):
                    await ledger.accept(task(), "do it")
            assert ledger.problem.value is not None
        await mended(ledger)

        assert await ledger.get("t-1") is None
        await accepted(ledger, "t-1")


async def test_a_full_disk_is_told_as_that(tmp_path: Path) -> None:
    async with opened(tmp_path, first_retry_s=60) as ledger, disk_full(ledger):
        with pytest.raises(LedgerError, match="make room on its disk") as caught:
            await ledger.accept(task(), "x" * 1_000_000)

        assert caught.value.trouble == "full"


async def test_who_has_made_room_is_served_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, first_retry_s=3600) as ledger:
        with no_write_works(), pytest.raises(LedgerError):
            await ledger.accept(task("t-1"), "do it")

        await accepted(ledger, "t-2")

        assert ledger.problem.value is None


async def test_a_text_for_which_there_is_no_room_does_not_keep_smaller_ones_out(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as ledger, disk_full(ledger):
        with pytest.raises(LedgerError):
            await ledger.accept(task("t-1"), "x" * 1_000_000)
        await mended(ledger)

        await accepted(ledger, "t-2")


async def test_outcomes_are_answered_from_memory_meanwhile(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        with no_write_works():
            ledger.started("t-1", 4711)
            told = ledger.ended("t-1", "result", reply="0123456789" * 10_000)
            await broken(ledger)

            assert await ledger.get("t-1") == told
            assert await ledger.written("t-1") == told  # it does not wait for a better day
            assert await ledger.reply_of("t-1") == "0123456789" * 10_000
            part = await ledger.reply_part("t-1", 2)
            assert part is not None
            assert len(part.text) == 16_000
            assert (await ledger.tasks()) == (told,)
            assert ledger.unwritten == 1


async def test_they_are_written_as_soon_as_that_works_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1", "t-2")
        with no_write_works():
            ledger.ended("t-1", "result", reply="done")
            await broken(ledger)
            ledger.ended("t-2", "result", reply="long", reply_in_file=True)
        await mended(ledger)
        record = await ledger.written("t-2")

        assert ledger.unwritten == 0
        assert record is not None
        assert record.reply_path is not None
    async with opened(tmp_path) as ledger:
        assert [await ledger.reply_of(name) for name in ("t-1", "t-2")] == ["done", "long"]


async def test_whoever_watches_is_told_once_of_each_problem(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        with no_write_works():
            ledger.started("t-1", 4711)
            problem = await broken(ledger)
            while ledger._writer._failures < 3:
                await trio.lowlevel.checkpoint()

            assert ledger.problem.value is problem


@pytest.mark.parametrize(
    ("failures", "wait_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (5000, 30.0)]
)
def test_every_failed_try_waits_longer_for_the_next(failures: int, wait_s: float) -> None:
    assert wait_after(failures, (0.5, 30.0)) == wait_s


async def test_a_reply_whose_file_cannot_be_written_is_answered_from_memory(
    tmp_path: Path,
) -> None:
    (tmp_path / "replies").write_text("in the way")
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="long", reply_in_file=True)
        record = await ledger.written("t-1")
        problem = await broken(ledger)

        assert problem.path == tmp_path / "replies" / "t-1.txt"
        assert record is not None
        assert record.reply_path is None
        assert await ledger.reply_of("t-1") == "long"
        await trio.to_thread.run_sync((tmp_path / "replies").unlink)
        await mended(ledger)
        assert (await ledger.written("t-1") or record).reply_path is not None


async def test_a_lock_of_another_program_is_waited_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError) as caught:
            await ledger.accept(task(), "do it")
        other.execute("COMMIT")
        other.close()
        await mended(ledger)

        assert caught.value.trouble == "locked"
        await accepted(ledger, "t-1")


@contextmanager
def stuck(folder: Path) -> Iterator[None]:
    """No write gets through, as on a disk that does not answer."""
    other = sqlite3.connect(folder / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("COMMIT")
        other.close()


async def test_while_a_write_is_stuck_questions_are_answered(tmp_path: Path) -> None:
    async with opened(tmp_path, busy_timeout_s=LIMIT_S) as ledger:
        await accepted(ledger, "t-1")
        with stuck(tmp_path):
            told = ledger.started("t-1", 4711)

            assert await ledger.get("t-1") == told
            assert await ledger.tasks() == (told,)
            assert await ledger.text_of("t-1") == "the text of t-1"
            assert await ledger.stats() == ()


async def test_while_a_write_is_stuck_a_task_holds_one_change_whatever_is_told(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, busy_timeout_s=LIMIT_S) as ledger:
        await accepted(ledger, "t-1")
        with stuck(tmp_path):
            for number in range(1_000):
                ledger.billed("t-1", cost_usd=float(number))

            assert len(ledger._writer._batch.changes) <= 1
        record = await ledger.written("t-1")
        assert record is not None
        assert record.cost_usd == 999


async def test_while_a_write_is_stuck_no_task_is_accepted_and_each_may_give_up(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, busy_timeout_s=LIMIT_S) as ledger:
        with stuck(tmp_path):
            with trio.move_on_after(0.05) as patience:
                await ledger.accept(task(), "do it")
            assert patience.cancelled_caught
        await accepted(ledger, "t-2")

        assert [record.id for record in await ledger.tasks()] == ["t-2"]


async def test_a_file_that_is_taken_away_is_noticed_and_its_return_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        os.rename(tmp_path / NAME, tmp_path / "elsewhere")
        with pytest.raises(LedgerError, match="put it back") as caught:
            await ledger.accept(task("t-2"), "do it")
        assert caught.value.trouble == "missing"
        os.rename(tmp_path / "elsewhere", tmp_path / NAME)
        await mended(ledger)

        await accepted(ledger, "t-2")


def damage(folder: Path, name: str = "task_agent") -> None:
    """Overwrite the first page of an index, or of a table, of a ledger with one task."""
    connection = sqlite3.connect(folder / NAME)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    find = "SELECT rootpage FROM sqlite_master WHERE name = ?"
    page = connection.execute(find, (name,)).fetchone()[0]
    connection.close()
    with open(folder / NAME, "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


async def damaged(folder: Path, name: str = "task_agent") -> None:
    async with opened(folder) as ledger:
        await accepted(ledger, "t-1")
        await ledger.check()
    damage(folder, name)


async def test_damage_that_is_met_at_the_start_is_an_error_then(tmp_path: Path) -> None:
    await damaged(tmp_path, "task")

    assert (await refused(tmp_path)).trouble == "damaged"


async def test_damage_inside_is_found_by_a_check(tmp_path: Path) -> None:
    await damaged(tmp_path, "task_caller")
    async with opened(tmp_path) as ledger:
        with pytest.raises(LedgerError) as caught:
            await ledger.check()
        assert caught.value.trouble == "damaged"
        with pytest.raises(LedgerError, match="move the file away"):
            await ledger.accept(task("t-2"), "do it")


async def test_damage_inside_is_an_error_where_it_is_read(tmp_path: Path) -> None:
    await damaged(tmp_path)
    async with opened(tmp_path) as ledger:
        with pytest.raises(LedgerError) as caught:
            await ledger.tasks(TaskFilter(agent="reviewer"))

    assert caught.value.trouble == "damaged"


async def test_where_it_is_written_nothing_is_written_any_more(tmp_path: Path) -> None:
    await damaged(tmp_path)
    async with opened(tmp_path) as ledger:
        with pytest.raises(LedgerError) as caught:
            await ledger.accept(task("t-2"), "do it")
        await trio.sleep(0.05)  # a try would come after 0.01

        assert caught.value.trouble == "damaged"
        assert ledger._writer._failures == 1


async def test_what_could_not_be_written_at_the_end_is_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1", "t-2")
        with no_write_works():
            ledger.ended("t-1", "result")
            await ledger.aclose()

        assert ledger.unwritten == 1
