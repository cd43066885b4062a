"""The memory governor: no process tree stays over its ceilings.

A tree is *due* to be sampled when it could at the earliest have filled the room that is left below
its hard ceiling. It cannot have grown by more than all processes of the machine have been given
(`GrowthClock`), nor, as is assumed, faster than `SLOPE`. So idle trees are due once in
`LONGEST_S`, which is when everything is looked after: which trees there are, and the budget. All
that are due are sampled by one sweep, which begins by finding out who has come to each tree.

The bounds. A tree that grows at up to `SLOPE` gets over its hard ceiling by no more than `LEAST`
bytes and what it grows by in `SHORTEST_S` and the sweep itself; a faster one by that, and by what
it grows faster in `LONGEST_S`. It makes no difference where in the tree it grows, or since when:
a grandchild in a session of its own counts from the sweep on that begins after its birth, and a
tree is watched from the start of its leader. Not bounded like this is what the kernel does not
hand out (pages of files that are cached already: `LONGEST_S`), and who has scrubbed its
environment and forked twice between two sweeps, where there are no cgroups.

What crosses its hard ceiling is stopped at once, so that it does not grow while it is being
killed.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import trio

from supervisor.pool.agent import Seat
from supervisor.pool.boot import Boot
from supervisor.pool.budget import Budget
from supervisor.pool.config import AgentTable
from supervisor.pool.events import CeilingCrossed, PoolEvent, SweepFailed
from supervisor.pool.outcome import TaskError
from supervisor.process import GrowthClock, Meters, Process, ProcessHost, TreeMemory

SLOPE = 2**30
"""Bytes a second: the growth that sampling keeps up with."""

LEAST = 2**20
"""Bytes that are too few to look for."""

SHORTEST_S = 0.01
LONGEST_S = 1.0

REST = 4
"""How long nothing is swept after a sweep, in times of what that took."""

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


@dataclass(frozen=True)
class _Sizes:
    """What a sweep has found, by tag."""

    bytes: dict[str, int]
    """The size of each tree."""
    over: dict[str, TreeMemory]
    """Those over the limit that was asked for."""
    error: str
    """Why not everybody may have been found; empty: everybody was."""


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
        self._trees: dict[str, Watched] = {}
        self._sizes: dict[str, int] = {}
        self._due: list[tuple[int, str]] = []
        self._grown = 0
        self._woken = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Sweep until cancelled."""
        task_status.started()
        meters = self._host.meters()
        clock = GrowthClock(SLOPE, trio.current_time())
        all_due = trio.current_time()
        try:
            while True:
                began = trio.current_time()
                self._grown = clock.read(began)
                if began >= all_due:
                    self._take_stock()
                    await self._sweep(meters, self._trees)
                    self._budget.measured(self._sizes_of_boots())
                    all_due = began + LONGEST_S
                elif due := self._take_due():
                    await self._sweep(meters, due)
                await self._rest(began, all_due)
        finally:
            meters.close()
            clock.close()

    def started(self, one: Watched) -> None:
        """Watch a tree from now on: its leader has just been started."""
        self._trees[one.process.tag] = one
        self._is_due(one, one.settings.hard_ceiling)
        self._woken.set()

    async def _rest(self, began: float, all_due: float) -> None:
        """Wait until something can be due, and no less than a sweep's cost asks for."""
        now = trio.current_time()
        await trio.sleep_until(min(max(began + SHORTEST_S, now + REST * (now - began)), all_due))
        while trio.current_time() < (due := self._next_due(began, all_due)):
            self._woken = trio.Event()
            with trio.move_on_at(due):
                await self._woken.wait()

    def _next_due(self, began: float, all_due: float) -> float:
        """When the next tree could at the earliest be due, if all went to that one."""
        if not self._due:
            return all_due
        return min(began + (self._due[0][0] - self._grown) / SLOPE, all_due)

    def _is_due(self, one: Watched, room: int) -> None:
        """Have a tree sampled once it can have filled its room since the clock was read last."""
        heapq.heappush(self._due, (self._grown + max(room, LEAST), one.process.tag))

    def _take_due(self) -> dict[str, Watched]:
        due = {}
        while self._due and self._due[0][0] <= self._grown:
            _, tag = heapq.heappop(self._due)
            if tag in self._trees:
                due[tag] = self._trees[tag]
        return due

    def _take_stock(self) -> None:
        """See which trees there are, of which all are to be sampled now."""
        self._trees = {one.process.tag: one for one in self._watched()}
        self._told_soft &= self._trees.keys()
        self._sizes_at_first = {t: s for t, s in self._sizes_at_first.items() if t in self._trees}
        self._sizes = {tag: size for tag, size in self._sizes.items() if tag in self._trees}
        self._due = []

    def _sizes_of_boots(self) -> dict[Boot, int]:
        return {self._trees[t].boot: size for t, size in self._sizes.items() if t in self._trees}

    # one sweep

    async def _sweep(self, meters: Meters, due: Mapping[str, Watched]) -> None:
        """Sample the trees that are due, and act."""
        due = dict(due)
        meters.follow({tag: one.process.pid for tag, one in self._trees.items()})
        if not due:
            return
        limits = {tag: self._limit(one) for tag, one in due.items()}
        try:
            found = await trio.to_thread.run_sync(_measure, meters, limits)
        except RuntimeError as error:  # no thread is left for a moment
            found = _Sizes({}, {}, str(error))
        if found.error:
            self._emit(SweepFailed("", found.error))
        self._sizes |= found.bytes
        for tag, one in due.items():
            room = one.settings.hard_ceiling - self._sizes.get(tag, 0)
            self._is_due(one, room if room > 0 else SLOPE)  # else it is being killed
            if one.is_ready and tag in found.bytes:
                self._sizes_at_first.setdefault(tag, found.bytes[tag])
        for tag, memory in found.over.items():
            if self._is_there(due[tag]):
                self._judge(due[tag], memory, meters)

    def _limit(self, one: Watched) -> int:
        """Bytes above which there is something to do about a tree."""
        settings, tag = one.settings, one.process.tag
        limit = settings.hard_ceiling if tag in self._told_soft else settings.soft_ceiling
        if settings.max_growth and tag in self._sizes_at_first:
            return min(limit, self._sizes_at_first[tag] + settings.max_growth)
        return limit

    def _is_there(self, one: Watched) -> bool:
        """It may have ended while it was measured: then another one has its worker."""
        return any(other.process is one.process for other in self._watched())

    def _judge(self, one: Watched, memory: TreeMemory, meters: Meters) -> None:
        """Act on one tree that is over something."""
        size, tag = memory.size_bytes, one.process.tag
        soft, hard = one.settings.soft_ceiling, one.settings.hard_ceiling
        if size > hard:
            meters.freeze(tag)
            self._cross(one, "hard", hard, size)
            one.worker.over_hard_ceiling(_ceiling_error(one.agent, hard, memory))
            return
        if size > soft and tag not in self._told_soft:
            self._told_soft.add(tag)
            self._cross(one, "soft", soft, size)
            one.worker.recycle("it was over its soft ceiling")
        limit, at_first = one.settings.max_growth, self._sizes_at_first.get(tag, size)
        if limit and size - at_first > limit:
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


def _measure(meters: Meters, limits: Mapping[str, int]) -> _Sizes:
    """Sample the trees in `limits`, in full where they are above that, in a worker thread."""
    error = ""
    try:
        meters.refresh()
    except OSError as failed:  # no descriptor is left: who is known is sampled all the same
        error = str(failed)
    sizes = {tag: meters.size_bytes(tag) for tag in limits}
    over = {}
    for tag, limit in limits.items():
        if sizes[tag] > limit:
            memory = meters.memory(tag)
            sizes[tag] = memory.size_bytes
            if sizes[tag] > limit:
                over[tag] = memory
    return _Sizes(sizes, over, error)


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
