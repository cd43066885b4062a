"""Figures over many tasks are the sums of what the tasks say."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.ledger import (
    Attempt,
    By,
    Ledger,
    Spent,
    Stats,
    TaskFilter,
    TaskRecord,
    Usage,
)
from supervisor.ledger._changes import Change, write
from supervisor.ledger._figures import bucket_of, seconds_of
from supervisor.ledger._replies import ReplyFiles
from supervisor.ledger._schema import MIGRATIONS
from supervisor.ledger._stats import Asked, spent, stats
from tests.ledger.stage import NOW, accepted, no_write_works, opened, task

HOUR, DAY = 3_600, 86_400


async def ended(ledger: Ledger, task_id: str, outcome: str = "result", **rest: Any) -> None:
    """A task that waited for 2 s and ran for 8, or as told."""
    began, over = rest.pop("started_at", NOW + 2), rest.pop("ended_at", NOW + 10)
    known = {name: rest.pop(name) for name in ("usage", "cost_usd") if name in rest}
    await ledger.accept(task(task_id, **rest), "do it")
    if began is not None:
        ledger.started(task_id, 4711, at=began)
    ledger.ended(task_id, outcome, at=over, **known)
    if outcome != "result" and began is not None:
        ledger.attempt_ended(task_id, at=over)


async def test_figures_of_the_pool_are_sums(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ended(ledger, "t-1", usage=Usage(10, 1, 80, 10), cost_usd=0.25)
        await ended(ledger, "t-2", usage=Usage(20, 2, 60, 20), cost_usd=0.5)
        await ended(ledger, "t-3", "cancelled", started_at=None)
        (pool,) = await ledger.stats()

    assert (pool.agent, pool.conversation, pool.day) == (None, None, None)
    assert (pool.tasks, pool.results, pool.outcomes) == (3, 2, {"result": 2, "cancelled": 1})
    assert (pool.usage, pool.cost_usd) == (Usage(30, 3, 140, 30), 0.75)
    assert pool.cached_share == 0.7
    assert not pool.cost_is_lower_bound
    assert pool.waited.tasks == 3
    assert pool.waited.mean_s == pytest.approx(14 / 3)
    assert (pool.ran.tasks, pool.ran.mean_s) == (2, 8)


async def test_an_empty_ledger_has_no_figures(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")

        assert await ledger.stats() == ()
        assert await ledger.spent() == Spent(0.0, False)


def test_without_input_there_is_no_share() -> None:
    assert Usage(output_tokens=5).cached_share is None


async def test_agents_are_told_apart_the_most_expensive_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for number, (agent, cost) in enumerate([("a", 1), ("b", 5), ("a", 2)]):
            await ended(ledger, f"t-{number}", agent=agent, cost_usd=cost)
        found = await ledger.stats("agent")

    assert [(one.agent, one.tasks, one.cost_usd) for one in found] == [("b", 1, 5), ("a", 2, 3)]


async def test_conversations_are_told_apart_by_agent_and_name(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for number, (agent, name) in enumerate([("a", "x"), ("b", "x"), ("a", None), ("a", "x")]):
            await ended(ledger, f"t-{number}", agent=agent, conversation=name, cost_usd=1)
        found = await ledger.stats("conversation")

    assert [(one.agent, one.conversation, one.tasks) for one in found] == [
        ("a", "x", 2),
        ("b", "x", 1),
    ]
    assert (found[0].ran.tasks, found[0].ran.mean_s) == (2, 8)
    assert found[0].ran.p50_s == pytest.approx(8, rel=0.0906)


async def test_days_are_told_apart_the_newest_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for number, days in enumerate([0, 2, 0]):
            await ended(ledger, f"t-{number}", ended_at=NOW + days * DAY)
        found = await ledger.stats("day")

    assert [(one.day, one.tasks) for one in found] == [("2023-11-16", 1), ("2023-11-14", 2)]


async def test_only_one_agents_figures_where_it_is_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ended(ledger, "t-1", agent="a")
        await ended(ledger, "t-2", agent="b")
        found = await ledger.stats("day", agent="b")

    assert [one.tasks for one in found] == [1]


async def test_no_more_rows_than_are_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for number in range(5):
            await ended(ledger, f"t-{number}", agent=f"a-{number}", cost_usd=number)
        found = await ledger.stats("agent", limit=2)

    assert [one.agent for one in found] == ["a-4", "a-3"]


@pytest.mark.parametrize(
    ("rest", "is_lower_bound"),
    [
        ({"cost_usd": 1.0}, False),
        ({"cost_usd": 1.0, "cost_is_lower_bound": True}, True),
        ({}, True),
    ],
)
async def test_a_cost_that_is_not_known_makes_a_lower_bound(
    tmp_path: Path, rest: dict[str, Any], is_lower_bound: bool
) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        ledger.ended("t-1", "result", **rest)
        await ledger.written("t-1")

        assert (await ledger.stats())[0].cost_is_lower_bound == is_lower_bound
        assert (await ledger.spent()).is_lower_bound == is_lower_bound


async def test_a_task_that_never_ran_cost_nothing_for_certain(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ended(ledger, "t-1", "cancelled", started_at=None)

        assert await ledger.spent() == Spent(0.0, False)


async def test_what_is_billed_after_the_end_replaces_what_was_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        ledger.ended("t-1", "cancelled", usage=Usage(1), cost_usd=0.25)
        await ledger.written("t-1")
        ledger.billed("t-1", Usage(3), 0.75, is_lower_bound=False)
        ledger.attempt_ended("t-1")
        await ledger.written("t-1")
        (pool,) = await ledger.stats()

    assert (pool.tasks, pool.usage, pool.cost_usd) == (1, Usage(3), 0.75)
    assert not pool.cost_is_lower_bound


async def test_what_open_tasks_have_cost_so_far_is_spent_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ended(ledger, "t-1", cost_usd=1)
        await accepted(ledger, "t-2", "t-3")
        ledger.started("t-2", 4711)
        ledger.billed("t-2", cost_usd=0.5)
        await ledger.written("t-2")

        assert await ledger.spent() == Spent(1.5, True)


async def test_what_one_agent_spent_is_told_apart(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ended(ledger, "t-1", agent="a", cost_usd=1)
        await ended(ledger, "t-2", agent="b", cost_usd=2)
        await ended(ledger, "t-3", agent="a", cost_usd=4, ended_at=NOW + DAY)

        assert (await ledger.spent("a")).cost_usd == 5
        assert (await ledger.spent("a", since=NOW + 60)).cost_usd == 4


async def test_figures_hold_what_cannot_be_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1", "t-2", conversation="c")
        ledger.ended("t-1", "result", cost_usd=1)
        await ledger.written("t-1")
        with no_write_works():
            ledger.ended("t-2", "result", cost_usd=2)

            for by in get_args(By):
                (found,) = await ledger.stats(by)
                assert (found.tasks, found.cost_usd, found.waited.tasks) == (2, 3, 2)
            assert (await ledger.spent()).cost_usd == 3


@given(st.floats(0.001, 1e7))
def test_a_bucket_stands_for_its_durations_within_9_percent(seconds: float) -> None:
    assert seconds_of(bucket_of(seconds)) == pytest.approx(seconds, rel=0.0906)


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.001])
def test_what_is_shorter_than_a_millisecond_counts_as_one(seconds: float) -> None:
    assert seconds_of(bucket_of(seconds)) == 0.001


# ---- against the same by hand

ENDED = st.builds(
    lambda agent, conversation, outcome, at, waited, ran, cost: replace(
        task("t-0", agent, accepted_at=at - waited - (ran or 0), conversation=conversation),
        state="ended",
        started_at=None if ran is None else at - ran,
        ended_at=at,
        attempts=() if ran is None else (Attempt(1, 4711, at - ran, at),),
        outcome=outcome,
        cost_usd=cost,
        usage=Usage(1, 2, 3, 4),
    ),
    st.sampled_from("ab"),
    st.sampled_from([None, "c", "d"]),
    st.sampled_from(["result", "cancelled"]),
    st.floats(NOW - 3 * DAY, NOW),
    st.floats(0.01, 100),
    st.none() | st.floats(0.01, 100),
    st.none() | st.sampled_from([0.25, 0.5, 4.0]),
)


@given(
    st.lists(ENDED, max_size=25),
    st.integers(0, 25),
    st.sampled_from(get_args(By)),
    st.none() | st.floats(NOW - 4 * DAY, NOW + DAY),
    st.sampled_from([None, "a"]),
)
@settings(max_examples=150, deadline=None)
def test_figures_are_what_adding_up_gives(
    tasks: list[TaskRecord],
    written: int,
    by: Any,
    since: float | None,
    agent: str | None,
) -> None:
    tasks = [replace(one, id=f"t-{n}", number=n) for n, one in enumerate(tasks, 1)]
    connection = sqlite3.connect(":memory:")
    for statement in MIGRATIONS[0]:
        connection.execute(statement)
    files = ReplyFiles(Path("none"))
    for one in tasks[:written]:
        fresh = task(one.id, one.agent, conversation=one.conversation, number=one.number)
        fresh = replace(fresh, accepted_at=one.accepted_at)
        write(connection, files, Change(fresh, is_new=True))
        write(connection, files, Change(one))
        write(connection, files, Change(one))  # once more is not twice
    asked = Asked(by, since or 0.0, agent)
    # All of them: what is on the disk already is not counted twice.
    found = stats(connection, asked, tasks)
    cost = spent(connection, replace(asked, by="pool"), tasks)
    connection.close()

    fitting = [one for one in tasks if (one.ended_at or 0) >= asked.since]
    fitting = [one for one in fitting if agent in (None, one.agent)]
    assert cost.cost_usd == pytest.approx(sum(one.cost_usd or 0 for one in fitting))
    expected = added_up(fitting, KEYS[by])
    assert {(one.agent, one.conversation, one.day): brief(one) for one in found} == expected


def added_up(
    tasks: list[TaskRecord], key: Callable[[TaskRecord], object]
) -> dict[object, tuple[object, ...]]:
    groups: dict[object, list[TaskRecord]] = {}
    for one in tasks:
        if (name := key(one)) is not None:
            groups.setdefault(name, []).append(one)
    return {name: summed_up(group) for name, group in groups.items()}


def summed_up(group: list[TaskRecord]) -> tuple[object, ...]:
    ran = [one.ran_s for one in group if one.ran_s is not None]
    waited = [one.waited_s for one in group if one.waited_s is not None]
    unknown = [one for one in group if one.cost_usd is None and one.started_at is not None]
    n = len(group)
    return (
        dict(Counter(one.outcome for one in group)),
        Usage(n, 2 * n, 3 * n, 4 * n),
        pytest.approx(sum(one.cost_usd or 0 for one in group)),
        bool(unknown),
        by_hand(waited),
        by_hand(ran),
    )


def by_hand(durations: list[float]) -> tuple[object, ...]:
    if not durations:
        return (0, 0.0, 0.0)
    median = sorted(durations)[(len(durations) - 1) // 2]
    mean = sum(durations) / len(durations)
    return (len(durations), pytest.approx(mean), pytest.approx(median, rel=0.0906))


def brief(one: Stats) -> tuple[object, ...]:
    durations = [(d.tasks, d.mean_s, d.p50_s) for d in (one.waited, one.ran)]
    outcomes = dict(one.outcomes)
    return (outcomes, one.usage, one.cost_usd, one.cost_is_lower_bound, *durations)


def day_of(one: TaskRecord) -> str:
    return datetime.fromtimestamp(one.ended_at or 0, UTC).date().isoformat()


KEYS: dict[str, Callable[[TaskRecord], object]] = {
    "pool": lambda one: (None, None, None),
    "agent": lambda one: (one.agent, None, None),
    "conversation": lambda one: (
        (one.agent, one.conversation, None) if one.conversation is not None else None
    ),
    "day": lambda one: (None, None, day_of(one)),
}


async def test_filters_and_figures_agree(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ended(ledger, "t-1", "cancelled")
        await ended(ledger, "t-2")
        (pool,) = await ledger.stats()

        for outcome, tasks in pool.outcomes.items():
            assert len(await ledger.tasks(TaskFilter(outcome=outcome))) == tasks
