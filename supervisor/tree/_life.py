"""One life of a child, from a start to its end: what the child, its supervisor and others see.

The child sees a `ChildStatus` (its `task_status`), others a `ChildRef`; both are the one `Life`
that the supervisor owns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

import trio

from ._errors import Ignore, Shutdown

if TYPE_CHECKING:
    from ._child import Child

ExitReason = Literal["normal", "shutdown", "crash", "killed"]


class ChildStatus(trio.TaskStatus[Any], Protocol):
    """What a child tells its supervisor: the `task_status` of its start."""

    def trap_shutdown(
        self, ask: Callable[[], object], kill: Callable[[], object] | None = None
    ) -> None:
        """Have oneself asked to end, before being cancelled (OTP: `process_flag(trap_exit)`).

        Without it a child is asked by cancelling it. With it, `ask` is called, once, and the child
        is cancelled only when it is killed: at the end of its `shutdown` timeout, or at once for
        brutal_kill. `kill` is called then too. Trio cannot end a task that shields itself; a
        child that waits for an OS process in a shield can have that killed here, and so always
        ends. What a call of either raises ends the child like a cancellation, as a crash.

        Args:
          ask: called in the supervisor's task; returns at once, e.g. `trio.Event.set`.
          kill: the same, e.g. `process.kill`.
        """


class ChildRef(Protocol):
    """One life of a child, seen from outside: OTP's pid. Another start is another life."""

    @property
    def id(self) -> str:
        """The id of its child spec."""

    @property
    def value(self) -> Any:
        """What it gave to `task_status.started()`."""

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet, noticed by its supervisor or not."""


class Life:
    """See the module."""

    __slots__ = (
        "_ask",
        "_fault",
        "_kill",
        "_scope",
        "_wake",
        "asked",
        "cause",
        "child",
        "ended",
        "is_up",
        "killed",
        "up_since",
        "value",
    )

    def __init__(self, child: Child, wake: Callable[[], None]) -> None:
        """`wake` is called when it is up: its supervisor's loop may be waiting for that."""
        self.child = child
        self.value: Any = None
        self.cause: BaseException | None = None
        """What it raised."""
        self.is_up = False
        """It has said so, and may have ended since."""
        self.up_since: float | None = None
        """When the supervisor saw it up."""
        self.ended = False
        self.asked = False
        """Its supervisor wanted it to end before it did."""
        self.killed = False
        """And did not leave it at asking."""
        self._ask: Callable[[], object] | None = None
        self._kill: Callable[[], object] | None = None
        self._fault: BaseException | None = None
        self._wake = wake
        # The shield keeps a cancellation from outside away from the children: it reaches the
        # supervisor's loop alone, which then stops them as the strategy says.
        self._scope = trio.CancelScope(shield=True)

    # ---- for the child

    def started(self, value: Any = None) -> None:
        """Called by the child: it is up."""
        if self.is_up:
            raise RuntimeError("task_status.started() was called twice")
        self.is_up = True
        self.value = value
        self._wake()

    def trap_shutdown(
        self, ask: Callable[[], object], kill: Callable[[], object] | None = None
    ) -> None:
        """See `ChildStatus.trap_shutdown`."""
        self._ask, self._kill = ask, kill
        # It was asked before it said how to be: by a cancellation that it shields itself from.
        if self.killed and kill is not None:
            self._call(kill)
        elif self.asked:
            self._call(ask)

    # ---- for others

    @property
    def id(self) -> str:
        """See `ChildRef`."""
        return self.child.spec.id

    @property
    def alive(self) -> bool:
        """See `ChildRef`."""
        return not self.ended

    def __repr__(self) -> str:
        return f"<child {self.id!r}, {'alive' if self.alive else 'ended'}, at {id(self):#x}>"

    # ---- for its supervisor

    async def live(self, report: Callable[[Life], None]) -> None:
        """Run the child, and report its end. No `Exception` of it gets out: it is the cause."""
        try:
            with self._scope:
                await self._begin()
        except Exception as exc:
            self.cause = exc
        except BaseException as exc:  # KeyboardInterrupt, SystemExit: they end the program
            self.cause = exc
            raise
        finally:
            self.cause = self.cause or self._fault
            self.ended = True
            self._ask = self._kill = None
            self._wake()
        report(self)

    def _begin(self) -> Awaitable[object]:
        start = self.child.spec.start
        running: object = start(*self.child.args, task_status=self)
        if isinstance(running, Awaitable):
            return running
        self.is_up = False  # whatever it has said: there is nothing to run
        raise TypeError(
            f"start must be an async function: {start!r} returned {running!r}, "
            "which cannot be awaited"
        )

    def ask(self, *, urgent: bool = False) -> None:
        """Have it end. What has ended by itself already keeps its own reason.

        `urgent`: its supervisor is being cancelled, which it hands on to the supervisors below
        as it came, so that none of them goes on waiting for a start that hangs.
        """
        if self.ended:
            return
        self.asked = True
        if self._ask is None or (urgent and self.child.spec.type == "supervisor"):
            self._scope.cancel()
        else:
            self._call(self._ask)

    def kill(self) -> None:
        """End it by all means that there are."""
        if self.ended or self.killed:
            return
        self.asked = self.killed = True
        self._scope.cancel()
        if self._kill is not None:
            self._call(self._kill)

    @property
    def ignored(self) -> bool:
        """Whether its start answered `Ignore`."""
        return not self.is_up and self.cause is not None and consists_of(self.cause, Ignore)

    @property
    def reason(self) -> ExitReason:
        """Why it ended."""
        if self.killed:
            return "killed"
        if self.cause is not None and not consists_of(self.cause, Shutdown):
            return "crash"
        if self.asked or self.cause is not None:
            return "shutdown"
        return "normal"

    @property
    def wants_restart(self) -> bool:
        """Whether its end is to be followed by a restart: OTP's table."""
        restart = self.child.spec.restart
        if self.asked or restart == "temporary":
            return False
        return restart == "permanent" or self.reason == "crash"

    def _call(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception as exc:
            self._fault = exc
            self._scope.cancel()


def consists_of(exc: BaseException, kind: type[BaseException]) -> bool:
    """Whether it is of that kind, or a group of nothing else (nurseries wrap what they raise)."""
    if isinstance(exc, BaseExceptionGroup):
        return exc.split(kind)[1] is None
    return isinstance(exc, kind)
