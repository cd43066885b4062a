"""The exceptions of the tree."""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal[
    "already_started",
    "already_present",
    "running",
    "restarting",
    "not_found",
    "start_failed",
    "not_stopped",
]

_MEANING: dict[ErrorCode, str] = {
    "already_started": "is already running",
    "already_present": "already has a spec here: restart_child or delete_child it",
    "running": "is running: terminate_child it first",
    "restarting": "is being restarted: terminate_child it first",
    "not_found": "is not known here",
    "start_failed": "could not be started",
    "not_stopped": "was asked to end but has not ended within its timeout",
}


class BadSpec(ValueError):  # noqa: N818 - the word of OTP
    """A `ChildSpec` that cannot be accepted; the message holds the offending value."""


class BadFlags(ValueError):  # noqa: N818 - the word of OTP
    """A supervisor's flags (or name) that cannot be accepted; the message holds the value."""


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
        self.supervisor = supervisor
        self.child_id = child_id
        self.cause = cause
        self.intensity = intensity
        self.period_s = period_s


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


class SupervisorGone(Exception):  # noqa: N818 - OTP's noproc
    """A call on a supervisor that does not run: not yet, no more, or ending just now."""

    def __init__(self, supervisor: str) -> None:
        super().__init__(f"supervisor {supervisor!r} does not run")
        self.supervisor = supervisor
