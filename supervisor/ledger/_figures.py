"""Running totals by hour and by day, so that figures over a week need not read a week's tasks.

When a task ends, what it adds is added, in the same transaction, to its hour and to its day (UTC):
to its agent's figures and, where it belongs to one, to its conversation's. Rows with an empty
conversation hold all of an agent's tasks, those of conversations too.

Durations are counted in buckets, four a doubling, so that a percentile of any period is a sum of
counts away; it is right within 9 %. They are counted by agent alone: a conversation has few tasks,
so its durations are counted when they are asked for.
"""

import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from supervisor.ledger._encoding import bind, unbind
from supervisor.ledger._values import TaskRecord, Usage

HOUR: Final = 3_600
DAY: Final = 86_400
NEVER: Final = 2**62
"""Later than any time."""
ALL: Final = ""
"""In place of a conversation: all of an agent's tasks."""

WAITED: Final = "waited"
RAN: Final = "ran"
_BUCKETS_A_DOUBLING: Final = 4
SHORTEST_S: Final = 0.001
"""What is shorter is counted as this."""

_INEXACT: Final = "cost_is_lower_bound OR (cost_usd IS NULL AND started_at IS NOT NULL)"
_COLUMNS: Final = f"""agent, conversation, outcome, input_tokens, output_tokens, cache_read_tokens,
    cache_written_tokens, coalesce(cost_usd, 0.0), {_INEXACT}, accepted_at, started_at, ended_at"""
_ADD_FIGURE: Final = """INSERT INTO figure VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (span, conversation, start, agent, outcome) DO UPDATE SET
    tasks = tasks + excluded.tasks,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
    cache_written_tokens = cache_written_tokens + excluded.cache_written_tokens,
    cost_usd = cost_usd + excluded.cost_usd,
    inexact = inexact + excluded.inexact,
    waited_s = waited_s + excluded.waited_s,
    ran_s = ran_s + excluded.ran_s,
    attempted = attempted + excluded.attempted"""
_ADD_DURATION: Final = """INSERT INTO duration VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (span, start, agent, kind, bucket) DO UPDATE SET
    tasks = tasks + excluded.tasks"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one task adds when it ends."""

    agent: str
    """Its agent."""
    conversation: str | None
    """Its conversation."""
    ended_at: float
    """When it ended, seconds since the epoch."""
    outcome: str
    """Its outcome."""
    usage: Usage
    """Its tokens."""
    cost_usd: float
    """What it cost, as far as is known."""
    inexact: bool
    """It may have cost more: the cost is a lower bound, or not known though it ran."""
    waited_s: float
    """Seconds that it waited."""
    ran_s: float | None
    """Seconds that it ran, if it ever did."""


def of(record: TaskRecord) -> Figures:
    """What a task adds, or would add if it ended as it is."""
    unknown = record.cost_usd is None and record.started_at is not None
    return Figures(
        record.agent,
        record.conversation,
        record.ended_at or 0.0,
        record.outcome or "",
        record.usage,
        record.cost_usd or 0.0,
        unknown or record.cost_is_lower_bound,
        record.waited_s or 0.0,
        record.ran_s,
    )


def select(
    connection: sqlite3.Connection, rest: str, values: Sequence[object]
) -> Iterator[Figures]:
    """What the tasks of `SELECT … FROM task` and the rest of that statement add.

    Without making their records, which would take five times as long.
    """
    for row in connection.execute(f"SELECT {_COLUMNS} FROM task {rest}", values):
        agent, conversation, outcome, *tokens = row[:7]
        cost_usd, inexact, accepted_at, started_at, ended_at = row[7:]
        yield Figures(
            unbind(agent),
            unbind(conversation),
            ended_at,
            unbind(outcome),
            Usage(*tokens),
            cost_usd,
            bool(inexact),
            max(0.0, (ended_at if started_at is None else started_at) - accepted_at),
            None if started_at is None else max(0.0, ended_at - started_at),
        )


def cost(connection: sqlite3.Connection, rest: str, values: Sequence[object]) -> tuple[float, int]:
    """What these tasks cost together, and of how many that is not known, or not all of it."""
    row = connection.execute(
        f"SELECT coalesce(sum(cost_usd), 0.0), coalesce(sum({_INEXACT}), 0) FROM task {rest}",
        values,
    ).fetchone()
    return float(row[0]), int(row[1])


def add(connection: sqlite3.Connection, figures: Figures, times: int) -> None:
    """Add a task's figures to the totals, or (`times` -1) take them away again."""
    keys = _keys(figures)
    outcome, added = bind(figures.outcome), amounts(figures, times)
    connection.executemany(_ADD_FIGURE, [(*key, outcome, *added) for key in keys])
    durations = [
        (span, start, agent, *bucket, times)
        for span, start, agent, conversation in keys
        if conversation == ALL
        for bucket in buckets(figures)
    ]
    connection.executemany(_ADD_DURATION, durations)


def _keys(figures: Figures) -> list[tuple[object, ...]]:
    """Span, start, agent and conversation of the totals that a task belongs to."""
    agent = bind(figures.agent)
    conversations = [ALL] if figures.conversation is None else [ALL, bind(figures.conversation)]
    return [
        (span, int(figures.ended_at // span * span), agent, conversation)
        for span in (HOUR, DAY)
        for conversation in conversations
    ]


def amounts(figures: Figures, times: int = 1) -> tuple[float, ...]:
    """What a row of totals holds, for one task."""
    usage = figures.usage
    return (
        times,
        times * usage.input_tokens,
        times * usage.output_tokens,
        times * usage.cache_read_tokens,
        times * usage.cache_written_tokens,
        times * figures.cost_usd,
        times * figures.inexact,
        times * figures.waited_s,
        times * (figures.ran_s or 0.0),
        times * (figures.ran_s is not None),
    )


def buckets(figures: Figures) -> list[tuple[str, int]]:
    """Where the task's durations are counted: what they are, and which bucket."""
    found = [(WAITED, bucket_of(figures.waited_s))]
    if figures.ran_s is not None:
        found.append((RAN, bucket_of(figures.ran_s)))
    return found


def bucket_of(seconds: float) -> int:
    """The number of the bucket that a duration is counted in."""
    return round(_BUCKETS_A_DOUBLING * math.log2(max(seconds, SHORTEST_S) / SHORTEST_S))


def seconds_of(bucket: int) -> float:
    """The duration that stands for all of a bucket: its geometric middle."""
    return float(SHORTEST_S * 2 ** (bucket / _BUCKETS_A_DOUBLING))
