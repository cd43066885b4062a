"""Significant children, whose end is the end of their supervisor."""

import pytest
from trio.testing import MockClock

from supervisor.tree import (
    AutoShutdown,
    AutoShutdownEvent,
    BadSpec,
    ChildExited,
    ChildSpec,
    Ignore,
    Restart,
    Shutdown,
    Supervisor,
    SupervisorEnded,
    SupervisorFlags,
)

from .stage import Puppet, on_stage, quiet

ANY = SupervisorFlags(auto_shutdown="any_significant")
ALL = SupervisorFlags(auto_shutdown="all_significant")
ALL_OFTEN = SupervisorFlags(intensity=100, auto_shutdown="all_significant")


def significant(puppet: Puppet, restart: Restart = "transient") -> ChildSpec:
    return ChildSpec(puppet.name, puppet.start, restart, significant=True)


@pytest.mark.parametrize(
    ("restart", "cause"),
    [
        ("transient", None),
        ("transient", Shutdown("done")),
        ("temporary", None),
        ("temporary", Shutdown("done")),
        ("temporary", OSError()),
    ],
)
async def test_the_end_of_a_significant_child_ends_the_supervisor_in_reverse_order(
    autojump_clock: MockClock, restart: Restart, cause: Exception | None
) -> None:
    log: list[str] = []
    a, s, c = (Puppet(name, log) for name in "asc")
    specs = [ChildSpec("a", a.start), significant(s, restart), ChildSpec("c", c.start)]
    async with on_stage(specs, ANY) as stage:
        log.clear()
        s.end(cause)
        await quiet()
        assert log == ["-s", "-c", "-a"]
        assert isinstance(stage.error, AutoShutdown)
        assert isinstance(stage.error, Shutdown)
        assert (stage.error.supervisor, stage.error.child_id) == ("root", "s")
        assert stage.told(AutoShutdownEvent) == [AutoShutdownEvent("root", "s")]
        assert stage.events[-1] == SupervisorEnded("root", "shutdown", stage.error)


async def test_the_crash_of_a_significant_transient_child_is_a_restart(
    autojump_clock: MockClock,
) -> None:
    s = Puppet("s")
    async with on_stage([significant(s)], ANY) as stage:
        s.end(OSError())
        await quiet()
        assert s.starts == 2
        assert stage.told(AutoShutdownEvent) == []


async def test_all_significant_waits_for_the_last(autojump_clock: MockClock) -> None:
    s, t, other = Puppet("s"), Puppet("t"), Puppet("other")
    specs = [significant(s), significant(t, "temporary"), ChildSpec("other", other.start)]
    async with on_stage(specs, ALL) as stage:
        s.end()
        await quiet()
        assert stage.told(AutoShutdownEvent) == []
        t.end(OSError())
        await quiet()
        assert isinstance(stage.error, AutoShutdown)
        assert stage.error.child_id == "t"
        assert other.alive == 0


async def test_a_significant_child_that_ignored_or_was_terminated_counts_as_gone(
    autojump_clock: MockClock,
) -> None:
    s, ignored, terminated = Puppet("s"), Puppet("ignored"), Puppet("terminated")
    ignored.fail_next = [Ignore()]
    async with on_stage([significant(p) for p in (s, ignored, terminated)], ALL) as stage:
        await stage.supervisor.terminate_child("terminated")
        await quiet()
        assert stage.told(AutoShutdownEvent) == []
        s.end()
        await quiet()
        assert isinstance(stage.error, AutoShutdown)


async def test_a_call_that_terminates_it_triggers_nothing(autojump_clock: MockClock) -> None:
    for flags in (ANY, ALL):
        s = Puppet("s")
        async with on_stage([significant(s)], flags) as stage:
            await stage.supervisor.terminate_child("s")
            await quiet()
            assert stage.told(AutoShutdownEvent) == []
            assert await stage.states() == {"s": "undefined"}


