"""What a supervisor is told: child specs and flags. All their validation stands here."""

from __future__ import annotations

import difflib
import math
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

import trio

from ._backoff import Backoff, is_number
from ._errors import BadFlags, BadSpec

Restart = Literal["permanent", "transient", "temporary"]
ShutdownWord = Literal["brutal_kill", "infinity"]
ChildType = Literal["worker", "supervisor"]
Strategy = Literal["one_for_one"]

WORKER_SHUTDOWN_S: Final = 5.0
KILL_PATIENCE_S: Final = 1.0


class StartFunction(Protocol):
    """A child's life: runs as long as the child does, and says when it is up.

    - `task_status.started(value)`: it is up; `value` is what `start_child` returns.
    - returns: exit reason *normal*; before `started()`: a failed start.
    - raises `Shutdown`, or an exception group of nothing else: *shutdown*.
    - raises another `Exception`: *crash*; before `started()`: a failed start.
    - is cancelled: its supervisor asks it to end. How it ends then changes nothing.

    Its supervisor does nothing else until the child is up (OTP), so a start that may hang
    sets its own deadline.
    """

    def __call__(self, *, task_status: trio.TaskStatus[object]) -> Awaitable[None]:
        """Run the child."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child. Raises `BadSpec`, naming the value, when a field is not what it must be."""

    id: str
    """Its name below its supervisor: not empty, unique."""
    start: StartFunction
    """Called once for each start."""
    restart: Restart = "permanent"
    """permanent: restarted after any exit; transient: after a crash; temporary: never."""
    shutdown: float | ShutdownWord | None = None
    """Seconds it has to end once cancelled; None: 5 for a worker, infinity for a supervisor.

    Trio cannot kill: whoever shields itself longer is reported by `ChildNotStopped`, and lives
    on. brutal_kill (or 0) therefore only means that a second later it is reported already."""
    type: ChildType = "worker"
    """What it is. A supervisor's `start` is `Supervisor.run`."""

    def __post_init__(self) -> None:
        if not is_name(self.id):
            raise BadSpec(f"child id must be a non-empty string, not {self.id!r}")
        child = f"child {self.id!r}"
        if not callable(self.start):
            raise BadSpec(f"{child}: start must be an async callable, not {self.start!r}")
        if self.restart not in get_args(Restart):
            raise BadSpec(f"{child}: restart must be {_one_of(get_args(Restart), self.restart)}")
        if self.type not in get_args(ChildType):
            raise BadSpec(f"{child}: type must be {_one_of(get_args(ChildType), self.type)}")
        if not _is_timeout(self.shutdown):
            allowed = _one_of(get_args(ShutdownWord), self.shutdown)
            raise BadSpec(f"{child}: shutdown must be seconds (0 or more) or {allowed}")

    @property
    def brutal(self) -> bool:
        """Whether it gets no time to clean up."""
        return self.shutdown in ("brutal_kill", 0)

    @property
    def shutdown_s(self) -> float:
        """Seconds its supervisor waits for its end, once asked; `math.inf` for ever."""
        if self.brutal:
            return KILL_PATIENCE_S
        if self.shutdown is None:
            return WORKER_SHUTDOWN_S if self.type == "worker" else math.inf
        return math.inf if isinstance(self.shutdown, str) else self.shutdown


@dataclass(frozen=True, slots=True)
class SupervisorFlags:
    """How a supervisor restarts. OTP's defaults. Raises `BadFlags`, naming the value."""

    strategy: Strategy = "one_for_one"
    """one_for_one: only the child that ended is restarted. No other strategy exists yet."""
    intensity: int = 1
    """So many restarts within any `period_s` are allowed; one more ends the supervisor."""
    period_s: float = 5.0
    """The sliding window of `intensity`, in seconds, more than 0."""
    backoff: Backoff | None = None
    """Delays between restarts; None: restart at once, as OTP does."""

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            allowed = _one_of(get_args(Strategy), self.strategy)
            raise BadFlags(f"strategy must be {allowed} (the others are not supported)")
        if not is_number(self.intensity) or not isinstance(self.intensity, int):
            raise BadFlags(f"intensity must be a whole number, not {self.intensity!r}")
        if self.intensity < 0:
            raise BadFlags(f"intensity must be 0 or more, not {self.intensity!r}")
        if not is_number(self.period_s) or self.period_s <= 0:
            raise BadFlags(f"period_s must be seconds, more than 0, not {self.period_s!r}")
        if not isinstance(self.backoff, Backoff | None):
            raise BadFlags(f"backoff must be a Backoff or None, not {self.backoff!r}")


def check_children(children: Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    """The specs in start order; raises `BadSpec` for what is no spec and for an id used twice."""
    specs = tuple(children)
    seen: set[str] = set()
    for spec in specs:
        check_child(spec)
        if spec.id in seen:
            raise BadSpec(f"child {spec.id!r}: the id is used twice")
        seen.add(spec.id)
    return specs


def check_child(spec: ChildSpec) -> None:
    """Raise `BadSpec` for what is no spec."""
    if not isinstance(spec, ChildSpec):
        raise BadSpec(f"a child must be a ChildSpec, not {spec!r}")


def is_name(value: object) -> bool:
    """Whether it can be the name of a child or a supervisor."""
    return isinstance(value, str) and value != ""


def _is_timeout(value: object) -> bool:
    if value is None or isinstance(value, str):
        return value is None or value in get_args(ShutdownWord)
    return is_number(value) and value >= 0


def _one_of(words: tuple[str, ...], wrong: object) -> str:
    close = difflib.get_close_matches(wrong, words, n=1) if isinstance(wrong, str) else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{' or '.join(repr(word) for word in words)}, not {wrong!r}{hint}"
