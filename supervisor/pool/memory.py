"""The memory governor: no process tree stays over its ceilings.

A tree is *due* to be sampled before it could at the earliest have filled the room that is left
below its hard ceiling. It cannot have grown by more than all processes of the machine have been
given (`GrowthClock`), nor, as is assumed, faster than `SLOPE`. Once in `LONGEST_S` everything is
looked after: which trees there are, and the budget; all are due then, but for those that *rest*. A
tree rests, `RESTS` times in a row at most, if it has no task, has kept its size, and cannot have
got over anything: all processes of the machine together have been given less than it has room for.
All that are due are sampled by one sweep, which begins by finding out who has come to each tree.

The bounds. A tree that grows at up to `SLOPE` gets over its hard ceiling by no more than `LEAST`
bytes and what it grows by in `SHORTEST_S` and the sweep itself; a faster one by that, and by what
it grows faster in `LONGEST_S`. It makes no difference where in the tree it grows, or since when:
a grandchild in a session of its own counts from the sweep on that begins after its birth, and a
tree is watched from the start of its leader. Not bounded like this is what the kernel does not
hand out (pages of files that are cached already: `LONGEST_S`, and as often as it has rested), and
who has scrubbed its environment and forked twice between two sweeps, where there are no cgroups.

What crosses its hard ceiling is stopped at once, so that it does not grow while it is being
killed.
"""

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

NEARLY = 4
"""A tree is due when but one part in so many of its room can be left."""

RESTS = 3
"""How often a tree may be left out, in a row, when everything is looked after."""

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


