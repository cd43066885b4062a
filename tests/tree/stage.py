"""A supervisor on a stage: puppets for children, everything that happens in one list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio
from trio.testing import wait_all_tasks_blocked

from supervisor.tree import ChildSpec, Event, Supervisor, SupervisorFlags


class Puppet:
    """A child that does what the test says; it logs its starts as +id and its ends as -id."""

    def __init__(self, name: str, log: list[str] | None = None) -> None:
        self.name = name
        self.log: list[str] = [] if log is None else log
        self.starts = 0
        self.alive = 0
        self.fail_next: list[Exception] = []
        """What the next starts raise before they are up."""
        self.shielded_s = 0.0
        """How long it resists being stopped."""
        self.raises_when_stopped: Exception | None = None
        self._order = trio.Event()
        self._with: BaseException | None = None

    def end(self, exc: BaseException | None = None) -> None:
        """Have it return, or raise."""
        self._with = exc
        self._order.set()

    async def start(self, *, task_status: trio.TaskStatus[object]) -> None:
        self.starts += 1
        if self.fail_next:
            self.log.append(f"!{self.name}")
            raise self.fail_next.pop(0)
        self._order = trio.Event()
        self.alive += 1
        self.log.append(f"+{self.name}")
        task_status.started(f"{self.name} {self.starts}")
        try:
            await self._live()
        finally:
            self.alive -= 1
            self.log.append(f"-{self.name}")

    async def _live(self) -> None:
        try:
            await self._order.wait()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.shielded_s)
            if self.raises_when_stopped is not None:
                raise self.raises_when_stopped from None
            raise
        if self._with is not None:
            raise self._with


class Stage:
    """A running supervisor, what it told, and what its run raised."""

    def __init__(self, supervisor: Supervisor, events: list[Event]) -> None:
        self.supervisor = supervisor
        self.events = events
        self.error: BaseException | None = None
        self.cancel_scope = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[Supervisor]) -> None:
        try:
            with self.cancel_scope:
                await self.supervisor.run(task_status=task_status)
        except Exception as exc:
            self.error = exc

    async def states(self) -> dict[str, str]:
        return {child.id: child.state for child in await self.supervisor.which_children()}

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def on_stage(
    children: Sequence[ChildSpec],
    flags: SupervisorFlags | None = None,
    *,
    on_event: Callable[[Event], None] | None = None,
) -> AsyncIterator[Stage]:
    """Run a supervisor of these children for the length of a block, then cancel it."""
    events: list[Event] = []
    flags = flags or SupervisorFlags(intensity=100)
    supervisor = Supervisor("root", flags, children, on_event=on_event or events.append)
    stage = Stage(supervisor, events)
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.run)
        yield stage
        stage.cancel_scope.cancel()


quiet = wait_all_tasks_blocked