async def test_being_taken_along_by_a_sibling_triggers_nothing(autojump_clock: MockClock) -> None:
    a, s = Puppet("a"), Puppet("s")
    flags = SupervisorFlags("one_for_all", auto_shutdown="any_significant")
    async with on_stage([ChildSpec("a", a.start), significant(s)], flags) as stage:
        async with stage.supervisor.suspended():
            a.end(OSError())
            await quiet()
            s.end()  # absorbed by the restart
        await quiet()
        assert s.starts == 2
        assert stage.told(AutoShutdownEvent) == []


async def test_the_end_of_a_child_that_is_not_significant_triggers_nothing(
    autojump_clock: MockClock,
) -> None:
    a, s = Puppet("a"), Puppet("s")
    specs = [ChildSpec("a", a.start, "temporary"), significant(s)]
    async with on_stage(specs, ANY) as stage:
        a.end()
        await quiet()
        assert await stage.states() == {"s": "running"}


@pytest.mark.parametrize(
    ("restart", "state"), [("permanent", "running"), ("transient", "undefined")]
)
async def test_its_parent_restarts_it_if_it_is_permanent(
    autojump_clock: MockClock, restart: Restart, state: str
) -> None:
    s = Puppet("s")
    sub = Supervisor("sub", ANY, [significant(s)])
    async with on_stage([ChildSpec("sub", sub.run, restart, type="supervisor")]) as stage:
        s.end()
        await quiet()
        (exited,) = stage.told(ChildExited)
        assert isinstance(exited, ChildExited)
        assert exited.reason == "shutdown"
        assert await stage.states() == {"sub": state}


async def test_it_goes_on_through_significant_supervisors(autojump_clock: MockClock) -> None:
    s = Puppet("s")
    sub = Supervisor("sub", ANY, [significant(s)])
    spec = ChildSpec("sub", sub.run, "transient", type="supervisor", significant=True)
    async with on_stage([spec], ANY) as stage:
        s.end()
        await quiet()
        assert isinstance(stage.error, AutoShutdown)
        assert stage.error.child_id == "sub"


async def test_below_simple_one_for_one_all_significant_waits_for_the_last_instance(
    autojump_clock: MockClock,
) -> None:
    puppets = [Puppet("x"), Puppet("y")]

    async def start(which: int, *, task_status: object) -> None:
        await puppets[which].start(task_status=task_status)  # type: ignore[arg-type]

    flags = SupervisorFlags("simple_one_for_one", auto_shutdown="all_significant")
    async with on_stage([ChildSpec("x", start, "transient", significant=True)], flags) as stage:
        for which in (0, 1):
            await stage.supervisor.start_instance(which)
        puppets[0].end()
        await quiet()
        assert stage.told(AutoShutdownEvent) == []
        puppets[1].end()
        await quiet()
        assert isinstance(stage.error, AutoShutdown)


async def test_start_child_refuses_a_significant_child_where_it_means_nothing(
    autojump_clock: MockClock,
) -> None:
    async with on_stage([]) as stage:
        with pytest.raises(BadSpec, match="needs a supervisor whose auto_shutdown is") as refused:
            await stage.supervisor.start_child(significant(Puppet("s")))
        assert refused.value.code == "bad_combination"
        assert await stage.states() == {}


async def test_a_significant_child_that_is_restarting_is_not_gone(
    autojump_clock: MockClock,
) -> None:
    s, t = Puppet("s"), Puppet("t")
    async with on_stage([significant(s), significant(t)], ALL_OFTEN) as stage:
        s.fail_next = [OSError()]
        async with stage.supervisor.suspended():
            s.end(OSError())
            await quiet()
            t.end()  # handled between the two attempts to restart s
            await quiet()
        await quiet()
        assert stage.told(AutoShutdownEvent) == []
        assert await stage.states() == {"s": "running", "t": "undefined"}
