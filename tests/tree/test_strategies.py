"""Which children a restart takes along."""

from collections.abc import Sequence

import pytest
from trio.testing import MockClock

from supervisor.tree import (
    ChildRestarting,
    ChildSpec,
    Ignore,
    IntensityExceeded,
    Restart,
    Strategy,
    SupervisorFlags,
)

from .stage import Puppet, on_stage, quiet

GROUPS: dict[Strategy, list[str]] = {
    "one_for_one": ["-b", "+b"],
    "rest_for_one": ["-b", "-d", "-c", "+b", "+c", "+d"],
    "one_for_all": ["-b", "-d", "-c", "-a", "+a", "+b", "+c", "+d"],
}


def four(
    log: list[str], restarts: Sequence[Restart] = ("permanent",) * 4
) -> tuple[list[Puppet], list[ChildSpec]]:
    puppets = [Puppet(name, log) for name in "abcd"]
    specs = [
        ChildSpec(puppet.name, puppet.start, restart)
        for puppet, restart in zip(puppets, restarts, strict=True)
    ]
    return puppets, specs


def flags(strategy: Strategy, intensity: int = 100) -> SupervisorFlags:
    return SupervisorFlags(strategy, intensity, 3600)


@pytest.mark.parametrize("strategy", GROUPS)
async def test_a_group_is_stopped_in_reverse_and_started_in_order(
    autojump_clock: MockClock, strategy: Strategy
) -> None:
    log: list[str] = []
    puppets, specs = four(log)
    async with on_stage(specs, flags(strategy)):
        log.clear()
        puppets[1].end(OSError())
        await quiet()
        assert log == GROUPS[strategy]


@pytest.mark.parametrize("strategy", GROUPS)
async def test_a_group_restart_counts_once(autojump_clock: MockClock, strategy: Strategy) -> None:
    puppets, specs = four([])
    async with on_stage(specs, flags(strategy)) as stage:
        puppets[1].end(OSError())
        await quiet()
        assert stage.told(ChildRestarting) == [ChildRestarting("root", "b", 0, 1)]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_normal_end_of_a_transient_child_leaves_its_siblings_alone(
    autojump_clock: MockClock, strategy: Strategy
) -> None:
    log: list[str] = []
    puppets, specs = four(log, ["transient"] * 4)
    async with on_stage(specs, flags(strategy)) as stage:
        log.clear()
        puppets[0].end()
        await quiet()
        assert log == ["-a"]
        assert (await stage.states())["a"] == "undefined"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_the_crash_of_a_temporary_child_leaves_its_siblings_alone(
    autojump_clock: MockClock, strategy: Strategy
) -> None:
    log: list[str] = []
    puppets, specs = four(log, ["temporary", "permanent", "permanent", "permanent"])
    async with on_stage(specs, flags(strategy)) as stage:
        log.clear()
        puppets[0].end(OSError())
        await quiet()
        assert log == ["-a"]
        assert list(await stage.states()) == ["b", "c", "d"]


