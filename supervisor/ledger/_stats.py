"""Figures over many tasks: what they took, what they cost, how they ended.

A period is put together from whole days, whole hours before the first of them, and single tasks
before the first of these; see `_figures`.
"""

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from supervisor.ledger import _figures
from supervisor.ledger._encoding import bind, unbind
from supervisor.ledger._figures import ALL, DAY, HOUR, RAN, WAITED, Figures
from supervisor.ledger._values import RESULT, TaskRecord, Usage

By = Literal["pool", "agent", "conversation", "day"]
"""What figures are told apart by."""

_AMOUNTS: Final = (
    "sum(tasks), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), "
    "sum(cache_written_tokens), sum(cost_usd), sum(inexact), sum(waited_s), "
    "sum(ran_s), sum(attempted)"
)

_LATEST: Final = 1_000
"""How many tasks of a conversation its percentiles are taken of."""

Key = tuple[str, str, int]
"""Agent, conversation, day: those that figures are told apart by, the others empty or 0."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took, in seconds.

    Percentiles are right within 9 %; those of a conversation are of its latest 1,000 tasks.
    """

    tasks: int = 0
    """How many tasks this is about."""
    mean_s: float = 0.0
    """The mean."""
    p50_s: float = 0.0
    """Half of the tasks took no longer."""
    p90_s: float = 0.0
    """Nine of ten took no longer."""
    p99_s: float = 0.0
    """99 of 100 took no longer."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures over the tasks that ended in a period."""

    agent: str | None
    """The agent, where agents or conversations are told apart."""
    conversation: str | None
    """The conversation, where these are told apart."""
    day: str | None
    """The day (UTC, `2026-01-31`), where days are told apart."""
    tasks: int
    """How many ended."""
    outcomes: Mapping[str, int]
    """How often each outcome came, the most frequent first."""
    usage: Usage
    """Tokens of all of them."""
    cost_usd: float
    """US dollars of all of them, as far as is known."""
    cost_is_lower_bound: bool
    """Of some tasks the cost, or all of it, is not known."""
    waited: Durations
    """From acceptance to the first attempt, or to the end."""
    ran: Durations
    """From the first attempt to the outcome, of those that were attempted."""

    @property
    def results(self) -> int:
        """How many ended with a result."""
        return self.outcomes.get(RESULT, 0)

    @property
    def cached_share(self) -> float | None:
        """The share of all input tokens that was served from the cache; None: no input."""
        return self.usage.cached_share


@dataclass(frozen=True, slots=True)
class Spent:
    """What tasks cost."""

    cost_usd: float
    """US dollars, as far as is known."""
    is_lower_bound: bool
    """Of some tasks the cost, or all of it, is not known."""


