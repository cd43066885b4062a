"""The supervisor as others see it: a start function and a handle."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial

import trio

from ._errors import BadFlags, SupervisorGone
from ._events import Event
from ._loop import ChildInfo, Loop
from ._spec import ChildSpec, SupervisorFlags, check_child, check_children, is_name


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
      children: started in this order, stopped in the reverse.
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
            raise BadFlags(f"a supervisor's name must be a non-empty string, not {name!r}")
        if not isinstance(flags, SupervisorFlags):
            raise BadFlags(f"supervisor {name!r}: flags must be SupervisorFlags, not {flags!r}")
        self.name = name
        specs = check_children(children)
        new_rng = rng or random.Random()
        self._new_loop = partial(Loop, name, flags, specs, on_event, new_rng)
        self._loop: Loop | None = None

    async def run(
        self, *, task_status: trio.TaskStatus[Supervisor] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Start the children in order, say `started(self)`, and supervise until cancelled.

        Cancelled, or for any other reason to end, it first stops the children in reverse order,
        one after the other, each within its own `shutdown`; that cannot be cancelled. A child
        that shields itself longer is reported (`ChildNotStopped`) and left behind, so that the
        others are stopped in time; `run` itself returns only once that child has ended too,
        because a task cannot be abandoned on Trio.

        It never returns normally. It is the `start` of a `ChildSpec` in a parent.

        Raises:
          StartFailed: a child did not start; those before it have been stopped.
          IntensityExceeded: too many restarts.
          trio.Cancelled: it was cancelled.
          RuntimeError: it is running already.
        """
        if self._loop is not None:
            raise RuntimeError(f"supervisor {self.name!r} is running already")
        self._loop = self._new_loop()
        try:
            await self._loop.run(partial(task_status.started, self))
        finally:
            self._loop = None

    async def start_child(self, spec: ChildSpec) -> object:
        """Add a child, last in start order, and start it; returns its `started()` value.

        It is gone again when this supervisor is restarted. Raises `ChildError`:
        already_started, already_present, start_failed (the spec is not kept then).
        """
        check_child(spec)
        loop = self._running()
        return await loop.call(partial(loop.start_child, spec))

    async def terminate_child(self, child_id: str) -> None:
        """End a child, or its restarts; it stays as undefined (a temporary one is forgotten).

        Fine if it does not run. Raises `ChildError`: not_found; not_stopped: it shields itself
        longer than its `shutdown`. It then still counts as running, is reported when it ends,
        and is not restarted; the supervisor goes on meanwhile.
        """
        loop = self._running()
        await loop.call(partial(loop.terminate_child, child_id))

    async def restart_child(self, child_id: str) -> object:
        """Start a child that is undefined; returns its `started()` value. Never counted.

        Raises `ChildError`: not_found, running, restarting, start_failed (the spec is kept).
        """
        loop = self._running()
        return await loop.call(partial(loop.restart_child, child_id))

    async def delete_child(self, child_id: str) -> None:
        """Forget a child that is undefined. Raises `ChildError`: not_found, running, restarting."""
        loop = self._running()
        await loop.call(partial(loop.delete_child, child_id))

    async def which_children(self) -> list[ChildInfo]:
        """All children in start order. One whose end is still in the queue is *running*."""
        loop = self._running()
        return await loop.call(loop.which_children)

    def _running(self) -> Loop:
        if self._loop is None:
            raise SupervisorGone(self.name)
        return self._loop
