"""Which exit leads to what."""

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import (
    ChildExited,
    ChildRestarting,
    ChildSpec,
    ChildStartFailed,
    ExitReason,
    IntensityExceeded,
    IntensityExceededEvent,
    Restart,
    Shutdown,
    SupervisorEnded,
    SupervisorFlags,
)

from .stage import Puppet, on_stage, quiet

EXITS: dict[str, BaseException | None] = {
    "normal": None,
    "shutdown": Shutdown("enough"),
    "shutdown in a group": ExceptionGroup("nursery", [ExceptionGroup("inner", [Shutdown("x")])]),
    "crash": OSError("broken"),
    "crash in a group": ExceptionGroup("nursery", [OSError("broken"), Shutdown("x")]),
}
REASONS: dict[str, ExitReason] = {
    "normal": "normal",
    "shutdown": "shutdown",
    "shutdown in a group": "shutdown",
    "crash": "crash",
    "crash in a group": "crash",
}
AFTER: dict[Restart, dict[ExitReason, str]] = {
    "permanent": {"normal": "running", "shutdown": "running", "crash": "running"},
    "transient": {"normal": "undefined", "shutdown": "undefined", "crash": "running"},
    "temporary": {"normal": "forgotten", "shutdown": "forgotten", "crash": "forgotten"},
}


@pytest.mark.parametrize("restart", AFTER)
@pytest.mark.parametrize("exit_", EXITS)
async def test_what_becomes_of_a_child_that_ends(
    autojump_clock: MockClock, restart: Restart, exit_: str
) -> None:
    child, sibling = Puppet("a"), Puppet("b")
    specs = [ChildSpec("a", child.start, restart=restart), ChildSpec("b", sibling.start)]
    async with on_stage(specs) as stage:
        child.end(EXITS[exit_])
        await quiet()
        after = AFTER[restart][REASONS[exit_]]
        assert (await stage.states()).get("a", "forgotten") == after
        assert child.starts == (2 if after == "running" else 1)
        assert sibling.starts == sibling.alive == 1


@pytest.mark.parametrize("exit_", EXITS)
async def test_an_exit_is_told_with_its_reason_and_its_cause_untouched(
    autojump_clock: MockClock, exit_: str
) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        child.end(EXITS[exit_])
        await quiet()
        (exited,) = stage.told(ChildExited)
    assert isinstance(exited, ChildExited)
    assert exited.reason == REASONS[exit_]
    assert exited.cause is EXITS[exit_]
    assert not exited.asked


async def test_a_restart_keeps_the_place_in_the_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    a, b = Puppet("a", log), Puppet("b", log)
    async with on_stage([ChildSpec("a", a.start), ChildSpec("b", b.start)]):
        a.end(OSError())
        await quiet()
        log.clear()
    assert log == ["-b", "-a"]


async def test_one_restart_more_than_allowed_stops_the_others_in_reverse_order(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    puppets = [Puppet(name, log) for name in "abc"]
    specs = [ChildSpec(puppet.name, puppet.start) for puppet in puppets]
    async with on_stage(specs, SupervisorFlags(intensity=1)) as stage:
        puppets[1].end(OSError())
        await quiet()
        log.clear()
        puppets[1].end(cause := OSError())
        await quiet()
        assert log == ["-b", "-c", "-a"]
    error = stage.error
    assert isinstance(error, IntensityExceeded)
    assert (error.supervisor, error.child_id, error.cause) == ("root", "b", cause)
    assert (error.intensity, error.period_s) == (1, 5)


async def test_giving_up_is_told(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], SupervisorFlags(intensity=0)) as stage:
        child.end(cause := OSError())
        await quiet()
        assert stage.events[-3:] == [
            ChildExited("root", "a", "crash", cause, asked=False),
            IntensityExceededEvent("root", "a", cause, 0, 5),
            SupervisorEnded("root", "shutdown", stage.error),
        ]


async def test_the_window_is_shared_by_all_children(autojump_clock: MockClock) -> None:
    a, b = Puppet("a"), Puppet("b")
    specs = [ChildSpec("a", a.start), ChildSpec("b", b.start)]
    async with on_stage(specs, SupervisorFlags(intensity=1)) as stage:
        a.end(OSError())
        b.end(OSError())
        await quiet()
        assert isinstance(stage.error, IntensityExceeded)


