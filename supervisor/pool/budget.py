"""The budget: how much memory all processes of the pool may take together.

A process is started only where there is room for it. Where there is none, idle processes are ended
first, the least recently used one before the others; then whoever wants a process waits, in order,
and is told for what. A machine that runs out of memory counts like a budget that is used up.

One process is always let in where only the budget speaks against it: a budget that is smaller than
an agent is no reason to do nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import trio

from supervisor.pool.agent import Agent, Seat
from supervisor.pool.boot import Boot
from supervisor.pool.config import PoolTable
from supervisor.pool.events import AdmissionWaits, BudgetExceeded, PoolEvent
from supervisor.process import available_bytes, memory_pressure

UNKNOWN_SIZE = 200 * 2**20
"""Bytes that a process is taken for as long as none has been measured: a CLI that has started."""

PRESSURE_LIMIT = 40.0
"""Percent of the last ten seconds that somebody on the machine waited for memory."""


class Owner(Protocol):
    """A worker, as far as it is asked for room."""

    @property
    def boot(self) -> Boot | None:
        """Its process."""

    def rest(self, why: str) -> None:
        """End the process if it is idle, until somebody needs one again."""

    def recycle(self, why: str) -> None:
        """Replace the process after the task in hand."""


Running = Callable[[], Iterable[tuple[Agent, Seat, Owner]]]


class NoRoomError(Exception):
    """There is no room for a process that nobody needs yet."""


class Budget:
    """Lets processes in."""

    def __init__(
        self,
        running: Running,
        settings: Callable[[], PoolTable],
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """`running` gives the workers that own a process now, with their agents and seats."""
        self.end_spare: Callable[[str], bool] = lambda _: False
        """Ends a process that has no role; False: there is none."""
        self._running = running
        self._settings = settings
        self._emit = emit
        self._admitted: set[Boot] = set()
        self._sizes: dict[Boot, int] = {}
        self._expected = UNKNOWN_SIZE
        self._turn = trio.Lock()
        self._changed = trio.Event()
        self._is_over = False

    async def admit(self, boot: Boot) -> None:
        """Wait until there is room for a process; `left` gives it back."""
        async with self._turn:
            told = ""
            while (why := self._why_not()) is not None:
                if why != told:
                    self._emit(AdmissionWaits(boot.agent, why, worker=boot.owner))
                    told = why
                boot.waiting(f"waiting for room: {why}")
                self._end_idle_one(f"room is needed for {boot.agent}")
                await self._changed.wait()
            self._admitted.add(boot)

    def has_room(self) -> bool:
        """Whether one more process may start at once, and nobody waits for that."""
        return not self._turn.locked() and self._why_not() is None

    async def admit_at_once(self, boot: Boot) -> None:
        """Admit a process that can be done without, if there is room now.

        Raises:
            NoRoomError: there is none.
        """
        await trio.lowlevel.checkpoint()
        if not self.has_room():
            raise NoRoomError(self._why_not() or "others wait for room")
        self._admitted.add(boot)

    def left(self, boot: Boot) -> None:
        """Its process is gone, or has never come."""
        self._admitted.discard(boot)
        self._sizes.pop(boot, None)
        self._change()

    def measured(self, sizes: Mapping[Boot, int]) -> None:
        """Take the size of each process's tree (bytes), and act where it is too much."""
        self._sizes = {boot: size for boot, size in sizes.items() if boot in self._admitted}
        if self._sizes:
            self._expected = sum(self._sizes.values()) // len(self._sizes)
        limit = self._settings().budget
        over = bool(limit) and self._used() > limit
        if over or self._machine_is_short() is not None:
            self._relieve(over)
        self._is_over = over
        self._change()

    def _relieve(self, over: bool) -> None:
        if self._end_idle_one("the pool is over its budget" if over else "the machine is short"):
            return
        if not over or self._is_over:
            return  # all of them work; it has been told
        boot, size = max(self._sizes.items(), key=lambda item: item[1])
        limit, used = self._settings().budget, self._used()
        self._emit(BudgetExceeded(boot.agent, limit, used, size, worker=boot.owner))
        for _, _, worker in self._running():
            if worker.boot is boot:
                worker.recycle("it was the biggest while the pool was over its budget")

    def _end_idle_one(self, why: str) -> bool:
        """End a spare, else the idle process that was used least recently; False: none is."""
        if self.end_spare(why):
            return True
        idle = [
            (seat.last_used, seat.name, worker)
            for agent, seat, worker in self._running()
            if seat.state == "idle" and agent.can_spare(seat)
        ]
        if not idle:
            return False
        *_, worker = min(idle, key=lambda one: one[:2])
        worker.rest(why)
        return True

    def _why_not(self) -> str | None:
        short = self._machine_is_short()
        if short is not None:
            return short
        limit = self._settings().budget
        if not limit or not self._admitted or self._used() + self._expected <= limit:
            return None
        takers = ", ".join(sorted({boot.agent for boot in self._admitted}))
        return f"{_mib(self._used())} of the budget of {_mib(limit)} are taken by {takers}"

    def _machine_is_short(self) -> str | None:
        least, available = self._settings().min_available, available_bytes()
        if available < least:
            return f"the machine has {_mib(available)} of memory left, less than {_mib(least)}"
        pressed = memory_pressure()
        if least and pressed > PRESSURE_LIMIT:
            return f"the machine waited for memory {pressed:.0f} % of the last ten seconds"
        return None

    def _used(self) -> int:
        return sum(self._sizes.get(boot, self._expected) for boot in self._admitted)

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
