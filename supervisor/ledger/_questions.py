"""What can be asked of a ledger. A thread reads, from a connection of its own; nobody waits for
the one that writes, and what is not written yet is answered from memory.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from trio_util import AsyncValue

from supervisor.ledger import _listing, _records, _replies, _sessions, _stats
from supervisor.ledger._errors import LedgerError, from_sqlite
from supervisor.ledger._listing import TaskFilter
from supervisor.ledger._memory import Memory
from supervisor.ledger._replies import PART_BYTES, ReplyFiles, ReplyPart
from supervisor.ledger._schema import open_reader
from supervisor.ledger._stats import Asked, By, Spent, Stats
from supervisor.ledger._values import TaskRecord

T = TypeVar("T")

_ALL = TaskFilter()


class Questions:
    """The part of a ledger that answers."""

    def __init__(
        self, path: Path, reading: sqlite3.Connection, files: ReplyFiles, memory: Memory
    ) -> None:
        """For `Ledger`."""
        self.path = path
        """The SQLite file."""
        self.problem: AsyncValue[LedgerError | None] = AsyncValue(None)
        """Why nothing can be written at the moment; None: all is well."""
        self._reading = reading
        self._files = files
        self._memory = memory
        self._one_at_a_time = trio.CapacityLimiter(1)
        self._closed = False

    async def written(self, task_id: str) -> TaskRecord | None:
        """Wait until all that was told of the task is written, or cannot be; its record then.

        A long reply is in its file then, and `reply_path` says where.

        Raises:
            LedgerError: it is not in memory, and the file cannot be read.
        """
        live = self._memory.get(task_id)
        if live is None:
            return await self.get(task_id)
        if live.is_unwritten and self.problem.value is None and not self._closed:
            await live.batch.done.wait()
        return live.record

    async def get(self, task_id: str) -> TaskRecord | None:
        """The task's record; None: there is no such task, or it is kept no longer.

        Raises:
            LedgerError: it is not in memory, and the file cannot be read.
        """
        live = self._memory.get(task_id)
        if live is not None:
            return live.record
        return await self._read(partial(_records.get, task_id=task_id))

    async def text_of(self, task_id: str) -> str | None:
        """The task's text; None: it is not kept, or no longer.

        Raises:
            LedgerError: it cannot be read.
        """
        live = self._memory.get(task_id)
        if live is not None and not live.record.keeps_text:
            return None  # though it may not have been taken away yet
        return await self._read(partial(_replies.read_text, task_id=task_id))

    async def reply_of(self, task_id: str) -> str | None:
        """The whole reply; None: there is none, or it is kept no longer.

        Raises:
            LedgerError: it is not in memory, and cannot be read.
        """
        live = self._memory.get(task_id)
        if live is not None and live.reply is not None:
            return live.reply
        read = partial(_replies.read_reply, files=self._files, task_id=task_id)
        return await self._read_reply(read)

    async def reply_part(
        self, task_id: str, number: int, part_bytes: int = PART_BYTES
    ) -> ReplyPart | None:
        """One part of the reply; None: there is none, or it is kept no longer.

        Args:
            task_id: the task.
            number: which part, 1 for the first.
            part_bytes: size of a part (UTF-8), 4 or more; parts cut no character, so they may be
                up to three bytes longer or shorter.

        Raises:
            LedgerError: it is not in memory, and cannot be read.
            ValueError: there is no such part.
        """
        live = self._memory.get(task_id)
        if live is not None and live.reply is not None:
            return _replies.part_of(live.reply, number, part_bytes)
        read = partial(_replies.read_reply_part, files=self._files, task_id=task_id)
        return await self._read_reply(partial(read, number=number, part_bytes=part_bytes))

    async def session_of(self, agent: str, conversation: str) -> str | None:
        """The session of the CLI that holds a conversation; None: nobody knows of one.

        Raises:
            LedgerError: the file cannot be read.
        """
        return await self._read(lambda c: _sessions.get(c, agent, conversation))

    async def tasks(
        self, wanted: TaskFilter = _ALL, *, limit: int = 50, before: str | None = None
    ) -> tuple[TaskRecord, ...]:
        """The newest tasks that fit, by the time of their acceptance.

        Args:
            wanted: which tasks.
            limit: how many at most.
            before: the id of the last task of the page before this one.

        Raises:
            LedgerError: the file cannot be read.
            ValueError: `before` names no task.
        """
        unwritten = {
            live.record.id: live.record for live in self._memory.all() if live.is_unwritten
        }
        return await self._read(lambda c: _listing.tasks(c, wanted, limit, before, unwritten))

    async def stats(
        self,
        by: By = "pool",
        *,
        since: float = 0.0,
        agent: str | None = None,
        limit: int = 50,
    ) -> tuple[Stats, ...]:
        """Figures over the tasks that ended at `since` or later.

        Args:
            by: what is told apart. Days come the newest first, others the most expensive first.
            since: seconds since the epoch.
            agent: only its tasks; None: all.
            limit: how many rows at most; those that come last are left out.

        Raises:
            LedgerError: the file cannot be read.
        """
        asked = Asked(by, since, agent, limit)
        ended = [live.record for live in self._memory.all() if live.record.state == "ended"]
        return await self._read(lambda c: _stats.stats(c, asked, ended))

    async def spent(self, agent: str | None = None, *, since: float = 0.0) -> Spent:
        """What tasks cost that ended at `since` or later, and what open ones have cost so far.

        Args:
            agent: its tasks; None: all.
            since: seconds since the epoch.

        Raises:
            LedgerError: the file cannot be read.
        """
        asked = Asked(since=since, agent=agent)
        live = [live.record for live in self._memory.all()]
        return await self._read(lambda c: _stats.spent(c, asked, live))

    async def check(self) -> None:
        """Read the whole file, and see whether it is damaged: 0.3 s for 100 MB, in a thread.

        Raises:
            LedgerError: it is; from then on nothing is accepted.
        """
        try:
            await trio.to_thread.run_sync(_check, self.path)
        except LedgerError as error:
            if error.trouble == "damaged":
                self.problem.value = error
            raise

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise LedgerError("closed", self.path, "it has been closed")
        work = partial(_query, self._reading, query)
        try:
            return await trio.to_thread.run_sync(work, limiter=self._one_at_a_time)
        except sqlite3.Error as error:
            raise from_sqlite(self.path, error) from error

    async def _read_reply(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._read(query)
        except LedgerError as error:
            if error.trouble != "missing":
                raise
        # Its file may have been pruned since its record was read: then the record says so now.
        return await self._read(query)

    async def _close_reader(self) -> None:
        await trio.to_thread.run_sync(self._reading.close, limiter=self._one_at_a_time)


def _query(connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], T]) -> T:
    """All of a query sees the same state of the file."""
    connection.execute("BEGIN")
    try:
        return query(connection)
    finally:
        connection.execute("ROLLBACK")


def _check(path: Path) -> None:
    connection = open_reader(path)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise from_sqlite(path, error) from error
    finally:
        connection.close()
    if found != "ok":
        raise LedgerError("damaged", path, str(found))
