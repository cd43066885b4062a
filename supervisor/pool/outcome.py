"""A task and its one outcome."""

import math
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

import trio
from trio_util import AsyncValue

from supervisor.pool.clock import Clock
from supervisor.pool.permission import IN_BACKGROUND, Desk
from supervisor.protocol import Denial, Usage

Priority = Literal["high", "normal", "low"]
"""How urgent a task is, the most urgent first."""

TaskState = Literal["queued", "running", "ended"]
"""Where a task is: it has an outcome if and only if it has ended."""

PRIORITIES: tuple[Priority, ...] = get_args(Priority)

SHELL_ADVICE = "shell_advice"
"""In `TaskError.data`: what to do for somebody at a shell, where `advice` is about tools."""

WAITS = "waiting in the queue"
"""What happens with a task that waits for its turn."""


@dataclass(frozen=True)
class TaskResult:
    """A task that the agent brought to its end."""

    text: str
    """The agent's answer."""
    usage: Usage
    """Tokens of this task."""
    cost_usd: float | None
    """US dollars of this task, where the CLI says."""
    session_id: str | None
    """The CLI's session that it ran in."""
    denials: tuple[Denial, ...] = ()
    """Uses of tools that were refused for lack of permission."""
    is_kept: bool = True
    """False: it was answered, and its text is kept no longer."""


@dataclass(frozen=True)
class TaskError:
    """A task that ended otherwise, or a call that could not be accepted."""

    code: str
    """For programs: one of the codes that docs/troubleshooting.md lists."""
    message: str
    """What happened."""
    advice: str = ""
    """What to do about it."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Figures and texts that belong to it."""

    def __str__(self) -> str:
        return self._with(self.advice)

    @property
    def at_shell(self) -> str | None:
        """The same for somebody at a shell; None: it does not differ."""
        advice = self.data.get(SHELL_ADVICE)
        return None if advice is None else self._with(str(advice))

    def _with(self, advice: str) -> str:
        end = "" if self.message.endswith((".", "!", "?")) else "."
        return f"{self.code}: {self.message}{end} {advice}".rstrip()


@dataclass(frozen=True)
class Attempt:
    """One process's try at a task: from its line written whole to the end of that."""

    number: int
    """Counted from 1."""
    pid: int
    """The process."""
    started_at: float
    """Seconds since the epoch."""
    ended_at: float | None = None
    """The same; None: it goes on."""
    exit_status: int | None = None
    """The process's, where that ended it."""
    why: str = ""
    """The code of what ended it too early."""


class PoolError(Exception):
    """A call that was refused; `error` is for the caller."""

    def __init__(self, error: TaskError) -> None:
        super().__init__(str(error))
        self.error = error


Outcome = TaskResult | TaskError


class Recorder(Protocol):
    """Where it is written what happens to a task."""

    def attempt_began(self, task: "Task") -> None:
        """A process has all of the task."""

    def attempt_ended(self, task: "Task", exit_status: int | None, why: str) -> None:
        """The process no longer has it."""

    def billed(self, task: "Task") -> None:
        """What it has taken is known better."""

    def ended(self, task: "Task") -> None:
        """It has its outcome."""


