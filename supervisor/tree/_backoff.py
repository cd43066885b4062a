"""How long to wait before a restart."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TypeGuard

from ._errors import BadFlags


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between the consecutive restarts of one child: 0, 0.25, 0.5, 1, 2 ... 10 s.

    More than OTP, which restarts at once, always. What it changes: between the exit and the restart
    the child is *restarting*, as after a failed attempt in OTP, and calls and other exits are
    handled; a group (one_for_all, rest_for_one) is stopped at once, and started as a whole when the
    delay is over. A restart counts for the intensity when it is decided, before its delay. Values
    out of range raise `BadFlags`.
    """

    initial_s: float = 0.25
    """Delay before the second restart in a row; the first is immediate."""
    factor: float = 2.0
    """Each further delay is the one before times this (>= 1) ..."""
    maximum_s: float = 10.0
    """... up to this (>= initial_s), before jitter."""
    jitter: float = 0.1
    """Each delay is spread evenly over +- this fraction (0 to 1) of itself."""
    reset_after_s: float = 60.0
    """A child that was up this long has no restarts behind it any more."""

    def __post_init__(self) -> None:
        _in_range("initial_s", self.initial_s, 0, math.inf)
        _in_range("factor", self.factor, 1, math.inf)
        _in_range("maximum_s", self.maximum_s, self.initial_s, math.inf)
        _in_range("jitter", self.jitter, 0, 1)
        _in_range("reset_after_s", self.reset_after_s, 0, math.inf)

    def delay(self, consecutive_restarts: int, rng: random.Random) -> float:
        """Seconds to wait before a restart that follows so many others without health between."""
        if consecutive_restarts <= 0:
            return 0.0
        try:
            grown = self.initial_s * self.factor ** (consecutive_restarts - 1)
        except OverflowError:
            grown = self.maximum_s
        return min(grown, self.maximum_s) * rng.uniform(1 - self.jitter, 1 + self.jitter)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number; a bool is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value)


def _in_range(field: str, value: object, least: float, most: float) -> None:
    if is_number(value) and least <= value <= most:
        return
    limits = f"at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
    raise BadFlags("invalid_backoff", f"backoff: {field} must be a number {limits}, not {value!r}")
