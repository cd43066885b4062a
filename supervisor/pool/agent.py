"""What the pool keeps of one agent: its queue, who waits for its process, and its figures.

It belongs to the pool, not to a worker, so whatever waits here outlives any restart. A *seat* is
the place of one worker: what is kept of it over its restarts.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import trio

from supervisor.pool.launch import Capabilities
from supervisor.pool.outcome import SHELL_ADVICE, PoolError, Task, TaskError
from supervisor.pool.queue import TaskQueue
from supervisor.process import Process

SeatState = Literal["stopped", "starting", "idle", "busy", "resetting", "restarting"]
State = SeatState | Literal["down"]

_MOST_TELLING: tuple[SeatState, ...] = (
    "busy",
    "resetting",
    "idle",
    "starting",
    "restarting",
    "stopped",
)
"""Which worker's state is its agent's, where they differ."""

_COMING: tuple[SeatState, ...] = ("starting", "idle", "resetting")
"""In which a worker takes the next task before long."""

RECENT = 16
"""Tasks of late by which it is told how long one takes."""


@dataclass
class Down:
    """Why an agent is down, and since when."""

    reason: str
    """In one sentence."""
    ended: str | None
    """The supervisor that has to be started again; None: the workers themselves."""
    since: float
    """On Trio's clock."""
    wall: float
    """Seconds since the epoch."""
    launch_key: object
    """What was started when it went down: something else may fare better."""
    culprit: str
    """The agent whose end took it down, as its log lines name it."""
    again_at: float | None
    """When its cool-down ends and it is started again, on Trio's clock; None: it is not."""


@dataclass
class Ready:
    """A process that is ready, for whoever asked for one."""

    pid: int
    """Its pid."""
    ready_s: float
    """Seconds from its start to its answer to `initialize`."""


@dataclass
class Warmup:
    """Somebody who waits for a ready process."""

    done: trio.Event = field(default_factory=trio.Event)
    """Set when `answer` is there."""
    answer: Ready | TaskError | None = None
    """The process, or why there is none."""

    def settle(self, answer: Ready | TaskError) -> None:
        """Answer, once."""
        if self.answer is None:
            self.answer = answer
            self.done.set()


@dataclass
class Figures:
    """What `list` shows of an agent."""

    tasks_done: int = 0
    """Tasks that ended with a result."""
    tasks_failed: int = 0
    """Tasks that ended otherwise."""
    restarts: int = 0
    """Unplanned replacements of its processes."""
    recycles: int = 0
    """Planned ones."""


@dataclass(eq=False)
class Seat:
    """The place of one worker."""

    name: str
    """The worker's, as the tree knows it: agent#number."""
    number: int
    """Counted from 0."""
    state: SeatState = "stopped"
    """What its worker does."""
    eager: bool = False
    """Its worker is to have a process even where nobody waits for one."""
    gone: bool = False
    """Its worker has ended for good."""
    current: Task | None = None
    """The task in hand."""
    process: Process | None = None
    """Its process and all that this started, while it owns one."""
    ready: Ready | None = None
    """The same, once it is ready."""
    started_at: float | None = None
    """Seconds since the epoch at which that process was started."""
    tmp_bytes: int | None = None
    """What its temporary folder took when that was measured last, after a task."""
    last_crash: str = ""
    """Why its worker crashed last."""
    last_used: float = 0.0
    """When it last became idle, on Trio's clock."""
    launch_key: object = None
    """What its last process was started with."""
    turn: trio.Lock = field(default_factory=trio.Lock)
    """Held by the worker that has it; one that is to take over from another supervisor waits."""
    is_leaving: bool = False
    """There are to be fewer workers: it goes with its own, once that has no task in hand."""


@dataclass(frozen=True)
class Limits:
    """What is configured of an agent's queue and workers, as it is now."""

    queue: int
    """Tasks that may wait."""
    replicas: int = 1
    """Workers."""
    min_replicas: int = 0
    """Workers that have a process though nobody needs one."""


