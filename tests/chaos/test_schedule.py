"""A storm is settled before it begins."""

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.schedule import (
    AGENTS,
    BLOWS,
    HOARDER,
    LONG_LINE,
    LONG_LINE_EVERY,
    PRANKS,
    plan,
)

SEEDS = st.integers(0, 2**32)
INVOKES = st.integers(40, 400)


@given(SEEDS, INVOKES)
def test_the_same_seed_gives_the_same_storm(seed: int, invokes: int) -> None:
    assert plan(seed, invokes) == plan(seed, invokes)


@given(SEEDS)
def test_another_seed_gives_another_storm(seed: int) -> None:
    assert plan(seed, 100) != plan(seed + 1, 100)


@given(SEEDS, INVOKES)
def test_every_kind_of_fault_is_in_every_storm(seed: int, invokes: int) -> None:
    schedule = plan(seed, invokes)
    assert {step.prank for step in schedule.steps} == {None, LONG_LINE, *PRANKS}
    assert {strike.blow for strike in schedule.strikes} == set(BLOWS)


@given(SEEDS, INVOKES)
def test_it_has_as_many_tasks_as_asked_for_each_with_a_word_of_its_own(
    seed: int, invokes: int
) -> None:
    steps = plan(seed, invokes).steps
    assert [step.number for step in steps] == list(range(invokes))
    assert len({step.word for step in steps}) == invokes
    assert all(step.word in step.text for step in steps)


@given(SEEDS, INVOKES)
def test_long_lines_are_few(seed: int, invokes: int) -> None:
    played = [step for step in plan(seed, invokes).steps if step.prank is LONG_LINE]
    assert len(played) <= invokes / LONG_LINE_EVERY + 1


@given(SEEDS)
def test_only_the_agent_with_ceilings_grows(seed: int) -> None:
    steps = plan(seed, 200).steps
    assert {s.agent for s in steps if s.prank and s.prank.kind.startswith("grow")} == {HOARDER}
    assert {s.agent for s in steps} == set(AGENTS)


@given(SEEDS)
def test_others_lose_no_more_than_a_storm_costs_in_all(seed: int) -> None:
    schedule = plan(seed, 100)
    assert 0 < schedule.cost_to_others < schedule.cost < len(schedule.steps)
