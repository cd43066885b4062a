"""A `TaskRecord` as a row, and back."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from supervisor.ledger._encoding import bind, unbind
from supervisor.ledger._values import Attempt, Failure, TaskRecord, Usage

FIXED: Final = (
    "number", "id", "agent", "accepted_at", "caller", "priority", "conversation", "keep_text",
    "background", "deadline", "text_bytes",
)  # fmt: skip
"""Columns that never change."""
CHANGING: Final = (
    "definition_hash", "state", "started_at", "ended_at", "attempts", "outcome", "failure",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_written_tokens", "cost_usd",
    "cost_is_lower_bound", "reply_bytes",
)  # fmt: skip
"""Columns that change with a task's state."""

_COLUMNS: Final = (*FIXED, *CHANGING, "reply_path")
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM task"


def get(connection: sqlite3.Connection, task_id: str) -> TaskRecord | None:
    """The record of that id, if there is one."""
    rows = select(connection, "WHERE id = ?", (task_id,))
    return rows[0] if rows else None


def open_ones(connection: sqlite3.Connection) -> list[TaskRecord]:
    """The tasks without an outcome, in the order of their acceptance."""
    # Sorted here: in SQL that would make SQLite read all tasks, in their order.
    found = select(connection, "WHERE ended_at IS NULL")
    return sorted(found, key=lambda record: record.number)


def held_ones(connection: sqlite3.Connection) -> list[TaskRecord]:
    """The tasks with an outcome whose last attempt is open, in no order."""
    # In the words of that index, which SQLite does not choose by itself.
    is_open = """substr(attempts, -18) = ', null, null, ""]]'"""
    return select(connection, f"INDEXED BY task_held WHERE ended_at IS NOT NULL AND {is_open}")


def select(
    connection: sqlite3.Connection, rest: str, values: Sequence[object] = ()
) -> list[TaskRecord]:
    """The records of `SELECT … FROM task` and the rest of that statement."""
    rows = connection.execute(f"{_SELECT} {rest}", values)
    return [_from_row(row) for row in rows]


def last_number(connection: sqlite3.Connection) -> int:
    """The largest number so far, 0 for none."""
    found = connection.execute("SELECT max(number) FROM task").fetchone()[0]
    return int(found or 0)


def fixed(record: TaskRecord) -> tuple[object, ...]:
    """The values of `FIXED`."""
    return (
        record.number,
        record.id,
        bind(record.agent),
        record.accepted_at,
        bind(record.caller),
        record.priority,
        bind(record.conversation),
        record.keep_text,
        record.background,
        record.deadline,
        record.text_bytes,
    )


def changing(record: TaskRecord) -> tuple[object, ...]:
    """The values of `CHANGING`."""
    usage = record.usage
    return (
        bind(record.definition_hash),
        record.state,
        record.started_at,
        record.ended_at,
        json.dumps([_attempt(attempt) for attempt in record.attempts]),
        bind(record.outcome),
        None if record.failure is None else json.dumps(_failure(record.failure)),
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_written_tokens,
        record.cost_usd,
        record.cost_is_lower_bound,
        record.reply_bytes,
    )


def _attempt(one: Attempt) -> list[object]:
    return [one.number, one.pid, one.started_at, one.ended_at, one.exit_status, one.why]


def _failure(failure: Failure) -> list[object]:
    return [failure.message, failure.advice, failure.data]


def _from_row(row: Iterable[Any]) -> TaskRecord:
    values = dict(zip(_COLUMNS, map(unbind, row), strict=True))
    values["usage"] = Usage(*(values.pop(name) for name in Usage.__slots__))
    values["attempts"] = tuple(Attempt(*one) for one in json.loads(values["attempts"]))
    if values["failure"] is not None:
        values["failure"] = Failure(*json.loads(values["failure"]))
    values["background"] = bool(values["background"])
    values["cost_is_lower_bound"] = bool(values["cost_is_lower_bound"])
    return TaskRecord(**values)
