"""Bytes in, lines out: cut anywhere, bounded, in linear time."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes: a longer line is passed over. An answer of 10 MB is two lines of 10 MB."""


def line_of(message: Mapping[str, Any], *, strict: bool = False) -> bytes:
    """One message as a line.

    Raises:
        ValueError, RecursionError: it cannot be written; `strict`: or holds a NaN, which JSON
            has not.
    """
    # ASCII, so that lone surrogates, zero bytes and odd line separators pass as escapes.
    return json.dumps(message, allow_nan=not strict).encode("ascii") + b"\n"


class LineSplitter:
    """Cuts a stream of bytes at newlines, wherever the chunks may end.

    Only `b"\\n"` ends a line: a chunk may end inside a UTF-8 character, and JSON text may hold
    every other kind of line separator.
    """

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        """`limit`: bytes; of a longer line nothing is kept."""
        self.skipped = 0
        """How many lines were passed over because they were longer than the limit."""
        self._limit = limit
        self._begun = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes, without their newlines. Consume it all."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._keep(end)
            if self._skipping:
                self.skipped += 1
            else:
                yield bytes(self._begun)
            self._begun, self._skipping = bytearray(), False
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        if self._skipping:
            return
        if len(self._begun) + len(part) > self._limit:
            self._begun, self._skipping = bytearray(), True
        else:
            # One buffer, not a list of chunks: a chunk of two bytes would cost some sixty.
            self._begun += part
