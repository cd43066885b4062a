"""Tokens and costs as a CLI says them: what cannot be is not believed, and costs no answer."""

import math
from typing import Any

import pytest

from supervisor.protocol import ClaudeSession, TurnResult, Usage, sum_of_money
from tests.protocol.lines import ended, init, result


def answered(**fields: Any) -> TurnResult:
    session = ClaudeSession()
    session.begin_task("one")
    (outcome,) = ended(session.receive(init() + result("done", **fields)))
    return outcome


@pytest.mark.parametrize("value", [-1, 10**13, 10**400, 1.5, math.nan, True, "7", None, [7]])
def test_what_is_no_number_of_tokens_counts_as_none(value: object) -> None:
    outcome = answered(usage={"input_tokens": value, "output_tokens": 5})

    assert outcome.usage == Usage(output_tokens=5)
    assert outcome.text == "done"


def test_tokens_that_can_be_are_counted_by_kind() -> None:
    said = {"input_tokens": 0, "output_tokens": 1, "cache_read_input_tokens": 10**12}
    assert answered(usage=said).usage == Usage(0, 1, 10**12, 0)


@pytest.mark.parametrize("value", [-0.5, 10**400, math.nan, math.inf, "1", None, {}])
def test_what_is_no_sum_of_money_is_not_known(value: object) -> None:
    assert sum_of_money(value) is None
    assert answered(total_cost_usd=value).cost_usd is None


def test_a_total_that_is_no_sum_does_not_change_what_the_next_task_costs() -> None:
    session = ClaudeSession()
    costs = []
    for number, total in enumerate([1.0, -5.0, 1.5]):
        session.begin_task(str(number))
        said = init() + result("done", uuid=str(number), total_cost_usd=total)
        costs += [outcome.cost_usd for outcome in ended(session.receive(said))]

    assert costs == [1.0, None, 0.5]
