"""What the ledger keeps of a task, as frozen values."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Priority = Literal["high", "normal", "low"]
"""Which tasks of a queue go first."""

State = Literal["queued", "running", "ended"]
"""Where a task is. It has an outcome if and only if it has ended."""

KeepText = Literal["always", "while_open", "never"]
"""Whether a task's text is written: to stay until the retention takes it, to be there for a next
start until the task ends, or not at all."""

RESULT = "result"
"""The outcome of a task that its agent brought to its end; any other is an error code."""

INTERRUPTED = "interrupted"
"""The outcome of a task that was open when its program died."""

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by kind."""

    input_tokens: int = 0
    """Input that was neither read from the prompt cache nor written to it."""
    output_tokens: int = 0
    """What the model wrote."""
    cache_read_tokens: int = 0
    """Input served from the prompt cache."""
    cache_written_tokens: int = 0
    """Input written to the prompt cache."""

    @property
    def cached_share(self) -> float | None:
        """The share of all input that was served from the cache, 0 to 1; None: no input."""
        all_input = self.input_tokens + self.cache_read_tokens + self.cache_written_tokens
        return self.cache_read_tokens / all_input if all_input else None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task ended without a result."""

    message: str
    """What happened."""
    advice: str = ""
    """What to do about it."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Figures and texts that belong to it, as JSON has them: what JSON has no form for is told by
    its `repr`, a tuple becomes a list."""

    def __post_init__(self) -> None:
        # At once, so that it is the same whether it is answered from memory or from the disk.
        plain = json.loads(json.dumps(dict(self.data), default=repr))
        object.__setattr__(self, "data", plain)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process that had the task."""

    number: int
    """1 for the first."""
    pid: int
    """The process."""
    started_at: float
    """Seconds since the epoch."""
    ended_at: float | None = None
    """Seconds since the epoch; None: it goes on, or nobody was there to see its end."""
    exit_status: int | None = None
    """How the process exited, where it did: a negative number is that of a signal."""
    why: str = ""
    """Why the attempt ended, in a few words, where it did not simply succeed."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task and what became of it. All times are seconds since the epoch (UTC)."""

    id: str
    """The task's identifier: letters, digits, `._-`, no more than 100."""
    agent: str
    """The agent's name."""
    accepted_at: float
    """When it was accepted."""
    caller: str = ""
    """Who handed it over."""
    priority: Priority = "normal"
    """Which of an agent's tasks go first."""
    conversation: str | None = None
    """The name of the conversation that it belongs to."""
    keep_text: KeepText = "always"
    """Whether its text is written, and for how long it stays."""
    background: bool = False
    """Nobody waits for its outcome: it will be asked for."""
    deadline: float | None = None
    """When it is given up."""
    definition_hash: str | None = None
    """The digest of the agent's definition that it runs with, once that is known."""
    number: int = 0
    """1, 2, 3, … in the order of acceptance, with gaps; the ledger gives it."""
    state: State = "queued"
    """Where it is."""
    started_at: float | None = None
    """When its first attempt began."""
    ended_at: float | None = None
    """When it got its outcome."""
    attempts: tuple[Attempt, ...] = ()
    """The processes that had it, in order."""
    outcome: str | None = None
    """`result`, or an error code; None: it is open."""
    failure: Failure | None = None
    """What went wrong, where the outcome is an error code."""
    usage: Usage = Usage()
    """Tokens that it took, as far as is known."""
    cost_usd: float | None = None
    """US dollars that it cost; None: not known."""
    cost_is_lower_bound: bool = False
    """It cost at least that much: the last figure was taken before its end."""
    text_bytes: int = 0
    """Size of its text (UTF-8), whether that is kept or not; the ledger finds it out."""
    reply_bytes: int = 0
    """Size of the reply (UTF-8), whether that is still kept or not."""
    reply_path: str | None = None
    """The file that holds the whole reply, where it has one of its own and that is written."""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"{self.id!r} is no id: letters, digits and ._- are allowed, 100")
        if not math.isfinite(self.accepted_at):
            raise ValueError(f"accepted_at = {self.accepted_at}: no time")
        if self.conversation == "":
            raise ValueError("a conversation's name is not empty; None: it belongs to none")
        if self.cost_usd is not None and not 0 <= self.cost_usd < math.inf:
            raise ValueError(f"cost_usd = {self.cost_usd}: no negative and no infinite cost")
        if (self.state == "ended") != (self.outcome is not None):
            raise ValueError("a task has an outcome if and only if it has ended")

    @property
    def waited_s(self) -> float | None:
        """Seconds from acceptance to its first attempt, or to its end; None: it still waits."""
        until = self.ended_at if self.started_at is None else self.started_at
        return None if until is None else max(0.0, until - self.accepted_at)

    @property
    def ran_s(self) -> float | None:
        """Seconds from its first attempt to its outcome; None: it never ran, or is not done."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, self.ended_at - self.started_at)

    @property
    def attempt_is_open(self) -> bool:
        """A process has it, or is not known to have let go of it."""
        return bool(self.attempts) and self.attempts[-1].ended_at is None

    @property
    def keeps_text(self) -> bool:
        """Its text is kept, as far as the task itself goes."""
        is_open = self.state != "ended"
        return self.keep_text == "always" or (self.keep_text == "while_open" and is_open)