async def test_a_temporary_child_that_is_taken_along_is_stopped_and_forgotten(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    puppets, specs = four(log, ["permanent", "permanent", "temporary", "permanent"])
    async with on_stage(specs, flags("one_for_all")) as stage:
        log.clear()
        puppets[0].end(OSError())
        await quiet()
        assert log == ["-a", "-d", "-c", "-b", "+a", "+b", "+d"]
        assert list(await stage.states()) == ["a", "b", "d"]


async def test_a_group_restart_starts_all_that_were_down(autojump_clock: MockClock) -> None:
    log: list[str] = []
    puppets, specs = four(log, ["permanent", "permanent", "transient", "permanent"])
    async with on_stage(specs, flags("one_for_all")) as stage:
        await stage.supervisor.terminate_child("b")
        puppets[2].end()
        await quiet()
        log.clear()
        puppets[0].end(OSError())
        await quiet()
        assert log == ["-a", "-d", "+a", "+b", "+c", "+d"]


async def test_a_child_that_ignores_its_restart_is_undefined_and_the_later_ones_start(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    puppets, specs = four(log)
    async with on_stage(specs, flags("rest_for_one")) as stage:
        log.clear()
        puppets[2].fail_next = [Ignore()]
        puppets[1].end(OSError())
        await quiet()
        assert log == ["-b", "-d", "-c", "+b", "!c", "+d"]
        assert (await stage.states())["c"] == "undefined"


async def test_one_for_all_tries_again_from_the_first(autojump_clock: MockClock) -> None:
    log: list[str] = []
    puppets, specs = four(log)
    async with on_stage(specs, flags("one_for_all")) as stage:
        log.clear()
        puppets[2].fail_next = [OSError()]
        puppets[0].end(OSError())
        await quiet()
        assert log[4:] == ["+a", "+b", "!c", "-b", "-a", "+a", "+b", "+c", "+d"]
        assert stage.told(ChildRestarting) == [
            ChildRestarting("root", "a", 0, 1),
            ChildRestarting("root", "c", 0, 2),
        ]


async def test_rest_for_one_tries_again_from_the_child_that_failed(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    puppets, specs = four(log)
    async with on_stage(specs, flags("rest_for_one")):
        log.clear()
        puppets[2].fail_next = [OSError()]
        puppets[0].end(OSError())
        await quiet()
        assert log[4:] == ["+a", "+b", "!c", "+c", "+d"]


async def test_each_attempt_of_a_group_counts(autojump_clock: MockClock) -> None:
    log: list[str] = []
    puppets, specs = four(log)
    async with on_stage(specs, flags("one_for_all", intensity=2)) as stage:
        log.clear()
        puppets[1].fail_next = [OSError() for _ in range(9)]
        puppets[0].end(OSError())
        await quiet()
        assert log[4:] == ["+a", "!b", "-a", "+a", "!b", "-a"]
        assert isinstance(stage.error, IntensityExceeded)
        assert stage.error.child_id == "b"


async def test_exits_at_the_same_time_are_one_restart_below_one_for_all(
    autojump_clock: MockClock,
) -> None:
    puppets, specs = four([], ["permanent", "permanent", "transient", "permanent"])
    async with on_stage(specs, flags("one_for_all", intensity=1)) as stage:
        async with stage.supervisor.suspended():
            for puppet in puppets:
                puppet.end()
        await quiet()
        # The normal end of the transient one is absorbed: it was started again.
        assert [puppet.starts for puppet in puppets] == [2, 2, 2, 2]


@pytest.mark.parametrize(("order", "restarts"), [("bc", 1), ("cb", 2)])
async def test_below_rest_for_one_it_depends_on_which_exit_comes_first(
    autojump_clock: MockClock, order: str, restarts: int
) -> None:
    puppets, specs = four([])
    async with on_stage(specs, flags("rest_for_one")) as stage:
        async with stage.supervisor.suspended():
            for name in order:
                puppets["abcd".index(name)].end(OSError())
                await quiet()
        await quiet()
        assert len(stage.told(ChildRestarting)) == restarts


async def test_below_one_for_one_each_exit_counts(autojump_clock: MockClock) -> None:
    puppets, specs = four([])
    async with on_stage(specs, flags("one_for_one", intensity=3)) as stage:
        async with stage.supervisor.suspended():
            for puppet in puppets:
                puppet.end(OSError())
        await quiet()
        assert isinstance(stage.error, IntensityExceeded)


async def test_a_child_added_by_a_call_is_last_in_the_group(autojump_clock: MockClock) -> None:
    log: list[str] = []
    puppets, specs = four(log)
    async with on_stage(specs[1:], flags("rest_for_one")) as stage:
        await stage.supervisor.start_child(specs[0])
        log.clear()
        puppets[3].end(OSError())
        await quiet()
        assert log == ["-d", "-a", "+d", "+a"]
