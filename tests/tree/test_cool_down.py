"""A child that gave up and is started again later: more than OTP does."""

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import (
    BadSpec,
    ChildCoolingDown,
    ChildError,
    ChildSpec,
    ChildStarted,
    IntensityExceeded,
    Restart,
    Supervisor,
    SupervisorFlags,
)

from .stage import Puppet, on_stage, quiet

COOL_DOWN_S = 30


def sub_of(leaf: Puppet, restart: Restart = "transient") -> ChildSpec:
    """A supervisor that gives up with the first end of its child."""
    sub = Supervisor("sub", SupervisorFlags(intensity=0), [ChildSpec("leaf", leaf.start)])
    return ChildSpec("sub", sub.run, restart, type="supervisor", cool_down_s=COOL_DOWN_S)


async def test_a_child_that_gave_up_is_started_again_when_it_has_cooled_down(
    autojump_clock: MockClock,
) -> None:
    leaf = Puppet("leaf")
    async with on_stage([sub_of(leaf)], SupervisorFlags(intensity=0)) as stage:
        leaf.end(OSError())
        await quiet()
        assert stage.told(ChildCoolingDown) == [ChildCoolingDown("root", "sub", COOL_DOWN_S)]
        assert await stage.states() == {"sub": "undefined"}
        await trio.sleep(COOL_DOWN_S - 1)
        assert leaf.alive == 0
        await trio.sleep(1)
        await quiet()
        assert leaf.alive == 1
        assert await stage.states() == {"sub": "running"}


async def test_it_is_never_counted(autojump_clock: MockClock) -> None:
    leaf = Puppet("leaf")
    async with on_stage([sub_of(leaf)], SupervisorFlags(intensity=0, period_s=3600)) as stage:
        for _ in range(5):
            leaf.end(OSError())
            await trio.sleep(COOL_DOWN_S + 1)
        assert leaf.alive == 1
        assert stage.error is None


async def test_a_child_that_fails_to_start_then_cools_down_once_more(
    autojump_clock: MockClock,
) -> None:
    leaf = Puppet("leaf")
    async with on_stage([sub_of(leaf)], SupervisorFlags(intensity=0)) as stage:
        leaf.end(OSError())
        leaf.fail_next = [OSError(), OSError()]
        await trio.sleep(2 * COOL_DOWN_S + 1)
        assert leaf.alive == 0
        await trio.sleep(COOL_DOWN_S)
        assert leaf.alive == 1
        assert len(stage.told(ChildCoolingDown)) == 3


async def test_any_other_end_does_not_cool_down(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    spec = ChildSpec("a", child.start, "transient", cool_down_s=COOL_DOWN_S)
    async with on_stage([spec]) as stage:
        child.end()
        await trio.sleep(2 * COOL_DOWN_S)
        assert child.starts == 1
        assert stage.told(ChildCoolingDown) == []


async def test_a_permanent_child_is_restarted_at_once_and_counted(
    autojump_clock: MockClock,
) -> None:
    leaf = Puppet("leaf")
    async with on_stage([sub_of(leaf, "permanent")], SupervisorFlags(intensity=1)) as stage:
        leaf.end(OSError())
        await quiet()
        assert leaf.alive == 1
        leaf.end(OSError())
        await quiet()
        assert isinstance(stage.error, IntensityExceeded)


async def test_a_temporary_child_is_forgotten_for_good(autojump_clock: MockClock) -> None:
    leaf = Puppet("leaf")
    async with on_stage([sub_of(leaf, "temporary")]) as stage:
        leaf.end(OSError())
        await trio.sleep(2 * COOL_DOWN_S)
        assert await stage.states() == {}
        assert leaf.starts == 1


@pytest.mark.parametrize("call", ["terminate_child", "delete_child", "restart_child"])
async def test_a_call_comes_first(autojump_clock: MockClock, call: str) -> None:
    leaf = Puppet("leaf")
    async with on_stage([sub_of(leaf)]) as stage:
        leaf.end(OSError())
        await quiet()
        await getattr(stage.supervisor, call)("sub")
        await trio.sleep(2 * COOL_DOWN_S)
        assert leaf.starts == (2 if call == "restart_child" else 1)
        assert len(stage.told(ChildStarted)) == leaf.starts


async def test_a_call_that_fails_to_start_it_ends_the_cool_down(
    autojump_clock: MockClock,
) -> None:
    leaf = Puppet("leaf")
    async with on_stage([sub_of(leaf)]) as stage:
        leaf.end(OSError())
        leaf.fail_next = [OSError()]
        await quiet()
        with pytest.raises(ChildError):
            await stage.supervisor.restart_child("sub")
        await trio.sleep(2 * COOL_DOWN_S)
        assert leaf.alive == 0


async def test_a_group_restart_comes_first(autojump_clock: MockClock) -> None:
    first, leaf = Puppet("first"), Puppet("leaf")
    specs = [ChildSpec("first", first.start), sub_of(leaf)]
    async with on_stage(specs, SupervisorFlags("one_for_all", intensity=1)) as stage:
        leaf.end(OSError())
        await quiet()
        first.end(OSError())
        await quiet()
        assert await stage.states() == {"first": "running", "sub": "running"}
        await trio.sleep(2 * COOL_DOWN_S)
        assert leaf.starts == 2


async def test_a_supervisor_ends_without_waiting_for_it(autojump_clock: MockClock) -> None:
    leaf = Puppet("leaf")
    async with on_stage([sub_of(leaf)]) as stage:
        leaf.end(OSError())
        await quiet()
        await stage.supervisor.stop()
    assert trio.current_time() == 0
    assert leaf.starts == 1


@pytest.mark.parametrize("seconds", [-1, True, "soon", float("nan")])
def test_a_cool_down_must_be_seconds(seconds: object) -> None:
    with pytest.raises(BadSpec, match="child 'a': cool_down_s must be seconds") as bad:
        ChildSpec("a", Puppet("a").start, cool_down_s=seconds)  # type: ignore[arg-type]
    assert bad.value.code == "invalid_cool_down"
