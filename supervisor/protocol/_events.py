"""What an agent CLI says, as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from supervisor.protocol._permission import QuestionWithdrawn, ToolQuestion


@dataclass(frozen=True)
class Usage:
    """Tokens of one task, by kind."""

    input_tokens: int = 0
    """Input that was neither read from the prompt cache nor written to it."""
    output_tokens: int = 0
    """What the model wrote."""
    cache_read_input_tokens: int = 0
    """Input served from the prompt cache."""
    cache_creation_input_tokens: int = 0
    """Input written to the prompt cache."""

    def plus(self, other: "Usage") -> "Usage":
        """The sum of both, kind by kind."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_input_tokens + other.cache_read_input_tokens,
            self.cache_creation_input_tokens + other.cache_creation_input_tokens,
        )


@dataclass(frozen=True)
class Denial:
    """A use of a tool that was refused for lack of permission."""

    tool: str
    """The tool's name."""
    detail: str
    """What it was to do, in a few words: a command, a path."""
    use_id: str = ""
    """The CLI's name for this use; empty where it does not say."""
    reason: str = ""
    """Why, where it was for somebody to decide; empty: the CLI refused it by its rules."""


@dataclass(frozen=True)
class TurnResult:
    """How a turn ended, as its `result` line says."""

    text: str
    """The agent's answer; where the line carries none, the last text that the agent wrote."""
    ok: bool
    """Success by `subtype`, `is_error` and, where present, `terminal_reason`."""
    aborted: bool
    """It was interrupted."""
    subtype: str
    """As the CLI names the outcome: `success`, `error_max_turns`, …"""
    api_error_status: int | None
    """The API's HTTP status, where it was the API that failed."""
    errors: tuple[str, ...]
    """What the line says went wrong."""
    session_id: str | None
    """The CLI's session, which changes when the context is cleared."""
    usage: Usage
    """Tokens of this turn alone."""
    cost_usd: float | None
    """US dollars of this turn alone: the difference of the CLI's running total."""
    turns: int | None
    """Requests to the model within this turn."""
    denials: tuple[Denial, ...]
    """Uses of tools that were refused for lack of permission."""


@dataclass(frozen=True)
class ControlReply:
    """The answer to a control request of ours."""

    request_id: str
    """The request's identifier."""
    ok: bool
    """The CLI knew the request and did it."""
    response: Mapping[str, Any] = field(default_factory=dict)
    """What it answered; empty where it only acknowledged."""
    error: str = ""
    """What it said otherwise."""


@dataclass(frozen=True)
class TurnStarted:
    """The CLI begins a turn: its `system/init` line."""

    session_id: str | None
    """The session that the turn belongs to."""
    version: str | None
    """The CLI's version, where it says."""


@dataclass(frozen=True)
class Activity:
    """What the agent does now, in a few words for a person."""

    text: str
    """For example `Bash: make test`."""


@dataclass(frozen=True)
class TaskEnded:
    """The task in hand has its result."""

    result: TurnResult
    """How it ended."""


@dataclass(frozen=True)
class ClearEnded:
    """`/clear` was answered."""

    cleared: bool
    """By the evidence: a new session, no text, no turn. Anything else proves nothing."""


@dataclass(frozen=True)
class Unsolicited:
    """A result that belongs to no task in hand: dropped."""

    reason: str
    """Why it cannot be the result that is awaited."""
    text: str
    """How it began."""


@dataclass(frozen=True)
class Question:
    """The CLI asks something that nobody decides here; `answer` is the line to send back."""

    subtype: str
    """What kind of question: `hook_callback`, …"""
    answer: bytes
    """The refusal, ready to be written."""


@dataclass(frozen=True)
class Garbage:
    """A line that is no JSON object: skipped."""

    sample: str
    """How it began."""


Event = (
    ControlReply
    | TurnStarted
    | Activity
    | TaskEnded
    | ClearEnded
    | Unsolicited
    | Question
    | ToolQuestion
    | QuestionWithdrawn
    | Garbage
)