class Task:
    """One piece of text handed to an agent. It is settled once; the first to do it wins."""

    def __init__(
        self,
        agent: str,
        text: str,
        timeout_s: float,
        *,
        caller: str = "",
        priority: Priority = "normal",
        conversation: str | None = None,
        reply_limit: int = 0,
        task_id: str | None = None,
        desk: Desk | None = None,
    ) -> None:
        """`timeout_s`: seconds from now to the deadline; `caller`: who takes turns with others.

        `desk`: where its caller can be asked; None: nobody can.
        """
        self.id = task_id or f"t-{uuid.uuid4().hex[:12]}"
        """The task's identifier."""
        self.agent = agent
        """The agent's name."""
        self.text = text
        """What it is asked to do."""
        self.caller = caller
        """Who handed it over."""
        self.priority: Priority = priority
        """How urgent it is."""
        self.conversation = conversation
        """Whose context it has; None: a fresh one."""
        self.timeout_s = timeout_s
        """Seconds from acceptance to the deadline."""
        self.accepted_at = trio.current_time()
        """On Trio's clock, in seconds."""
        self.clock = Clock()
        """By which its deadline comes."""
        self.desk = desk or Desk(closed=IN_BACKGROUND)
        """Where is asked whether its agent may use a tool."""
        self.allowed_tools: set[str] = set()
        """The tools of which each use is allowed, in this task."""
        self.refused_uses: dict[str, str] = {}
        """Why uses of tools were denied when somebody was to be asked, by the use's id."""
        self.started_at: float | None = None
        """When its line began to be written to a process, on Trio's clock."""
        self.ended_at = math.inf
        """When it was settled, on Trio's clock."""
        self.reply_limit = reply_limit
        """Bytes above which its reply goes into a file, and its caller gets a digest; 0: never."""
        self.reply_path: str | None = None
        """That file, once it is written."""
        self.definition_hash: str | None = None
        """What its agent was defined as when a process got it last."""
        self.usage = Usage()
        """Tokens of all attempts, as far as is known."""
        self.cost_usd: float | None = None
        """US dollars of all attempts, likewise."""
        self.cost_is_lower_bound = False
        """It may have cost more."""
        self.recorder: Recorder | None = None
        """Where it is written what happens to it."""
        self.past_attempts = 0
        """Attempts that are not in `tries`: it is known from the record alone."""
        self._before = (Usage(), 0.0)
        self.tries: list[Attempt] = []
        """Each time that its line was written whole to a process: it may have had effects."""
        self.unsent = 0
        """How often a process died before its line was written whole."""
        self.pid: int | None = None
        """The process that had it last."""
        self.worker: str | None = None
        """The worker that had it last."""
        self.only_reads = False
        """No agent that could change something may have it."""
        self.tokens_so_far = 0
        """Of all kinds, as told while it runs; what it has taken in the end is `usage`."""
        self.doing = AsyncValue(WAITS)
        """What happens with it now, in a few words."""
        self.outcome: Outcome | None = None
        """Its one outcome."""
        self.settled = trio.Event()
        """Set when the outcome is there."""
        self.on_settled: Callable[[], None] | None = None
        """Called then, once, by whoever settles it; for the worker that has the task."""

    @property
    def mailbox(self) -> str:
        """What the pool's record of its agent, or of its conversation, is called."""
        return self.agent if self.conversation is None else f"{self.agent}@{self.conversation}"

    @property
    def attempts(self) -> int:
        """How often its line was written whole to a process."""
        return self.past_attempts + len(self.tries)

    @property
    def sent_whole(self) -> bool:
        """Its line was written whole to the process that has or had it last."""
        return bool(self.tries) and self.tries[-1].ended_at is None

    def begin_attempt(self, attempt: Attempt) -> None:
        """Its line has been written whole to a process."""
        self._before = self.usage, self.cost_usd or 0.0
        self.tries.append(attempt)
        if self.recorder is not None:
            self.recorder.attempt_began(self)

    def end_attempt(self, exit_status: int | None, why: str) -> None:
        """The attempt is over; nothing happens where none goes on."""
        if not self.sent_whole:
            return
        self.tries[-1] = replace(
            self.tries[-1], ended_at=time.time(), exit_status=exit_status, why=why
        )
        if self.recorder is not None:
            self.recorder.attempt_ended(self, exit_status, why)

    def take_back_attempt(self) -> None:
        """The process has never read all of its line."""
        if self.sent_whole:
            self.tries.pop()
            if self.recorder is not None:
                self.recorder.attempt_ended(self, None, "never read")

    def bill(self, usage: Usage | None, cost_usd: float | None, *, is_lower_bound: bool) -> None:
        """What the attempt in hand has taken so far; None: not known."""
        tokens, cost = self._before
        if usage is not None:
            self.usage = tokens.plus(usage)
        if cost_usd is not None:
            self.cost_usd = cost + cost_usd
            self.cost_is_lower_bound = is_lower_bound
        if self.recorder is not None:
            self.recorder.billed(self)

    def is_long(self, reply: str) -> bool:
        """Whether the reply goes into a file, and its caller gets a digest."""
        limit = self.reply_limit
        if not limit or 4 * len(reply) <= limit:
            return False
        return len(reply.encode("utf-8", "surrogatepass")) > limit

    def settle(self, outcome: Outcome) -> bool:
        """Give the task its outcome; False where it has one already, which stays."""
        if self.outcome is not None:
            return False
        self.outcome = outcome
        self.ended_at = trio.current_time()
        if self.recorder is not None:
            self.recorder.ended(self)
        self.settled.set()
        if self.on_settled is not None:
            self.on_settled()
        return True

    @property
    def state(self) -> TaskState:
        """Where it is."""
        if self.outcome is not None:
            return "ended"
        return "queued" if self.started_at is None else "running"

    @property
    def deadline(self) -> float:
        """On Trio's clock; it moves on while somebody is asked."""
        return self.accepted_at + self.timeout_s + self.clock.stood_still_s

    def times(self) -> dict[str, float]:
        """Seconds that it waited and that it ran, so far or in all; not while it asked."""
        now = min(self.ended_at, trio.current_time())
        began = now if self.started_at is None else self.started_at
        return {
            "waited_s": round(began - self.accepted_at, 4),
            "ran_s": round(max(0.0, now - began - self.clock.stood_still_s), 4),
        }
