"""The whole terminal for one command, given back as it was, whatever ends the command."""

import os
import select
import signal
import sys
import termios
import time
import tty
from types import FrameType
from typing import Any, Self

from supervisor.cli._screen import USUAL_COLUMNS

USUAL_LINES = 24
"""Of a terminal that does not say how high it is."""

_TAKE = "\033[?1049h\033[?25l"  # the other screen, without a cursor
_GIVE_BACK = "\033[?25h\033[?1049l"


class FullScreen:
    """Shows one page after the other on stdout, and knows which keys are pressed on stdin.

    with FullScreen() as screen:
        screen.show(lines)
        key = screen.key(wait_s=1.0)

    SIGTERM ends the block by SystemExit; on Ctrl-Z the terminal is given back until the command
    goes on.
    """

    def __init__(self) -> None:
        self._keys = sys.stdin.isatty()
        self._modes: Any = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._handlers = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, _end),
            signal.SIGTSTP: signal.signal(signal.SIGTSTP, self._stop),
        }
        self._take()
        return self

    def __exit__(self, *exc: object) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        try:
            size = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return USUAL_COLUMNS, USUAL_LINES
        return size.columns or USUAL_COLUMNS, size.lines or USUAL_LINES

    def show(self, lines: list[str]) -> None:
        """Put this page in the place of the last one; it must fit."""
        page = "\n".join(f"{line}\033[K" for line in lines)
        _write(f"\033[H{page}\033[J")

    def key(self, wait_s: float) -> str:
        """The key that is pressed within so many seconds, or ''; without a keyboard, ''."""
        if not self._keys:
            time.sleep(wait_s)
            return ""
        ready, _, _ = select.select([sys.stdin], [], [], wait_s)
        if not ready:
            return ""
        pressed = os.read(sys.stdin.fileno(), 1)
        self._keys = bool(pressed)  # else the keyboard has gone
        return pressed.decode("latin-1")

    def _take(self) -> None:
        if self._keys:
            self._modes = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin, termios.TCSANOW)
        _write(_TAKE)

    def _give_back(self) -> None:
        _write(_GIVE_BACK)
        if self._modes is not None:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._modes)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _write(text: str) -> None:
    # Past sys.stdout: Ctrl-Z may come in the middle of its flush, which then refuses another write.
    data = memoryview(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
