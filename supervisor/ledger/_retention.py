"""What is kept for how long: texts by age and by size, records longer than texts.

Nothing of an open task is ever taken. It is done in small steps, each a transaction of its own, so
that a task that is to be accepted meanwhile waits for one step only.
"""

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from supervisor.ledger._encoding import unbind
from supervisor.ledger._figures import DAY, HOUR
from supervisor.ledger._replies import ReplyFiles

_STEP_TASKS: Final = 200
_STEP_PAGES: Final = 2_000
_FREE_PAGES: Final = 2_000
"""Pages without content that are left in the file, for what comes next."""

# By that index: most tasks may be old and have lost their texts long ago.
_WITH_TEXTS: Final = (
    "INDEXED BY task_kept WHERE ended_at IS NOT NULL AND text_kept + reply_kept > 0"
)


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of ended tasks."""

    texts_for_s: float = 14 * DAY
    """Seconds after a task's end for which its text and its reply are kept."""
    texts_bytes: int = 1024**3
    """Bytes that the texts and replies of all ended tasks may take; the oldest go first."""
    rows_for_s: float = 90 * DAY
    """Seconds after a task's end for which its record, and what stats tell of it, are kept."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken away."""

    texts: int = 0
    """Tasks that lost their text and reply."""
    rows: int = 0
    """Tasks that are no longer known."""
    files: int = 0
    """Files that belonged to no task any more."""
    bytes_freed: int = 0
    """By which the SQLite file has become smaller."""

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(*(getattr(self, n) + getattr(other, n) for n in self.__slots__))

    def __bool__(self) -> bool:
        return self != Pruned()


def step(
    connection: sqlite3.Connection, files: ReplyFiles, retention: Retention, now: float
) -> Pruned:
    """Take a few tasks' texts, or a few tasks; what comes back empty was the last step.

    Raises:
        sqlite3.Error: it cannot be written; nothing is taken then.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        done, paths = _take(connection, retention, now)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    # After the commit: a record whose file is gone would be worse than a file without a record.
    for path in paths:
        files.remove(path)
    if done:
        return done
    strays = list(files.strays(now - retention.texts_for_s))
    for path in strays:
        files.remove(path)
    return Pruned(files=len(strays), bytes_freed=_shrink(connection))


def _take(
    connection: sqlite3.Connection, retention: Retention, now: float
) -> tuple[Pruned, list[str]]:
    old = _some(connection, "WHERE ended_at < ?", now - retention.rows_for_s)
    if old:
        numbers = [number for number, _, _ in old]
        _delete(connection, ("text", "reply", "task"), numbers)
        return Pruned(rows=len(old)), _paths(old)
    _drop_figures(connection, now - retention.rows_for_s)
    old = _some(connection, f"{_WITH_TEXTS} AND ended_at < ?", now - retention.texts_for_s)
    old = old or _excess(connection, retention.texts_bytes)
    numbers = [number for number, _, _ in old]
    _delete(connection, ("text", "reply"), numbers)
    connection.executemany(
        "UPDATE task SET text_kept = 0, reply_kept = 0, reply_path = NULL WHERE number = ?",
        [(number,) for number in numbers],
    )
    return Pruned(texts=len(old)), _paths(old)


def _some(connection: sqlite3.Connection, which: str, *values: object) -> list[Any]:
    """Number, size and reply path of some ended tasks, the oldest first."""
    return connection.execute(
        f"SELECT number, text_kept + reply_kept, reply_path FROM task {which} "
        f"ORDER BY ended_at LIMIT {_STEP_TASKS}",
        values,
    ).fetchall()


def _excess(connection: sqlite3.Connection, texts_bytes: int) -> list[Any]:
    """The oldest of those whose texts are too much."""
    row = connection.execute(
        f"SELECT coalesce(sum(text_kept + reply_kept), 0) FROM task {_WITH_TEXTS}"
    ).fetchone()
    excess = row[0] - texts_bytes
    found = []
    for one in _some(connection, _WITH_TEXTS):
        if excess <= 0:
            break
        excess -= one[1]
        found.append(one)
    return found


def _shrink(connection: sqlite3.Connection) -> int:
    """Give some pages without content back to the disk; returns how many bytes that were."""
    free = _pragma(connection, "freelist_count")
    if free <= _FREE_PAGES:
        return 0
    pages = min(free - _FREE_PAGES, _STEP_PAGES)
    # As a script: `execute` would stop after the first page.
    connection.executescript(f"PRAGMA incremental_vacuum({pages})")
    return (free - _pragma(connection, "freelist_count")) * _pragma(connection, "page_size")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _drop_figures(connection: sqlite3.Connection, before: float) -> None:
    for span in (HOUR, DAY):
        for table in ("figure", "duration"):
            # In words that the key of the table is known by.
            old = f"DELETE FROM {table} WHERE span = ? AND start <= ?"
            connection.execute(old, (span, before - span))


def _delete(connection: sqlite3.Connection, tables: tuple[str, ...], numbers: list[int]) -> None:
    for table in tables:
        connection.executemany(
            f"DELETE FROM {table} WHERE number = ?", [(number,) for number in numbers]
        )


def _paths(rows: list[Any]) -> list[str]:
    return [unbind(path) for _, _, path in rows if path is not None]
