"""How a supervisor starts and how it ends."""

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import (
    ChildError,
    ChildExited,
    ChildKilled,
    ChildNotStopped,
    ChildSpec,
    ChildStarted,
    ChildStartFailed,
    Event,
    IntensityExceeded,
    StartFailed,
    Supervisor,
    SupervisorEnded,
    SupervisorFlags,
    SupervisorGone,
    SupervisorStarted,
)

from .stage import Puppet, on_stage, quiet


def three(log: list[str]) -> tuple[list[Puppet], list[ChildSpec]]:
    puppets = [Puppet(name, log) for name in "abc"]
    return puppets, [ChildSpec(puppet.name, puppet.start) for puppet in puppets]


async def test_children_start_in_order_and_stop_in_reverse(autojump_clock: MockClock) -> None:
    log: list[str] = []
    _, specs = three(log)
    async with on_stage(specs):
        assert log == ["+a", "+b", "+c"]
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_each_child_has_ended_before_the_next_is_asked_to(autojump_clock: MockClock) -> None:
    log: list[str] = []
    puppets, specs = three(log)
    puppets[2].shielded_s = puppets[1].shielded_s = 3
    began = trio.current_time()
    async with on_stage(specs):
        pass
    assert log[3:] == ["-c", "-b", "-a"]
    assert trio.current_time() - began == 6


