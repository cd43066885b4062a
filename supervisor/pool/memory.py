"""The memory governor: no process tree stays over its ceilings.

One sweep measures every tree. The next one is due when the tree with the least room could at
the earliest have filled it, growing at `SLOPE`, but neither sooner than `SHORTEST_S` nor later
than `LONGEST_S`. So a tree that grows at that speed is seen within `SHORTEST_S` of crossing its
hard ceiling, and a faster one overshoots in proportion.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Protocol

import trio

from supervisor.pool.agent import Seat
from supervisor.pool.boot import Boot
from supervisor.pool.budget import Budget
from supervisor.pool.config import AgentTable
from supervisor.pool.events import CeilingCrossed, PoolEvent, SweepFailed
from supervisor.pool.outcome import TaskError
from supervisor.process import Process, ProcessHost, TreeMemory

SLOPE = 2**30
"""Bytes a second: the growth that sampling keeps up with."""

SHORTEST_S = 0.05
LONGEST_S = 1.0

BIGGEST = 3
"""Processes of a tree that an error names."""


class Owner(Protocol):
    """Whoever has a process: a worker, or nobody yet."""

    def recycle(self, why: str) -> None:
        """End the process as soon as it has no task."""

    def over_hard_ceiling(self, error: TaskError) -> None:
        """End it now; `error` is for a task in hand."""


@dataclass(frozen=True)
class Watched:
    """One process tree."""

    agent: str
    """The agent's name."""
    process: Process
    """Its leader."""
    settings: AgentTable
    """Its ceilings."""
    worker: Owner
    """Whom to tell."""
    boot: Boot
    """What the budget knows it by."""
    is_ready: bool = False
    """Its start is over."""
    seat: Seat | None = None
    """Its worker's; None: it has none yet."""


class MemoryGovernor:
    """Holds every tree that it is shown to its ceilings."""

    def __init__(
        self,
        watched: Callable[[], Iterable[Watched]],
        host: ProcessHost,
        budget: Budget,
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """`watched` gives the trees that there are now; `emit` is called with each event."""
        self._watched = watched
        self._host = host
        self._budget = budget
        self._emit = emit
        self._told_soft: set[str] = set()
        self._sizes_at_first: dict[str, int] = {}

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Sweep until cancelled."""
        task_status.started()
        while True:
            try:
                due_in_s = await self.sweep()
            except (OSError, RuntimeError) as error:
                # No descriptor or no thread is left for a moment.
                self._emit(SweepFailed("", str(error)))
                due_in_s = LONGEST_S
            await trio.sleep(due_in_s)

    async def sweep(self) -> float:
        """Measure every tree once, and act; returns the seconds until the next sweep is due."""
        watched = {one.process.tag: one for one in self._watched()}
        self._told_soft &= set(watched)
        self._sizes_at_first = {t: s for t, s in self._sizes_at_first.items() if t in watched}
        if not watched:
            self._budget.measured({})
            return LONGEST_S
        measured = await self._host.memory({tag: one.process for tag, one in watched.items()})
        # Some may have ended while they were measured; a new one is seen by the next sweep.
        present = {one.process.tag for one in self._watched()} & set(watched)
        self._budget.measured({watched[t].boot: measured[t].size_bytes for t in present})
        room = min((self._judge(watched[tag], measured[tag]) for tag in present), default=SLOPE)
        return min(max(room / SLOPE, SHORTEST_S), LONGEST_S)

    def _judge(self, one: Watched, memory: TreeMemory) -> int:
        """Act on one tree; returns the bytes that are left below its hard ceiling."""
        size = memory.size_bytes
        soft, hard = one.settings.soft_ceiling, one.settings.hard_ceiling
        if size > hard:
            self._cross(one, "hard", hard, size)
            one.worker.over_hard_ceiling(_ceiling_error(one.agent, hard, memory))
            return SLOPE  # it is being killed
        if size > soft and one.process.tag not in self._told_soft:
            self._told_soft.add(one.process.tag)
            self._cross(one, "soft", soft, size)
            one.worker.recycle("it was over its soft ceiling")
        self._judge_growth(one, size)
        return hard - size

    def _judge_growth(self, one: Watched, size: int) -> None:
        """Recycle one that has grown too much since it was first seen ready."""
        limit = one.settings.max_growth
        if not limit or not one.is_ready:
            return
        at_first = self._sizes_at_first.setdefault(one.process.tag, size)
        if size - at_first > limit:
            one.worker.recycle(f"it had grown by {_mib(size - at_first)}")

    def _cross(self, one: Watched, ceiling: str, limit: int, size: int) -> None:
        seat = one.seat
        task = seat.current if seat is not None else None
        self._emit(
            CeilingCrossed(
                one.agent,
                one.process.pid,
                ceiling,
                limit,
                size,
                worker=seat.name if seat is not None else None,
                task_id=task.id if task is not None else None,
                attempt=task.attempts or None if task is not None else None,
            )
        )


def _ceiling_error(agent: str, limit: int, memory: TreeMemory) -> TaskError:
    biggest = memory.processes[:BIGGEST]
    named = ", ".join(f"{one.name} ({_mib(one.own_bytes)}, pid {one.pid})" for one in biggest)
    return TaskError(
        "memory_ceiling",
        f'the processes of "{agent}" took {_mib(memory.size_bytes)}, over the hard ceiling of '
        f"{_mib(limit)}, so they were killed. The biggest: {named}.",
        "Give it a smaller task, or raise hard_ceiling under "
        f"[agents.{agent.partition('@')[0]}] in pool.toml.",
        {
            "limit_bytes": limit,
            "size_bytes": memory.size_bytes,
            "biggest": [asdict(one) for one in biggest],
        },
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
