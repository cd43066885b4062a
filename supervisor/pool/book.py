"""The tasks that the pool knows by their id: those that are open, and those that ended lately."""

from collections import OrderedDict
from typing import Literal

from supervisor.ledger import TaskFilter
from supervisor.pool.outcome import SHELL_ADVICE, Task, TaskError, TaskResult

WaitMode = Literal["any", "all"]

KEPT_TASKS = 10_000
"""Tasks with an outcome that are kept in memory, the newest."""

KEPT_BYTES = 32 * 2**20
"""Characters of their texts that are kept, about; of the newest task always all."""


class TaskBook:
    """Finds tasks. What is older, the ledger knows."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Task] = OrderedDict()
        self._ended: OrderedDict[str, Task] = OrderedDict()
        self._size = 0

    def add(self, task: Task) -> None:
        """A task was accepted."""
        self._open[task.id] = task

    def has_ended(self, task: Task) -> None:
        """It has its outcome."""
        del self._open[task.id]
        self._ended[task.id] = task
        self._size += _size(task)
        while len(self._ended) > 1 and (len(self._ended) > KEPT_TASKS or self._size > KEPT_BYTES):
            _, oldest = self._ended.popitem(last=False)
            self._size -= _size(oldest)

    def find(self, task_id: str) -> Task | None:
        """The task, if it is still known here."""
        return self._open.get(task_id) or self._ended.get(task_id)

    def open(self) -> list[Task]:
        """Those without an outcome, the oldest first."""
        return list(self._open.values())

    def newest(self, wanted: TaskFilter, limit: int) -> list[Task]:
        """Those of an agent and in a state, the newest first, `limit` at most."""
        known = (*self._open.values(), *self._ended.values())
        found = sorted(known, key=lambda task: -task.accepted_at)
        return [task for task in found if _fits(task, wanted)][:limit]


def _fits(task: Task, wanted: TaskFilter) -> bool:
    return wanted.agent in (None, task.agent) and wanted.state in (None, task.state)


def unknown_task_error(task_id: str) -> TaskError:
    """`unknown_task`: nobody knows it, or not any more."""
    shown = task_id if len(task_id) <= 64 else task_id[:64] + "…"
    return TaskError(
        "unknown_task",
        f'there is no task "{shown}".',
        "Its id is what submit and the progress of invoke give; the tool tasks lists them.",
        {SHELL_ADVICE: "agent-pool tasks lists those that there are."},
    )


def _size(task: Task) -> int:
    reply = task.outcome.text if isinstance(task.outcome, TaskResult) else ""
    return len(task.text) + len(reply)
