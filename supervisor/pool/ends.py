"""How a worker's process comes to its end, or drops what it has in hand."""

from dataclasses import dataclass
from typing import Literal

from supervisor.pool.outcome import Task, TaskError


@dataclass(frozen=True)
class CutOff:
    """Why a worker drops everything at once."""

    error: TaskError
    """For the task in hand."""
    replace: bool
    """A new process is to be started, though nobody may wait for one."""
    blameless: bool = True
    """It is no crash, and does not count."""
    in_order: bool = False
    """The process is asked to end before it is killed."""
    retry: bool = False
    """The task in hand may be tried again, where its agent bears that."""


@dataclass(frozen=True)
class End:
    """Why a process is ended or has ended."""

    kind: Literal[
        "reset", "rest", "replace", "unresponsive", "start", "silent start", "idle", "task"
    ]
    """The first four: we end it. The others: it failed, and when."""
    task: Task | None = None
    """The task in hand."""

    @property
    def in_order(self) -> bool:
        """It can be asked to end before it is killed."""
        return self.kind in ("reset", "rest", "replace")

    @property
    def planned(self) -> bool:
        """It is no crash."""
        return self.in_order or self.kind == "unresponsive"
