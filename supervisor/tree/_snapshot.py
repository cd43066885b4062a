"""A look at a whole tree."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from ._errors import SupervisorGone
from ._loop import ChildInfo
from ._spec import SupervisorFlags
from ._supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A supervisor and what is below it, as it was when it was asked."""

    name: str
    """The supervisor's."""
    flags: SupervisorFlags
    children: tuple[tuple[ChildInfo, Snapshot | None], ...]
    """In start order; with the snapshot of each child that is a running supervisor."""


async def snapshot(supervisor: Supervisor) -> Snapshot:
    """Ask a supervisor, and all supervisors below it, what they have.

    Each answers in its turn, so the levels are not of one instant. One that ends before it has
    answered is shown without children; a child counts as a supervisor if it gave one to
    `started()`, as `Supervisor.run` does.

    Raises:
      SupervisorGone: the one that is asked first does not run.
    """
    children: list[tuple[ChildInfo, Snapshot | None]] = []
    for info in await supervisor.which_children():
        below = None if info.ref is None else info.ref.value
        inner = None
        if isinstance(below, Supervisor):
            with suppress(SupervisorGone):
                inner = await snapshot(below)
        children.append((info, inner))
    return Snapshot(supervisor.name, supervisor.flags, tuple(children))
