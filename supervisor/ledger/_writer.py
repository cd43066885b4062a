"""The one thread that writes.

Trio puts changes into the *open batch*: at most one a task, since a later change of a task holds
all of an earlier one. The thread takes the whole batch and commits it as one transaction, while
the next one fills; so whoever waits is served by the next commit, however many they are, and a
disk that is slow makes batches larger, not a queue longer.

A commit is in the operating system's hands when it returns: it survives the death of the program,
SIGKILL included. It is on the disk itself (`synchronous = FULL`) at the latest `sync_every_s`
later: that much a loss of power can cost, and nothing more; the file is never damaged by it.

After a commit that failed the thread tries again with growing waits. It never gives up, but where
the file is damaged: writing on could only harm it more.
"""

import math
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import outcome
import trio

from supervisor.ledger._changes import Change, Written, write
from supervisor.ledger._errors import LedgerError, from_sqlite
from supervisor.ledger._replies import ReplyFiles
from supervisor.ledger._schema import beat

T = TypeVar("T")


@dataclass(eq=False)
class Batch:
    """Changes that are committed together."""

    changes: dict[str, Change] = field(default_factory=dict)
    """By task id."""
    done: trio.Event = field(default_factory=trio.Event)
    """Set once the commit was tried, and `written` or `error` is there."""
    written: dict[str, Written] = field(default_factory=dict)
    """What became of the changes, by task id."""
    error: LedgerError | None = None
    """Why nothing of it is written."""


class Writer:
    """Commits batches, one after the other, in a thread that ends with `close`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        files: ReplyFiles,
        tried: Callable[[Batch], None],
        sync_every_s: float,
        retry_s: tuple[float, float],
    ) -> None:
        """Start the thread; within a Trio run.

        Args:
            connection: the thread's alone from now on.
            path: the connection's file.
            files: where replies in files of their own go.
            tried: called in the Trio run after each try to commit a batch.
            sync_every_s: seconds after which a commit is forced to the disk itself.
            retry_s: the first wait after a commit that failed, and the longest.
        """
        self._connection = connection
        self._path = path
        self._files = files
        self._tried = tried
        self._sync_every_s = sync_every_s
        self._retry_s = retry_s
        self._token = trio.lowlevel.current_trio_token()
        facts = os.stat(path)
        self._identity = facts.st_dev, facts.st_ino
        self._wakeup = threading.Condition()
        # What follows is guarded by it.
        self._batch = Batch()
        self._jobs: deque[Callable[[], None]] = deque()
        self._closing = False
        self._hurried = False
        # And this is the thread's own.
        self._failures = 0
        self._try_at = 0.0
        self._synced_at = 0.0
        self._unsynced = False
        self._closed = trio.Event()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    # from the Trio run

    def put(self, change: Change) -> Batch:
        """Have the change written, in place of an earlier one of its task; returns its batch."""
        with self._wakeup:
            self._batch.changes[change.record.id] = change
            self._wakeup.notify()
            return self._batch

    def hurry(self) -> Batch:
        """Have the open batch tried now, changes or none, whatever failed before; returns it."""
        with self._wakeup:
            self._hurried = True
            self._wakeup.notify()
            return self._batch

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """`job(connection)`, run by the thread between two batches; its result or its exception.

        Not cancellable. It is run also while commits fail.
        """
        task = trio.lowlevel.current_task()

        def work() -> None:
            result = outcome.capture(job, self._connection)
            self._tell(trio.lowlevel.reschedule, task, result)

        with self._wakeup:
            if self._closing:
                raise LedgerError("closed", self._path, "it has been closed")
            self._jobs.append(work)
            self._wakeup.notify()
        value: Any = await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        return cast(T, value)

    async def close(self) -> None:
        """Commit what is left, if that can be, and end the thread. Not cancellable."""
        with self._wakeup:
            self._closing = True
            self._wakeup.notify()
        with trio.CancelScope(shield=True):
            await self._closed.wait()

    # in the thread

    def _work(self) -> None:
        while True:
            batch, jobs, last = self._next()
            if batch is not None:
                self._commit(batch)
            for job in jobs:
                job()
            if last:
                break
        with suppress(sqlite3.Error):
            self._connection.close()
        self._tell(self._closed.set)

    def _next(self) -> tuple[Batch | None, list[Callable[[], None]], bool]:
        """Wait for something to do: a batch to commit, jobs to run, an end."""
        with self._wakeup:
            while not (self._jobs or self._closing or self._is_due()):
                wait_s = self._due_in_s()
                self._wakeup.wait(None if wait_s == math.inf else wait_s)
            batch = None
            if self._due_in_s() < math.inf and (self._is_due() or self._closing):
                batch, self._batch = self._batch, Batch()
                self._hurried = False
            jobs = list(self._jobs)
            self._jobs.clear()
            return batch, jobs, self._closing

    def _is_due(self) -> bool:
        return self._due_in_s() <= 0

    def _due_in_s(self) -> float:
        """Seconds until a commit is to be tried, with or without changes; inf: there is no need."""
        if self._hurried:
            return 0
        now = time.monotonic()
        if self._failures:
            return self._try_at - now
        if self._batch.changes:
            return 0
        return self._synced_at + self._sync_every_s - now if self._unsynced else math.inf

    def _commit(self, batch: Batch) -> None:
        try:
            self._write(batch)
        except LedgerError as error:
            batch.error = error
        except sqlite3.Error as error:
            batch.error = from_sqlite(self._path, error)
        except Exception as error:  # whatever it is, the thread has to go on
            batch.error = LedgerError("failed", self._path, f"{type(error).__name__}: {error}")
        if batch.error is None:
            self._failures = 0
        else:
            self._wait_longer(batch.error)
        self._tell(self._tried, batch)

    def _wait_longer(self, error: LedgerError) -> None:
        self._failures += 1
        wait_s = (
            math.inf if error.trouble == "damaged" else wait_after(self._failures, self._retry_s)
        )
        self._try_at = time.monotonic() + wait_s

    def _write(self, batch: Batch) -> None:
        self._check_place()
        now = time.monotonic()
        sync = self._closing or now - self._synced_at >= self._sync_every_s
        connection = self._connection
        connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for task_id, change in batch.changes.items():
                batch.written[task_id] = write(connection, self._files, change)
            if not batch.changes:
                beat(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        self._unsynced = not sync
        if sync:
            self._synced_at = now

    def _check_place(self) -> None:
        """SQLite would go on writing into a file that was taken away, and nobody would know."""
        try:
            facts = os.stat(self._path)
            there = (facts.st_dev, facts.st_ino) == self._identity
        except OSError:
            there = False
        if not there:
            raise LedgerError("missing", self._path, "it is gone, or another is in its place")

    def _tell(self, function: Callable[..., object], *args: object) -> None:
        with suppress(trio.RunFinishedError):  # then nobody is left who would want to know
            self._token.run_sync_soon(partial(function, *args))


def wait_after(failures: int, retry_s: tuple[float, float]) -> float:
    """Seconds to wait after so many failures in a row, given the first wait and the longest."""
    first_s, longest_s = retry_s
    return min(first_s * 2.0 ** min(failures - 1, 100), longest_s)
