"""Spares: processes that have been booted before anybody needs one, and have no role yet.

A process of the CLI takes half a second to start; one that stands by gets its role in milliseconds.
What is settled at its start (program, arguments, permission mode, ceiling) is its *profile*: it
serves any agent of the same one. `spares = n` in pool.toml keeps n for each profile that a defined
agent has. They are started only where there is room at once, count towards the budget, and are the
first to go when room is needed. One that ends, answers nothing, or whose profile nobody has any
more is replaced, and nobody notices.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import trio

from supervisor.place import PlaceError
from supervisor.pool.agent_process import AgentProcess, ProcessGoneError
from supervisor.pool.boot import Boot, Profile, Yard
from supervisor.pool.budget import Budget, NoRoomError
from supervisor.pool.events import PoolEvent, SpareEnded, SpareFailed, SpareReady
from supervisor.pool.outcome import TaskError
from supervisor.temporary import SPARE

LOOK_EVERY_S = 5.0
"""Seconds after which it is looked again which profiles there are."""

PING_EVERY_S = 30.0
"""Seconds after which a spare is asked for a sign of life."""

FAILED_WAIT_S = (1.0, 60.0)
"""How long the first wait after a spare that could not be started is, and the longest."""


@dataclass(eq=False)
class Spare:
    """One process that stands by."""

    boot: Boot
    """It, from its start to its end."""
    process: AgentProcess
    """The conversation with it."""
    gone: trio.Event
    """Set when it answers nothing any more."""
    attending: trio.CancelScope = field(default_factory=trio.CancelScope)
    """What listens to it until somebody else does."""
    is_ready: bool = False
    """It has been booted."""
    taken: bool = False
    """It is somebody's, and no spare any more."""
    ended: str | None = None
    """Why it is to end."""
    changed: trio.Event = field(default_factory=trio.Event)
    """Set when one of these has changed for good."""
    let_go: trio.Event = field(default_factory=trio.Event)
    """Set once nobody here touches it any more."""

    @property
    def is_useful(self) -> bool:
        """It can be taken."""
        return self.is_ready and self.ended is None and not self.process.gone

    def end(self, why: str) -> None:
        """Let it go, unless somebody has it."""
        if not self.taken and self.ended is None:
            self.ended = why
            self.changed.set()

    def recycle(self, why: str) -> None:
        """As for a worker: it is over a limit."""
        self.end(why)

    def over_hard_ceiling(self, error: TaskError) -> None:
        """As for a worker: it is over its ceiling."""
        self.end(error.message)


