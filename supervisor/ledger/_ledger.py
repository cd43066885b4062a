"""The ledger itself: what the rest of the program calls, in one Trio run."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import trio

from supervisor.ledger import _records, _retention, _sessions, _transitions
from supervisor.ledger._encoding import size_of
from supervisor.ledger._errors import LedgerError, from_sqlite, from_system
from supervisor.ledger._memory import Live, Memory
from supervisor.ledger._questions import Questions
from supervisor.ledger._replies import ReplyFiles
from supervisor.ledger._retention import Pruned, Retention
from supervisor.ledger._schema import open_reader, open_writer
from supervisor.ledger._values import INTERRUPTED, Failure, TaskRecord, Usage
from supervisor.ledger._writer import Batch, Writer

_KEPT = Retention()


@dataclass(frozen=True, slots=True)
class Settings:
    """How a ledger behaves."""

    reply_file_above: int = 16_000
    """Bytes (UTF-8) above which a reply gets a file of its own."""
    retention: Retention = _KEPT
    """What `prune` leaves."""
    sync_every_s: float = 1.0
    """How much a loss of power may cost, in seconds; 0: nothing, and then each commit waits for
    the disk itself. The death of the program costs nothing in any case."""
    busy_timeout_s: float = 5.0
    """How long another program's lock on the file is waited for."""
    first_retry_s: float = 0.5
    """After a write that failed, the wait until it is tried again; then twice that, and so on."""
    longest_retry_s: float = 30.0
    """The longest such wait."""
    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""


_DEFAULT = Settings()


@dataclass(frozen=True, slots=True)
class _Connections:
    writing: sqlite3.Connection
    reading: sqlite3.Connection
    last_number: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What an earlier program has left open."""

    ended: tuple[TaskRecord, ...]
    """Tasks that have the outcome `interrupted` now."""
    waiting: tuple[tuple[TaskRecord, str], ...]
    """Tasks that are still queued, in the order of their acceptance, with their texts: they are
    this program's now."""


