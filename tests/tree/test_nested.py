"""Supervisors below supervisors."""

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import (
    ChildExited,
    ChildSpec,
    IntensityExceeded,
    Restart,
    Supervisor,
    SupervisorFlags,
    SupervisorGone,
)

from .stage import Puppet, on_stage, quiet


def branch(name: str, *leaves: Puppet, intensity: int = 0) -> Supervisor:
    specs = [ChildSpec(leaf.name, leaf.start) for leaf in leaves]
    return Supervisor(name, SupervisorFlags(intensity=intensity, period_s=3600), specs)


def below(supervisor: Supervisor, restart: Restart = "permanent") -> ChildSpec:
    return ChildSpec(supervisor.name, supervisor.run, restart=restart, type="supervisor")


async def test_a_transient_supervisor_that_gave_up_stays_down_and_its_sibling_runs_on(
    autojump_clock: MockClock,
) -> None:
    burning, fine = Puppet("x"), Puppet("y")
    specs = [
        below(branch("burning", burning), "transient"),
        below(branch("fine", fine), "transient"),
    ]
    async with on_stage(specs, SupervisorFlags(intensity=0)) as stage:
        burning.end(OSError())
        await quiet()
        assert await stage.states() == {"burning": "undefined", "fine": "running"}
        assert (fine.starts, fine.alive) == (1, 1)
        (exited,) = stage.told(ChildExited)
        assert isinstance(exited, ChildExited)
        assert exited.reason == "shutdown"
        assert isinstance(exited.cause, IntensityExceeded)


async def test_a_transient_supervisor_that_gave_up_can_be_started_again_by_a_call(
    autojump_clock: MockClock,
) -> None:
    leaf = Puppet("x")
    sub = branch("sub", leaf)
    async with on_stage([below(sub, "transient")]) as stage:
        leaf.end(OSError())
        await quiet()
        ref = await stage.supervisor.restart_child("sub")
        assert ref is not None
        assert ref.value is sub
        assert leaf.alive == 1


async def test_a_permanent_supervisor_that_gave_up_is_restarted_with_an_empty_window(
    autojump_clock: MockClock,
) -> None:
    leaf = Puppet("x")
    async with on_stage([below(branch("sub", leaf, intensity=1))]) as stage:
        for _ in range(3):  # restarted, given up and restarted with its supervisor, restarted
            leaf.end(OSError())
            await quiet()
        assert await stage.states() == {"sub": "running"}
        assert len(stage.told(ChildExited)) == 1
    assert leaf.starts == 4


async def test_restarts_count_per_level(autojump_clock: MockClock) -> None:
    # OTP's trace escalation_counts_per_level: the eighth crash brings the root down.
    leaf = Puppet("x")
    flags = SupervisorFlags(intensity=1, period_s=3600)
    s2 = branch("s2", leaf, intensity=1)
    s1 = Supervisor("s1", flags, [below(s2)])
    async with on_stage([below(s1)], flags) as stage:
        for crash in range(1, 9):
            assert stage.error is None, crash
            leaf.end(OSError())
            await quiet()
        assert isinstance(stage.error, IntensityExceeded)
        assert stage.error.child_id == "s1"
    assert leaf.starts == 8


async def test_children_that_were_added_are_gone_after_a_restart(
    autojump_clock: MockClock,
) -> None:
    leaf, added = Puppet("x"), Puppet("added")
    sub = branch("sub", leaf)
    async with on_stage([below(sub)]):
        await sub.start_child(ChildSpec("added", added.start))
        leaf.end(OSError())
        await quiet()
        assert [child.id for child in await sub.which_children()] == ["x"]
        assert added.alive == 0


async def test_stopping_goes_depth_first_in_reverse_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    a, b, c, d = (Puppet(name, log) for name in "abcd")
    specs = [ChildSpec("a", a.start), below(branch("sub", b, c)), ChildSpec("d", d.start)]
    async with on_stage(specs):
        log.clear()
    assert log == ["-d", "-c", "-b", "-a"]


async def test_terminating_a_supervisor_stops_its_children_however_long_they_take(
    autojump_clock: MockClock,
) -> None:
    slow = [Puppet(name) for name in "xyz"]
    for puppet in slow:
        puppet.shielded_s = 4
    sub = branch("sub", *slow)
    async with on_stage([below(sub)]) as stage:
        began = trio.current_time()
        await stage.supervisor.terminate_child("sub")
        assert trio.current_time() - began == 12
        assert [puppet.alive for puppet in slow] == [0, 0, 0]
        with pytest.raises(SupervisorGone):
            await sub.which_children()


async def test_a_cancellation_that_comes_during_a_stop_is_urgent_all_the_same(
    autojump_clock: MockClock,
) -> None:
    starts = 0

    async def hangs_the_second_time(*, task_status: trio.TaskStatus[object]) -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            task_status.started()
            raise OSError
        await trio.sleep_forever()

    flags = SupervisorFlags(intensity=1)
    sub = Supervisor("sub", flags, [ChildSpec("x", hangs_the_second_time)])
    async with on_stage([below(sub)]) as stage, trio.open_nursery() as nursery:
        await quiet()
        nursery.start_soon(stage.supervisor.stop)
        await trio.sleep(1000)
        assert starts == 2
        assert stage.error is None
        stage.cancel_scope.cancel()
    assert trio.current_time() == 1000
