"""What a process has served since it became ready, and when something is due for it."""

import math
from dataclasses import dataclass

import trio

from supervisor.pool.config import AgentTable

SWEEP_AFTER_S = 1.0
"""Idle seconds after which what tasks have left running is looked for, though no tool was used.

A look at all processes takes milliseconds, which is too long for each of many small tasks."""


@dataclass
class Service:
    """One process's. Times are on Trio's clock."""

    ready_at: float
    """When it became ready."""
    tasks: int = 0
    """Tasks that it has brought to their outcome."""
    unswept: bool = False
    """What its tasks have left running has not been looked for while it was idle."""

    def __post_init__(self) -> None:
        self._idle_since = self.ready_at

    def has_served(self) -> None:
        """A task has ended, and the context is reset."""
        self.tasks += 1
        self.unswept = True
        self._idle_since = trio.current_time()

    def used_up(self, settings: AgentTable) -> str | None:
        """Why it is to be recycled, if it is."""
        if settings.max_tasks and self.tasks >= settings.max_tasks:
            return f"it had served {self.tasks} tasks"
        if settings.max_age and trio.current_time() >= self.ready_at + settings.max_age:
            return f"it was older than {settings.max_age:g} s"
        return None

    def is_idle_too_long(self, settings: AgentTable) -> bool:
        """Whether it has had no task for `idle_timeout`."""
        timeout_s = settings.idle_timeout
        return bool(timeout_s and trio.current_time() >= self._idle_since + timeout_s)

    def next_due(self, settings: AgentTable, may_rest: bool) -> float:
        """When something is due if no task comes; `math.inf`: nothing is.

        `may_rest`: its end for lack of tasks is.
        """
        dues = [math.inf]
        if self.unswept and not settings.keep_background:
            dues.append(self._idle_since + SWEEP_AFTER_S)
        if settings.max_age:
            dues.append(self.ready_at + settings.max_age)
        if settings.idle_timeout and may_rest:
            dues.append(self._idle_since + settings.idle_timeout)
        return min(dues)