class Ledger(Questions, trio.abc.AsyncResource):
    """The record of tasks and their outcomes, in one SQLite file.

    When `accept` returns, the task is on record, and is found again whatever happens to the
    program. What follows (`started`, `attempt_ended`, `billed`, `ended`) is told without waiting,
    and written in order soon after. Until then it is answered from memory: whoever asks sees all
    that was told.

    What waits to be written is one change a task, whatever is told of it, and no task is accepted
    faster than it is written: so the memory is bounded by the tasks that are open.

    Where a write fails, `problem` says why. From then on nothing is accepted, and outcomes stay in
    memory, to be answered from there. It is tried again by itself, and by who calls `accept`.

    All of it is called from the Trio run that it was opened in, by one program at a time.
    """

    def __init__(
        self,
        path: Path,
        files: ReplyFiles,
        settings: Settings,
        connections: "_Connections",
    ) -> None:
        """For `Ledger.open`."""
        retry_s = settings.first_retry_s, settings.longest_retry_s
        self._writer = Writer(
            connections.writing, path, files, self._tried, settings.sync_every_s, retry_s
        )
        super().__init__(path, connections.reading, files, Memory(self._writer.put))
        self._files = files
        self._settings = settings
        self._last_number = connections.last_number

    @classmethod
    async def open(cls, path: Path, replies: Path, settings: Settings = Settings()) -> "Ledger":
        """Open the ledger at `path`: made where there is none, migrated where it is older.

        Close it with `aclose`, or use it in `async with`. Not cancellable.

        Args:
            path: the SQLite file, mode 0600; `-wal` and `-shm` beside it belong to it.
            replies: a folder for long replies alone; made (mode 0700) when there is one.
            settings: how it behaves.

        Raises:
            LedgerError: the file cannot be used; it is as it was.
        """
        connections = await trio.to_thread.run_sync(_connect, path, settings.busy_timeout_s)
        return cls(path, ReplyFiles(replies), settings, connections)

    @staticmethod
    def set_aside(path: Path, replies: Path | None = None) -> Path:
        """Move a ledger that cannot be used out of the way, so that a new one can be made.

        Nothing is deleted: the file, `-wal`, `-shm` and the folder of replies get a name with the
        time in it. No program may have it open.

        Returns:
            the file's new path.

        Raises:
            LedgerError: something cannot be moved.
        """
        mark = f"aside-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z"
        moved = path.with_name(f"{path.name}.{mark}")
        try:
            for suffix in ("", "-wal", "-shm"):
                one = path.with_name(path.name + suffix)
                if one.exists():
                    one.rename(f"{moved}{suffix}")
            if replies is not None and replies.exists():
                replies.rename(replies.with_name(f"{replies.name}.{mark}"))
        except OSError as error:
            raise from_system(path, error) from error
        return moved

    async def aclose(self) -> None:
        """Write what is left, and close the file; once more does nothing. Not cancellable.

        What cannot be written is lost; `unwritten` says of how many tasks.
        """
        if self._closed:
            return
        self._closed = True
        with trio.CancelScope(shield=True):
            # What is being written now, and fails, is put back first, to be tried once more.
            await self._writer.run(lambda _: None)
            await self._writer.close()
            await self._close_reader()

    @property
    def unwritten(self) -> int:
        """The number of tasks of which something is not on the disk yet."""
        return sum(live.is_unwritten for live in self._memory.all())

    # what happens to tasks

    async def accept(self, record: TaskRecord, text: str) -> TaskRecord:
        """Put a new task on record; it is accepted when this returns.

        Cancelled, it is not accepted, and nothing of it stays. (Only where the program is killed
        at that moment may the next one find it, as interrupted.)

        Args:
            record: the task, queued; its number and the size of its text are given here.
            text: what the agent is to do; any `str`.

        Returns:
            the record as it is written.

        Raises:
            LedgerError: it cannot be written; it is not accepted.
            ValueError: it is not a queued task without attempts, or there is one of this id.
        """
        await self._check_usable()
        if record.state != "queued" or record.attempts or record.usage != Usage():
            raise ValueError(f"{record.id} is not new: {record}")
        self._last_number += 1
        record = replace(record, number=self._last_number, text_bytes=size_of(text))
        kept = text if record.keeps_text else None
        live = self._memory.add(Live(record, is_new=True, text=kept))
        self._memory.changed(live, record)
        batch = live.batch
        try:
            await batch.done.wait()
        except trio.Cancelled:
            self._memory.withdraw(live)
            raise
        if batch.error is not None:
            raise batch.error
        if batch.written[record.id].duplicate:
            raise ValueError(f"{record.id} is not new: there is a task of this id")
        return record

    def started(
        self, task_id: str, pid: int, *, definition_hash: str | None = None, at: float | None = None
    ) -> TaskRecord:
        """An attempt begins: a process has the task. Does not wait.

        Args:
            task_id: a queued task.
            pid: the process.
            definition_hash: the digest of the definition that it runs with, where it is news.
            at: when, seconds since the epoch; None: now.

        Returns:
            the record as it is now.

        Raises:
            ValueError: there is no such task.
        """
        live = self._memory.find(task_id)
        now = self._time(at)
        record = _transitions.started(live.record, pid, definition_hash, now)
        return self._memory.changed(live, record)

    def attempt_ended(
        self,
        task_id: str,
        *,
        exit_status: int | None = None,
        why: str = "",
        at: float | None = None,
    ) -> TaskRecord:
        """The process no longer has the task. Does not wait.

        A task without an outcome is queued again by that. One that has its outcome but was not
        let go of yet (a deadline, a cancel) stays in memory until this is told.

        Args:
            task_id: a task with an open attempt.
            exit_status: how the process exited, if it did.
            why: why it ended, in a few words.
            at: when, seconds since the epoch; None: now.

        Returns:
            the record as it is now.

        Raises:
            ValueError: there is no such task.
        """
        live = self._memory.find(task_id)
        now = self._time(at)
        record = _transitions.attempt_ended(live.record, exit_status, why, now)
        return self._memory.changed(live, record)

    def billed(
        self,
        task_id: str,
        usage: Usage | None = None,
        cost_usd: float | None = None,
        *,
        is_lower_bound: bool = True,
    ) -> TaskRecord:
        """What the task has taken, as far as is known; in place of what was. Does not wait.

        It may come after the outcome, while the attempt is open.

        Args:
            task_id: an open task, or one with an open attempt.
            usage: its tokens, of all attempts; None: as before.
            cost_usd: its cost, likewise; None, or no sum of money: as before.
            is_lower_bound: it may have cost more.

        Returns:
            the record as it is now.

        Raises:
            ValueError: there is no such task.
        """
        live = self._memory.find(task_id)
        record = _transitions.billed(live.record, usage, cost_usd, is_lower_bound)
        return self._memory.changed(live, record)

    def ended(
        self,
        task_id: str,
        outcome: str,
        *,
        reply: str | None = None,
        reply_in_file: bool | None = None,
        failure: Failure | None = None,
        usage: Usage | None = None,
        cost_usd: float | None = None,
        cost_is_lower_bound: bool = False,
        at: float | None = None,
    ) -> TaskRecord:
        """The task has its one outcome. Does not wait; `written` does.

        Args:
            task_id: an open task.
            outcome: `result`, which ends an open attempt too; or an error code, after which
                `attempt_ended` is still to be told.
            reply: what the agent answered; any `str`.
            reply_in_file: whether the reply gets a file of its own; None: if it is long.
            failure: what went wrong.
            usage: as for `billed`.
            cost_usd: as for `billed`.
            cost_is_lower_bound: it may have cost more.
            at: when, seconds since the epoch; None: now.

        Returns:
            the record as it is now; `reply_path` comes with the file.

        Raises:
            ValueError: there is no such task, or it has its outcome already.
        """
        live = self._memory.find(task_id)
        size = 0 if reply is None else size_of(reply)
        record = _transitions.billed(live.record, usage, cost_usd, cost_is_lower_bound)
        record = _transitions.ended(record, outcome, failure, size, self._time(at))
        is_long = size > self._settings.reply_file_above
        live.reply, live.reply_in_file = reply, is_long if reply_in_file is None else reply_in_file
        return self._memory.changed(live, record)

    async def keep_session(self, agent: str, conversation: str, session_id: str | None) -> None:
        """Remember which session of the CLI holds a conversation; None: none does any more.

        Raises:
            LedgerError: it cannot be written.
        """
        now = self._time(None)
        keep = partial(
            _sessions.keep, agent=agent, conversation=conversation, session_id=session_id, now=now
        )
        try:
            await self._writer.run(keep)
        except sqlite3.Error as error:
            raise from_sqlite(self.path, error) from error

    async def interrupt_open(
        self,
        reason: str,
        advice: str = "",
        *,
        keep: Callable[[TaskRecord], bool] = lambda _: False,
    ) -> Interrupted:
        """End what an earlier program has left open; once, before anything is accepted.

        That is tasks, and the attempts of those that had their outcome already.

        Not cancellable. When it returns, all is written, or `problem` says why not.

        Args:
            reason: what happened, for the outcome's message.
            advice: what to do, for the same.
            keep: whether a task that was queued is to be run yet; it is, if its text is there.

        Raises:
            LedgerError: the file cannot be read.
        """
        with trio.CancelScope(shield=True):
            ended: list[TaskRecord] = []
            waiting: list[tuple[TaskRecord, str]] = []
            for record in await self._read(_records.open_ones):
                wanted = record.state == "queued" and keep(record)
                text = await self.text_of(record.id) if wanted else None
                live = self._memory.add(Live(record))
                if text is None:
                    ended.append(self._interrupt(live, Failure(reason, advice)))
                else:
                    waiting.append((record, text))
            held = await self._read(_records.held_ones)
            for record in held:
                self._let_go(self._memory.add(Live(record)))
            for record in (*ended, *held):
                await self.written(record.id)
        return Interrupted(tuple(ended), tuple(waiting))

    def _interrupt(self, live: Live, failure: Failure) -> TaskRecord:
        if live.record.attempt_is_open:
            self._let_go(live)
        record = _transitions.ended(live.record, INTERRUPTED, failure, 0, self._time(None))
        return self._memory.changed(live, record)

    def _let_go(self, live: Live) -> None:
        record = _transitions.attempt_ended(live.record, None, INTERRUPTED, self._time(None))
        self._memory.changed(live, record)

    # upkeep

    def retain(self, retention: Retention) -> None:
        """Have `prune` leave that from now on."""
        self._settings = replace(self._settings, retention=retention)

    async def prune(self) -> Pruned:
        """Take away what is kept no longer; for the start, and for every few minutes.

        Cancelled, it has done a part of that.

        Raises:
            LedgerError: the file cannot be written.
        """
        done = Pruned()
        while True:
            await trio.lowlevel.checkpoint()
            now, retention = self._time(None), self._settings.retention
            step = partial(_retention.step, files=self._files, retention=retention, now=now)
            try:
                last = await self._writer.run(step)
            except sqlite3.Error as error:
                raise from_sqlite(self.path, error) from error
            if not last:
                return done
            done += last

    async def _check_usable(self) -> None:
        if not self._closed and self._may_be_over(self.problem.value):
            # Who has just made room need not wait until it is tried again by itself.
            await self._writer.hurry().done.wait()
        if self._closed:
            raise LedgerError("closed", self.path, "it has been closed")
        if self.problem.value is not None:
            raise self.problem.value

    @staticmethod
    def _may_be_over(problem: LedgerError | None) -> bool:
        return problem is not None and problem.trouble != "damaged"

    def _time(self, at: float | None) -> float:
        return self._settings.clock() if at is None else at

    def _tried(self, batch: Batch) -> None:
        """A batch is written, or is not."""
        if batch.error is None:
            for written in batch.written.values():
                self._memory.confirm(written)
        else:
            for change in batch.changes.values():
                self._memory.put_back(change)
        if not self._is_known(batch.error):
            self.problem.value = batch.error
        batch.done.set()

    def _is_known(self, error: LedgerError | None) -> bool:
        """Whoever watches `problem` is told once of each; and damage does not go away."""
        problem = self.problem.value
        return problem is not None and (problem.trouble == "damaged" or str(problem) == str(error))


def _connect(path: Path, busy_timeout_s: float) -> "_Connections":
    writing = open_writer(path, busy_timeout_s)
    try:
        reading = open_reader(path)
        try:
            return _Connections(writing, reading, _records.last_number(reading))
        except BaseException:
            reading.close()
            raise
    except BaseException as error:
        writing.close()
        if isinstance(error, sqlite3.Error):
            raise from_sqlite(path, error) from error
        raise
