"""`stop`, and what waits in the queue meanwhile."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from supervisor.tree import (
    ChildCounts,
    ChildSpec,
    Restart,
    Shutdown,
    Supervisor,
    SupervisorEnded,
    SupervisorFlags,
    SupervisorGone,
)

from .stage import Puppet, on_stage, quiet

CAUSES: dict[str, Exception | None] = {
    "normal": None,
    "shutdown": Shutdown("enough"),
    "crash": OSError("broken"),
}


@pytest.mark.parametrize("reason", CAUSES)
async def test_stop_ends_the_children_in_reverse_order_and_then_run_with_its_cause(
    autojump_clock: MockClock, reason: str
) -> None:
    log: list[str] = []
    specs = [ChildSpec(name, Puppet(name, log).start) for name in "ab"]
    async with on_stage(specs) as stage:
        await stage.supervisor.stop(CAUSES[reason])
        assert log == ["+a", "+b", "-b", "-a"]
        ended = stage.events[-1]
        await quiet()
        assert stage.error is CAUSES[reason]
    assert isinstance(ended, SupervisorEnded)
    assert (ended.reason, ended.cause) == (reason, CAUSES[reason])


async def test_stop_returns_when_all_has_ended(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    child.shielded_s = 4
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        await stage.supervisor.stop()
        assert trio.current_time() == 4
        assert child.alive == 0


async def test_stop_of_one_that_does_not_run_is_refused() -> None:
    with pytest.raises(SupervisorGone) as gone:
        await Supervisor("root", SupervisorFlags(), []).stop()
    assert gone.value.reason == "noproc"


async def test_the_first_of_two_stops_gives_the_cause_and_both_return(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    child.shielded_s = 1
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        first, second = OSError("first"), OSError("second")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.supervisor.stop, first)
            await quiet()
            nursery.start_soon(stage.supervisor.stop, second)
        await quiet()
        assert stage.error is first


@pytest.mark.parametrize("reason", CAUSES)
@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_the_parent_makes_of_it_what_it_makes_of_any_exit(
    autojump_clock: MockClock, reason: str, restart: Restart
) -> None:
    sub = Supervisor("sub", SupervisorFlags(), [])
    async with on_stage([ChildSpec("sub", sub.run, restart, type="supervisor")]) as stage:
        await sub.stop(CAUSES[reason])
        await quiet()
        restarted = restart == "permanent" or reason == "crash"
        assert await stage.states() == {"sub": "running" if restarted else "undefined"}


async def test_stop_takes_its_turn_in_the_queue(autojump_clock: MockClock) -> None:
    log: list[str] = []
    child, added = Puppet("a", log), Puppet("added", log)
    async with on_stage([ChildSpec("a", child.start)]) as stage, trio.open_nursery() as nursery:
        async with stage.supervisor.suspended():
            child.end(OSError())
            await quiet()
            nursery.start_soon(stage.supervisor.start_child, ChildSpec("added", added.start))
            await quiet()
            nursery.start_soon(stage.supervisor.stop)
            await quiet()
        await quiet()
        assert log == ["+a", "-a", "+a", "+added", "-added", "-a"]


@pytest.mark.parametrize("reason", CAUSES)
async def test_calls_that_come_after_it_are_told_with_what_it_ended(
    autojump_clock: MockClock, reason: str
) -> None:
    refused: list[SupervisorGone] = []
    async with on_stage([]) as stage, trio.open_nursery() as nursery:

        async def call(what: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(SupervisorGone) as gone:
                await what()
            refused.append(gone.value)

        async with stage.supervisor.suspended():
            nursery.start_soon(stage.supervisor.stop, CAUSES[reason])
            await quiet()
            nursery.start_soon(call, stage.supervisor.which_children)
            nursery.start_soon(call, stage.supervisor.count_children)
            await quiet()
    assert [(gone.reason, gone.cause) for gone in refused] == [(reason, CAUSES[reason])] * 2


async def test_a_caller_of_stop_that_is_cancelled_leaves_the_request_there(
    autojump_clock: MockClock,
) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)]) as stage:
        async with stage.supervisor.suspended():
            with trio.move_on_after(1):
                await stage.supervisor.stop()
            assert child.alive == 1
        await quiet()
        assert child.alive == 0
        with pytest.raises(SupervisorGone, match="does not run"):
            await stage.supervisor.which_children()


async def test_suspended_nothing_is_handled_and_afterwards_all_in_its_order(
    autojump_clock: MockClock,
) -> None:
    a, b = Puppet("a"), Puppet("b")
    counts: dict[str, ChildCounts] = {}
    specs = [ChildSpec("a", a.start), ChildSpec("b", b.start, restart="temporary")]
    async with on_stage(specs) as stage, trio.open_nursery() as nursery:

        async def count(when: str) -> None:
            counts[when] = await stage.supervisor.count_children()

        async with stage.supervisor.suspended():
            nursery.start_soon(count, "before")
            await quiet()
            b.end()
            await quiet()
            nursery.start_soon(count, "between")
            await quiet()
            a.end()
            await trio.sleep(100)
            assert (a.starts, counts) == (1, {})
        await quiet()
        assert counts == {
            "before": ChildCounts(2, 0, 0, 2),
            "between": ChildCounts(1, 0, 0, 1),
        }
        assert a.starts == 2


async def test_a_suspended_supervisor_can_be_cancelled(autojump_clock: MockClock) -> None:
    child = Puppet("a")
    async with on_stage([ChildSpec("a", child.start)]) as stage, stage.supervisor.suspended():
        stage.cancel_scope.cancel()
        await quiet()
        assert child.alive == 0


async def test_an_error_inside_the_block_ends_the_suspension(autojump_clock: MockClock) -> None:
    async with on_stage([]) as stage:
        with pytest.raises(LookupError):
            async with stage.supervisor.suspended():
                raise LookupError
        assert await stage.supervisor.which_children() == []


async def test_suspending_twice_reads_on_when_both_have_ended(autojump_clock: MockClock) -> None:
    done: list[str] = []
    async with on_stage([]) as stage, trio.open_nursery() as nursery:

        async def for_a_while(seconds: float) -> None:
            async with stage.supervisor.suspended():
                await trio.sleep(seconds)
            done.append("suspended")

        async def call() -> None:
            await stage.supervisor.which_children()
            done.append("called")

        nursery.start_soon(for_a_while, 2)
        await quiet()
        nursery.start_soon(for_a_while, 3)
        await quiet()
        nursery.start_soon(call)
        await trio.sleep(10)
        assert done == ["suspended", "suspended", "called"]


async def test_suspending_one_that_does_not_run_is_refused() -> None:
    with pytest.raises(SupervisorGone):
        async with Supervisor("root", SupervisorFlags(), []).suspended():
            pytest.fail("it does not run")
