"""Delays between restarts: the figures, and what the supervisor makes of them."""

import random
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from supervisor.tree import (
    Backoff,
    BadFlags,
    ChildError,
    ChildRestarting,
    ChildSpec,
    IntensityExceeded,
    SupervisorFlags,
)

from .stage import Puppet, on_stage, quiet

STEADY = Backoff(jitter=0)
PATIENT = SupervisorFlags(intensity=100, period_s=1, backoff=STEADY)


def test_the_first_restart_is_immediate_and_the_others_double_up_to_the_maximum() -> None:
    rng = random.Random(0)
    assert [STEADY.delay(n, rng) for n in range(9)] == [0, 0.25, 0.5, 1, 2, 4, 8, 10, 10]


@given(n=st.integers(1, 100_000), seed=st.integers(), jitter=st.floats(0, 1))
def test_jitter_stays_within_its_fraction_however_many_restarts(
    n: int, seed: int, jitter: float
) -> None:
    steady_s = STEADY.delay(n, random.Random(seed))
    spread_s = Backoff(jitter=jitter).delay(n, random.Random(seed))
    assert steady_s * (1 - jitter) - 1e-9 <= spread_s <= steady_s * (1 + jitter) + 1e-9


def test_jitter_spreads_the_delays_of_children_that_crash_together() -> None:
    rng = random.Random(0)
    assert len({Backoff(jitter=0.1).delay(3, rng) for _ in range(10)}) == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initial_s": -1}, "backoff: initial_s must be a number at least 0, not -1"),
        ({"factor": 0.5}, "backoff: factor must be a number at least 1, not 0.5"),
        ({"maximum_s": 0.1}, "backoff: maximum_s must be a number at least 0.25, not 0.1"),
        ({"jitter": 2}, "backoff: jitter must be a number from 0 to 1, not 2"),
        ({"jitter": True}, "backoff: jitter must be a number from 0 to 1, not True"),
        ({"reset_after_s": float("nan")}, "backoff: reset_after_s must be .* not nan"),
        ({"initial_s": "1"}, "backoff: initial_s must be .* not '1'"),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(change: dict[str, float], message: str) -> None:
    with pytest.raises(BadFlags, match=message):
        replace(Backoff(), **change)


async def test_without_a_backoff_every_restart_is_immediate(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    began = trio.current_time()
    async with on_stage([ChildSpec("a", child.start)]):
        for _ in range(20):
            child.end(OSError())
            await quiet()
    assert child.starts == 21
    assert trio.current_time() == began


async def test_a_crash_loop_is_slowed_down(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT) as stage:
        for delay_s in (0, 0.25, 0.5, 1, 2, 4, 8, 10, 10):
            child.end(OSError())
            await trio.sleep(delay_s + 0.001)
        delays = [e.delay_s for e in stage.events if isinstance(e, ChildRestarting)]
    assert delays == [0, 0.25, 0.5, 1, 2, 4, 8, 10, 10]
    assert child.starts == 10


async def test_a_delayed_restart_happens_when_its_delay_is_over(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT):
        child.end(OSError())
        await quiet()
        child.end(OSError())
        await trio.sleep(0.2499)
        assert child.starts == 2
        await trio.sleep(0.0002)
        assert child.starts == 3


@pytest.mark.parametrize(("health_s", "delay_s"), [(59.0, 0.25), (60.0, 0.0)])
async def test_past_restarts_are_forgotten_after_a_minute_of_health(
    autojump_clock: MockClock, health_s: float, delay_s: float
) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT) as stage:
        child.end(OSError())
        await trio.sleep(health_s)
        child.end(OSError())
        await quiet()
        last = stage.told(ChildRestarting)[-1]
        assert isinstance(last, ChildRestarting)
        assert last.delay_s == delay_s


async def test_each_child_has_its_own_delays(autojump_clock: MockClock) -> None:
    a, b = Puppet("a"), Puppet("b")
    async with on_stage([ChildSpec("a", a.start), ChildSpec("b", b.start)], PATIENT):
        for _ in range(3):
            a.end(OSError())
            await trio.sleep(1)
        b.end(OSError())
        await quiet()
        assert b.starts == 2


async def test_failed_restarts_are_slowed_down_too(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT) as stage:
        child.fail_next = [OSError("1"), OSError("2")]
        child.end(OSError())
        await trio.sleep(0.76)
        assert await stage.states() == {"a": "running"}
        delays = [e.delay_s for e in stage.events if isinstance(e, ChildRestarting)]
    assert delays == [0, 0.25, 0.5]


async def test_five_restarts_of_a_child_that_never_comes_up_take_under_four_seconds(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    flags = SupervisorFlags(intensity=5, period_s=60, backoff=STEADY)
    async with on_stage([ChildSpec("a", child.start)], flags) as stage:
        child.fail_next = [OSError()] * 100
        child.end(OSError())
        await trio.sleep(0.25 + 0.5 + 1 + 2 - 0.01)
        early = stage.error
        await trio.sleep(0.02)
        assert early is None
        assert isinstance(stage.error, IntensityExceeded)
    assert child.starts == 6


async def test_while_it_waits_a_child_is_restarting(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT) as stage:
        await _into_the_wait(child)
        assert await stage.states() == {"a": "restarting"}


async def test_restart_and_delete_are_refused_while_it_waits(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT) as stage:
        await _into_the_wait(child)
        for call in (stage.supervisor.restart_child, stage.supervisor.delete_child):
            with pytest.raises(ChildError) as refused:
                await call("a")
            assert refused.value.code == "restarting"


async def test_starting_the_same_id_while_it_waits_is_already_present(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT) as stage:
        await _into_the_wait(child)
        with pytest.raises(ChildError) as refused:
            await stage.supervisor.start_child(ChildSpec("a", child.start))
        assert refused.value.code == "already_present"


async def test_terminate_ends_the_wait_for_good(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT) as stage:
        await _into_the_wait(child)
        await stage.supervisor.terminate_child("a")
        await trio.sleep(100)
        assert await stage.states() == {"a": "undefined"}
    assert child.starts == 2


async def test_a_restart_that_is_called_for_begins_with_no_delay_behind_it(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], PATIENT) as stage:
        await _into_the_wait(child)
        await stage.supervisor.terminate_child("a")
        await stage.supervisor.restart_child("a")
        child.end(OSError())
        await quiet()
        assert await stage.states() == {"a": "running"}


async def test_stopping_the_supervisor_does_not_wait_for_a_backoff(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    began = trio.current_time()
    async with on_stage([ChildSpec("a", child.start)], PATIENT):
        await _into_the_wait(child)
    assert trio.current_time() == began
    assert child.starts == 2


async def test_giving_up_does_not_wait_for_the_backoff_of_another_child(
    autojump_clock: MockClock,
) -> None:
    a, b = Puppet("a"), Puppet("b")
    flags = SupervisorFlags(intensity=2, backoff=STEADY)
    specs = [ChildSpec("a", a.start), ChildSpec("b", b.start)]
    async with on_stage(specs, flags) as stage:
        began = trio.current_time()
        await _into_the_wait(a)
        b.end(OSError())
        await quiet()
        assert isinstance(stage.error, IntensityExceeded)
        assert trio.current_time() == began


async def _into_the_wait(child: Puppet) -> None:
    """Crash twice: the second restart is the first that waits."""
    for _ in range(2):
        child.end(OSError())
        await quiet()
