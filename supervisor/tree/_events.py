"""What a supervisor tells: typed, frozen events. It logs nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExitReason = Literal["normal", "shutdown", "crash", "killed"]


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """A child is up. Exactly one `ChildExited` follows."""

    supervisor: str
    child_id: str


@dataclass(frozen=True, slots=True)
class ChildStartFailed:
    """A start failed: the first one, a restart or one that was called for."""

    supervisor: str
    child_id: str
    cause: BaseException


@dataclass(frozen=True, slots=True)
class ChildExited:
    """A child that had been up has ended."""

    supervisor: str
    child_id: str
    reason: ExitReason
    """normal: returned; shutdown: `Shutdown`, or obeyed its supervisor; crash: any other
    exception; killed: ended by brutal_kill, or only after its timeout."""
    cause: BaseException | None
    """What it raised, as it was raised."""
    asked: bool
    """Whether its supervisor had asked it to end; if so it is never restarted for it."""


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
class ChildNotStopped:
    """A child was asked to end and has not ended within its timeout. It still runs."""

    supervisor: str
    child_id: str
    waited_s: float


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
class SupervisorEnded:
    """A supervisor has ended, and nothing runs below it. Always its last event."""

    supervisor: str
    reason: Literal["shutdown", "crash"]
    """shutdown: cancelled, or intensity exceeded; crash: anything else."""
    cause: BaseException | None
    """What `Supervisor.run` raises; None if it was cancelled."""


Event = (
    ChildStarted
    | ChildStartFailed
    | ChildExited
    | ChildRestarting
    | ChildNotStopped
    | IntensityExceededEvent
    | SupervisorEnded
)
