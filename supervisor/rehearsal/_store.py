"""Conversations on disk, for `--resume`: one JSON file a session, in the user's home."""

import json
import os
from contextlib import suppress

from supervisor.rehearsal._conversation import Conversation, Message

FOLDER = (".claude", "rehearsal")
"""Where the files are in $HOME; where that is not set there are none."""


def save(session_id: str, conversation: Conversation) -> None:
    """Write what was said so far; where that cannot be, nothing is kept."""
    path = _path(session_id)
    if path is None:
        return
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.new", "w", encoding="utf-8", errors="replace") as file:
            json.dump(conversation.messages, file)
        os.replace(f"{path}.new", path)


def load(session_id: str) -> list[Message] | None:
    """What was said in that session; None: there is none."""
    path = _path(session_id)
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return [Message(*one) for one in json.load(file)]
    except (OSError, ValueError):
        return None


def _path(session_id: str) -> str | None:
    home = os.environ.get("HOME")
    name = os.path.basename(session_id) + ".json"
    return os.path.join(home, *FOLDER, name) if home else None
