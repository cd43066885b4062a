"""A recorded transcript played to a `ClaudeSession`: requests made anew, answers fed as they were.

A request is made by the session itself, under the name that it had when it was recorded, and must
come out as it was sent; so the answers that follow belong to it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.protocol import (
    ClaudeSession,
    ClearEnded,
    ControlReply,
    Denial,
    Event,
    Garbage,
    TurnResult,
    TurnStarted,
    Unsolicited,
)
from tests.protocol.lines import ended
from tests.realcli.record import ANCHOR, CLEAR, TRANSCRIPTS

Feed = Callable[[ClaudeSession, bytes], list[Event]]
"""How the bytes between two requests reach the session."""


@dataclass
class Replay:
    """What came of a transcript."""

    session: ClaudeSession
    events: list[Event] = field(default_factory=list)
    """Everything, in order."""
    tasks: dict[str, TurnResult] = field(default_factory=dict)
    """Each task's text → its result."""
    asked: dict[str, str] = field(default_factory=dict)
    """Each control request's id → what it asked for."""

    def cleared(self) -> list[bool]:
        """What each `/clear` proved."""
        return [event.cleared for event in self.events if isinstance(event, ClearEnded)]

    def replies(self, subtype: str) -> list[ControlReply]:
        """The answers to the requests of one kind."""
        replies = (event for event in self.events if isinstance(event, ControlReply))
        return [reply for reply in replies if self.asked[reply.request_id] == subtype]

    def versions(self) -> set[str | None]:
        """What the turns said of the CLI's version."""
        return {event.version for event in self.events if isinstance(event, TurnStarted)}

    def dropped(self) -> list[Event]:
        """What was not understood, or not accepted."""
        return [event for event in self.events if isinstance(event, Unsolicited | Garbage)]

    def denials(self) -> list[Denial]:
        """What was refused, over all tasks."""
        return [denial for result in self.tasks.values() for denial in result.denials]


def as_it_was(session: ClaudeSession, data: bytes) -> list[Event]:
    """All the bytes at once."""
    return session.receive(data)


def versions() -> list[str]:
    """Every version that was recorded."""
    return sorted(path.name for path in TRANSCRIPTS.iterdir())


def replay(version: str, scenario: str, feed: Feed = as_it_was) -> Replay:
    """Play one transcript."""
    return replay_file(TRANSCRIPTS / version / f"{scenario}.jsonl", feed)


def replay_file(path: Path, feed: Feed = as_it_was) -> Replay:
    """Play one transcript."""
    names: list[str] = []
    played = Replay(ClaudeSession(new_uuid=lambda: names.pop()))
    task = ""
    for said, heard in _exchanges(path):
        if said is not None:
            names[:] = [said.get("request_id") or said.get("uuid") or ""]
            task = _say(played, said) or task
        events = feed(played.session, heard)
        played.events += events
        for result in ended(events):
            assert task not in played.tasks
            played.tasks[task] = result
    return played


def _exchanges(path: Path) -> Iterator[tuple[Any, bytes]]:
    """Each request, None at first, and the bytes that came until the next."""
    said, heard = None, b""
    for entry in map(json.loads, path.read_text().splitlines()):
        if entry["dir"] == "<<<":
            heard += entry["line"].encode() + b"\n"
            continue
        yield said, heard
        said, heard = json.loads(entry["line"]), b""
    yield said, heard


def _say(played: Replay, recorded: dict[str, Any]) -> str | None:
    """Make the recorded request again; a task's text, or None."""
    session = played.session
    if recorded == ANCHOR:
        assert json.loads(session.anchor()) == recorded
        return None
    if recorded["type"] == "control_request":
        request_id, line = session.control(**recorded["request"])
        played.asked[request_id] = recorded["request"]["subtype"]
        assert json.loads(line) == recorded
        return None
    text: str = recorded["message"]["content"]
    if text == CLEAR:
        assert json.loads(session.begin_clear()) | {"uuid": recorded["uuid"]} == recorded
        return None
    assert json.loads(session.begin_task(text)) == recorded
    return text