class Agent:
    """One agent's mailbox and record. Everything here happens in one Trio run."""

    def __init__(
        self, defined_as: str, limits: Callable[[], Limits], conversation: str | None = None
    ) -> None:
        """`limits` gives what is configured now."""
        name = defined_as if conversation is None else f"{defined_as}@{conversation}"
        self.name = name
        """What it is called: the agent's identifier, and the conversation where it is for one."""
        self.defined_as = defined_as
        """The agent's identifier."""
        self.conversation = conversation
        """The conversation that it keeps; None: each task begins with a fresh context."""
        self.session_id: str | None = None
        """The CLI's session that holds the conversation, once a task has been answered in it."""
        self.queue = TaskQueue()
        """Tasks that wait."""
        self.warmups: list[Warmup] = []
        """Those who wait for a ready process."""
        self.seats: list[Seat] = []
        """The places of its workers."""
        self.knows_session = conversation is None
        """It has been looked up whether an earlier pool had the conversation."""
        self.callers = 0
        """Calls that have it in hand, though no task of theirs is queued yet."""
        self.accepting = trio.Lock()
        """Held while a task is put on record, so that tasks keep their order."""
        self.is_supervised = False
        """Its supervisor has been started, or is being."""
        self.is_removed = False
        """Its definition is gone: what waits here is served yet, then it goes."""
        self.is_served_out = False
        """It was removed, and nothing waits here any more."""
        self.down: Down | None = None
        """Set while it is down."""
        self.capabilities = Capabilities()
        """What the CLI of its newest process can do: shared with it, so never behind."""
        self.figures = Figures()
        """What it has done."""
        self._limits = limits
        self._lately: deque[float] = deque(maxlen=RECENT)
        self._wanted = trio.Event()
        self.resize()

    def resize(self) -> None:
        """Have as many places of workers as is configured now; those too many are to leave."""
        wanted = self._limits().replicas
        # Those that leave do so in any order: there may be gaps.
        for number in set(range(wanted)) - {seat.number for seat in self.seats}:
            self.seats.append(Seat(f"{self.name}#{number}", number))
        self.seats.sort(key=lambda seat: seat.number)
        for seat in self.seats:
            seat.is_leaving = seat.number >= wanted

    # ---- tasks

    def check_room(self) -> None:
        """Refuse one more task where too many wait.

        Raises:
            PoolError: `queue_full`.
        """
        if len(self.queue) >= self._limits().queue:
            raise PoolError(self._queue_full())

    def put_back(self, task: Task, doing: str) -> None:
        """Queue a task again, before all others; `doing` says what it waits for."""
        task.started_at = None
        task.doing.value = doing
        self.queue.put_back(task)
        self.poke()

    def take(self) -> Task | None:
        """The next task that still wants an outcome, out of the queue."""
        task = self.queue.take()
        if self.queue:
            self.poke()  # another worker may have to start for the rest
        return task

    def has_taken(self, seconds: float) -> None:
        """Note how long a task ran, for those who ask how long one takes."""
        self._lately.append(seconds)

    def _queue_full(self) -> TaskError:
        waiting = len(self.queue)
        each_s = sum(self._lately) / len(self._lately) if self._lately else None
        lately = f" Lately a task took {each_s:.1f} s." if each_s is not None else ""
        return TaskError(
            "queue_full",
            f'{waiting} tasks wait for "{self.name}" already.{lately}',
            "Wait for some of them, or raise queue_limit or replicas under "
            f"[agents.{self.defined_as}] in pool.toml.",
            {"queue_length": waiting, "task_s": each_s and round(each_s, 3)},
        )

    # ---- processes

    def ask_for_process(self) -> Warmup:
        """Wait for a ready process: the answer is settled by the worker that has one."""
        warmup = Warmup()
        self.warmups.append(warmup)
        self.poke()
        return warmup

    def answer_warmups(self, answer: Ready | TaskError) -> None:
        """Answer all who wait for a process."""
        waiting, self.warmups = self.warmups, []
        for warmup in waiting:
            warmup.settle(answer)

    @property
    def is_wanted(self) -> bool:
        """Somebody waits for what only a process can do."""
        return bool(self.queue or self.warmups)

    def needs(self, seat: Seat) -> bool:
        """Whether the worker of `seat`, which has no process, is to start one now."""
        if seat.is_leaving:
            return False
        if seat.eager or seat.number < self._limits().min_replicas:
            return True
        coming = [s for s in self.seats if not s.is_leaving and s.state in _COMING]
        return max(len(self.queue), len(self.warmups[:1])) > len(coming) - (seat in coming)

    def can_spare(self, seat: Seat) -> bool:
        """Whether the worker of `seat` may be without a process, as far as is known now."""
        return not self.is_wanted and seat.number >= self._limits().min_replicas

    @property
    def ready(self) -> Ready | None:
        """A process that is ready, if there is one."""
        return next((seat.ready for seat in self.seats if seat.ready is not None), None)

    @property
    def state(self) -> State:
        """What its workers do: that of the most active one; down: there is none."""
        if self.down is not None:
            return "down"
        states = {seat.state for seat in self.seats}
        return next(state for state in _MOST_TELLING if state in states)

    @property
    def last_used(self) -> float:
        """When one of its workers became idle last, on Trio's clock."""
        return max(seat.last_used for seat in self.seats)

    # ---- down and up

    def go_down(
        self,
        reason: str,
        ended: str | None,
        cool_down_s: float | None = None,
        culprit: str | None = None,
    ) -> bool:
        """It is given up: everybody who waits is told. False: it was down already.

        Then the first reason stays, though more of the tree has to be started again for it.
        `cool_down_s` is after how long it is started again by itself; None: never. `culprit` is
        the agent that failed, by its log lines; None: this one.
        """
        now = trio.current_time()
        again_at = None if cool_down_s is None else now + cool_down_s
        if self.down is not None:
            self.down.ended, self.down.again_at = ended, again_at
            return False
        key = self.seats[0].launch_key
        failed = culprit or self.defined_as
        self.down = Down(reason, ended, now, time.time(), key, failed, again_at)
        for seat in self.seats:
            seat.eager = False
        self.fail_waiting(self.down_error())
        return True

    def come_up(self, seat: Seat) -> None:
        """A worker of it has started (again), and owns no process yet."""
        self.down = None
        seat.state, seat.gone = "stopped", False

    def down_error(self) -> TaskError:
        """`agent_down`, with why and since when."""
        assert self.down is not None
        now = trio.current_time()
        since = time.strftime("%H:%M:%S", time.localtime(self.down.wall))
        left_s = None if self.down.again_at is None else max(self.down.again_at - now, 0.0)
        again = f"; it is started again in {left_s:.0f} s" if left_s else ""
        culprit = self.down.culprit
        whose = "its" if culprit == self.defined_as else f"{culprit}'s"
        return TaskError(
            "agent_down",
            f'the agent "{self.name}" is down since {since}: {self.down.reason}{again}',
            f"Mend what makes it fail, then call reset for it; the log has {whose} stderr.",
            {
                "down_for_s": round(now - self.down.since, 1),
                "started_again_in_s": None if left_s is None else round(left_s, 1),
                SHELL_ADVICE: "Mend what makes it fail, then start it again: agent-pool reset "
                f"{self.defined_as}; agent-pool tail --agent {culprit} has {whose} stderr.",
            },
        )

    def fail_waiting(self, error: TaskError) -> None:
        """End everything that waits here with `error`."""
        while (task := self.take()) is not None:
            task.settle(error)
        self.answer_warmups(error)

    # ---- waking

    def poke(self) -> None:
        """Wake whoever waits in `wait_poked`."""
        self._wanted.set()
        self._wanted = trio.Event()

    async def wait_poked(self) -> None:
        """Wait until something changed here."""
        await self._wanted.wait()
