"""What the pool keeps of one agent: its queue, who waits for its process, and its figures.

It belongs to the pool, not to a worker, so whatever waits here outlives any restart.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import trio

from supervisor.pool.outcome import PoolError, Task, TaskError

State = Literal["stopped", "starting", "idle", "busy", "resetting", "restarting", "down"]


@dataclass
class Down:
    """Why an agent is down, and since when."""

    reason: str
    """In one sentence."""
    ended: str
    """The part of the tree that has to be started again: a supervisor, or the worker itself."""
    since: float
    """On Trio's clock."""
    wall: float
    """Seconds since the epoch."""
    launch_key: object
    """What was started when it went down: something else may fare better."""
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


@dataclass(frozen=True)
class Tree:
    """How a process and all that it started is found."""

    tag: str
    """The mark in their environment."""
    pid: int
    """The leader."""


@dataclass
class Figures:
    """What `list` shows of an agent's worker."""

    tasks_done: int = 0
    """Tasks that ended with a result."""
    tasks_failed: int = 0
    """Tasks that ended otherwise."""
    restarts: int = 0
    """Unplanned replacements."""
    recycles: int = 0
    """Planned ones."""


class Agent:
    """One agent's mailbox and record. Everything here happens in one Trio run."""

    def __init__(self, name: str, queue_limit: Callable[[], int]) -> None:
        """`queue_limit` gives the number of tasks that may wait, as configured now."""
        self.name = name
        """The agent's identifier."""
        self.queue: deque[Task] = deque()
        """Tasks that wait, the next one first."""
        self.warmups: list[Warmup] = []
        """Those who wait for a ready process."""
        self.current: Task | None = None
        """The task in hand."""
        self.down: Down | None = None
        """Set while it is down."""
        self._state: State = "stopped"
        self.eager = False
        """Its worker is to have a process even where nobody waits for one."""
        self.ready: Ready | None = None
        """The process that it owns, once that is ready."""
        self.started_at: float | None = None
        """Seconds since the epoch at which that process was started."""
        self.reset_by = "unknown"
        """How its context is reset: rewind, /clear, a new process."""
        self.watched_by = "unknown"
        """How it is found out that its process hangs: ping, process state."""
        self.tree: Tree | None = None
        """Its process and all that this started, while it owns one."""
        self.tmp_bytes: int | None = None
        """What its temporary folder took when that was measured last, after a task."""
        self.last_crash = ""
        """Why its worker crashed last."""
        self.last_used = 0.0
        """When it last became idle, on Trio's clock."""
        self.launch_key: object = None
        """What its last process was started with."""
        self.figures = Figures()
        """What it has done."""
        self._queue_limit = queue_limit
        self._wanted = trio.Event()

    def put(self, task: Task) -> None:
        """Queue a task.

        Raises:
            PoolError: `queue_full`.
        """
        if len(self.queue) >= self._queue_limit():
            raise PoolError(
                TaskError(
                    "queue_full",
                    f'{len(self.queue)} tasks wait for "{self.name}" already.',
                    "Wait for some of them, or raise queue_limit in pool.toml.",
                    {"queue_length": len(self.queue)},
                )
            )
        self.queue.append(task)
        self.poke()

    def put_back(self, task: Task) -> None:
        """Queue a task again, before all others: no process ever had all of it."""
        task.started_at = None
        task.doing.value = "waiting for the agent's new process"
        self.queue.appendleft(task)
        self.poke()

    def take(self) -> Task | None:
        """The next task that still wants an outcome, out of the queue."""
        while self.queue:
            task = self.queue.popleft()
            if task.outcome is None:
                return task
        return None

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

    def forget_settled(self) -> None:
        """Take the tasks that have an outcome already out of the queue."""
        if any(task.outcome is not None for task in self.queue):
            self.queue = deque(task for task in self.queue if task.outcome is None)

    @property
    def wants_process(self) -> bool:
        """Somebody waits for what only a process can do."""
        return bool(self.queue or self.warmups or self.eager)

    @property
    def state(self) -> State:
        """What its worker does; down: there is none."""
        return "down" if self.down is not None else self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state

    def go_down(self, reason: str, ended: str, cool_down_s: float | None = None) -> bool:
        """It is given up: everybody who waits is told. False: it was down already.

        Then the first reason stays, though more of the tree has to be started again for it.
        `cool_down_s` is after how long it is started again by itself; None: never.
        """
        now = trio.current_time()
        again_at = None if cool_down_s is None else now + cool_down_s
        if self.down is not None:
            self.down.ended, self.down.again_at = ended, again_at
            return False
        self.down = Down(reason, ended, now, time.time(), self.launch_key, again_at)
        self.eager = False
        self.fail_waiting(self.down_error())
        return True

    def come_up(self) -> None:
        """It has a worker (again), which owns no process yet."""
        self.down = None
        self._state = "stopped"

    def down_error(self) -> TaskError:
        """`agent_down`, with why and since when."""
        assert self.down is not None
        now = trio.current_time()
        since = time.strftime("%H:%M:%S", time.localtime(self.down.wall))
        left_s = None if self.down.again_at is None else max(self.down.again_at - now, 0.0)
        again = f"; it is started again in {left_s:.0f} s" if left_s else ""
        return TaskError(
            "agent_down",
            f'the agent "{self.name}" is down since {since}: {self.down.reason}{again}',
            "Mend what makes it fail, then call reset for it; the log has its stderr.",
            {
                "down_for_s": round(now - self.down.since, 1),
                "started_again_in_s": None if left_s is None else round(left_s, 1),
            },
        )

    def fail_waiting(self, error: TaskError) -> None:
        """End everything that waits here with `error`."""
        while (task := self.take()) is not None:
            task.settle(error)
        self.answer_warmups(error)

    def poke(self) -> None:
        """Wake whoever waits in `wait_poked`."""
        self._wanted.set()
        self._wanted = trio.Event()

    async def wait_poked(self) -> None:
        """Wait until something changed here."""
        await self._wanted.wait()
