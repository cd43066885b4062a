"""OTP supervision on Trio.

    >>> import trio
    >>> from supervisor.tree import ChildSpec, Supervisor, SupervisorFlags
    >>> attempts = []
    >>> async def flaky(*, task_status):
    ...     attempts.append("start")
    ...     task_status.started()
    ...     if len(attempts) < 3:
    ...         raise OSError("the first two lives are short")
    ...     await trio.sleep_forever()
    >>> async def main():
    ...     children = [ChildSpec("flaky", flaky)]
    ...     flags = SupervisorFlags(intensity=2, period_s=5)
    ...     supervisor = Supervisor("root", flags, children)
    ...     async with trio.open_nursery() as nursery:
    ...         await nursery.start(supervisor.run)
    ...         await trio.testing.wait_all_tasks_blocked()
    ...         print(await supervisor.which_children())
    ...         nursery.cancel_scope.cancel()  # stops the children in reverse order
    >>> import trio.testing
    >>> trio.run(main)
    [ChildInfo(id='flaky', state='running', type='worker', restart='permanent')]
    >>> attempts
    ['start', 'start', 'start']

The words, as OTP means them:

supervisor
    a task that starts, watches, restarts and stops its *children*; may be a child itself.
child spec
    how to start a child and when to restart it: `ChildSpec`.
restart type
    *permanent*: always restarted; *transient*: only after a crash; *temporary*: never.
exit reason
    normal, shutdown, crash or killed (`StartFunction` says which is which); the last two are
    abnormal.
strategy
    which children a restart takes along. *one_for_one*: no other; *one_for_all*: all;
    *rest_for_one*: those started later; *simple_one_for_one*: no other, and all are instances of
    one child spec (`DynamicSupervisor`).
intensity, period
    more than *intensity* restarts within *period* seconds end the supervisor, with a
    `Shutdown`: a permanent supervisor is restarted by its parent after it, a transient one not.
shutdown
    how long a child may take to end once it is asked to: by cancellation, or in its own way
    (`ChildStatus.trap_shutdown`) with cancellation at the end of its time.
significant, auto_shutdown
    a supervisor may end with its most important children.

A child's crash never cancels its siblings. What differs from OTP, because Trio does: a task
cannot be killed, so a child that shields itself too long is reported, not ended; a supervisor that
is killed takes its children along; and cancelling a supervisor from outside does not wait for its
turn in the queue. What is more than OTP, and off unless it is asked for: `Backoff`, and
`ChildSpec.cool_down_s`. The tree logs nothing: it emits events. docs/supervision.md tells it all.
"""

from ._backoff import Backoff
from ._child import ChildState
from ._errors import (
    AutoShutdown,
    BadFlags,
    BadSpec,
    ChildError,
    ErrorCode,
    Ignore,
    IntensityExceeded,
    Shutdown,
    StartFailed,
    SupervisorGone,
)
from ._events import (
    AutoShutdownEvent,
    ChildCoolingDown,
    ChildExited,
    ChildIgnored,
    ChildKilled,
    ChildNotStopped,
    ChildRestarting,
    ChildStarted,
    ChildStartFailed,
    Event,
    IntensityExceededEvent,
    SupervisorEnded,
    SupervisorStarted,
)
from ._intensity import Intensity
from ._life import ChildRef, ChildStatus, ExitReason
from ._loop import ChildCounts, ChildInfo
from ._snapshot import Snapshot, snapshot
from ._spec import (
    AutoShutdownWord,
    ChildSpec,
    ChildType,
    Restart,
    ShutdownWord,
    StartFunction,
    Strategy,
    SupervisorFlags,
)
from ._supervisor import DynamicSupervisor, Supervisor

__all__ = [
    "AutoShutdown",
    "AutoShutdownEvent",
    "AutoShutdownWord",
    "Backoff",
    "BadFlags",
    "BadSpec",
    "ChildCoolingDown",
    "ChildCounts",
    "ChildError",
    "ChildExited",
    "ChildIgnored",
    "ChildInfo",
    "ChildKilled",
    "ChildNotStopped",
    "ChildRef",
    "ChildRestarting",
    "ChildSpec",
    "ChildStartFailed",
    "ChildStarted",
    "ChildState",
    "ChildStatus",
    "ChildType",
    "DynamicSupervisor",
    "ErrorCode",
    "Event",
    "ExitReason",
    "Ignore",
    "Intensity",
    "IntensityExceeded",
    "IntensityExceededEvent",
    "Restart",
    "Shutdown",
    "ShutdownWord",
    "Snapshot",
    "StartFailed",
    "StartFunction",
    "Strategy",
    "Supervisor",
    "SupervisorEnded",
    "SupervisorFlags",
    "SupervisorGone",
    "SupervisorStarted",
    "snapshot",
]
