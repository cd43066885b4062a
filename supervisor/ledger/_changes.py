"""What is written of a task, all of it in a transaction of the caller's."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from supervisor.ledger import _figures
from supervisor.ledger._encoding import bind, encode
from supervisor.ledger._records import CHANGING, FIXED, changing, fixed, get
from supervisor.ledger._replies import ReplyFiles
from supervisor.ledger._values import TaskRecord

_NEW: Final = (*FIXED, *CHANGING, "text_kept")
_INSERT: Final = (
    f"INSERT INTO task ({', '.join(_NEW)}) VALUES ({', '.join('?' * len(_NEW))}) "
    "ON CONFLICT (id) DO NOTHING"
)


def _update(*columns: str) -> str:
    # By both: the number alone, or the id alone, may be another task's.
    settings = ", ".join(f"{name} = ?" for name in columns)
    return f"UPDATE task SET {settings} WHERE number = ? AND id = ?"


_UPDATE: Final = _update(*CHANGING)
_UPDATE_AND_REPLY: Final = _update(*CHANGING, "reply_kept", "reply_path")


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written of one task: its record as it is now, and texts not yet written."""

    record: TaskRecord
    """The record, whole."""
    version: int = 0
    """Which of the task's changes in memory this is."""
    is_new: bool = False
    """It is not on the disk yet."""
    text: str | None = None
    """Its text, where that is still to be written."""
    reply: str | None = None
    """Its reply, where that is still to be written."""
    reply_in_file: bool = False
    """The reply gets a file of its own."""
    withdrawn: bool = False
    """It was never accepted: nothing of it is to stay."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a change."""

    change: Change
    """The change."""
    reply_path: str | None = None
    """The file that its reply was written to."""
    duplicate: bool = False
    """It was to be new, and there is a task of this id already: nothing was written."""


def write(connection: sqlite3.Connection, files: ReplyFiles, change: Change) -> Written:
    """Write a change. Writing one twice is writing it once.

    Raises:
        sqlite3.Error, LedgerError: it cannot be written.
    """
    if change.withdrawn:
        return _withdraw(connection, change)
    if change.is_new:
        return _insert(connection, change)
    record = change.record
    if record.state == "ended":
        _count(connection, record)
        if not record.keeps_text:
            _drop_text(connection, record.number)
    who = record.number, record.id
    if change.reply is None:
        connection.execute(_UPDATE, (*changing(record), *who))
        return Written(change)
    size, path = _write_reply(connection, files, change, change.reply)
    connection.execute(_UPDATE_AND_REPLY, (*changing(record), size, bind(path), *who))
    return Written(change, path)


def _insert(connection: sqlite3.Connection, change: Change) -> Written:
    record = change.record
    data = None if change.text is None else encode(change.text)
    values = (*fixed(record), *changing(record), 0 if data is None else len(data))
    if connection.execute(_INSERT, values).rowcount == 0:
        return Written(change, duplicate=True)
    if data is not None:
        connection.execute("INSERT INTO text VALUES (?, ?)", (record.number, data))
    return Written(change)


def _withdraw(connection: sqlite3.Connection, change: Change) -> Written:
    who = change.record.number, change.record.id
    if connection.execute("DELETE FROM task WHERE number = ? AND id = ?", who).rowcount:
        connection.execute("DELETE FROM text WHERE number = ?", who[:1])
    return Written(change)


def _count(connection: sqlite3.Connection, record: TaskRecord) -> None:
    """Add an ended task to the totals; where it is in them already, what has changed."""
    now = _figures.of(record)
    ended = "SELECT 1 FROM task WHERE number = ? AND ended_at IS NOT NULL"
    if not connection.execute(ended, (record.number,)).fetchone():
        _figures.add(connection, now, 1)
        return
    before = get(connection, record.id)
    if before is None or (was := _figures.of(before)) == now:
        return
    # What it cost may be learned after its end.
    _figures.add(connection, was, -1)
    _figures.add(connection, now, 1)


def _drop_text(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM text WHERE number = ?", (number,))
    connection.execute("UPDATE task SET text_kept = 0 WHERE number = ?", (number,))


def _write_reply(
    connection: sqlite3.Connection, files: ReplyFiles, change: Change, reply: str
) -> tuple[int, str | None]:
    """Its size, and the file that it went to."""
    data, record = encode(reply), change.record
    if change.reply_in_file:
        return len(data), files.write(record.id, data)
    connection.execute("INSERT OR REPLACE INTO reply VALUES (?, ?)", (record.number, data))
    return len(data), None