async def test_restarts_further_apart_than_the_period_never_add_up(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    flags = SupervisorFlags(intensity=1, period_s=5)
    async with on_stage([ChildSpec("a", child.start)], flags) as stage:
        for _ in range(10):
            child.end(OSError())
            await trio.sleep(5.1)
        assert stage.error is None
    assert child.starts == 11


async def test_ends_that_lead_to_no_restart_do_not_count(autojump_clock: MockClock) -> None:
    t, u = Puppet("t"), Puppet("u")
    specs = [
        ChildSpec("t", t.start, restart="transient"),
        ChildSpec("u", u.start, restart="temporary"),
    ]
    async with on_stage(specs, SupervisorFlags(intensity=0)) as stage:
        t.end()
        u.end(OSError())
        await quiet()
        assert await stage.states() == {"t": "undefined"}


async def test_every_failed_attempt_to_restart_counts(autojump_clock: MockClock) -> None:
    # The figures of OTP's trace: 2 failures + 1 success = 3 = the intensity; then one too many.
    a, b = Puppet("a"), Puppet("b")
    specs = [ChildSpec("a", a.start), ChildSpec("b", b.start)]
    async with on_stage(specs, SupervisorFlags(intensity=3, period_s=3600)) as stage:
        a.fail_next = [OSError(), OSError()]
        a.end(OSError())
        await quiet()
        assert await stage.states() == {"a": "running", "b": "running"}
        assert a.starts == 4
        b.end(OSError())
        await quiet()
        assert isinstance(stage.error, IntensityExceeded)


async def test_a_restart_that_keeps_failing_ends_the_supervisor(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)], SupervisorFlags(intensity=2)) as stage:
        child.fail_next = [OSError(str(n)) for n in range(9)]
        child.end(OSError())
        await quiet()
        assert isinstance(stage.error, IntensityExceeded)
        assert str(stage.error.cause) == "1"
        assert len(stage.told(ChildStartFailed)) == 2
    assert child.starts == 3


async def test_what_waits_in_the_queue_comes_before_the_next_attempt(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    a, b = Puppet("a", log), Puppet("b", log)

    async def fail_slowly(*, task_status: trio.TaskStatus[object]) -> None:
        if a.starts == 1:  # the first restart: b ends while it is under way
            a.fail_next = [OSError()]
            b.end(OSError())
            await quiet()
        await a.start(task_status=task_status)

    async with on_stage([ChildSpec("a", fail_slowly), ChildSpec("b", b.start)]):
        log.clear()
        a.end(OSError())
        await quiet(0.01)
        assert log == ["-a", "-b", "!a", "+b", "+a"]


async def test_terminate_between_two_attempts_ends_the_restarts(autojump_clock: MockClock) -> None:
    attempts = 0

    async def fail_later(*, task_status: trio.TaskStatus[object]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts > 1:
            await trio.sleep(1)
            raise OSError
        task_status.started()

    async with on_stage([ChildSpec("a", fail_later)]) as stage:
        await quiet()
        await stage.supervisor.terminate_child("a")  # waits in the queue, before the next attempt
        await trio.sleep(10)
        assert await stage.states() == {"a": "undefined"}
    assert attempts == 2


async def test_a_restart_is_told_with_its_delay_and_its_count(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        for _ in range(2):
            child.end(OSError())
            await quiet()
        assert stage.told(ChildRestarting) == [
            ChildRestarting("root", "a", 0, 1),
            ChildRestarting("root", "a", 0, 2),
        ]


async def test_a_child_whose_own_nursery_breaks_leaves_its_siblings_alone(
    autojump_clock: MockClock,
) -> None:
    sibling = Puppet("b")
    lives = 0

    async def fail() -> None:
        raise OSError

    async def nested(*, task_status: trio.TaskStatus[object]) -> None:
        nonlocal lives
        lives += 1
        task_status.started()
        async with trio.open_nursery() as nursery:
            if lives == 1:
                nursery.start_soon(fail)
            nursery.start_soon(trio.sleep_forever)

    async with on_stage([ChildSpec("n", nested), ChildSpec("b", sibling.start)]):
        await quiet()
        assert lives == 2
        assert sibling.starts == sibling.alive == 1