@dataclass
class _Total:
    """Figures that are being added up."""

    # Plain dicts: of conversations there may be thousands, and these are made ten times as fast.
    outcomes: dict[str, int] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    cost_usd: float = 0.0
    inexact: int = 0
    waited_s: float = 0.0
    ran_s: float = 0.0
    attempted: int = 0
    buckets: dict[str, Counter[int]] = field(default_factory=dict)

    def add(self, outcome: str, amounts: Iterable[Any]) -> None:
        tasks, *tokens, cost_usd, inexact, waited_s, ran_s, attempted = amounts
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + tasks
        self.tokens = [a + b for a, b in zip(self.tokens, tokens, strict=True)]
        self.cost_usd += cost_usd
        self.inexact += inexact
        self.waited_s += waited_s
        self.ran_s += ran_s
        self.attempted += attempted

    def count(self, kind: str, bucket: int, tasks: int = 1) -> None:
        self.buckets.setdefault(kind, Counter())[bucket] += tasks

    @property
    def tasks(self) -> int:
        return sum(self.outcomes.values())

    def stats(self, key: Key) -> Stats:
        agent, conversation, day = key
        return Stats(
            agent or None,
            conversation or None,
            datetime.fromtimestamp(day, UTC).date().isoformat() if day else None,
            self.tasks,
            dict(Counter(self.outcomes).most_common()),
            Usage(*(int(tokens) for tokens in self.tokens)),
            max(0.0, self.cost_usd),
            self.inexact > 0,
            _durations(self.buckets.get(WAITED), self.waited_s, self.tasks),
            _durations(self.buckets.get(RAN), self.ran_s, self.attempted),
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """Which figures are asked for."""

    by: By = "pool"
    """What is told apart."""
    since: float = 0.0
    """Tasks that ended then or later, seconds since the epoch."""
    agent: str | None = None
    """Tasks of this one; None: of all."""
    limit: int = 50
    """How many rows at most."""

    def fits(self, figures: Figures) -> bool:
        """Whether a task is asked for, whenever it ended."""
        if self.by == "conversation" and figures.conversation is None:
            return False
        return self.agent in (None, figures.agent)

    def key(self, figures: Figures) -> Key:
        """Where a task is counted."""
        return (
            figures.agent if self.by in ("agent", "conversation") else "",
            figures.conversation or ALL if self.by == "conversation" else ALL,
            int(figures.ended_at // DAY * DAY) if self.by == "day" else 0,
        )

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """The whole days and hours: their length, the first one's start, and an end."""
        first_day = math.ceil(self.since / DAY) * DAY
        yield DAY, first_day, _figures.NEVER
        yield HOUR, self.first_hour, first_day

    @property
    def first_hour(self) -> int:
        """When the first whole hour starts."""
        return math.ceil(self.since / HOUR) * HOUR


def stats(
    connection: sqlite3.Connection, asked: Asked, unwritten: Iterable[TaskRecord]
) -> tuple[Stats, ...]:
    """The figures; days the newest first, others the most expensive.

    Args:
        connection: within a transaction of the caller's.
        asked: which ones.
        unwritten: tasks that have ended, and may not be on the disk yet as such.
    """
    totals: defaultdict[Key, _Total] = defaultdict(_Total)
    for key, outcome, amounts in _sums(connection, asked):
        totals[key].add(outcome, amounts)
    edge, rest = _edge(connection, asked), _not_written(connection, asked, unwritten)
    for figures in (*edge, *rest):
        totals[asked.key(figures)].add(figures.outcome, _figures.amounts(figures))
    shown = dict(sorted(totals.items(), key=_rank)[: asked.limit])
    if asked.by == "conversation":
        _count_conversations(connection, asked, shown)
        edge = []
    else:
        _count_spans(connection, asked, shown)
    for figures in (*edge, *rest):
        if (total := shown.get(asked.key(figures))) is not None:
            for kind, bucket in _figures.buckets(figures):
                total.count(kind, bucket)
    return tuple(total.stats(key) for key, total in shown.items() if total.tasks)


def _rank(item: tuple[Key, _Total]) -> tuple[int, float, Key]:
    key, total = item
    return -key[2], -total.cost_usd, key


def spent(connection: sqlite3.Connection, asked: Asked, live: Iterable[TaskRecord]) -> Spent:
    """What tasks cost that are asked for, and what open ones have cost so far.

    Args:
        connection: within a transaction of the caller's.
        asked: which ones, with the pool as a whole.
        live: the tasks that are open, or not on the disk yet as ended.
    """
    total = _Total()
    for _, outcome, amounts in _sums(connection, asked):
        total.add(outcome, amounts)
    for figures in _not_written(connection, asked, live):
        total.add(figures.outcome, _figures.amounts(figures))
    edge = _figures.cost(connection, *_edge_in_sql(asked))
    return Spent(max(0.0, total.cost_usd + edge[0]), total.inexact + edge[1] > 0)


def _sums(
    connection: sqlite3.Connection, asked: Asked
) -> Iterator[tuple[Key, str, tuple[Any, ...]]]:
    """What whole days and hours add up to, by key and outcome."""
    by = asked.by
    agent = "agent" if by in ("agent", "conversation") else "''"
    conversation = "conversation" if by == "conversation" else f"'{ALL}'"
    axis = f"conversation {'>' if by == 'conversation' else '='} '{ALL}'"
    for agent_, conversation_, day, outcome, *amounts in _of_spans(
        connection,
        asked,
        f"SELECT {agent}, {conversation}, {_day(by)}, outcome, {_AMOUNTS} FROM figure",
        f"AND {axis} GROUP BY 1, 2, 3, 4",
    ):
        yield (unbind(agent_), unbind(conversation_), day), unbind(outcome), tuple(amounts)


def _count_spans(connection: sqlite3.Connection, asked: Asked, shown: Mapping[Key, _Total]) -> None:
    agent = "agent" if asked.by == "agent" else "''"
    for agent_, day, kind, bucket, tasks in _of_spans(
        connection,
        asked,
        f"SELECT {agent}, {_day(asked.by)}, kind, bucket, sum(tasks) FROM duration",
        "GROUP BY 1, 2, 3, 4",
    ):
        if (total := shown.get((unbind(agent_), ALL, day))) is not None:
            total.count(kind, bucket, tasks)


def _day(by: By) -> str:
    return f"start / {DAY} * {DAY}" if by == "day" else "0"


def _of_spans(
    connection: sqlite3.Connection, asked: Asked, select_: str, rest: str
) -> Iterator[Any]:
    which = "" if asked.agent is None else "AND agent = ?"
    who = () if asked.agent is None else (bind(asked.agent),)
    query = f"{select_} WHERE span = ? AND start >= ? AND start < ? {which} {rest}"
    for span in asked.spans():
        yield from connection.execute(query, (*span, *who))


def _count_conversations(
    connection: sqlite3.Connection, asked: Asked, shown: Mapping[Key, _Total]
) -> None:
    for (agent, conversation, _), total in shown.items():
        latest = _figures.select(
            connection,
            "WHERE conversation = ? AND +agent = ? AND +ended_at >= ? "
            f"ORDER BY accepted_at DESC LIMIT {_LATEST}",
            (bind(conversation), bind(agent), asked.since),
        )
        for figures in latest:
            for kind, bucket in _figures.buckets(figures):
                total.count(kind, bucket)


def _edge(connection: sqlite3.Connection, asked: Asked) -> list[Figures]:
    """The tasks that ended before the first whole hour."""
    found = _figures.select(connection, *_edge_in_sql(asked))
    return [figures for figures in found if asked.fits(figures)]


def _edge_in_sql(asked: Asked) -> tuple[str, list[object]]:
    where, values = "WHERE ended_at >= ? AND ended_at < ?", [asked.since, asked.first_hour]
    if asked.agent is None:
        return where, [*values]
    # The plus keeps SQLite from reading all of the agent's tasks by their index.
    return f"{where} AND +agent = ?", [*values, bind(asked.agent)]


def _not_written(
    connection: sqlite3.Connection, asked: Asked, live: Iterable[TaskRecord]
) -> list[Figures]:
    """Those of `live` that are not on the disk as ended."""
    found = []
    for record in live:
        is_wanted = record.ended_at is None or record.ended_at >= asked.since
        if is_wanted and asked.fits(figures := _figures.of(record)):
            ended = "SELECT 1 FROM task WHERE id = ? AND ended_at IS NOT NULL"
            if not connection.execute(ended, (record.id,)).fetchone():
                found.append(figures)
    return found


def _durations(buckets: Counter[int] | None, sum_s: float, tasks: int) -> Durations:
    if not tasks or not buckets:
        return Durations()
    p50, p90, p99 = (_percentile(buckets, share) for share in (0.5, 0.9, 0.99))
    return Durations(tasks, max(0.0, sum_s / tasks), p50, p90, p99)


def _percentile(buckets: Counter[int], share: float) -> float:
    wanted, found = share * buckets.total(), 0
    for bucket in sorted(buckets):
        found += buckets[bucket]
        if found >= wanted:
            break
    return _figures.seconds_of(bucket)
