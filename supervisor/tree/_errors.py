"""The exceptions of the tree."""

from __future__ import annotations

from typing import Literal

SpecCode = Literal[
    "invalid_child_spec",
    "missing_id",
    "missing_start",
    "invalid_restart_type",
    "invalid_shutdown",
    "invalid_child_type",
    "invalid_significant",
    "invalid_cool_down",
    "bad_combination",
    "duplicate_child_name",
    "bad_start_spec",
]
FlagsCode = Literal[
    "invalid_name",
    "invalid_flags",
    "invalid_strategy",
    "invalid_intensity",
    "invalid_period",
    "invalid_auto_shutdown",
    "invalid_backoff",
    "invalid_on_event",
]
ErrorCode = Literal[
    "already_started",
    "already_present",
    "running",
    "restarting",
    "not_found",
    "simple_one_for_one",
    "start_failed",
    "not_stopped",
]
GoneReason = Literal["noproc", "normal", "shutdown", "crash"]

_MEANING: dict[ErrorCode, str] = {
    "already_started": "is already running",
    "already_present": "already has a spec here: restart_child or delete_child it",
    "running": "is running: terminate_child it first",
    "restarting": "is being restarted: terminate_child it first",
    "not_found": "is not known here",
    "simple_one_for_one": "is addressed in a way that does not fit the strategy: children of "
    "simple_one_for_one are started by their arguments and found by their ChildRef, those of the "
    "other strategies by their ChildSpec and id",
    "start_failed": "could not be started",
    "not_stopped": "was killed at the end of its timeout, but shields itself and runs on",
}


class BadSpec(ValueError):  # noqa: N818 - the word of OTP
    """A `ChildSpec` that cannot be accepted; the message holds the offending value."""

    def __init__(self, code: SpecCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class BadFlags(ValueError):  # noqa: N818 - the word of OTP
    """A supervisor's flags (or name) that cannot be accepted; the message holds the value."""

    def __init__(self, code: FlagsCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Ignore(Exception):  # noqa: N818 - an answer, not an error
    """Raised by a child's start before it is up: there is nothing to run, and nothing is wrong."""


class Shutdown(Exception):  # noqa: N818 - a reason to end, not an error
    """Raised by a child to end in order, with a reason. Transient children stay ended after it."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class IntensityExceeded(Shutdown):
    """A supervisor ended because its children needed too many restarts.

    It is a `Shutdown`, so a parent does not restart a *transient* supervisor after it (OTP).
    `cause` is what the last exit or failed start raised; None if that child just returned.
    """

    def __init__(
        self,
        supervisor: str,
        child_id: str,
        cause: BaseException | None,
        intensity: int,
        period_s: float,
    ) -> None:
        super().__init__(
            f"intensity exceeded in {supervisor!r}: child {child_id!r} needed one restart more "
            f"than the {intensity} allowed in {period_s:g} s; it last ended with {cause!r}"
        )
        self.__cause__ = cause  # so that its traceback is shown
        self.supervisor = supervisor
        self.child_id = child_id
        self.cause = cause
        self.intensity = intensity
        self.period_s = period_s


class AutoShutdown(Shutdown):
    """A supervisor ended because its significant children have (`SupervisorFlags.auto_shutdown`).

    `child_id` is the one that ended last.
    """

    def __init__(self, supervisor: str, child_id: str) -> None:
        super().__init__(f"auto_shutdown of {supervisor!r}: its child {child_id!r} has ended")
        self.supervisor = supervisor
        self.child_id = child_id


class StartFailed(Exception):  # noqa: N818 - the word of OTP
    """A child could not be started. Where supervisors nest, `cause` is a `StartFailed` itself."""

    def __init__(self, child_id: str, cause: BaseException) -> None:
        super().__init__(f"child {child_id!r} could not be started: {cause!r}")
        self.child_id = child_id
        self.cause = cause


class ChildError(Exception):
    """A call on a supervisor was refused. `code` is OTP's word, `cause` set for start_failed.

    `not_stopped` is the one word of ours: see `Supervisor.terminate_child`.
    """

    def __init__(self, code: ErrorCode, child_id: str, cause: BaseException | None = None) -> None:
        because = "" if cause is None else f": {cause!r}"
        super().__init__(f"{code}: child {child_id!r} {_MEANING[code]}{because}")
        self.code = code
        self.child_id = child_id
        self.cause = cause


class SupervisorGone(Exception):  # noqa: N818 - OTP's exit of the caller
    """A call on a supervisor that does not run, or that ended before it had answered.

    `reason` is *noproc* where it did not run, else what it ended with (`cause` holds what it
    raised; None if it returned or was cancelled).
    """

    def __init__(
        self, supervisor: str, reason: GoneReason = "noproc", cause: BaseException | None = None
    ) -> None:
        how = "does not run" if reason == "noproc" else f"has ended ({reason})"
        super().__init__(f"supervisor {supervisor!r} {how}")
        self.supervisor = supervisor
        self.reason = reason
        self.cause = cause
