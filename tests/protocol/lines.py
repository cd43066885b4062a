"""Lines as a CLI prints them, made by hand."""

import json
from typing import Any

from hypothesis import HealthCheck, settings

from supervisor.protocol import ClaudeSession, Event, TaskEnded, TurnResult

busy_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: how long an example takes says nothing where others share the machine."""


def line(**fields: Any) -> bytes:
    """One JSON object and a newline."""
    return json.dumps(fields).encode() + b"\n"


def init(session_id: str = "s1", **fields: Any) -> bytes:
    """The line that announces a turn."""
    return line(type="system", subtype="init", session_id=session_id, **fields)


def result(text: object = "done", session_id: str = "s1", **fields: Any) -> bytes:
    """A result as the CLI prints them; more fields, or others for these."""
    given = {"subtype": "success", "is_error": False, "num_turns": 1}
    return line(type="result", result=text, session_id=session_id, **{**given, **fields})


def sent(data: bytes) -> Any:
    """The object that a request's line holds; it is one line."""
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    return json.loads(data)


def ended(events: list[Event]) -> list[TurnResult]:
    """The results of tasks among the events."""
    return [event.result for event in events if isinstance(event, TaskEnded)]


def do_task(session: ClaudeSession, name: str, session_id: str = "s1") -> TurnResult:
    """Give a task, announce its turn and end it."""
    session.begin_task(name)
    (outcome,) = ended(
        session.receive(
            init(session_id) + result(f"{name} done", session_id, uuid=f"uuid of {name}")
        )
    )
    return outcome
