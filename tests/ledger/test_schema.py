"""An older ledger is brought up to date; what is none of ours is left alone."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from supervisor.ledger import LedgerError
from supervisor.ledger._schema import APPLICATION_ID, MIGRATIONS, open_writer
from tests.ledger.stage import NAME, accepted, opened

LATER = (*MIGRATIONS, ("ALTER TABLE task ADD COLUMN mood TEXT", "CREATE TABLE moods (name TEXT)"))


def migrated(path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> int:
    """Open it with these, and tell its version."""
    connection = open_writer(path, 1, migrations)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return int(version)


async def test_a_new_ledger_has_the_newest_version_and_our_mark(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / NAME)
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()

    assert (mark, version) == (APPLICATION_ID, len(MIGRATIONS))


async def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")

        assert await ledger.get("t-1") is not None


async def test_an_older_ledger_is_migrated_with_what_it_holds(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        before = await ledger.get("t-1")

    assert migrated(tmp_path / NAME, LATER) == len(MIGRATIONS) + 1
    connection = sqlite3.connect(tmp_path / NAME)
    assert connection.execute("SELECT id, mood FROM task").fetchall() == [("t-1", None)]
    assert before is not None
    connection.close()


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    migrated(tmp_path / NAME)
    with pytest.raises(LedgerError, match="no such table: missing"):
        migrated(tmp_path / NAME, (*LATER, ("DROP TABLE missing",)))

    assert migrated(tmp_path / NAME) == len(MIGRATIONS)


async def test_a_newer_ledger_is_refused_and_not_touched(tmp_path: Path) -> None:
    migrated(tmp_path / NAME, LATER)
    before = (tmp_path / NAME).read_bytes()
    n = len(MIGRATIONS)
    with pytest.raises(LedgerError) as caught:
        async with opened(tmp_path):
            pass

    assert str(caught.value) == (
        f"the ledger {tmp_path / NAME}: it has version {n + 1}, and this program knows versions up "
        f"to {n}; run the version of the program that made it, or a later one"
    )
    assert caught.value.trouble == "newer"
    assert (tmp_path / NAME).read_bytes() == before


async def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / NAME)
    connection.execute("CREATE TABLE recipe (name TEXT)")
    connection.close()
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(LedgerError, match="another program's database; move it away") as caught:
        async with opened(tmp_path):
            pass

    assert caught.value.trouble == "not_a_ledger"
    assert (tmp_path / NAME).read_bytes() == before
