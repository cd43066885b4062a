"""The SQLite file: how it is opened, what tables it has, how an older one is brought up to date.

`PRAGMA application_id` says that a file is a ledger, `PRAGMA user_version` how many of the
`MIGRATIONS` it has seen. A new version of the program appends a migration; it never edits one.

| table | holds |
| --- | --- |
| task | a row a task: small, so that thousands are read in milliseconds |
| text, reply | what tasks said and what agents answered, UTF-8, `surrogatepass`: any `str` fits |
| figure, duration | running totals by hour and day, for `stats` (see `_figures`) |
| session | which session of the CLI holds each conversation |
| pulse | one number, written where nothing else is: a proof that writing works |
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from supervisor.ledger._errors import LedgerError, from_sqlite, from_system

APPLICATION_ID: Final = 0x61_70_6C_67
"""`aplg`."""

WAL_LIMIT: Final = 64 * 1024 * 1024
"""Bytes to which the write-ahead log is cut back after a large text has gone through it."""

_READ_TIMEOUT_S: Final = 1.0
"""Who reads hardly ever meets a lock: only one of a program that claims the file as a whole."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE task (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            agent TEXT NOT NULL,
            accepted_at REAL NOT NULL,
            caller TEXT NOT NULL,
            priority TEXT NOT NULL,
            conversation TEXT,
            keep_text TEXT NOT NULL,
            background INTEGER NOT NULL,
            deadline REAL,
            definition_hash TEXT,
            state TEXT NOT NULL,
            started_at REAL,
            ended_at REAL,
            attempts TEXT NOT NULL,
            outcome TEXT,
            failure TEXT,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            cache_read_tokens INTEGER NOT NULL,
            cache_written_tokens INTEGER NOT NULL,
            cost_usd REAL,
            cost_is_lower_bound INTEGER NOT NULL,
            text_bytes INTEGER NOT NULL,
            reply_bytes INTEGER NOT NULL,
            reply_path TEXT,
            text_kept INTEGER NOT NULL DEFAULT 0,
            reply_kept INTEGER NOT NULL DEFAULT 0
        )""",
        "CREATE TABLE text (number INTEGER PRIMARY KEY, content BLOB NOT NULL)",
        "CREATE TABLE reply (number INTEGER PRIMARY KEY, content BLOB NOT NULL)",
        # An index ends with the row's number, so each of these gives "newest first" as well.
        "CREATE INDEX task_accepted ON task (accepted_at)",
        "CREATE INDEX task_agent ON task (agent, accepted_at)",
        "CREATE INDEX task_caller ON task (caller, accepted_at)",
        "CREATE INDEX task_outcome ON task (outcome, accepted_at) WHERE outcome IS NOT NULL",
        """CREATE INDEX task_conversation ON task (conversation, accepted_at)
            WHERE conversation IS NOT NULL""",
        "CREATE INDEX task_open ON task (accepted_at) WHERE ended_at IS NULL",
        "CREATE INDEX task_ended ON task (ended_at) WHERE ended_at IS NOT NULL",
        """CREATE INDEX task_kept ON task (ended_at, text_kept, reply_kept)
            WHERE text_kept + reply_kept > 0""",
        """CREATE TABLE figure (
            span INTEGER, start INTEGER, agent TEXT, conversation TEXT, outcome TEXT,
            tasks INTEGER, input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER,
            cache_written_tokens INTEGER, cost_usd REAL, inexact INTEGER, waited_s REAL, ran_s REAL,
            attempted INTEGER,
            PRIMARY KEY (span, conversation, start, agent, outcome)
        ) WITHOUT ROWID""",
        """CREATE TABLE duration (
            span INTEGER, start INTEGER, agent TEXT, kind TEXT, bucket INTEGER, tasks INTEGER,
            PRIMARY KEY (span, start, agent, kind, bucket)
        ) WITHOUT ROWID""",
        "CREATE TABLE pulse (beat INTEGER NOT NULL)",
        "INSERT INTO pulse VALUES (0)",
    ),
    (
        """CREATE TABLE session (
            agent TEXT, conversation TEXT, session_id TEXT NOT NULL, used_at REAL NOT NULL,
            PRIMARY KEY (agent, conversation)
        ) WITHOUT ROWID""",
    ),
    (
        # An attempt has no end yet: as `_records` writes it. Almost no row is in here.
        """CREATE INDEX task_held ON task (number)
            WHERE ended_at IS NOT NULL AND substr(attempts, -18) = ', null, null, ""]]'""",
    ),
)
"""What makes version n + 1 of version n, each a list of statements."""


def open_writer(
    path: Path, busy_timeout_s: float, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> sqlite3.Connection:
    """The connection that writes: the file is made (mode 0600), migrated, and proved writable.

    Raises:
        LedgerError: the file cannot be used; it is as it was.
    """
    try:
        # Before SQLite would make it, with a mode of its own; -wal and -shm take their mode from
        # it. Nobody of this program has the file open yet: closing it here drops no lock.
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, 0o600)
        finally:
            os.close(fd)
    except OSError as error:
        raise from_system(path, error) from error
    try:
        connection = _connect(path, busy_timeout_s)
    except sqlite3.Error as error:
        raise from_sqlite(path, error) from error
    try:
        _prepare(connection, path, migrations)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise from_sqlite(path, error) from error
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that reads while another one writes.

    Raises:
        LedgerError: the file cannot be used.
    """
    try:
        connection = _connect(path, _READ_TIMEOUT_S)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise from_sqlite(path, error) from error
    return connection


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    # isolation_level None: transactions begin and end where we say, and nowhere else.
    return sqlite3.connect(
        path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
    )


def _prepare(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]
) -> None:
    version = _checked_version(connection, path, len(migrations))
    if version == 0:
        # Only an empty file can be told to give back what it no longer needs.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise LedgerError("failed", path, f"its file system has no write-ahead log (mode {mode})")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    # Again: another program may have migrated it meanwhile.
    version = _checked_version(connection, path, len(migrations))
    for statements in migrations[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(migrations)}")
    beat(connection)
    connection.execute("COMMIT")


def beat(connection: sqlite3.Connection) -> None:
    """Write something, so that a commit has to reach the file."""
    connection.execute("UPDATE pulse SET beat = beat + 1")


def _checked_version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    application, version = (
        _pragma(connection, "application_id"),
        _pragma(connection, "user_version"),
    )
    if application != APPLICATION_ID:
        if application or version or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise LedgerError("not_a_ledger", path, "it is another program's database")
        return 0
    if version > newest:
        reason = f"it has version {version}, and this program knows versions up to {newest}"
        raise LedgerError("newer", path, reason)
    return version


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