@dataclass(slots=True)
class _Tree:
    """What is known of one process tree."""

    one: Watched
    full: int = 0
    """When it can have filled its room, in bytes of the growth clock."""
    due: int = 0
    """When it is due by that clock."""
    size: int | None = None
    """Bytes, as it was sampled last; None: it has not been."""
    first: int | None = None
    """Bytes, when it was ready."""
    handed_out: int = 0
    """Bytes that the machine had handed out when it was sampled last."""
    rests: int = 0
    """How often it may be left out from now on."""
    told_soft: bool = False
    """Its worker knows that it is over its soft ceiling."""

    @property
    def limit(self) -> int:
        """Bytes above which there is something to do about it."""
        settings = self.one.settings
        limit = settings.hard_ceiling if self.told_soft else settings.soft_ceiling
        if settings.max_growth and self.first is not None:
            return min(limit, self.first + settings.max_growth)
        return limit


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
        self._trees: dict[str, _Tree] = {}
        self._grown = 0
        self._handed_out: int | None = None
        self._first_full: int | None = None
        self._first_due: int | None = None
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
                self._grown, self._handed_out = clock.read(began), clock.handed_out
                if began >= all_due:
                    self._take_stock()
                    await self._sweep(meters, self._restless())
                    self._budget.measured(self._sizes_of_boots())
                    all_due = began + LONGEST_S
                elif self._first_due is not None and self._first_due <= self._grown:
                    await self._sweep(meters, self._due())
                await self._rest(began, all_due)
        finally:
            meters.close()
            clock.close()

    def started(self, one: Watched) -> None:
        """Watch a tree from now on: its leader has just been started."""
        tree = self._trees[one.process.tag] = self._new(one)
        self._be_due_with([tree])
        self._woken.set()

    async def _rest(self, began: float, all_due: float) -> None:
        """Wait until something can be due, and no less than a sweep's cost asks for."""
        now = trio.current_time()
        earliest = min(max(began + SHORTEST_S, now + REST * (now - began)), all_due)
        while trio.current_time() < (due := max(self._next_due(began, all_due), earliest)):
            self._woken = trio.Event()
            with trio.move_on_at(due):
                await self._woken.wait()

    def _next_due(self, began: float, all_due: float) -> float:
        """When the next tree could at the earliest have filled its room, if all went to it."""
        if self._first_full is None:
            return all_due
        return min(began + (self._first_full - self._grown) / SLOPE, all_due)

    def _new(self, one: Watched) -> _Tree:
        tree = _Tree(one)
        self._give_room(tree, one.settings.hard_ceiling)
        return tree

    def _give_room(self, tree: _Tree, room: int) -> None:
        """Have it sampled before it can have filled its room since the clock was read last."""
        room = max(room, LEAST)
        tree.full = self._grown + room
        # The rest of it would be looked after in ever smaller steps.
        tree.due = tree.full - room // NEARLY

    def _be_due_with(self, trees: Iterable[_Tree]) -> None:
        """Have the next sweep no later than these need it."""
        for tree in trees:
            if self._first_full is None or tree.full < self._first_full:
                self._first_full = tree.full
            if self._first_due is None or tree.due < self._first_due:
                self._first_due = tree.due

    def _due(self) -> list[_Tree]:
        return [tree for tree in self._trees.values() if tree.due <= self._grown]

    def _take_stock(self) -> None:
        """See which trees there are."""
        before, self._trees = self._trees, {}
        for one in self._watched():
            tag = one.process.tag
            tree = self._trees[tag] = before.get(tag) or self._new(one)
            tree.one = one
        self._first_full = self._first_due = None  # they may have been those of one that has gone
        self._be_due_with(self._trees.values())

    def _restless(self) -> list[_Tree]:
        """The trees that are to be sampled now; the others rest once more."""
        found = []
        for tree in self._trees.values():
            if tree.rests and self._can_be_left(tree):
                tree.rests -= 1
            else:
                found.append(tree)
        return found

    def _can_be_left(self, tree: _Tree) -> bool:
        """Nothing asks for a look, even if it has got all that was handed out since the last."""
        one = tree.one
        if self._handed_out is None or tree.size is None:
            return False
        if (one.is_ready and tree.first is None) or (one.seat is not None and one.seat.current):
            return False
        return tree.size + self._handed_out - tree.handed_out < tree.limit

    def _sizes_of_boots(self) -> dict[Boot, int]:
        trees = self._trees.values()
        return {tree.one.boot: tree.size for tree in trees if tree.size is not None}

    # one sweep

    async def _sweep(self, meters: Meters, due: Iterable[_Tree]) -> None:
        """Sample the trees that are due, and act."""
        meters.follow({tag: tree.one.process.pid for tag, tree in self._trees.items()})
        trees = {tree.one.process.tag: tree for tree in due}
        if not trees:
            return
        limits = {tag: tree.limit for tag, tree in trees.items()}
        try:
            found = await trio.to_thread.run_sync(_measure, meters, limits)
        except RuntimeError as error:  # no thread is left for a moment
            found = _Sizes({}, {}, str(error))
        if found.error:
            self._emit(SweepFailed("", found.error))
        for tag, tree in trees.items():
            self._note(tree, found.bytes.get(tag), tag in found.over)
        self._first_full = self._first_due = None
        self._be_due_with(self._trees.values())
        for tag, memory in found.over.items():
            if self._is_there(trees[tag].one):
                self._judge(trees[tag], memory, meters)

    def _note(self, tree: _Tree, size: int | None, is_over: bool) -> None:
        """Note what a tree was found to have; None: it could not be sampled."""
        tree.rests = 0
        if size is not None:
            if tree.size is not None and abs(size - tree.size) < LEAST and not is_over:
                tree.rests = RESTS
            tree.size, tree.handed_out = size, self._handed_out or 0
            if tree.one.is_ready and tree.first is None:
                tree.first = size
        room = tree.one.settings.hard_ceiling - (tree.size or 0)
        self._give_room(tree, room if room > 0 else SLOPE)  # else it is being killed

    def _is_there(self, one: Watched) -> bool:
        """It may have ended while it was measured: then another one has its worker."""
        return any(other.process is one.process for other in self._watched())

    def _judge(self, tree: _Tree, memory: TreeMemory, meters: Meters) -> None:
        """Act on one tree that is over something."""
        one, size = tree.one, memory.size_bytes
        soft, hard = one.settings.soft_ceiling, one.settings.hard_ceiling
        if size > hard:
            meters.freeze(one.process.tag)
            self._cross(one, "hard", hard, size)
            one.worker.over_hard_ceiling(_ceiling_error(one.agent, hard, memory))
            return
        if size > soft and not tree.told_soft:
            tree.told_soft = True
            self._cross(one, "soft", soft, size)
            one.worker.recycle("it was over its soft ceiling")
        limit, first = one.settings.max_growth, size if tree.first is None else tree.first
        if limit and size - first > limit:
            one.worker.recycle(f"it had grown by {_mib(size - first)}")

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
