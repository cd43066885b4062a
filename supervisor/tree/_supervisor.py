"""The supervisor as others see it: a start function and a handle."""

from __future__ import annotations

import inspect
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from ._errors import BadFlags, SupervisorGone
from ._events import Event
from ._life import ChildRef, Life
from ._loop import ChildCounts, ChildInfo, Loop
from ._spec import ChildSpec, SupervisorFlags, check_children, is_name


class Supervisor:
    """Keeps children running, as OTP's supervisor does.

    It may be run again after it has ended (a parent does that when it restarts it), but not
    twice at a time; each run begins with the children given here and an empty window.

    The calls may be made from any task, at any time. They take their turn in the supervisor's
    queue, and raise `SupervisorGone` when it does not run, or ends before it has answered. A
    caller that is cancelled while it waits leaves the call in the queue: it is carried out all
    the same. Do not call a supervisor from the *start* of one of its own children: it waits for
    that start, and so would each for the other.

    Args:
      name: what events and errors call it; not empty.
      flags: how it restarts.
      children: started in this order, stopped in the reverse. For simple_one_for_one: one spec,
        the template of all instances; none of them is started here.
      on_event: called with each event, in the supervisor's own task: it must return quickly. If
        it raises, the supervisor stops its children in order and ends with that exception.
      rng: the source of the backoff's jitter.

    Raises:
      BadSpec, BadFlags: nothing has been started then.
    """

    def __init__(
        self,
        name: str,
        flags: SupervisorFlags,
        children: Iterable[ChildSpec],
        *,
        on_event: Callable[[Event], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        if not is_name(name):
            raise BadFlags(
                "invalid_name", f"a supervisor's name must be a non-empty string, not {name!r}"
            )
        if not isinstance(flags, SupervisorFlags):
            raise BadFlags(
                "invalid_flags",
                f"supervisor {name!r}: flags must be SupervisorFlags, not {flags!r}",
            )
        listener: object = on_event
        if listener is not None and (
            not callable(listener) or inspect.iscoroutinefunction(listener)
        ):
            raise BadFlags(
                "invalid_on_event",
                f"supervisor {name!r}: on_event must be a function, and not an async one: "
                f"{on_event!r}",
            )
        self.name = name
        self.flags = flags
        specs = check_children(children, flags)
        new_rng = rng or random.Random()
        self._new_loop = partial(Loop, name, flags, specs, on_event, new_rng)
        self._loop: Loop | None = None

    async def run(self, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the children in order, say `started(self)`, and supervise until there is an end.

        Before it ends, for whatever reason, it stops the children in reverse order, one after
        the other, each within its own `shutdown` (those of simple_one_for_one all at once); that
        cannot be cancelled. A child that shields itself longer is reported (`ChildNotStopped`)
        and left behind, so that the others are stopped in time; `run` itself ends only once that
        child has ended too, because a task cannot be abandoned on Trio.

        It is the `start` of a `ChildSpec` in a parent, whose request to stop takes its turn in
        the queue. Cancellation does not: it is urgent, and interrupts a start that hangs as well.

        It returns after `stop()`, and when a parent has asked it to.

        Raises:
          StartFailed: a child did not start; those before it have been stopped.
          IntensityExceeded: too many restarts.
          AutoShutdown: significant children have ended, as the flags say.
          Exception: the cause that was given to `stop`.
          trio.Cancelled: it was cancelled.
          RuntimeError: it is running already.
        """
        if self._loop is not None:
            raise RuntimeError(f"supervisor {self.name!r} is running already")
        loop = self._loop = self._new_loop()

        def started() -> None:
            # Not earlier: a parent that gives up on this start cancels it.
            if isinstance(task_status, Life):
                task_status.trap_shutdown(loop.request_stop_by_parent, loop.kill)
            task_status.started(self)

        try:
            await loop.run(started)
        finally:
            self._loop = None

    async def stop(self, cause: Exception | None = None) -> None:
        """Stop the children in order and end; returns when that has happened.

        The request takes its turn in the queue. A caller that is cancelled leaves it there.

        Args:
          cause: what `run` raises in the end, and so what its parent makes of it: None: it
            returns (exit reason *normal*); a `Shutdown`: *shutdown*; any other: a *crash*.

        Raises:
          SupervisorGone: it does not run.
          TypeError: the cause is no exception.
        """
        if cause is not None and not isinstance(cause, Exception):
            raise TypeError(f"the cause must be an exception (not its class) or None: {cause!r}")
        await self._running().stop(cause)

    async def start_child(self, spec: ChildSpec) -> ChildRef | None:
        """Add a child, last in start order, and start it; None: it answered ignore.

        It is gone again when this supervisor is restarted. Raises `BadSpec`; `ChildError`:
        already_started, already_present, start_failed (the spec is not kept then),
        simple_one_for_one (`start_instance` is for those).
        """
        loop = self._running()
        return await loop.call(partial(loop.start_child, spec))

    async def start_instance(self, *args: Any) -> ChildRef | None:
        """Start an instance of a simple_one_for_one's template; None: it answered ignore.

        `args` are handed to its start function, at each restart again. Raises `ChildError`:
        start_failed, simple_one_for_one (this supervisor has another strategy).
        """
        loop = self._running()
        return await loop.call(partial(loop.start_instance, args))

    async def terminate_child(self, child: str | ChildRef) -> None:
        """End a child, or its restarts; it stays as undefined (a temporary one is forgotten).

        By its id; for simple_one_for_one by a `ChildRef`, and the instance is forgotten. Fine if
        it does not run. Raises `ChildError`: not_found; simple_one_for_one (an id, there);
        not_stopped: it was killed at the end of its `shutdown`, but shields itself. It then still
        counts as running, is reported when it ends, and is not restarted; the supervisor goes on
        meanwhile.
        """
        loop = self._running()
        await loop.call(partial(loop.terminate_child, child))

    async def restart_child(self, child_id: str) -> ChildRef | None:
        """Start a child that is undefined; None: it answered ignore. Never counted.

        Raises `ChildError`: not_found, running, restarting, simple_one_for_one, start_failed (the
        spec is kept).
        """
        loop = self._running()
        return await loop.call(partial(loop.restart_child, child_id))

    async def delete_child(self, child_id: str) -> None:
        """Forget a child that is undefined.

        Raises `ChildError`: not_found, running, restarting, simple_one_for_one.
        """
        loop = self._running()
        await loop.call(partial(loop.delete_child, child_id))

    async def which_children(self) -> list[ChildInfo]:
        """All children in start order. One whose end is still in the queue is *running*."""
        loop = self._running()
        return await loop.call(loop.which_children)

    async def count_children(self) -> ChildCounts:
        """How many there are; one whose end is still in the queue is not *active* any more."""
        loop = self._running()
        return await loop.call(loop.count_children)

    async def get_childspec(self, child: str | ChildRef) -> ChildSpec:
        """The spec of a child, by id, or by `ChildRef` for simple_one_for_one.

        Raises `ChildError`: not_found.
        """
        loop = self._running()
        return await loop.call(partial(loop.get_childspec, child))

    @asynccontextmanager
    async def suspended(self) -> AsyncIterator[None]:
        """For the length of a block, read nothing of the queue (OTP: `sys:suspend`).

        What comes meanwhile (ends of children, calls, a request to stop) waits there, and is
        handled in its order afterwards; so a call made inside the block, in the same task, never
        returns. Raises `SupervisorGone`.
        """
        loop = self._running()
        gate = trio.Event()
        try:
            await loop.call(partial(loop.suspend, gate))
            yield
        finally:
            gate.set()

    def _running(self) -> Loop:
        if self._loop is None:
            raise SupervisorGone(self.name)
        return self._loop


class DynamicSupervisor(Supervisor):
    """A supervisor of many children of one template, started and ended at any time.

    The same as a `Supervisor` with the strategy simple_one_for_one, with the face that fits it.

    Args:
      name: what events and errors call it; not empty.
      template: what each child is.
      flags: how it restarts; the strategy must be simple_one_for_one.
      on_event: see `Supervisor`.
      rng: see `Supervisor`.

    Raises:
      BadSpec, BadFlags: see `Supervisor`.
    """

    def __init__(
        self,
        name: str,
        template: ChildSpec,
        flags: SupervisorFlags | None = None,
        *,
        on_event: Callable[[Event], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        flags = flags or SupervisorFlags("simple_one_for_one")
        if not flags.simple:
            raise BadFlags(
                "invalid_strategy",
                f"supervisor {name!r}: the strategy of a DynamicSupervisor must be "
                f"'simple_one_for_one', not {flags.strategy!r}",
            )
        super().__init__(name, flags, [template], on_event=on_event, rng=rng)

    async def start_child(self, *args: Any) -> ChildRef | None:
        """Start a child with these arguments: `Supervisor.start_instance`."""
        return await self.start_instance(*args)
