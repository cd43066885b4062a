"""Lists of tasks, the newest first."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.ledger._encoding import bind
from supervisor.ledger._records import get, select
from supervisor.ledger._values import State, TaskRecord


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks are asked for: those that fit all that is given."""

    agent: str | None = None
    """Tasks of this agent."""
    state: State | None = None
    """Tasks in this state."""
    outcome: str | None = None
    """Tasks with this outcome."""
    since: float | None = None
    """Tasks accepted then or later, seconds since the epoch."""
    caller: str | None = None
    """Tasks of this caller."""
    conversation: str | None = None
    """Tasks of this conversation."""

    def matches(self, record: TaskRecord) -> bool:
        """Whether the task fits."""
        wanted = (self.agent, self.state, self.outcome, self.caller, self.conversation)
        has = (record.agent, record.state, record.outcome, record.caller, record.conversation)
        fits = all(a is None or a == b for a, b in zip(wanted, has, strict=True))
        return fits and (self.since is None or record.accepted_at >= self.since)

    def where(self) -> tuple[str, list[Any]]:
        """The same in SQL, and its values."""
        texts = {
            "agent": self.agent,
            "outcome": self.outcome,
            "caller": self.caller,
            "conversation": self.conversation,
            "state": self.state,
        }
        given = {name: bind(text) for name, text in texts.items() if text is not None}
        terms, values = [f"{name} = ?" for name in given], list[Any](given.values())
        if self.since is not None:
            terms.append("accepted_at >= ?")
            values.append(self.since)
        if self.state is not None:
            # In words that an index of only the open ones is known by.
            terms.append("ended_at IS NOT NULL" if self.state == "ended" else "ended_at IS NULL")
        return " AND ".join(terms) or "1", values


def tasks(
    connection: sqlite3.Connection,
    wanted: TaskFilter,
    limit: int,
    before: str | None,
    unwritten: Mapping[str, TaskRecord],
) -> tuple[TaskRecord, ...]:
    """The newest tasks that fit, by the time of their acceptance.

    Args:
        connection: within a transaction of the caller's.
        wanted: which tasks.
        limit: how many at most.
        before: the id of a task: those older than it.
        unwritten: tasks whose records on the disk may be out of date.

    Raises:
        ValueError: `before` names no task.
    """
    mark = None
    if before is not None:
        mark = unwritten.get(before) or get(connection, before)
        if mark is None:
            raise ValueError(f'before = "{before}": there is no such task')
    found = _written(connection, wanted, limit + len(unwritten), mark)
    return _merged(found, wanted, limit, mark, unwritten)


def _written(
    connection: sqlite3.Connection, wanted: TaskFilter, limit: int, mark: TaskRecord | None
) -> list[TaskRecord]:
    where, values = wanted.where()
    if mark is not None:
        where += " AND accepted_at <= ? AND (accepted_at < ? OR number < ?)"
        values += [mark.accepted_at, mark.accepted_at, mark.number]
    order = "ORDER BY accepted_at DESC, number DESC LIMIT ?"
    return select(connection, f"WHERE {where} {order}", [*values, limit])


def _merged(
    found: Iterable[TaskRecord],
    wanted: TaskFilter,
    limit: int,
    mark: TaskRecord | None,
    unwritten: Mapping[str, TaskRecord],
) -> tuple[TaskRecord, ...]:
    all_of_them = [one for one in found if one.id not in unwritten]
    for one in unwritten.values():
        if wanted.matches(one) and (mark is None or _age(one) < _age(mark)):
            all_of_them.append(one)
    all_of_them.sort(key=_age, reverse=True)
    return tuple(all_of_them[:limit])


def _age(record: TaskRecord) -> tuple[float, int]:
    return record.accepted_at, record.number
