"""After a storm: who lost an answer, who got which, and what the pool is left with."""

import pytest

from tests.chaos.conftest import AFTER, CLI, INVOKES, Aftermath
from tests.chaos.storm import Outcome

GROWTH_BYTES = 30 * 2**20
"""What the pool's memory may grow by: the allocator does not give everything back."""

ODD_CODES = {"agent_down", "queue_full", "unknown_agent", "agent_broken", "agent_restarted"}
"""Errors that none of the faults accounts for."""


def is_own_fault(outcome: Outcome) -> bool:
    """Whether the task itself, or who sent it, asked for the error."""
    prank = outcome.step.prank
    return outcome.step.number < 0 or bool(prank and prank.cost)


def bystanders(outcomes: list[Outcome]) -> list[Outcome]:
    """Those that lost their answers through another's fault."""
    return [outcome for outcome in outcomes if not is_own_fault(outcome)]


def test_every_invoke_is_answered_once(aftermath: Aftermath) -> None:
    numbers = sorted(o.step.number for o in aftermath.weather.outcomes if o.step.number >= 0)
    assert numbers == list(range(INVOKES))


def test_there_are_no_more_errors_than_faults_that_can_cause_one(aftermath: Aftermath) -> None:
    assert len(aftermath.weather.errors()) <= aftermath.schedule.cost


def test_a_fault_in_a_task_costs_no_other_task_its_answer(aftermath: Aftermath) -> None:
    lost = bystanders(aftermath.weather.errors())
    assert len(lost) <= aftermath.schedule.cost_to_others


def test_the_end_of_a_process_costs_one_task_at_most(aftermath: Aftermath) -> None:
    pids = [o.pid for o in aftermath.weather.errors("agent_crashed", "memory_ceiling")]
    assert len(pids) == len(set(pids))


def test_only_a_process_that_was_killed_crashes_in_a_task_without_a_fault(
    aftermath: Aftermath,
) -> None:
    crashed = bystanders(aftermath.weather.errors("agent_crashed"))
    assert {outcome.pid for outcome in crashed} <= aftermath.weather.killed


def test_a_start_that_fails_costs_one_task_at_most(aftermath: Aftermath) -> None:
    weather = aftermath.weather
    assert len(weather.errors("agent_start_failed")) <= weather.failed_starts


def test_only_sabotaged_starts_fail(aftermath: Aftermath) -> None:
    weather = aftermath.weather
    killed_later = {outcome.pid for outcome in weather.errors("agent_crashed")}
    assert weather.failed_starts <= weather.sabotaged_starts + len(weather.killed - killed_later)


def test_every_error_is_one_that_the_faults_account_for(aftermath: Aftermath) -> None:
    assert not aftermath.weather.errors(*ODD_CODES)


def test_a_task_without_a_deadline_does_not_exceed_it(aftermath: Aftermath) -> None:
    assert not bystanders(aftermath.weather.errors("deadline_exceeded"))


def test_every_other_invoke_gets_its_own_answer(aftermath: Aftermath) -> None:
    assert aftermath.weather.answered
    assert not [outcome for outcome in aftermath.weather.answered if not outcome.is_its_own]


@pytest.mark.skipif(CLI is not None, reason="another CLI's answers are not known")
def test_every_answer_is_what_the_agent_says_in_a_fresh_context(aftermath: Aftermath) -> None:
    answered = aftermath.weather.answered
    contexts = [outcome for outcome in answered if outcome.step.text.startswith("[[context]]")]
    assert contexts
    assert not [o for o in answered if o.text.splitlines()[-1] != f"echo: {o.step.word}"]
    assert not [o for o in contexts if not o.text.startswith("context: 0 user texts: []")]


def test_the_pool_s_memory_is_what_it_was(aftermath: Aftermath) -> None:
    assert aftermath.after.rss_bytes - aftermath.before.rss_bytes < GROWTH_BYTES


def test_the_pool_has_open_what_it_had(aftermath: Aftermath) -> None:
    assert aftermath.after.descriptors == aftermath.before.descriptors


def test_below_the_pool_is_nothing_but_its_agents_processes(aftermath: Aftermath) -> None:
    assert len(aftermath.after.leaders) == len(aftermath.before.leaders)
    assert aftermath.after.strays == ()


@pytest.mark.skipif(CLI is not None, reason="what another CLI leaves behind is not known")
def test_without_a_reset_there_is_no_more_than_tasks_left_behind(aftermath: Aftermath) -> None:
    assert aftermath.after.left_over == ()


def test_a_clean_run_after_the_storm_succeeds_entirely(aftermath: Aftermath) -> None:
    assert not aftermath.clean.errors()
    assert len([o for o in aftermath.clean.answered if o.is_its_own]) == AFTER
