"""How a child is asked to end, and what happens to one that does not."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import (
    ChildError,
    ChildExited,
    ChildKilled,
    ChildNotStopped,
    ChildSpec,
    ChildStatus,
    Event,
    Supervisor,
    SupervisorFlags,
    SupervisorGone,
)

from .stage import Puppet, on_stage, quiet


class Trapper:
    """A child that is asked before it is cancelled; it logs what reaches it, and when."""

    def __init__(self, obeys_after_s: float | None = 0) -> None:
        self.log: list[tuple[str, float]] = []
        self.obeys_after_s = obeys_after_s
        """None: it does not."""
        self._asked = trio.Event()

    async def start(self, *, task_status: ChildStatus) -> None:
        self._asked = trio.Event()
        task_status.trap_shutdown(self._ask, lambda: self._note("killed"))
        task_status.started()
        try:
            await self._asked.wait()
            await trio.sleep(10**6 if self.obeys_after_s is None else self.obeys_after_s)
        except trio.Cancelled:
            self._note("cancelled")
            raise
        finally:
            self._note("ended")

    def _ask(self) -> None:
        self._note("asked")
        self._asked.set()

    def _note(self, what: str) -> None:
        self.log.append((what, trio.current_time()))


async def test_a_child_that_traps_is_asked_and_not_cancelled(autojump_clock: MockClock) -> None:
    child = Trapper(obeys_after_s=3)
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        await stage.supervisor.terminate_child("a")
    assert child.log == [("asked", 0), ("ended", 3)]
    assert stage.told(ChildExited) == [ChildExited("root", "a", "shutdown", None, asked=True)]
    assert stage.told(ChildKilled) == []


async def test_a_child_that_traps_is_killed_and_cancelled_when_its_timeout_is_over(
    autojump_clock: MockClock,
) -> None:
    child = Trapper(obeys_after_s=None)
    async with on_stage([ChildSpec("a", child.start, shutdown=2)]) as stage:
        await stage.supervisor.terminate_child("a")
    assert child.log == [("asked", 0), ("killed", 2), ("cancelled", 2), ("ended", 2)]
    assert stage.told(ChildKilled) == [ChildKilled("root", "a", 2)]
    assert stage.told(ChildExited) == [ChildExited("root", "a", "killed", None, asked=True)]


@pytest.mark.parametrize("shutdown", ["brutal_kill", 0])
async def test_brutal_kill_does_not_ask_a_child_that_traps(
    autojump_clock: MockClock, shutdown: float
) -> None:
    child = Trapper()
    async with on_stage([ChildSpec("a", child.start, shutdown=shutdown)]) as stage:
        await stage.supervisor.terminate_child("a")
    assert child.log == [("killed", 0), ("cancelled", 0), ("ended", 0)]
    assert stage.told(ChildKilled) == []  # it is told of those that were asked first
    assert stage.told(ChildExited) == [ChildExited("root", "a", "killed", None, asked=True)]


async def test_a_child_that_traps_is_asked_when_its_supervisor_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    child = Trapper(obeys_after_s=1)
    async with on_stage([ChildSpec("a", child.start)]):
        pass
    assert child.log == [("asked", 0), ("ended", 1)]


async def test_a_child_that_traps_is_asked_when_a_sibling_takes_it_along(
    autojump_clock: MockClock,
) -> None:
    first, child = Puppet("first"), Trapper()
    specs = [ChildSpec("first", first.start), ChildSpec("a", child.start)]
    async with on_stage(specs, SupervisorFlags("one_for_all", intensity=1)):
        first.end(OSError())
        await quiet()
        assert child.log == [("asked", 0), ("ended", 0)]


async def test_a_restarted_child_that_does_not_trap_any_more_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    asked: list[int] = []
    lives = 0
    end = trio.Event()

    async def traps_once(*, task_status: ChildStatus) -> None:
        nonlocal lives
        lives += 1
        if lives == 1:
            task_status.trap_shutdown(lambda: asked.append(1))
        task_status.started()
        await (end if lives == 1 else trio.Event()).wait()

    async with on_stage([ChildSpec("a", traps_once)]) as stage:
        end.set()
        await quiet()
        await stage.supervisor.terminate_child("a")
    assert lives == 2
    assert asked == []


async def test_a_child_that_has_not_said_that_it_traps_is_cancelled_while_it_starts(
    autojump_clock: MockClock,
) -> None:
    asked: list[int] = []

    async def traps_late(*, task_status: ChildStatus) -> None:
        await trio.sleep(10)
        task_status.trap_shutdown(lambda: asked.append(1))

    with trio.move_on_after(1):
        await Supervisor("root", SupervisorFlags(), [ChildSpec("a", traps_late)]).run()
    assert trio.current_time() == 1
    assert asked == []


async def test_a_child_that_traps_when_it_has_been_asked_already_is_asked_at_once(
    autojump_clock: MockClock,
) -> None:
    asked = trio.Event()

    async def boots_behind_a_shield(*, task_status: ChildStatus) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(3)  # the supervisor is cancelled meanwhile
            task_status.trap_shutdown(asked.set)
            task_status.started()
            with trio.move_on_after(1_000):
                await asked.wait()

    spec = ChildSpec("a", boots_behind_a_shield, shutdown="infinity")
    with trio.move_on_after(1):
        await Supervisor("root", SupervisorFlags(), [spec]).run()
    assert trio.current_time() == 3


async def test_a_child_that_waits_for_a_process_behind_a_shield_ends_through_its_kill(
    autojump_clock: MockClock,
) -> None:
    process_ended = trio.Event()

    async def shielded(*, task_status: ChildStatus) -> None:
        task_status.trap_shutdown(lambda: None, process_ended.set)
        task_status.started()
        with trio.CancelScope(shield=True):
            await process_ended.wait()

    async with on_stage([ChildSpec("a", shielded, shutdown=2)]) as stage:
        await stage.supervisor.terminate_child("a")
        assert trio.current_time() == 2
    assert stage.told(ChildKilled) == [ChildKilled("root", "a", 2)]
    assert stage.told(ChildNotStopped) == []


async def test_a_child_that_outlives_its_kill_is_reported_and_terminate_says_so(
    autojump_clock: MockClock,
) -> None:
    stuck = Puppet("stuck")
    stuck.shielded_s = 60
    async with on_stage([ChildSpec("stuck", stuck.start, shutdown=2)]) as stage:
        with pytest.raises(ChildError) as refused:
            await stage.supervisor.terminate_child("stuck")
        assert refused.value.code == "not_stopped"
        assert trio.current_time() == 3
        assert stage.told(ChildNotStopped) == [ChildNotStopped("root", "stuck", 3)]
        assert await stage.states() == {"stuck": "running"}


@pytest.mark.parametrize("how", ["ask", "kill"])
async def test_an_ask_or_a_kill_that_raises_ends_the_child_as_a_crash_and_is_told(
    autojump_clock: MockClock, how: str
) -> None:
    broken = LookupError(how)

    def fail() -> None:
        raise broken

    def nothing() -> None:
        pass

    callbacks: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "ask": (fail, nothing),
        "kill": (nothing, fail),
    }

    async def traps(*, task_status: ChildStatus) -> None:
        task_status.trap_shutdown(*callbacks[how])
        task_status.started()
        await trio.sleep_forever()

    a = Puppet("a")
    specs = [ChildSpec("a", a.start), ChildSpec("traps", traps, shutdown=2)]
    async with on_stage(specs) as stage:
        await stage.supervisor.terminate_child("traps")
        assert await stage.states() == {"a": "running", "traps": "undefined"}
    (exited, _) = stage.told(ChildExited)
    assert isinstance(exited, ChildExited)
    assert exited.cause is broken
    assert exited.reason == ("crash" if how == "ask" else "killed")


async def test_a_supervisor_that_is_killed_takes_its_children_along(
    autojump_clock: MockClock,
) -> None:
    slow = [Trapper(obeys_after_s=None) for _ in range(3)]
    specs = [ChildSpec(f"x{i}", child.start) for i, child in enumerate(slow)]
    inner = Supervisor("inner", SupervisorFlags(), specs[1:])
    outer_specs = [specs[0], ChildSpec("inner", inner.run, type="supervisor")]
    outer = Supervisor("outer", SupervisorFlags(), outer_specs)
    async with on_stage([ChildSpec("outer", outer.run, shutdown=2, type="supervisor")]) as stage:
        await stage.supervisor.terminate_child("outer")
        assert trio.current_time() == 2
        assert [child.log[-1] for child in slow] == [("ended", 2)] * 3
        assert all(("killed", 2) in child.log for child in slow)
        with pytest.raises(SupervisorGone):
            await inner.which_children()
    assert stage.told(ChildKilled) == [ChildKilled("root", "outer", 2)]


async def test_a_child_that_outlives_the_kill_of_its_supervisor_is_killed_once_and_reported(
    autojump_clock: MockClock,
) -> None:
    kills: list[float] = []
    events: list[Event] = []

    async def stuck(*, task_status: ChildStatus) -> None:
        task_status.trap_shutdown(lambda: None, lambda: kills.append(trio.current_time()))
        task_status.started()
        with trio.CancelScope(shield=True):
            await trio.sleep(60)

    sub = Supervisor("sub", SupervisorFlags(), [ChildSpec("x", stuck)], on_event=events.append)
    spec = ChildSpec("sub", sub.run, shutdown="brutal_kill", type="supervisor")
    async with on_stage([spec]):
        pass
    assert kills == [0]
    assert len([event for event in events if isinstance(event, ChildNotStopped)]) == 1


async def test_brutal_kill_of_a_supervisor_asks_nobody_below_it(autojump_clock: MockClock) -> None:
    child = Trapper(obeys_after_s=None)
    sub = Supervisor("sub", SupervisorFlags(), [ChildSpec("x", child.start)])
    spec = ChildSpec("sub", sub.run, shutdown="brutal_kill", type="supervisor")
    async with on_stage([spec]) as stage:
        await stage.supervisor.terminate_child("sub")
        assert trio.current_time() == 0
    assert child.log == [("killed", 0), ("cancelled", 0), ("ended", 0)]


class HangsWhenRestarted:
    """Its first life ends when told to; its second never comes up."""

    def __init__(self) -> None:
        self.end = trio.Event()
        self.starts = 0

    async def start(self, *, task_status: ChildStatus) -> None:
        self.starts += 1
        if self.starts > 1:
            await trio.sleep(10_000)
        task_status.started()
        await self.end.wait()


async def test_cancelling_the_root_ends_a_supervisor_below_that_hangs_in_a_start(
    autojump_clock: MockClock,
) -> None:
    child = HangsWhenRestarted()
    sub = Supervisor("sub", SupervisorFlags(), [ChildSpec("x", child.start)])
    async with on_stage([ChildSpec("sub", sub.run, type="supervisor")]):
        child.end.set()
        await quiet()
        assert child.starts == 2
    assert trio.current_time() == 0


@pytest.mark.parametrize("how", ["terminate_child", "stop"])
async def test_cancelling_the_root_while_it_waits_for_a_supervisor_that_hangs_ends_that_as_well(
    autojump_clock: MockClock, how: str
) -> None:
    child = HangsWhenRestarted()
    sub = Supervisor("sub", SupervisorFlags(), [ChildSpec("x", child.start)])

    async with (
        trio.open_nursery() as nursery,
        on_stage([ChildSpec("sub", sub.run, type="supervisor")]) as stage,
    ):

        async def end_it() -> None:
            if how == "stop":
                await stage.supervisor.stop()
            else:
                with suppress(SupervisorGone):
                    await stage.supervisor.terminate_child("sub")

        child.end.set()
        await quiet()
        nursery.start_soon(end_it)
        await trio.sleep(1)  # the request waits in the queue of the sub supervisor, for ever
    assert trio.current_time() == 1


async def end_later(puppet: Puppet) -> None:
    """So that a test fails where it would hang."""
    await trio.sleep(1_000)
    puppet.end()


async def test_a_cancellation_in_the_moment_of_the_timeout_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    for _ in range(16):  # two tasks wake at the same time, in either order
        began = trio.current_time()
        log: list[str] = []
        a, stuck = Puppet("a", log), Trapper(obeys_after_s=None)
        specs = [ChildSpec("a", a.start), ChildSpec("stuck", stuck.start, shutdown=2)]
        async with trio.open_nursery() as nursery:
            async with on_stage(specs) as stage:
                nursery.start_soon(stage.supervisor.stop)
                nursery.start_soon(end_later, a)
                await trio.sleep(2)
            assert trio.current_time() == began + 2
            nursery.cancel_scope.cancel()
        assert [what for what, _ in stuck.log] == ["asked", "killed", "cancelled", "ended"]
        assert log == ["+a", "-a"]


async def test_a_sub_supervisor_that_is_asked_first_does_what_waits_in_its_queue(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    child = Puppet("x", log)
    events: list[Event] = []
    specs = [ChildSpec("x", child.start)]
    sub = Supervisor("sub", SupervisorFlags(), specs, on_event=events.append)

    async with (
        trio.open_nursery() as nursery,
        on_stage([ChildSpec("sub", sub.run, type="supervisor")]) as stage,
    ):
        async with sub.suspended():
            child.end(OSError())
            await quiet()
            nursery.start_soon(stage.supervisor.terminate_child, "sub")
            await quiet()
            assert log == ["+x", "-x"]
        await quiet()
        assert log == ["+x", "-x", "+x", "-x"]
