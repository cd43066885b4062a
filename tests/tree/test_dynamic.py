"""Children of one template: simple_one_for_one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import (
    Backoff,
    BadFlags,
    BadSpec,
    ChildCounts,
    ChildError,
    ChildExited,
    ChildKilled,
    ChildRef,
    ChildSpec,
    ChildStarted,
    ChildStatus,
    DynamicSupervisor,
    Event,
    Ignore,
    IntensityExceeded,
    Restart,
    Supervisor,
    SupervisorFlags,
)

from .stage import Puppet, quiet


class Troupe:
    """A dynamic supervisor whose children are puppets, found by their first argument."""

    def __init__(self, **template: Any) -> None:
        self.log: list[str] = []
        self.puppets: dict[str, Puppet] = {}
        self.args: list[tuple[object, ...]] = []
        self.events: list[Event] = []
        self.error: Exception | None = None
        self.flags = SupervisorFlags("simple_one_for_one", intensity=100)
        self.template = ChildSpec("puppet", self._start, **template)

    async def _start(self, name: str, *more: object, task_status: trio.TaskStatus[object]) -> None:
        self.args.append((name, *more))
        await self.puppet(name).start(task_status=task_status)

    def puppet(self, name: str) -> Puppet:
        return self.puppets.setdefault(name, Puppet(name, self.log))

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[DynamicSupervisor]:
        supervisor = DynamicSupervisor(
            "troupe", self.template, self.flags, on_event=self.events.append
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(self._run, supervisor)
            yield supervisor
            nursery.cancel_scope.cancel()

    async def _run(
        self, supervisor: DynamicSupervisor, *, task_status: trio.TaskStatus[object]
    ) -> None:
        try:
            await supervisor.run(task_status=task_status)
        except Exception as exc:
            self.error = exc


async def started(supervisor: DynamicSupervisor, *args: object) -> ChildRef:
    ref = await supervisor.start_child(*args)
    assert ref is not None
    return ref


async def refusal(supervisor: DynamicSupervisor, call: str, *args: object) -> str:
    with pytest.raises(ChildError) as refused:
        await getattr(supervisor, call)(*args)
    return refused.value.code


async def test_it_begins_without_children(autojump_clock: MockClock) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        assert await supervisor.which_children() == []
        assert await supervisor.count_children() == ChildCounts(1, 0, 0, 0)


async def test_a_child_is_started_and_restarted_with_its_arguments(
    autojump_clock: MockClock,
) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        ref = await started(supervisor, "x", 7)
        assert (ref.id, ref.value, ref.alive) == ("puppet", "x 1", True)
        troupe.puppet("x").end(OSError())
        await quiet()
        assert troupe.args == [("x", 7), ("x", 7)]
        assert not ref.alive


async def test_a_restart_takes_no_other_child_along(autojump_clock: MockClock) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        for name in "xyz":
            await started(supervisor, name)
        troupe.puppet("y").end(OSError())
        await quiet()
        assert troupe.log == ["+x", "+y", "+z", "-y", "+y"]


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_a_child_that_has_ended_for_good_is_forgotten(
    autojump_clock: MockClock, restart: Restart
) -> None:
    troupe = Troupe(restart=restart)
    async with troupe.playing() as supervisor:
        await started(supervisor, "x")
        troupe.puppet("x").end()
        await quiet()
        assert await supervisor.which_children() == []
        assert await supervisor.count_children() == ChildCounts(1, 0, 0, 0)


async def test_a_child_that_ignores_is_forgotten_at_once_and_at_its_restart(
    autojump_clock: MockClock,
) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        troupe.puppet("x").fail_next = [Ignore()]
        assert await supervisor.start_child("x") is None
        assert await supervisor.which_children() == []
        await started(supervisor, "x")
        troupe.puppet("x").fail_next = [Ignore()]
        troupe.puppet("x").end(OSError())
        await quiet()
        assert await supervisor.which_children() == []
        assert await supervisor.count_children() == ChildCounts(1, 0, 0, 0)


async def test_a_start_that_fails_is_refused_and_forgotten(autojump_clock: MockClock) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        troupe.puppet("x").fail_next = [cause := OSError()]
        with pytest.raises(ChildError) as refused:
            await supervisor.start_child("x")
        assert (refused.value.code, refused.value.cause) == ("start_failed", cause)
        assert await supervisor.which_children() == []


async def test_terminate_ends_the_child_of_that_reference_and_no_other(
    autojump_clock: MockClock,
) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        refs = [await started(supervisor, name) for name in "xyz"]
        await supervisor.terminate_child(refs[1])
        assert troupe.log[3:] == ["-y"]
        assert [child.ref for child in await supervisor.which_children()] == [refs[0], refs[2]]


async def test_terminating_a_life_that_is_over_is_fine_and_leaves_the_next_alone(
    autojump_clock: MockClock,
) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        ref = await started(supervisor, "x")
        troupe.puppet("x").end(OSError())
        await quiet()
        await supervisor.terminate_child(ref)
        assert troupe.puppet("x").alive == 1


async def test_terminating_a_child_of_another_supervisor_is_not_found(
    autojump_clock: MockClock,
) -> None:
    troupe, other = Troupe(), Troupe()
    async with troupe.playing() as supervisor, other.playing() as another:
        ref = await started(another, "x")
        assert await refusal(supervisor, "terminate_child", ref) == "not_found"
        assert ref.alive


async def test_calls_by_id_are_refused(autojump_clock: MockClock) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        await started(supervisor, "x")
        for call in ("terminate_child", "restart_child", "delete_child"):
            assert await refusal(supervisor, call, "puppet") == "simple_one_for_one"


async def test_the_spec_is_found_by_id_and_by_reference(autojump_clock: MockClock) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        ref = await started(supervisor, "x")
        assert await supervisor.get_childspec("puppet") is troupe.template
        assert await supervisor.get_childspec(ref) is troupe.template


async def test_start_child_of_a_plain_simple_one_for_one_is_refused_and_start_instance_not(
    autojump_clock: MockClock,
) -> None:
    template = Troupe().template
    supervisor = Supervisor("plain", SupervisorFlags("simple_one_for_one"), [template])
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        with pytest.raises(ChildError) as refused:
            await supervisor.start_child(template)
        assert refused.value.code == "simple_one_for_one"
        assert await supervisor.start_instance("x") is not None
        nursery.cancel_scope.cancel()


async def test_start_instance_of_another_strategy_is_refused(autojump_clock: MockClock) -> None:
    supervisor = Supervisor("plain", SupervisorFlags(), [])
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        with pytest.raises(ChildError) as refused:
            await supervisor.start_instance("x")
        assert refused.value.code == "simple_one_for_one"
        nursery.cancel_scope.cancel()


async def test_all_children_share_one_window(autojump_clock: MockClock) -> None:
    troupe = Troupe()
    troupe.flags = SupervisorFlags("simple_one_for_one", intensity=1)
    async with troupe.playing() as supervisor:
        for name in "xyz":
            await started(supervisor, name)
        troupe.puppet("x").end(OSError())
        troupe.puppet("y").end(OSError())
        await quiet()
        assert isinstance(troupe.error, IntensityExceeded)
        assert [puppet.alive for puppet in troupe.puppets.values()] == [0, 0, 0]


async def test_children_are_stopped_all_at_once(autojump_clock: MockClock) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor:
        for i, name in enumerate("xyz", start=1):
            await started(supervisor, name)
            troupe.puppet(name).shielded_s = i
        await supervisor.stop()
        assert trio.current_time() == 3
        assert troupe.log[3:] == ["-x", "-y", "-z"]


async def test_all_children_share_one_timeout(autojump_clock: MockClock) -> None:
    troupe = Troupe(shutdown=2)
    async with troupe.playing() as supervisor:
        for name, seconds in {"x": 1.0, "y": 2.5, "z": 2.75}.items():
            await started(supervisor, name)
            troupe.puppet(name).shielded_s = seconds
        await supervisor.stop()
        assert trio.current_time() == 2.75
        assert troupe.told(ChildKilled) == [ChildKilled("troupe", "puppet", 2)] * 2
        reasons = [event.reason for event in troupe.events if isinstance(event, ChildExited)]
        assert sorted(reasons) == ["killed", "killed", "shutdown"]


async def test_a_child_between_two_attempts_is_restarting_and_can_be_terminated(
    autojump_clock: MockClock,
) -> None:
    troupe = Troupe()
    async with troupe.playing() as supervisor, trio.open_nursery() as nursery:
        ref = await started(supervisor, "x")
        y = await started(supervisor, "y")
        troupe.puppet("x").fail_next = [OSError()]
        states: list[list[str]] = []
        counts: list[ChildCounts] = []

        async def look_and_terminate() -> None:
            states.append([child.state for child in await supervisor.which_children()])

        async def count() -> None:
            counts.append(await supervisor.count_children())

        async with supervisor.suspended():
            troupe.puppet("x").end(OSError())
            for call in (look_and_terminate, count):
                await quiet()
                nursery.start_soon(call)
            await quiet()
            nursery.start_soon(supervisor.terminate_child, ref)
            await quiet()
        await quiet()
        assert states == [["restarting", "running"]]
        assert counts == [ChildCounts(1, 1, 0, 2)]
        assert [child.ref for child in await supervisor.which_children()] == [y]
        assert troupe.puppet("x").starts == 2


async def test_events_tell_the_children_apart_by_their_references(
    autojump_clock: MockClock,
) -> None:
    troupe = Troupe(restart="temporary")
    async with troupe.playing() as supervisor:
        refs = [await started(supervisor, name) for name in "xy"]
        troupe.puppet("y").end()
        await quiet()
        begun = [event.ref for event in troupe.events if isinstance(event, ChildStarted)]
        (ended,) = [event.ref for event in troupe.events if isinstance(event, ChildExited)]
        assert begun == refs
        assert ended is refs[1]


async def test_a_template_may_be_a_supervisor(autojump_clock: MockClock) -> None:
    leaf = Puppet("leaf")

    async def start(name: str, *, task_status: trio.TaskStatus[object]) -> None:
        children = [ChildSpec("leaf", leaf.start)]
        await Supervisor(name, SupervisorFlags(), children).run(task_status=task_status)

    supervisor = DynamicSupervisor("d", ChildSpec("s", start, type="supervisor"))
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        ref = await started(supervisor, "one")
        assert isinstance(ref.value, Supervisor)
        assert await supervisor.count_children() == ChildCounts(1, 1, 1, 0)
        await supervisor.terminate_child(ref)
        assert leaf.alive == 0
        nursery.cancel_scope.cancel()


def test_its_strategy_can_be_no_other() -> None:
    with pytest.raises(BadFlags, match="must be 'simple_one_for_one', not 'one_for_one'") as bad:
        DynamicSupervisor("d", Troupe().template, SupervisorFlags())
    assert bad.value.code == "invalid_strategy"


@pytest.mark.parametrize("count", [0, 2])
def test_it_takes_exactly_one_template(count: int) -> None:
    templates = [ChildSpec(f"t{i}", Puppet("x").start) for i in range(count)]
    with pytest.raises(BadSpec, match=f"exactly one child spec, the template, not {count}") as bad:
        Supervisor("d", SupervisorFlags("simple_one_for_one"), templates)
    assert bad.value.code == "bad_start_spec"


async def test_the_last_ref_of_one_that_waits_for_its_restart_ends_its_attempts(
    autojump_clock: MockClock,
) -> None:
    async def crash(*, task_status: ChildStatus) -> None:
        task_status.started()
        raise OSError

    flags = SupervisorFlags("simple_one_for_one", intensity=10, backoff=Backoff(initial_s=5))
    dynamic = DynamicSupervisor("dynamic", ChildSpec("c", crash), flags)
    async with trio.open_nursery() as nursery:
        await nursery.start(dynamic.run)
        await dynamic.start_child()
        await trio.sleep(1)
        (waiting,) = await dynamic.which_children()
        assert waiting.state == "restarting"
        assert waiting.ref is not None
        await dynamic.terminate_child(waiting.ref)
        assert await dynamic.which_children() == []
        await dynamic.stop()
