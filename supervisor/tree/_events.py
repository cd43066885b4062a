"""What a supervisor tells: typed, frozen events. It logs nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ._life import ChildRef, ExitReason


@dataclass(frozen=True, slots=True)
class SupervisorStarted:
    """All children are up; nothing of the queue has been handled yet."""

    supervisor: str


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """A child is up. Exactly one `ChildExited` follows."""

    supervisor: str
    child_id: str
    ref: ChildRef | None = field(default=None, compare=False, repr=False)
    """The life that began; tells the instances of simple_one_for_one apart."""


@dataclass(frozen=True, slots=True)
class ChildIgnored:
    """A start answered `Ignore`: there is no child to run."""

    supervisor: str
    child_id: str


@dataclass(frozen=True, slots=True)
class ChildStartFailed:
    """A start failed: the first one, a restart or one that was called for."""

    supervisor: str
    child_id: str
    cause: BaseException
    restart: bool = False
    """It was a restart: it will be tried again, through the queue, and counted again."""


@dataclass(frozen=True, slots=True)
class ChildExited:
    """A child that had been up has ended."""

    supervisor: str
    child_id: str
    reason: ExitReason
    """normal: returned; shutdown: `Shutdown`, or obeyed its supervisor; crash: any other
    exception; killed: by its supervisor, at once (brutal_kill) or after its timeout."""
    cause: BaseException | None
    """What it raised, as it was raised."""
    asked: bool
    """Whether its supervisor had asked it to end; if so it is never restarted for it."""
    ref: ChildRef | None = field(default=None, compare=False, repr=False)
    """The life that ended."""


@dataclass(frozen=True, slots=True)
class ChildRestarting:
    """A restart is allowed, and has been counted."""

    supervisor: str
    child_id: str
    delay_s: float
    """It happens so much later."""
    restarts_in_period: int
    """Restarts of this supervisor within its period, this one included."""


@dataclass(frozen=True, slots=True)
class ChildKilled:
    """A child was asked to end, had not ended within its timeout, and was killed for it."""

    supervisor: str
    child_id: str
    waited_s: float
    ref: ChildRef | None = field(default=None, compare=False, repr=False)
    """The life that was killed."""


@dataclass(frozen=True, slots=True)
class ChildNotStopped:
    """A child was killed and has still not ended: it shields itself. It runs on."""

    supervisor: str
    child_id: str
    waited_s: float
    """Since it was asked."""
    ref: ChildRef | None = field(default=None, compare=False, repr=False)
    """The life that goes on."""


@dataclass(frozen=True, slots=True)
class ChildCoolingDown:
    """A child that gave up (`IntensityExceeded`) will be started again (`cool_down_s`)."""

    supervisor: str
    child_id: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class IntensityExceededEvent:
    """A restart too many: the supervisor stops its children and ends."""

    supervisor: str
    child_id: str
    cause: BaseException | None
    """What the last exit or failed start raised; None if the child just returned."""
    intensity: int
    period_s: float


@dataclass(frozen=True, slots=True)
class AutoShutdownEvent:
    """The end of a significant child ends its supervisor."""

    supervisor: str
    child_id: str


@dataclass(frozen=True, slots=True)
class SupervisorEnded:
    """A supervisor has ended, and nothing runs below it. Always its last event."""

    supervisor: str
    reason: Literal["normal", "shutdown", "crash"]
    """normal: `stop()`; shutdown: cancelled, asked by its parent, intensity exceeded or auto
    shutdown; crash: anything else."""
    cause: BaseException | None
    """What `Supervisor.run` raises; None if it returns or was cancelled."""


Event = (
    SupervisorStarted
    | ChildStarted
    | ChildIgnored
    | ChildStartFailed
    | ChildExited
    | ChildRestarting
    | ChildKilled
    | ChildNotStopped
    | ChildCoolingDown
    | IntensityExceededEvent
    | AutoShutdownEvent
    | SupervisorEnded
)
