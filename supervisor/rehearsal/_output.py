"""stdout: one JSON object a line, written at once and whole."""

import json
import os
import select


def encode(line: dict[str, object]) -> bytes:
    """One line. Characters stand as themselves, except where UTF-8 has none (lone surrogates)."""
    try:
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def write(descriptor: int, data: bytes) -> None:
    """Write everything, blocking while the reader does not read.

    A reader that has gone is no error: like the real CLI, the agent works on.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except BrokenPipeError:
            return
