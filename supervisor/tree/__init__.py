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
    normal, shutdown or crash (`StartFunction` says which is which); only a crash is abnormal.
strategy
    which children a restart takes along. *one_for_one*: no other.
intensity, period
    more than *intensity* restarts within *period* seconds end the supervisor, with a
    `Shutdown`: a permanent supervisor is restarted by its parent after it, a transient one not.
shutdown
    how long a child may take to end once it is asked to, that is, cancelled.

A child's crash never cancels its siblings. What differs from OTP, because Trio does: a task
cannot be killed, so a child that shields itself too long is reported, not ended; and the request
to stop is cancellation, which does not wait for its turn in the queue. What is more than OTP:
`Backoff`, off unless it is asked for. The tree logs nothing: it emits events.
"""

from ._backoff import Backoff
from ._child import ChildState
from ._errors import (
    BadFlags,
    BadSpec,
    ChildError,
    ErrorCode,
    IntensityExceeded,
    Shutdown,
    StartFailed,
    SupervisorGone,
)
from ._events import (
    ChildExited,
    ChildNotStopped,
    ChildRestarting,
    ChildStarted,
    ChildStartFailed,
    Event,
    ExitReason,
    IntensityExceededEvent,
    SupervisorEnded,
)
from ._intensity import Intensity
from ._loop import ChildInfo
from ._spec import ChildSpec, ChildType, Restart, StartFunction, Strategy, SupervisorFlags
from ._supervisor import Supervisor

__all__ = [
    "Backoff",
    "BadFlags",
    "BadSpec",
    "ChildError",
    "ChildExited",
    "ChildInfo",
    "ChildNotStopped",
    "ChildRestarting",
    "ChildSpec",
    "ChildStartFailed",
    "ChildStarted",
    "ChildState",
    "ChildType",
    "ErrorCode",
    "Event",
    "ExitReason",
    "Intensity",
    "IntensityExceeded",
    "IntensityExceededEvent",
    "Restart",
    "Shutdown",
    "StartFailed",
    "StartFunction",
    "Strategy",
    "Supervisor",
    "SupervisorEnded",
    "SupervisorFlags",
    "SupervisorGone",
]
