"""What a supervisor is told: child specs and flags. All their validation stands here."""

from __future__ import annotations

import difflib
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from ._backoff import Backoff, is_number
from ._errors import BadFlags, BadSpec

Restart = Literal["permanent", "transient", "temporary"]
ShutdownWord = Literal["brutal_kill", "infinity"]
ChildType = Literal["worker", "supervisor"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]
AutoShutdownWord = Literal["never", "any_significant", "all_significant"]

WORKER_SHUTDOWN_S: Final = 5.0

StartFunction = Callable[..., Awaitable[object]]
"""A child's life, called as `start(*args, task_status=status)`; `status` is a `ChildStatus`.

`args` are those of `Supervisor.start_instance`; below the other strategies there are none. It
runs as long as the child does, and says when it is up:

- `task_status.started(value)`: it is up; `value` is what `ChildRef.value` holds.
- raises `Ignore` before that: it is not to run, and nothing is wrong.
- returns, or raises another `Exception` before that: a failed start.
- returns later: exit reason *normal*.
- raises `Shutdown`, or an exception group of nothing else: *shutdown*.
- raises another `Exception`: *crash*.
- is cancelled, or asked (`ChildStatus.trap_shutdown`): its supervisor wants it to end. How it ends
  then changes nothing.

Its supervisor does nothing else until the child is up (OTP), so a start that may hang sets its
own deadline.
"""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child. Raises `BadSpec`, naming the value, when a field is not what it must be."""

    id: str
    """Its name below its supervisor: not empty, unique."""
    start: StartFunction
    """Called once for each start; see `StartFunction`."""
    restart: Restart = "permanent"
    """permanent: restarted after any exit; transient: after a crash; temporary: never."""
    shutdown: float | ShutdownWord | None = None
    """Seconds it has to end once asked to; None: 5 for a worker, infinity for a supervisor.

    Then it is killed: cancelled, and the kill that it named itself is called (`ChildStatus`).
    brutal_kill (or 0): at once. Trio cannot end a task that shields itself: that is reported by
    `ChildNotStopped`, and the task lives on."""
    type: ChildType = "worker"
    """What it is. A supervisor's `start` is `Supervisor.run`."""
    significant: bool = False
    """Whether its end may end its supervisor (`SupervisorFlags.auto_shutdown`). Not with
    permanent, and only where the supervisor's auto_shutdown is not never."""
    cool_down_s: float | None = None
    """Seconds after which it is started again, once it has ended with `IntensityExceeded` and its
    restart type leaves it ended; None: never, as in OTP.

    More than OTP: a child that OTP would leave undefined for ever comes back, uncounted; a start
    that fails then is tried again after as long. Any call that starts, terminates or deletes it,
    and any group restart, comes first."""

    def __post_init__(self) -> None:
        if not is_name(self.id):
            raise BadSpec("missing_id", f"child id must be a non-empty string, not {self.id!r}")
        child = f"child {self.id!r}"
        if not callable(self.start):
            raise BadSpec(
                "missing_start", f"{child}: start must be an async callable, not {self.start!r}"
            )
        if self.restart not in get_args(Restart):
            allowed = _one_of(get_args(Restart), self.restart)
            raise BadSpec("invalid_restart_type", f"{child}: restart must be {allowed}")
        if not isinstance(self.significant, bool):
            raise BadSpec(
                "invalid_significant",
                f"{child}: significant must be True or False, not {self.significant!r}",
            )
        if self.type not in get_args(ChildType):
            allowed = _one_of(get_args(ChildType), self.type)
            raise BadSpec("invalid_child_type", f"{child}: type must be {allowed}")
        if not _is_timeout(self.shutdown):
            allowed = _one_of(get_args(ShutdownWord), self.shutdown)
            raise BadSpec(
                "invalid_shutdown", f"{child}: shutdown must be seconds (0 or more) or {allowed}"
            )
        if self.cool_down_s is not None and not (
            is_number(self.cool_down_s) and self.cool_down_s >= 0
        ):
            raise BadSpec(
                "invalid_cool_down",
                f"{child}: cool_down_s must be seconds (0 or more) or None, "
                f"not {self.cool_down_s!r}",
            )

    @property
    def brutal(self) -> bool:
        """Whether it gets no time to clean up."""
        return self.shutdown in ("brutal_kill", 0)

    @property
    def shutdown_s(self) -> float:
        """Seconds its supervisor waits for its end, once asked; `math.inf` for ever."""
        if self.brutal:
            return 0.0
        if self.shutdown is None:
            return WORKER_SHUTDOWN_S if self.type == "worker" else math.inf
        return math.inf if isinstance(self.shutdown, str) else self.shutdown