class SpareKeeper:
    """Keeps spares. `run` is a service of the pool's tree."""

    def __init__(
        self,
        yard: Yard,
        wanted: Callable[[], Mapping[Profile, int]],
        budget: Budget,
        start_timeout_s: Callable[[], float],
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """`wanted` gives how many of each profile there are to be; `budget` has the room."""
        self._yard = replace(yard, admit=budget.admit_at_once)
        self._wanted = wanted
        self._budget = budget
        self._start_timeout_s = start_timeout_s
        self._emit = emit
        self._spares: list[Spare] = []
        self._starting: Counter[Profile] = Counter()
        self._wait_s = FAILED_WAIT_S[0]
        self._not_before = 0.0
        self._poked = trio.Event()
        self._numbers = count(1)

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep them until cancelled; then all of them end."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                self._poked = trio.Event()
                wanted = self._wanted()
                self._end_extras(wanted)
                for profile in self._missing(wanted):
                    self._starting[profile] += 1
                    nursery.start_soon(self._keep, profile)
                with trio.move_on_after(LOOK_EVERY_S if wanted else 10 * LOOK_EVERY_S):
                    await self._poked.wait()

    async def take(self, profile: Profile, owner: str, agent: str) -> Spare | None:
        """A spare of this profile, for the worker `owner` of `agent`; None: there is none.

        From then on it is the caller's, who has to attend to it, end it and close its boot.
        """
        for spare in self._spares:
            if spare.boot.profile == profile and spare.is_useful:
                break
        else:
            return None
        spare.taken = True
        self._spares.remove(spare)
        spare.boot.belongs_to(owner, agent)
        spare.attending.cancel()
        with trio.CancelScope(shield=True):  # what has been taken is not to be lost on the way
            await spare.let_go.wait()
        self._poked.set()
        return spare

    def end_one(self, why: str) -> bool:
        """End a spare, since room is needed; False: there is none."""
        for spare in self._spares:
            if spare.ended is None:
                spare.end(why)
                return True
        return False

    @property
    def all(self) -> list[Spare]:
        """Those that stand by, or start to."""
        return list(self._spares)

    def poke(self) -> None:
        """Look now which are missing."""
        self._poked.set()

    def _end_extras(self, wanted: Mapping[Profile, int]) -> None:
        have: Counter[Profile] = Counter()
        # The ready ones stay, and of these the oldest.
        for spare in sorted(self._spares, key=lambda one: not one.is_useful):
            profile = spare.boot.profile
            if spare.ended is None and have[profile] < wanted.get(profile, 0):
                have[profile] += 1
            elif profile in wanted:
                spare.end("fewer are to stand by")
            else:
                spare.end("no agent has its profile any more")

    def _missing(self, wanted: Mapping[Profile, int]) -> list[Profile]:
        if trio.current_time() < self._not_before:
            return []
        have = Counter(spare.boot.profile for spare in self._spares) + self._starting
        return [p for p, number in wanted.items() if have[p] < number and self._budget.has_room()]

    async def _keep(self, profile: Profile) -> None:
        """Start one, and have it stand by until it is taken or ends."""
        boot = Boot(self._yard, profile, f"{SPARE}#{next(self._numbers)}", SPARE)
        spare: Spare | None = None
        try:
            try:
                gone = trio.Event()
                process = await boot.start(gone.set)
                spare = Spare(boot, process, gone)
                self._spares.append(spare)
                self._poked.set()  # while it started, it may have become one too many
            finally:
                self._starting[profile] -= 1
            await self._stand_by(spare)
        except NoRoomError:
            self._has_failed()
        except (OSError, ValueError, PlaceError) as error:
            self._emit(SpareFailed(SPARE, str(error)))
            self._has_failed()
        finally:
            if spare is None or not spare.taken:
                with trio.CancelScope(shield=True):
                    await self._end(boot, spare)
            self._poked.set()

    async def _end(self, boot: Boot, spare: Spare | None) -> None:
        if spare is not None:
            if spare in self._spares:
                self._spares.remove(spare)
            await spare.process.end(planned=True)
            self._emit(SpareEnded(SPARE, spare.process.child.pid, spare.ended or "the pool ends"))
        await boot.close()

    async def _stand_by(self, spare: Spare) -> None:
        async def attend() -> None:
            with spare.attending:
                await spare.process.attend()
            spare.changed.set()

        async def notice_end() -> None:
            await spare.gone.wait()
            spare.end("it has ended by itself")
            self._has_failed()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(attend)
                nursery.start_soon(notice_end)
                nursery.start_soon(self._watch, spare)
                await spare.changed.wait()
                nursery.cancel_scope.cancel()
        finally:
            spare.let_go.set()

    async def _watch(self, spare: Spare) -> None:
        """See it become ready, and go on living."""
        process = spare.process
        try:
            limit_s = self._start_timeout_s()
            while await process.ping(limit_s):
                if not spare.is_ready:
                    spare.is_ready = True
                    spare.boot.has_started()
                    self._wait_s = FAILED_WAIT_S[0]
                    self._emit(SpareReady(SPARE, process.child.pid))
                    self._poked.set()
                await trio.sleep(PING_EVERY_S)
        except ProcessGoneError:
            return  # whoever listens to it sees that, too
        spare.end("it answers nothing")
        self._has_failed()

    def _has_failed(self) -> None:
        """Not at once again: what fails here may go on failing, and nobody waits for it."""
        self._not_before = trio.current_time() + self._wait_s
        self._wait_s = min(2 * self._wait_s, FAILED_WAIT_S[1])
