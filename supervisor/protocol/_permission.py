"""The CLI asks whether a tool may be used: the question, and the lines that answer it.

Asked only where it was started with `--permission-prompt-tool stdio`, and then only for what its
permission mode and its rules neither allow nor forbid. It waits without a limit. An answer that it
cannot make sense of counts as a denial (measured, 2.0.60 to 2.1.330).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.protocol._lines import line_of


@dataclass(frozen=True)
class ToolQuestion:
    """The agent wants to use a tool. Whoever reads this writes one of the two answers back."""

    request_id: str | int
    """What an answer, or the question's withdrawal, names it by."""
    tool: str
    """The tool's name."""
    tool_input: Mapping[str, Any]
    """What it is to do, as the agent wrote it: anything may stand there."""
    detail: str
    """The same in one short line: a command, a path."""
    use_id: str
    """What `Denial.use_id` names the use by; empty where the CLI does not say."""
    why: str
    """Why the CLI asks, in its words; empty where it does not say."""
    allowance: bytes
    """The line that allows it. It repeats the input: without, versions differ in what they do."""

    def refusal(self, message: str) -> bytes:
        """The line that denies it; the agent reads `message`, and its turn goes on."""
        return answer_line(self.request_id, {"behavior": "deny", "message": message})


@dataclass(frozen=True)
class QuestionWithdrawn:
    """The CLI no longer wants an answer; one that comes all the same is ignored."""

    request_id: str | int
    """The question."""


def tool_question(
    request_id: str | int, request: Mapping[str, Any], detail: str
) -> ToolQuestion | None:
    """What a `can_use_tool` request asks; None: it cannot be understood, so it is to be denied."""
    tool, tool_input = request.get("tool_name"), request.get("input")
    if not isinstance(tool, str) or not tool.strip() or not isinstance(tool_input, dict):
        return None
    allowed = {"behavior": "allow", "updatedInput": tool_input}
    try:
        allowance = answer_line(request_id, allowed)
    except (ValueError, RecursionError):
        return None  # what would be run is not what was shown
    use_id, why = request.get("tool_use_id"), request.get("decision_reason")
    return ToolQuestion(
        request_id,
        tool,
        tool_input,
        detail,
        use_id if isinstance(use_id, str) else "",
        why if isinstance(why, str) else "",
        allowance,
    )


def answer_line(request_id: str | int, answer: Mapping[str, Any]) -> bytes:
    """The line that answers a control request of the CLI's."""
    response = {"subtype": "success", "request_id": request_id, "response": answer}
    return line_of({"type": "control_response", "response": response}, strict=True)
