"""What the caller of an agent that is down is told."""

import trio
from trio.testing import MockClock

from supervisor.pool.agent import Agent, Limits
from supervisor.pool.outcome import SHELL_ADVICE


def agent() -> Agent:
    return Agent("scout", lambda: Limits(1))


async def test_it_is_told_when_the_cool_down_ends(mock_clock: MockClock) -> None:
    scout = agent()
    scout.go_down("it failed", "scout", cool_down_s=60)
    mock_clock.jump(17)

    error = scout.down_error()

    assert error.message.endswith(": it failed; it is started again in 43 s")
    assert (error.data["down_for_s"], error.data["started_again_in_s"]) == (17, 43)


async def test_once_it_has_ended_it_is_not_told_any_more(mock_clock: MockClock) -> None:
    scout = agent()
    scout.go_down("it failed", "scout", cool_down_s=60)
    mock_clock.jump(61)

    assert scout.down_error().message.endswith(": it failed")


async def test_without_a_cool_down_nothing_is_told_of_it(mock_clock: MockClock) -> None:
    scout = agent()
    scout.go_down("it failed", "scout#0")

    error = scout.down_error()

    assert error.message.endswith(": it failed")
    assert error.data["started_again_in_s"] is None


async def test_the_stderr_that_is_named_is_that_of_the_agent_that_failed() -> None:
    scout = agent()
    scout.go_down("its group failed, at last other", "group both", culprit="other")

    assert (
        "agent-pool tail --agent other has other's stderr" in scout.down_error().data[SHELL_ADVICE]
    )


async def test_what_ends_further_up_counts_from_then_on(mock_clock: MockClock) -> None:
    scout = agent()
    scout.go_down("its group failed", "group inner", cool_down_s=60)
    mock_clock.jump(10)
    scout.go_down("its group's group failed", "group outer", cool_down_s=90)

    assert scout.down_error().data["started_again_in_s"] == 90
    assert "its group failed" in scout.down_error().message
    await trio.lowlevel.checkpoint()
