"""Bytes in, lines out: cut anywhere, bounded, in linear time."""

from collections.abc import Iterator

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes: a longer line is passed over. An answer of 10 MB is two lines of 10 MB."""


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
        self._parts: list[bytes] = []
        self._size = 0
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes, without their newlines. Consume it all."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._keep(end)
            if self._skipping:
                self.skipped += 1
            else:
                yield b"".join(self._parts)
            self._parts, self._size, self._skipping = [], 0, False
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            self._parts, self._skipping = [], True
        elif part and not self._skipping:
            self._parts.append(part)
