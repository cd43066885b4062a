"""How many restarts are too many."""

from __future__ import annotations

from collections import deque


class Intensity:
    """OTP's sliding window: at most `intensity` restarts within any `period_s` seconds.

    Pure: the caller says what time it is. OTP counts whole seconds; this window is exact, and
    a restart exactly `period_s` ago still counts.
    """

    def __init__(self, intensity: int, period_s: float) -> None:
        self._intensity = intensity
        self._period_s = period_s
        self._times: deque[float] = deque()

    def add_restart(self, now: float) -> bool:
        """Count a restart at `now` (seconds, never going back); True if it is one too many."""
        self._times.append(now)
        while now - self._times[0] > self._period_s:
            self._times.popleft()
        return len(self._times) > self._intensity

    @property
    def restarts_in_period(self) -> int:
        """Restarts in the window as of the last `add_restart`, that one included."""
        return len(self._times)
