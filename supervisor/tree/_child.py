"""One child as its supervisor's loop sees it, and one life of it as it is lived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import trio

from ._errors import Shutdown
from ._events import ExitReason
from ._spec import ChildSpec

ChildState = Literal["running", "undefined", "restarting"]


class Life(trio.TaskStatus[object]):
    """One start of a child to its end. The child's `task_status`."""

    def __init__(self, spec: ChildSpec) -> None:
        self.value: object = None
        self.cause: BaseException | None = None
        self.asked = False
        self.overdue = False
        self.is_up = False  # it has said so, and may have ended since
        self.up_since: float | None = None  # when the supervisor saw it up
        self.settled = trio.Event()  # up, or ended before
        self.ended = trio.Event()
        self._spec = spec
        # The shield keeps a cancellation from outside away from the children: it reaches the
        # supervisor's loop alone, which then stops them one after the other.
        self._scope = trio.CancelScope(shield=True)

    def started(self, value: object = None) -> None:
        """Called by the child: it is up."""
        if self.is_up:
            raise RuntimeError("task_status.started() was called twice")
        self.is_up = True
        self.value = value
        self.settled.set()

    async def live(self) -> None:
        """Run the child. No `Exception` of it gets out: it is the cause of its end."""
        try:
            with self._scope:
                await self._spec.start(task_status=self)
        except Exception as exc:
            self.cause = exc
        except BaseException as exc:  # KeyboardInterrupt, SystemExit: they end the program
            self.cause = exc
            raise
        finally:
            self.ended.set()
            self.settled.set()

    def ask_to_end(self) -> None:
        """Cancel it. What has ended by itself already keeps its own reason."""
        if not self.ended.is_set():
            self.asked = True
            self._scope.cancel()

    @property
    def reason(self) -> ExitReason:
        """Why it ended."""
        if self.cause is not None and not consists_of(self.cause, Shutdown):
            return "crash"
        if self.asked:
            return "killed" if self.overdue or self._spec.brutal else "shutdown"
        return "normal" if self.cause is None else "shutdown"

    @property
    def wants_restart(self) -> bool:
        """Whether its end is to be followed by a restart: OTP's table."""
        if self.asked or self._spec.restart == "temporary":
            return False
        return self._spec.restart == "permanent" or self.reason == "crash"


@dataclass(slots=True, eq=False)
class Retry:
    """A restart that waits: for its turn in the queue, or for the end of its backoff."""

    cause: BaseException | None
    counted: bool
    scope: trio.CancelScope


class Child:
    """A spec and what has become of it. Touched by its supervisor's loop alone."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.life: Life | None = None
        self.retry: Retry | None = None
        self.consecutive_restarts = 0

    @property
    def state(self) -> ChildState:
        """OTP's word for what it does."""
        if self.life is not None:
            return "running"
        return "undefined" if self.retry is None else "restarting"

    def forget_restart(self) -> None:
        """End a restart that waits."""
        if self.retry is not None:
            self.retry.scope.cancel()
            self.retry = None


def consists_of(exc: BaseException, kind: type[BaseException]) -> bool:
    """Whether it is of that kind, or a group of nothing else (nurseries wrap what they raise)."""
    if isinstance(exc, BaseExceptionGroup):
        return exc.split(kind)[1] is None
    return isinstance(exc, kind)