@dataclass(frozen=True, slots=True)
class SupervisorFlags:
    """How a supervisor restarts. OTP's defaults. Raises `BadFlags`, naming the value."""

    strategy: Strategy = "one_for_one"
    """Which children a restart takes along. one_for_one: none; one_for_all: all; rest_for_one:
    those that were started after the one that ended; simple_one_for_one: none, and all children
    are instances of one child spec, started by `Supervisor.start_instance`."""
    intensity: int = 1
    """So many restarts within any `period_s` are allowed; one more ends the supervisor."""
    period_s: float = 5.0
    """The sliding window of `intensity`, in seconds, more than 0."""
    auto_shutdown: AutoShutdownWord = "never"
    """Whether the supervisor ends when significant children end by themselves and are not
    restarted: with the first (any_significant), or once none is left (all_significant)."""
    backoff: Backoff | None = None
    """Delays between restarts; None: restart at once, as OTP does."""

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            allowed = _one_of(get_args(Strategy), self.strategy)
            raise BadFlags("invalid_strategy", f"strategy must be {allowed}")
        if not is_number(self.intensity) or not isinstance(self.intensity, int):
            raise BadFlags(
                "invalid_intensity", f"intensity must be a whole number, not {self.intensity!r}"
            )
        if self.intensity < 0:
            raise BadFlags(
                "invalid_intensity", f"intensity must be 0 or more, not {self.intensity!r}"
            )
        if not is_number(self.period_s) or self.period_s <= 0:
            raise BadFlags(
                "invalid_period", f"period_s must be seconds, more than 0, not {self.period_s!r}"
            )
        if self.auto_shutdown not in get_args(AutoShutdownWord):
            allowed = _one_of(get_args(AutoShutdownWord), self.auto_shutdown)
            raise BadFlags("invalid_auto_shutdown", f"auto_shutdown must be {allowed}")
        if not isinstance(self.backoff, Backoff | None):
            raise BadFlags(
                "invalid_backoff", f"backoff must be a Backoff or None, not {self.backoff!r}"
            )

    @property
    def simple(self) -> bool:
        """Whether the children are instances of one spec."""
        return self.strategy == "simple_one_for_one"


def check_children(children: Iterable[ChildSpec], flags: SupervisorFlags) -> tuple[ChildSpec, ...]:
    """The specs in start order; raises `BadSpec` for the first that cannot be a child here."""
    specs = tuple(children)
    seen: set[str] = set()
    for spec in specs:
        check_child(spec, flags)
        if spec.id in seen:
            raise BadSpec("duplicate_child_name", f"child {spec.id!r}: the id is used twice")
        seen.add(spec.id)
    if flags.simple and len(specs) != 1:
        raise BadSpec(
            "bad_start_spec",
            f"simple_one_for_one takes exactly one child spec, the template, not {len(specs)}",
        )
    return specs


def check_child(spec: ChildSpec, flags: SupervisorFlags) -> None:
    """Raise `BadSpec` for what is no spec, or cannot be a child of a supervisor of these flags."""
    if not isinstance(spec, ChildSpec):
        raise BadSpec("invalid_child_spec", f"a child must be a ChildSpec, not {spec!r}")
    if spec.significant and spec.restart == "permanent":
        raise BadSpec(
            "bad_combination",
            f"child {spec.id!r}: significant=True needs restart 'transient' or 'temporary', "
            "not 'permanent': a permanent child never ends for good",
        )
    if spec.significant and flags.auto_shutdown == "never":
        raise BadSpec(
            "bad_combination",
            f"child {spec.id!r}: significant=True needs a supervisor whose auto_shutdown is "
            "'any_significant' or 'all_significant', not 'never'",
        )


def is_name(value: object) -> bool:
    """Whether it can be the name of a child or a supervisor."""
    return isinstance(value, str) and value != ""


def _is_timeout(value: object) -> bool:
    if value is None or isinstance(value, str):
        return value is None or value in get_args(ShutdownWord)
    return is_number(value) and value >= 0


def _one_of(words: tuple[Any, ...], wrong: object) -> str:
    close = difflib.get_close_matches(wrong, words, n=1) if isinstance(wrong, str) else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{' or '.join(repr(word) for word in words)}, not {wrong!r}{hint}"
