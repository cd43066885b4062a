"""What a person sees: text made harmless, colours, tables, and one line that is rewritten."""

import contextlib
import os
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

DIM = "2"
"""The code of faint text."""

USUAL_COLUMNS = 80
"""Of a terminal that does not say how wide it is."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def colours(stream: TextIO) -> bool:
    """Whether what is written there may be coloured."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and not _is_dumb()


def rewrites(stream: TextIO) -> bool:
    """Whether a line that was written there can be taken back."""
    return stream.isatty() and not _is_dumb()


def _is_dumb() -> bool:
    return os.environ.get("TERM") == "dumb"


def columns(stream: TextIO) -> int | None:
    """How wide a line may be there; None: as wide as it is, for it is no terminal."""
    if not stream.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    with contextlib.suppress(OSError):
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    return USUAL_COLUMNS


def painted(text: str, code: str, colour: bool) -> str:
    """The text in the colour with that code, where there is to be one."""
    return f"\033[{code}m{text}\033[0m" if colour and code else text


def visible(text: str) -> str:
    """`text` with what is no printable character, but for a tab, as an escape sequence."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in text)


def harmless(text: str, stream: TextIO) -> str:
    """`text` as an agent wrote it, unless it could move the cursor of the terminal there."""
    if not stream.isatty():
        return text
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def cut(text: str, width: int | None) -> str:
    """`text`, shortened to so many columns of a terminal; an ellipsis stands for the rest."""
    if width is None or _width(text) <= width:
        return text
    kept, used = [], 1
    for character in text:
        used += _width(character)
        if used > width:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def table(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The rows, the first of which is the head, as lines with aligned columns.

    Args:
        rows: all of the same length.
        width: columns that a line may have; None: as many as it needs.
    """
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*shown, strict=True)]
    lines = ("  ".join(map(_padded, row, widths)).rstrip() for row in shown)
    return [cut(line, width) for line in lines]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def mebibytes(size: int | None) -> str:
    """So many bytes, as a cell of a table."""
    return f"{size / 2**20:.0f} MiB" if size else "-"


def dollars(cost_usd: float | None) -> str:
    """So much money, as a cell of a table; nothing spent, and nothing known, is a dash."""
    return f"${cost_usd:.4f}" if cost_usd else "-"


def local_time(at: datetime) -> str:
    """A time as people here read it."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def seconds(span_s: float | None) -> str:
    """So many seconds, as a cell of a table."""
    return "-" if span_s is None else f"{span_s:.1f} s"


class StatusLine:
    """One line at the bottom of a terminal, rewritten as things go on; elsewhere nothing."""

    def __init__(self, stream: TextIO) -> None:
        """`stream` is where it stands; on what is no terminal nothing is ever written."""
        self._stream = stream
        self._is_on = rewrites(stream)
        self._colour = colours(stream)
        self._is_shown = False
        self._held = 0

    def hold(self) -> None:
        """Take it away, and show nothing until as many have said `release`."""
        self.clear()
        self._held += 1

    def release(self) -> None:
        """What held it is done."""
        self._held -= 1

    def show(self, text: str) -> None:
        """Put `text` in the place of what stood there."""
        if not self._is_on or self._held:
            return
        # One less: a full line would make some terminals begin the next.
        shown = cut(visible(text), (columns(self._stream) or USUAL_COLUMNS) - 1)
        self._stream.write(f"\r\033[K{painted(shown, DIM, self._colour)}")
        self._stream.flush()
        self._is_shown = True

    def clear(self) -> None:
        """Take it away."""
        if self._is_shown:
            self._stream.write("\r\033[K")
            self._stream.flush()
            self._is_shown = False