async def test_a_child_is_started_when_the_one_before_it_is_up(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def slow(*, task_status: trio.TaskStatus[object]) -> None:
        await trio.sleep(2)
        log.append("slow is up")
        task_status.started()
        await trio.sleep_forever()

    async with on_stage([ChildSpec("slow", slow), ChildSpec("a", Puppet("a", log).start)]):
        assert log == ["slow is up", "+a"]


async def test_a_failed_start_stops_the_earlier_ones_and_never_tries_the_later(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    puppets, specs = three(log)
    more = [ChildSpec("x", Puppet("x", log).start), *specs]
    cause = OSError("no such program")
    puppets[1].fail_next = [cause]
    with pytest.raises(StartFailed, match="child 'b' could not be started") as failed:
        await Supervisor("root", SupervisorFlags(), more).run()
    assert log == ["+x", "+a", "!b", "-a", "-x"]
    assert failed.value.child_id == "b"
    assert failed.value.cause is cause
    assert failed.value.__cause__ is cause


async def test_a_child_that_returns_before_it_is_up_has_failed_to_start(
    autojump_clock: MockClock,
) -> None:
    async def hasty(*, task_status: trio.TaskStatus[object]) -> None:
        await trio.sleep(1)

    with pytest.raises(StartFailed, match="returned before it was up"):
        await Supervisor("root", SupervisorFlags(), [ChildSpec("hasty", hasty)]).run()


async def test_a_failed_start_nests_its_cause_through_supervisors(
    autojump_clock: MockClock,
) -> None:
    leaf = Puppet("leaf")
    leaf.fail_next = [OSError("deep")]
    sub = Supervisor("sub", SupervisorFlags(), [ChildSpec("leaf", leaf.start)])
    top = Supervisor("top", SupervisorFlags(), [ChildSpec("sub", sub.run, type="supervisor")])
    with pytest.raises(StartFailed) as failed:
        await top.run()
    assert failed.value.child_id == "sub"
    assert isinstance(failed.value.cause, StartFailed)
    assert failed.value.cause.child_id == "leaf"


async def test_an_exit_during_the_start_is_handled_when_all_are_up(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []

    async def brief(*, task_status: trio.TaskStatus[object]) -> None:
        log.append("+brief")
        task_status.started()
        if log.count("+brief") == 1:
            raise OSError
        await trio.sleep_forever()

    async with on_stage([ChildSpec("brief", brief), ChildSpec("a", Puppet("a", log).start)]):
        await quiet()
        assert log == ["+brief", "+a", "+brief"]


async def test_cancelling_interrupts_a_start_that_hangs(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def hang(*, task_status: trio.TaskStatus[object]) -> None:
        await trio.sleep_forever()

    specs = [ChildSpec("a", Puppet("a", log).start), ChildSpec("hang", hang)]
    with trio.move_on_after(1) as scope:
        await Supervisor("root", SupervisorFlags(), specs).run()
    assert scope.cancelled_caught
    assert log == ["+a", "-a"]


async def test_a_supervisor_without_children_runs_until_cancelled(
    autojump_clock: MockClock,
) -> None:
    with trio.move_on_after(100) as scope:
        await Supervisor("root", SupervisorFlags(), []).run()
    assert scope.cancelled_caught


async def test_cancellation_goes_on_outwards_after_the_stop(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    child.shielded_s = 2
    passed = False
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            supervisor = Supervisor("root", SupervisorFlags(), [ChildSpec("a", child.start)])
            await nursery.start(supervisor.run)
            scope.cancel()
        passed = True
    assert scope.cancelled_caught
    assert not passed
    assert child.alive == 0


async def test_a_cleanup_that_raises_while_being_stopped_leads_to_no_restart(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    child.raises_when_stopped = cause = OSError("the pipe is gone")
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        pass
    assert stage.error is None
    assert child.starts == 1
    assert stage.told(ChildExited) == [ChildExited("root", "a", "crash", cause, asked=True)]


async def test_a_child_that_outlives_its_timeout_is_reported_and_the_others_are_stopped(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    a, stuck = Puppet("a", log), Puppet("stuck", log)
    stuck.shielded_s = 60
    began = trio.current_time()
    specs = [ChildSpec("a", a.start), ChildSpec("stuck", stuck.start, shutdown=2)]
    async with on_stage(specs) as stage:
        stage.cancel_scope.cancel()
        await trio.sleep(3.5)
        assert log[2:] == ["-a"]
        assert stage.told(ChildKilled) == [ChildKilled("root", "stuck", 2)]
        assert stage.told(ChildNotStopped) == [ChildNotStopped("root", "stuck", 3)]
    assert log[2:] == ["-a", "-stuck"]
    assert trio.current_time() - began == 60
    killed = ChildExited("root", "stuck", "killed", None, asked=True)
    assert stage.events[-2:] == [killed, SupervisorEnded("root", "shutdown", None)]


async def test_a_child_that_ends_within_its_timeout_is_not_reported(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    child.shielded_s = 4.9
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        pass
    assert stage.told(ChildNotStopped) == []


async def test_infinity_waits_as_long_as_it_takes(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    child.shielded_s = 10_000
    async with on_stage([ChildSpec("a", child.start, shutdown="infinity")]) as stage:
        pass
    assert stage.told(ChildNotStopped) == []


@pytest.mark.parametrize("shutdown", ["brutal_kill", 0])
async def test_brutal_kill_ends_an_obedient_child_at_once_as_killed(
    autojump_clock: MockClock, shutdown: float
) -> None:
    child = Puppet("a")
    began = trio.current_time()
    async with on_stage([ChildSpec("a", child.start, shutdown=shutdown)]) as stage:
        pass
    assert trio.current_time() == began
    assert stage.told(ChildNotStopped) == []
    assert stage.told(ChildExited) == [ChildExited("root", "a", "killed", None, asked=True)]


async def test_brutal_kill_reports_a_child_that_shields_itself_after_a_second(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    child.shielded_s = 3
    async with on_stage([ChildSpec("a", child.start, shutdown="brutal_kill")]) as stage:
        pass
    assert stage.told(ChildNotStopped) == [ChildNotStopped("root", "a", 1.0)]


async def test_it_can_be_run_again_after_it_has_ended(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    supervisor = Supervisor("root", SupervisorFlags(), [ChildSpec("a", child.start)])
    for _ in range(2):
        with trio.move_on_after(1):
            await supervisor.run()
    assert child.starts == 2


async def test_it_cannot_be_run_twice_at_a_time(autojump_clock: MockClock) -> None:
    async with on_stage([]) as stage:
        with pytest.raises(RuntimeError, match="'root' is running already"):
            await stage.supervisor.run()


async def test_a_keyboard_interrupt_in_a_child_stops_all_in_order_and_goes_out(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    puppets, specs = three(log)
    supervisor = Supervisor("root", SupervisorFlags(), specs)
    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            puppets[1].end(KeyboardInterrupt())
    assert log[3:] == ["-b", "-c", "-a"]


async def test_a_keyboard_interrupt_in_a_start_goes_out_as_itself(
    autojump_clock: MockClock,
) -> None:
    async def interrupted(*, task_status: trio.TaskStatus[object]) -> None:
        raise KeyboardInterrupt

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        await Supervisor("root", SupervisorFlags(), [ChildSpec("a", interrupted)]).run()


async def test_each_start_and_end_is_told_in_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    puppets, specs = three(log)
    async with on_stage(specs[:2]) as stage:
        pass
    assert puppets[0].starts == 1
    assert stage.events == [
        ChildStarted("root", "a"),
        ChildStarted("root", "b"),
        SupervisorStarted("root"),
        ChildExited("root", "b", "shutdown", None, asked=True),
        ChildExited("root", "a", "shutdown", None, asked=True),
        SupervisorEnded("root", "shutdown", None),
    ]


async def test_a_child_that_comes_up_while_it_is_being_stopped_is_told_neither_up_nor_ended(
    autojump_clock: MockClock,
) -> None:
    events: list[Event] = []

    async def late(*, task_status: trio.TaskStatus[object]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            task_status.started()

    supervisor = Supervisor(
        "root", SupervisorFlags(), [ChildSpec("late", late)], on_event=events.append
    )
    with trio.move_on_after(1):
        await supervisor.run()
    assert events == [SupervisorEnded("root", "shutdown", None)]


async def test_a_failed_start_is_told_and_ends_the_supervisor_as_a_crash(
    autojump_clock: MockClock,
) -> None:
    events: list[Event] = []
    child = Puppet("a")
    child.fail_next = [cause := OSError()]
    supervisor = Supervisor(
        "root", SupervisorFlags(), [ChildSpec("a", child.start)], on_event=events.append
    )
    with pytest.raises(StartFailed) as failed:
        await supervisor.run()
    assert events == [
        ChildStartFailed("root", "a", cause),
        SupervisorEnded("root", "crash", failed.value),
    ]


async def test_a_listener_that_raises_ends_the_supervisor_in_order_with_its_error(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    puppets, specs = three(log)
    broken = LookupError("listener")

    def listen(event: Event) -> None:
        if isinstance(event, ChildExited):
            raise broken

    async with on_stage(specs, on_event=listen) as stage:
        puppets[0].end(OSError())
        await quiet()
        assert stage.error is broken
        assert log == ["+a", "+b", "+c", "-a", "+a", "-c", "-b", "-a"]


async def test_a_listener_that_raises_during_a_stop_is_not_swallowed_and_all_are_stopped(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    _, specs = three(log)
    broken = LookupError("listener")

    def listen(event: Event) -> None:
        if isinstance(event, ChildExited):
            raise broken

    async with on_stage(specs, on_event=listen) as stage:
        pass
    assert stage.error is broken
    assert log[3:] == ["-c", "-b", "-a"]


async def test_calls_after_it_gave_up_say_that_it_is_gone(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    flags = SupervisorFlags(intensity=0)
    async with on_stage([ChildSpec("a", child.start)], flags) as stage:
        child.end()
        await quiet()
        assert isinstance(stage.error, IntensityExceeded)
        with pytest.raises(SupervisorGone, match="supervisor 'root' does not run"):
            await stage.supervisor.which_children()


async def test_calls_after_it_was_cancelled_say_that_it_is_gone(autojump_clock: MockClock) -> None:
    async with on_stage([]) as stage:
        stage.cancel_scope.cancel()
        await quiet()
        with pytest.raises(SupervisorGone, match="supervisor 'root' does not run"):
            await stage.supervisor.which_children()


async def test_an_interrupt_during_the_stop_ends_all_at_once(autojump_clock: MockClock) -> None:
    log: list[str] = []
    puppets, specs = three(log)
    puppets[0].shielded_s = 2

    def interrupt(event: Event) -> None:
        if isinstance(event, ChildExited) and event.child_id == "c":
            raise KeyboardInterrupt  # as Ctrl-C does once more, while the others are not asked yet

    supervisor = Supervisor("root", SupervisorFlags(), specs, on_event=interrupt)
    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            nursery.start_soon(supervisor.stop)
    assert [puppet.alive for puppet in puppets] == [0, 0, 0]
    assert trio.current_time() == 2


async def test_a_listener_that_raises_while_it_is_stopped_by_a_call_is_not_swallowed(
    autojump_clock: MockClock,
) -> None:
    broken = LookupError("listener")

    def listen(event: Event) -> None:
        if isinstance(event, SupervisorEnded):
            raise broken

    async with on_stage([ChildSpec("a", Puppet("a").start)], on_event=listen) as stage:
        await stage.supervisor.stop()
        await quiet()
        assert stage.error is broken


async def test_what_is_given_up_shows_the_traceback_of_the_last_crash(
    autojump_clock: MockClock,
) -> None:
    child, crash = Puppet("a"), OSError("broken")
    async with on_stage([ChildSpec("a", child.start)], SupervisorFlags(intensity=0)) as stage:
        child.end(crash)
        await quiet()
        assert isinstance(stage.error, IntensityExceeded)
        assert stage.error.__cause__ is crash


async def test_a_start_that_is_not_async_is_a_failed_start_that_says_so(
    autojump_clock: MockClock,
) -> None:
    def plain(*, task_status: trio.TaskStatus[object]) -> None:
        task_status.started()

    async with on_stage([]) as stage:
        with pytest.raises(ChildError, match="start must be an async function") as refused:
            await stage.supervisor.start_child(ChildSpec("a", plain))  # type: ignore[arg-type]
        assert refused.value.code == "start_failed"
        assert await stage.states() == {}
