"""The context of one session: what was said, how it is cleared and rewound."""

import os
from collections.abc import Iterable
from typing import Final, NamedTuple

SAME_UNTIL: Final = 24
"""Two message uuids are the same message if so many first characters are (as in 2.1.197)."""


class Message(NamedTuple):
    """One message of the context."""

    role: str
    """`user` (a task's text) or `assistant`."""
    text: str
    uuid: str | None
    is_task: bool = True
    """False for what the CLI itself put into the user's mouth."""


class Rewound(NamedTuple):
    """What a rewind took away."""

    target: Message
    anchor: Message
    """The assistant message before it."""


class CannotRewindError(Exception):
    """The message is the protocol's error text."""


class Conversation:
    """The messages of one session, oldest first. No I/O."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        """`messages`: what was said before."""
        self._messages = list(messages)

    @property
    def messages(self) -> list[Message]:
        """All of them."""
        return list(self._messages)

    def add(self, role: str, text: str, uuid: str | None, *, is_task: bool = True) -> None:
        """Append one message."""
        self._messages.append(Message(role, text, uuid, is_task))

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()

    def task_texts(self) -> list[str]:
        """The texts of all tasks, oldest first."""
        return [m.text for m in self._messages if m.role == "user" and m.is_task]

    def size_bytes(self) -> int:
        """How long all texts are together."""
        return sum(len(m.text.encode(errors="replace")) for m in self._messages)

    def rewind(self, target_uuid: str) -> Rewound:
        """Cut the conversation just before the newest task.

        Raises:
            CannotRewindError: `target not found`, `stale target` (there is a newer user message),
                `no preceding assistant`.
        """
        at = self._find(target_uuid)
        if any(message.role == "user" for message in self._messages[at + 1 :]):
            raise CannotRewindError("stale target")
        before = [m for m in self._messages[:at] if m.role == "assistant"]
        if not before:
            raise CannotRewindError("no preceding assistant")
        target = self._messages[at]
        del self._messages[at:]
        return Rewound(target, before[-1])

    def _find(self, uuid: str) -> int:
        start = uuid[:SAME_UNTIL]
        for index, message in enumerate(self._messages):
            if message.role == "user" and message.uuid and message.uuid[:SAME_UNTIL] == start:
                return index
        raise CannotRewindError("target not found")


def new_uuid() -> str:
    """A random uuid (the module `uuid` would double the time to start)."""
    h = bytearray(os.urandom(16))
    h[6] = h[6] & 0x0F | 0x40
    h[8] = h[8] & 0x3F | 0x80
    x = h.hex()
    return f"{x[:8]}-{x[8:12]}-{x[12:16]}-{x[16:20]}-{x[20:]}"
