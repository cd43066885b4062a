"""A task's own clock: it stands still while somebody is asked about the task.

with task.clock.move_on_after(60):      # seconds of this clock
    ...
    with task.clock.stopped():          # elsewhere, for as long as a person thinks
        ...
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import trio


class Clock:
    """Runs from the start. Everything is in seconds, and happens in one Trio run."""

    def __init__(self) -> None:
        self._stops = 0
        self._stopped_at = 0.0
        self._stood_still_s = 0.0
        self._left: dict[trio.CancelScope, float] = {}

    @property
    def stood_still_s(self) -> float:
        """How long it has stood still in all."""
        now = trio.current_time() - self._stopped_at if self._stops else 0.0
        return self._stood_still_s + now

    @contextmanager
    def move_on_after(self, seconds: float) -> Iterator[trio.CancelScope]:
        """As `trio.move_on_after`, by this clock."""
        with trio.CancelScope() as scope:
            self._left[scope] = seconds
            if not self._stops:
                scope.deadline = trio.current_time() + seconds
            try:
                yield scope
            finally:
                del self._left[scope]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It stands still here; where several do this at a time, until the last is done."""
        self._stops += 1
        if self._stops == 1:
            self._stop()
        try:
            yield
        finally:
            self._stops -= 1
            if not self._stops:
                self._go_on()

    def _stop(self) -> None:
        now = self._stopped_at = trio.current_time()
        for scope in self._left:
            self._left[scope] = scope.deadline - now
            scope.deadline = math.inf

    def _go_on(self) -> None:
        now = trio.current_time()
        self._stood_still_s += now - self._stopped_at
        for scope, left in self._left.items():
            scope.deadline = now + left
