"""How a task's record changes: pure functions from a record to the next one."""

from dataclasses import replace
from typing import Final

from supervisor.ledger._values import RESULT, Attempt, Failure, TaskRecord, Usage

_MOST_TOKENS: Final = 10**12
_HIGHEST_COST_USD: Final = 10**9
"""More than any task takes, and little enough for millions of tasks to be summed up."""


def started(record: TaskRecord, pid: int, definition_hash: str | None, at: float) -> TaskRecord:
    """An attempt begins.

    Raises:
        ValueError: the task is not queued.
    """
    if record.state != "queued":
        raise ValueError(f"{record.id} is {record.state}, not queued: no attempt can begin")
    return replace(
        record,
        state="running",
        started_at=at if record.started_at is None else record.started_at,
        attempts=(*record.attempts, Attempt(len(record.attempts) + 1, pid, at)),
        definition_hash=definition_hash or record.definition_hash,
    )


def attempt_ended(record: TaskRecord, exit_status: int | None, why: str, at: float) -> TaskRecord:
    """The open attempt ends; a task without an outcome is queued again by that.

    Raises:
        ValueError: no attempt is open.
    """
    if not record.attempt_is_open:
        raise ValueError(f"{record.id} has no open attempt")
    last = replace(record.attempts[-1], ended_at=at, exit_status=exit_status, why=why)
    state = "queued" if record.state == "running" else record.state
    return replace(record, state=state, attempts=(*record.attempts[:-1], last))


def billed(
    record: TaskRecord, usage: Usage | None, cost_usd: float | None, is_lower_bound: bool
) -> TaskRecord:
    """Usage and cost are known better; None: they are not."""
    # Both are told by a CLI, and no nonsense that it tells may cost a task its outcome.
    if usage is not None:
        tokens = (getattr(usage, name) for name in Usage.__slots__)
        record = replace(record, usage=Usage(*(min(max(0, one), _MOST_TOKENS) for one in tokens)))
    if cost_usd is None or not 0 <= cost_usd <= _HIGHEST_COST_USD:
        return record
    return replace(record, cost_usd=float(cost_usd), cost_is_lower_bound=is_lower_bound)


def ended(
    record: TaskRecord, outcome: str, failure: Failure | None, reply_bytes: int, at: float
) -> TaskRecord:
    """The task has its outcome; a result ends the open attempt as well.

    Raises:
        ValueError: it has one already.
    """
    if record.state == "ended":
        raise ValueError(f"{record.id} has its outcome already: {record.outcome}")
    if outcome == RESULT and record.attempt_is_open:
        record = attempt_ended(record, None, "", at)
    return replace(
        record,
        state="ended",
        outcome=outcome,
        failure=failure,
        reply_bytes=reply_bytes,
        ended_at=at,
    )
