"""A look at a whole tree."""

import pytest
from trio.testing import MockClock

from supervisor.tree import ChildSpec, Supervisor, SupervisorFlags, SupervisorGone, snapshot

from .stage import Puppet, on_stage


async def test_it_goes_down_to_the_last_worker_in_start_order(autojump_clock: MockClock) -> None:
    flags = SupervisorFlags("one_for_all")
    inner = Supervisor("inner", flags, [ChildSpec("leaf", Puppet("leaf").start)])
    specs = [
        ChildSpec("a", Puppet("a").start),
        ChildSpec("inner", inner.run, restart="transient", type="supervisor"),
    ]
    async with on_stage(specs) as stage:
        seen = await snapshot(stage.supervisor)

    assert seen.name == "root"
    (a, below_a), (sub, below_sub) = seen.children
    assert (a.id, a.type, below_a) == ("a", "worker", None)
    assert (sub.id, sub.type) == ("inner", "supervisor")
    assert below_sub is not None
    assert below_sub.flags is flags
    assert [info.id for info, _ in below_sub.children] == ["leaf"]


async def test_a_supervisor_that_has_ended_is_shown_without_children(
    autojump_clock: MockClock,
) -> None:
    inner = Supervisor("inner", SupervisorFlags(), [ChildSpec("leaf", Puppet("leaf").start)])
    async with on_stage([ChildSpec("inner", inner.run, type="supervisor")]) as stage:
        await stage.supervisor.terminate_child("inner")
        ((info, below),) = (await snapshot(stage.supervisor)).children

    assert (info.state, below) == ("undefined", None)


async def test_one_that_does_not_run_cannot_be_looked_at() -> None:
    with pytest.raises(SupervisorGone):
        await snapshot(Supervisor("root", SupervisorFlags(), []))
