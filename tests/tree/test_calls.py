"""Calls on a running supervisor, at convenient and inconvenient times."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import (
    BadSpec,
    ChildError,
    ChildExited,
    ChildInfo,
    ChildKilled,
    ChildNotStopped,
    ChildSpec,
    ErrorCode,
    Supervisor,
    SupervisorFlags,
    SupervisorGone,
)

from .stage import Puppet, Stage, on_stage, quiet

NO_RESTART = SupervisorFlags(intensity=0)


async def refusal(call: Awaitable[object]) -> ErrorCode:
    with pytest.raises(ChildError) as refused:
        await call
    return refused.value.code


async def test_start_child_returns_a_reference_with_what_the_child_said_when_it_was_up(
    autojump_clock: MockClock,
) -> None:
    async with on_stage([]) as stage:
        ref = await stage.supervisor.start_child(ChildSpec("a", Puppet("a").start))
        assert ref is not None
        assert (ref.id, ref.value, ref.alive) == ("a", "a 1", True)
        assert await stage.states() == {"a": "running"}


async def test_a_child_that_was_added_is_supervised(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([]) as stage:
        await stage.supervisor.start_child(ChildSpec("a", child.start))
        child.end(OSError())
        await quiet()
        assert child.starts == 2


async def test_a_start_that_fails_is_refused_not_counted_and_its_spec_not_kept(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    child.fail_next = [cause := OSError("no")]
    async with on_stage([], NO_RESTART) as stage:
        with pytest.raises(ChildError, match=r"start_failed: child 'a' .* OSError") as refused:
            await stage.supervisor.start_child(ChildSpec("a", child.start))
        assert refused.value.cause is cause
        assert await stage.states() == {}


async def test_a_start_that_is_called_for_again_and_fails_keeps_the_spec(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], NO_RESTART) as stage:
        await stage.supervisor.terminate_child("a")
        child.fail_next = [OSError()]
        assert await refusal(stage.supervisor.restart_child("a")) == "start_failed"
        assert await stage.states() == {"a": "undefined"}


async def test_start_child_of_an_id_that_runs_is_already_started(
    autojump_clock: MockClock,
) -> None:
    spec = ChildSpec("a", Puppet("a").start)
    async with on_stage([spec]) as stage:
        assert await refusal(stage.supervisor.start_child(spec)) == "already_started"


async def test_start_child_of_an_id_that_ended_is_already_present(
    autojump_clock: MockClock,
) -> None:
    spec = ChildSpec("a", Puppet("a").start)
    async with on_stage([spec]) as stage:
        await stage.supervisor.terminate_child("a")
        assert await refusal(stage.supervisor.start_child(spec)) == "already_present"


async def test_start_child_of_what_is_no_spec_is_refused_at_once(
    autojump_clock: MockClock,
) -> None:
    async with on_stage([]) as stage:
        with pytest.raises(BadSpec):
            await stage.supervisor.start_child("a")  # type: ignore[arg-type]


async def test_a_terminated_child_stays_down_and_does_not_count(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], NO_RESTART) as stage:
        await stage.supervisor.terminate_child("a")
        assert child.alive == 0
        await quiet()
        assert await stage.states() == {"a": "undefined"}


async def test_terminating_a_child_that_does_not_run_is_fine(autojump_clock: MockClock) -> None:
    async with on_stage([ChildSpec("a", Puppet("a").start)]) as stage:
        await stage.supervisor.terminate_child("a")
        await stage.supervisor.terminate_child("a")


async def test_a_terminated_temporary_child_is_forgotten(autojump_clock: MockClock) -> None:
    spec = ChildSpec("a", Puppet("a").start, restart="temporary")
    async with on_stage([spec]) as stage:
        await stage.supervisor.terminate_child("a")
        assert await stage.states() == {}


async def test_a_terminated_child_can_be_restarted_in_its_place(autojump_clock: MockClock) -> None:
    log: list[str] = []
    specs = [ChildSpec(name, Puppet(name, log).start) for name in "ab"]
    async with on_stage(specs) as stage:
        await stage.supervisor.terminate_child("a")
        ref = await stage.supervisor.restart_child("a")
        assert ref is not None
        assert ref.value == "a 2"
        log.clear()
    assert log == ["-b", "-a"]


async def test_a_child_that_was_deleted_and_added_again_is_last(autojump_clock: MockClock) -> None:
    log: list[str] = []
    specs = [ChildSpec(name, Puppet(name, log).start) for name in "ab"]
    async with on_stage(specs) as stage:
        await stage.supervisor.terminate_child("a")
        await stage.supervisor.delete_child("a")
        await stage.supervisor.start_child(specs[0])
        log.clear()
    assert log == ["-a", "-b"]


async def test_restart_and_delete_of_a_running_child_are_refused(
    autojump_clock: MockClock,
) -> None:
    async with on_stage([ChildSpec("a", Puppet("a").start)]) as stage:
        assert await refusal(stage.supervisor.restart_child("a")) == "running"
        assert await refusal(stage.supervisor.delete_child("a")) == "running"


async def test_calls_for_an_unknown_id_are_refused(autojump_clock: MockClock) -> None:
    async with on_stage([]) as stage:
        supervisor = stage.supervisor
        for call in (supervisor.terminate_child, supervisor.restart_child, supervisor.delete_child):
            assert await refusal(call("x")) == "not_found"


async def test_which_children_tells_all_in_start_order(autojump_clock: MockClock) -> None:
    specs = [
        ChildSpec("a", Puppet("a").start, restart="transient"),
        ChildSpec("s", Supervisor("s", SupervisorFlags(), []).run, type="supervisor"),
    ]
    async with on_stage(specs) as stage:
        await stage.supervisor.terminate_child("a")
        assert await stage.supervisor.which_children() == [
            ChildInfo("a", "undefined", "worker", "transient"),
            ChildInfo("s", "running", "supervisor", "permanent"),
        ]


async def test_a_child_found_dead_by_terminate_is_not_restarted_nor_counted(
    autojump_clock: MockClock,
) -> None:
    # OTP's trace batch_terminate_before_exit: the call is queued before the exit notice.
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], NO_RESTART) as stage:

        async def terminate() -> None:
            await stage.supervisor.terminate_child("a")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold, stage, 1.0)
            await quiet()
            nursery.start_soon(terminate)
            await quiet()
            child.end(cause := OSError())
        assert (await stage.states())["a"] == "undefined"
        assert ChildExited("root", "a", "crash", cause, asked=False) in stage.events


async def test_a_terminate_queued_behind_the_exit_ends_the_restarted_child(
    autojump_clock: MockClock,
) -> None:
    # OTP's trace batch_terminate_after_exit.
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold, stage, 1.0)
            await quiet()
            child.end(OSError())
            await quiet()
            nursery.start_soon(stage.supervisor.terminate_child, "a")
        assert (await stage.states())["a"] == "undefined"
    assert child.starts == 2


async def test_an_exit_that_is_still_queued_shows_the_child_as_running(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    codes: list[str] = []
    async with on_stage([ChildSpec("a", child.start)]) as stage:

        async def ask() -> None:
            codes.append(await refusal(stage.supervisor.restart_child("a")))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold, stage, 1.0)
            await quiet()
            nursery.start_soon(ask)
            await quiet()
            child.end(OSError())
    assert codes == ["running"]


async def test_a_cancelled_caller_leaves_its_call_to_be_carried_out(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    async with on_stage([]) as stage:

        async def slow(*, task_status: trio.TaskStatus[object]) -> None:
            await trio.sleep(1)
            await child.start(task_status=task_status)

        with trio.move_on_after(0.5) as scope:
            await stage.supervisor.start_child(ChildSpec("a", slow))
        assert scope.cancelled_caught
        assert await stage.states() == {"a": "running"}
        assert child.alive == 1


async def test_a_caller_that_is_cancelled_already_calls_nothing(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        with trio.CancelScope() as scope:
            scope.cancel()
            await stage.supervisor.terminate_child("a")
        await quiet()
        assert child.alive == 1


async def test_a_call_whose_supervisor_is_cancelled_meanwhile_says_that_it_is_gone(
    autojump_clock: MockClock,
) -> None:
    async def hang(*, task_status: trio.TaskStatus[object]) -> None:
        await trio.sleep_forever()

    async with on_stage([]) as stage:
        supervisor = stage.supervisor
        gone: list[str] = []

        async def expect_gone(name: str, call: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(SupervisorGone):
                await call()
            gone.append(name)

        async with trio.open_nursery() as nursery:
            spec = ChildSpec("hang", hang)
            nursery.start_soon(expect_gone, "in hand", lambda: supervisor.start_child(spec))
            await quiet()
            nursery.start_soon(expect_gone, "queued", supervisor.which_children)
            await quiet()
            stage.cancel_scope.cancel()
        assert sorted(gone) == ["in hand", "queued"]


async def test_a_call_during_the_stop_is_refused_at_once(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    child.shielded_s = 3
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        stage.cancel_scope.cancel()
        await quiet()
        began = trio.current_time()
        with pytest.raises(SupervisorGone):
            await stage.supervisor.which_children()
        assert trio.current_time() == began
        assert child.alive == 1


async def test_a_call_before_the_run_is_refused() -> None:
    with pytest.raises(SupervisorGone):
        await Supervisor("root", SupervisorFlags(), []).which_children()


async def test_a_child_may_terminate_itself(autojump_clock: MockClock) -> None:
    lives = 0

    async def tired(*, task_status: trio.TaskStatus[object]) -> None:
        nonlocal lives
        lives += 1
        task_status.started()
        await stage.supervisor.terminate_child("tired")

    async with on_stage([]) as stage:
        await stage.supervisor.start_child(ChildSpec("tired", tired))
        await quiet()
        assert await stage.states() == {"tired": "undefined"}
    assert lives == 1


async def test_terminating_a_child_that_shields_itself_is_answered_a_second_after_its_kill(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    child.shielded_s = 10
    began = trio.current_time()
    async with on_stage([ChildSpec("a", child.start, shutdown=2)]) as stage:
        assert await refusal(stage.supervisor.terminate_child("a")) == "not_stopped"
        assert trio.current_time() - began == 3
        assert stage.told(ChildKilled) == [ChildKilled("root", "a", 2)]
        assert stage.told(ChildNotStopped) == [ChildNotStopped("root", "a", 3)]
        assert await stage.states() == {"a": "running"}
        assert await refusal(stage.supervisor.restart_child("a")) == "running"


async def test_a_child_that_ends_late_after_terminate_is_not_restarted(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    child.shielded_s = 10
    async with on_stage([ChildSpec("a", child.start, shutdown=2)], NO_RESTART) as stage:
        await refusal(stage.supervisor.terminate_child("a"))
        await trio.sleep(9)
        assert await stage.states() == {"a": "undefined"}
        assert stage.told(ChildExited) == [ChildExited("root", "a", "killed", None, asked=True)]


async def hold(stage: Stage, for_s: float) -> None:
    """Keep the supervisor busy with a start, so that what comes meanwhile waits in its queue."""

    async def slow(*, task_status: trio.TaskStatus[object]) -> None:
        await trio.sleep(for_s)
        task_status.started()
        await trio.sleep_forever()

    await stage.supervisor.start_child(ChildSpec("hold", slow))


@pytest.mark.parametrize("call", ["terminate_child", "restart_child", "delete_child"])
@pytest.mark.parametrize("nonsense", [None, 1, []])
async def test_a_call_with_nonsense_is_its_callers_fault_and_harms_nobody(
    autojump_clock: MockClock, call: str, nonsense: object
) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        assert await refusal(getattr(stage.supervisor, call)(nonsense)) == "not_found"
        assert await stage.states() == {"a": "running"}
        assert child.alive == 1


async def test_a_stop_for_what_is_no_exception_is_refused(autojump_clock: MockClock) -> None:
    async with on_stage([]) as stage:
        for nonsense in ("tired", OSError):
            with pytest.raises(TypeError, match="the cause must be an exception"):
                await stage.supervisor.stop(nonsense)  # type: ignore[arg-type]
        assert await stage.states() == {}
