"""Asking the host whether a tool may be used: with `--permission-prompt-tool stdio`.

The shapes are those of 2.1.197.
"""

from typing import NamedTuple

from supervisor.rehearsal._conversation import new_uuid
from supervisor.rehearsal._session import Line, Session

FAILED = "Tool permission request failed: "


class Permit(NamedTuple):
    """What the host said."""

    refusal: str | None
    """What the agent is told instead of a result; None: it may."""
    tool_input: Line
    """What it may do: the host can have changed it."""


class HostQuestion:
    """One question to the host, from the line that asks it to its answer."""

    def __init__(self, session: Session, use: Line) -> None:
        """Asks about a `tool_use` block."""
        self.permit: Permit | None = None
        """The answer, once it is there."""
        self.request_id = new_uuid()
        self._session = session
        name, tool_input = use["name"], use["input"]
        suggestion: Line = {"type": "addRules", "rules": [{"toolName": name}]}
        suggestion |= {"behavior": "allow", "destination": "localSettings"}
        request: Line = {"subtype": "can_use_tool", "tool_name": name, "display_name": name}
        request |= {"input": tool_input, "permission_suggestions": [suggestion]}
        request["tool_use_id"] = use["id"]
        if isinstance(tool_input, dict) and "description" in tool_input:
            request["description"] = tool_input["description"]
        session.print_state("requires_action")
        line: Line = {"type": "control_request", "request_id": self.request_id}
        session.print(line | {"request": request})

    def is_answered(self) -> bool:
        """Whether there is an answer."""
        return self.permit is not None

    def take(self, response: Line) -> None:
        """The `response` of a control response of the host's, if it is to this question."""
        if response.get("request_id") != self.request_id or self.permit is not None:
            return
        self.permit = _permit(response)
        self._session.print_state("running")

    def fail(self) -> None:
        """The host has gone."""
        if self.permit is None:
            closed = "Error: Tool permission stream closed before response received"
            self.permit = Permit(FAILED + closed, {})

    def withdraw(self) -> None:
        """The answer is no longer wanted."""
        self._session.print({"type": "control_cancel_request", "request_id": self.request_id})


def _permit(response: Line) -> Permit:
    answer = response.get("response")
    if response.get("subtype") != "success" or not isinstance(answer, dict):
        return Permit(f"{FAILED}Error: {response.get('error')}", {})
    tool_input, message = answer.get("updatedInput"), answer.get("message")
    if answer.get("behavior") == "allow" and isinstance(tool_input, dict):
        return Permit(None, tool_input)
    if answer.get("behavior") == "deny" and isinstance(message, str):
        return Permit(message, {})
    return Permit(f"{FAILED}ZodError: the answer is neither to allow nor to deny", {})
