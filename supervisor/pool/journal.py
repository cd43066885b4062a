"""The journal: what happens to tasks, told to the ledger, where there is one that can be written.

A task is accepted once it is on record; its outcome is on record before its caller hears of it. A
ledger that cannot be written refuses new tasks, and nothing else: those that were accepted go on,
and are answered from memory.
"""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from supervisor.ledger import (
    By,
    Failure,
    Interrupted,
    Ledger,
    LedgerError,
    Retention,
    Settings,
    Stats,
    TaskFilter,
    TaskRecord,
    Usage,
)
from supervisor.pool.config import LedgerTable
from supervisor.pool.events import LedgerFailed, PoolEvent, TasksInterrupted
from supervisor.pool.outcome import PoolError, Task, TaskError, TaskResult
from supervisor.protocol import Usage as Tokens

PRUNE_EVERY_S = 600.0
"""Seconds between two rounds of what is kept no longer."""

OPEN_AGAIN_S = 5.0
"""Seconds after which a ledger that cannot be opened is tried again."""

DAY_S = 86_400.0

FILE = "ledger.sqlite"
REPLIES = "replies"
"""In the state folder."""


class Journal:
    """Knows every task, also of pools before this one. `run` is a service of the pool's tree."""

    def __init__(
        self,
        state: Path | None,
        settings: Callable[[], LedgerTable],
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """Touches no file. `state` is the folder of the ledger; None: there is none."""
        self._state = state
        self._settings = settings
        self._emit = emit
        self._ledger: Ledger | None = None
        self._error: LedgerError | None = None
        self._was_open = False
        self._tries = 0
        self._opening = trio.Lock()
        self._open_attempts: set[str] = set()
        self.on_interrupted: Callable[[list[tuple[TaskRecord, str]]], Awaitable[None]] = _nothing
        """Called with the tasks of an earlier pool that are to be run yet, and their texts."""
        self.runs_on: Callable[[str], bool] = lambda _: False
        """Whether an agent's tasks are run that an earlier pool left in the queue."""

    @property
    def is_on(self) -> bool:
        """There is to be a ledger."""
        return self._state is not None and self._settings().enabled

    @property
    def problem(self) -> LedgerError | None:
        """Why nothing can be written; None: all is well, or there is to be no ledger."""
        problem = self._error if self.is_on else None
        if self._ledger is not None:
            problem = self._ledger.problem.value
        return problem

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the ledger, end what an earlier pool left open, and keep it small."""
        await self._open()
        task_status.started()
        try:
            while True:
                await self._prune()
                is_missing = self.is_on and self._ledger is None
                await trio.sleep(OPEN_AGAIN_S if is_missing else PRUNE_EVERY_S)
                await self._open()
        except trio.Cancelled:
            # Not where this crashes: open tasks are known to the ledger that accepted them alone.
            ledger, self._ledger = self._ledger, None
            if ledger is not None:
                await ledger.aclose()
            raise

    async def _open(self) -> None:
        """Open the ledger where it is to be open, and is not."""
        if self._state is None or not self.is_on or self._ledger is not None:
            return
        tries = self._tries
        async with self._opening:
            if self._tries != tries:
                return  # somebody else has just tried
            # How long a reply is, each task says itself.
            settings = Settings(reply_file_above=2**62, retention=self._retention)
            try:
                self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
                ledger = await Ledger.open(self._state / FILE, self._state / REPLIES, settings)
                try:
                    found = await self._interrupt_others(ledger)
                except LedgerError:
                    await ledger.aclose()
                    raise
            except (LedgerError, OSError) as error:
                failed = error if isinstance(error, LedgerError) else None
                failed = failed or LedgerError("failed", self._state / FILE, str(error))
                if str(failed) != str(self._error):
                    self._emit(LedgerFailed("", str(failed)))
                self._error = failed
                self._tries += 1  # not before: who is cancelled has not tried
                return
            self._ledger, self._error = ledger, None
            self._tries += 1
        if found.ended or found.waiting:
            self._emit(TasksInterrupted("", len(found.ended), len(found.waiting)))
        await self.on_interrupted(list(found.waiting))

    async def _interrupt_others(self, ledger: Ledger) -> Interrupted:
        """End what earlier pools have left open; what this one has is not theirs."""
        if self._was_open:
            return Interrupted((), ())
        found = await ledger.interrupt_open(
            "The pool was killed while it had this task.",
            "Send the task again; what it had done to files stays done.",
            keep=lambda record: self.runs_on(record.agent),
        )
        self._was_open = True
        return found

    @property
    def _retention(self) -> Retention:
        table = self._settings()
        return Retention(
            texts_for_s=table.texts_for, texts_bytes=table.texts_total, rows_for_s=table.tasks_for
        )

    async def _prune(self) -> None:
        if self._ledger is None:
            return
        self._ledger.retain(self._retention)
        try:
            await self._ledger.prune()
        except LedgerError as error:
            self._emit(LedgerFailed("", str(error)))

    # what happens to tasks

    async def accept(self, task: Task, *, background: bool) -> None:
        """Put a task on record; it is accepted when this returns.

        Raises:
            PoolError: `ledger_unavailable`: it is not.
        """
        if not self.is_on:
            return
        await self._open()
        if self._ledger is None:
            assert self._error is not None
            raise PoolError(_unavailable(self._error))
        record = TaskRecord(
            task.id,
            task.agent,
            accepted_at=time.time(),
            caller=task.caller,
            priority=task.priority,
            conversation=task.conversation,
            keep_text="always" if self._settings().keep_text else "while_open",
            background=background,
            deadline=time.time() + task.timeout_s,
        )
        try:
            await self._ledger.accept(record, task.text)
        except LedgerError as error:
            raise PoolError(_unavailable(error)) from None
        task.recorder = self

    def attempt_began(self, task: Task) -> None:
        """A process has all of the task."""
        last, digest = task.tries[-1], task.definition_hash
        self._open_attempts.add(task.id)
        self._tell(
            lambda ledger: ledger.started(
                task.id, last.pid, definition_hash=digest, at=last.started_at
            )
        )

    def attempt_ended(self, task: Task, exit_status: int | None, why: str) -> None:
        """The process no longer has it."""
        if task.id in self._open_attempts:
            self._open_attempts.discard(task.id)
            self._tell(
                lambda ledger: ledger.attempt_ended(task.id, exit_status=exit_status, why=why)
            )

    def billed(self, task: Task) -> None:
        """What the task has taken is known better."""
        if task.id in self._open_attempts:
            usage, cost, least = _usage(task.usage), task.cost_usd, task.cost_is_lower_bound
            self._tell(lambda ledger: ledger.billed(task.id, usage, cost, is_lower_bound=least))

    def ended(self, task: Task) -> None:
        """The task has its outcome."""
        outcome = task.outcome
        if isinstance(outcome, TaskResult):
            self._open_attempts.discard(task.id)
            self._tell(
                lambda ledger: ledger.ended(
                    task.id,
                    "result",
                    reply=outcome.text,
                    reply_in_file=task.is_long(outcome.text),
                    usage=_usage(task.usage),
                    cost_usd=task.cost_usd,
                    cost_is_lower_bound=task.cost_is_lower_bound,
                )
            )
        elif outcome is not None:
            failure = Failure(outcome.message, outcome.advice, outcome.data)
            self._tell(lambda ledger: ledger.ended(task.id, outcome.code, failure=failure))

    def _tell(self, what: Callable[[Ledger], object]) -> None:
        """Tell the ledger something; what it refuses costs no task its outcome."""
        if self._ledger is None:
            return
        try:
            what(self._ledger)
        except ValueError as error:
            self._emit(LedgerFailed("", str(error)))

    async def keep_session(self, agent: str, conversation: str, session_id: str | None) -> None:
        """Remember which session holds a conversation, as far as that can be written."""
        if self._ledger is None:
            return
        try:
            await self._ledger.keep_session(agent, conversation, session_id)
        except LedgerError as error:
            self._emit(LedgerFailed("", str(error)))

    async def session_of(self, agent: str, conversation: str) -> str | None:
        """The session that holds a conversation, as an earlier pool left it."""
        if self._ledger is None:
            return None
        try:
            return await self._ledger.session_of(agent, conversation)
        except LedgerError as error:
            self._emit(LedgerFailed("", str(error)))
            return None

    # what can be asked

    async def written(self, task: Task) -> None:
        """Wait until the task's outcome is on record, or cannot be; with the reply's file then."""
        if self._ledger is None or task.recorder is None:
            return
        try:
            record = await self._ledger.written(task.id)
        except LedgerError:
            return
        if record is not None and record.reply_path is not None:
            task.reply_path = record.reply_path

    async def find(self, task_id: str) -> Task | None:
        """A task of any pool, with its outcome; None: there is none, or it is kept no longer.

        Raises:
            PoolError: the ledger cannot be read.
        """
        if not await self._is_readable():
            return None
        assert self._ledger is not None
        try:
            record = await self._ledger.get(task_id)
            reply = None if record is None else await self._ledger.reply_of(task_id)
        except LedgerError as error:
            raise PoolError(_unreadable(error)) from None
        return None if record is None else _past(record, reply)

    async def tasks(self, wanted: TaskFilter, limit: int) -> list[Task] | None:
        """The newest that fit; None: there is no ledger that knows.

        Raises:
            PoolError: the ledger cannot be read.
        """
        if not await self._is_readable():
            return None
        assert self._ledger is not None
        try:
            records = await self._ledger.tasks(wanted, limit=limit)
        except LedgerError as error:
            raise PoolError(_unreadable(error)) from None
        return [_past(record, None) for record in records]

    async def stats(self, by: By, since: float, agent: str | None) -> tuple[Stats, ...]:
        """Figures over the tasks that ended since then (seconds since the epoch).

        Raises:
            PoolError: there is no ledger, or it cannot be read.
        """
        if not await self._is_readable():
            raise PoolError(_off())
        assert self._ledger is not None
        try:
            return await self._ledger.stats(by, since=since, agent=agent)
        except LedgerError as error:
            raise PoolError(_unreadable(error)) from None

    async def _is_readable(self) -> bool:
        """Whether there is a ledger to be asked; raises PoolError where there should be."""
        await self._open()
        if self._ledger is None and self.problem is not None:
            raise PoolError(_unreadable(self.problem))
        return self._ledger is not None

    async def spent_today(self, agent: str | None) -> float:
        """US dollars that tasks have cost since midnight (UTC); 0 where no ledger knows."""
        if self._ledger is None:
            return 0.0
        midnight = time.time() // DAY_S * DAY_S
        try:
            return (await self._ledger.spent(agent, since=midnight)).cost_usd
        except LedgerError:
            return 0.0


async def _nothing(_: object) -> None:
    """Where nobody runs them."""


def revived(record: TaskRecord, text: str, recorder: Journal) -> Task:
    """A task that an earlier pool left in the queue, for this one to run."""
    left_s = 0.0 if record.deadline is None else max(0.0, record.deadline - time.time())
    task = Task(
        record.agent,
        text,
        left_s,
        caller=record.caller,
        priority=record.priority,
        conversation=record.conversation,
        task_id=record.id,
    )
    task.recorder = recorder
    return task


def _past(record: TaskRecord, reply: str | None) -> Task:
    """A task as it is on record, with its outcome if it has one."""
    task = Task(
        record.agent,
        "",
        0.0 if record.deadline is None else record.deadline - record.accepted_at,
        caller=record.caller,
        priority=record.priority,
        conversation=record.conversation,
        task_id=record.id,
    )
    offset = trio.current_time() - time.time()
    task.accepted_at = record.accepted_at + offset
    task.started_at = None if record.started_at is None else record.started_at + offset
    task.pid = record.attempts[-1].pid if record.attempts else None
    task.past_attempts = len(record.attempts)
    usage = record.usage
    task.usage = Tokens(
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_written_tokens,
    )
    task.cost_usd, task.cost_is_lower_bound = record.cost_usd, record.cost_is_lower_bound
    task.reply_path = record.reply_path
    outcome = _past_outcome(record, reply, task.usage)
    if outcome is not None:
        task.settle(outcome)
        task.ended_at = (record.ended_at or record.accepted_at) + offset
    return task


def _past_outcome(
    record: TaskRecord, reply: str | None, usage: Tokens
) -> TaskResult | TaskError | None:
    if record.outcome is None:
        return None
    if record.outcome == "result":
        return TaskResult(reply or "", usage, record.cost_usd, None, is_kept=reply is not None)
    failure = record.failure or Failure("")
    return TaskError(record.outcome, failure.message, failure.advice, failure.data)


def _usage(tokens: Tokens) -> Usage:
    return Usage(
        tokens.input_tokens,
        tokens.output_tokens,
        tokens.cache_read_input_tokens,
        tokens.cache_creation_input_tokens,
    )


def _unavailable(error: LedgerError) -> TaskError:
    return TaskError(
        "ledger_unavailable",
        f"no task can be accepted, since it could not be put on record: the ledger {error.path}: "
        f"{error.reason}.",
        f"What to do: {error.advice}. Or set enabled = false under [ledger] in pool.toml. Tasks "
        "that were accepted before go on.",
        {"trouble": error.trouble, "path": str(error.path)},
    )


def _unreadable(error: LedgerError) -> TaskError:
    return TaskError(
        "ledger_unavailable",
        f"the ledger {error.path} cannot be read: {error.reason}.",
        f"What to do: {error.advice}.",
        {"trouble": error.trouble, "path": str(error.path)},
    )


def _off() -> TaskError:
    return TaskError(
        "ledger_unavailable",
        "this pool keeps no ledger.",
        "Set enabled = true under [ledger] in pool.toml.",
    )
