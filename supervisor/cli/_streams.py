"""Standard input, output and error, whatever they are when a command begins."""

import errno
import io
import os
import sys
from typing import Any, TextIO

from supervisor.cli._manual import FAILED

_STUCK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""How writing to a file fails that stays open: full, over a limit, broken, or only for reading."""


def complete() -> bool:
    """Put the null device where a stream is closed; False: standard output was.

    Else the next file that is opened would take the stream's descriptor, and what is written
    there would go into that. What a terminal's encoding lacks is written as an escape sequence.
    """
    had_output = sys.stdout is not None
    # In this order, for each takes the lowest descriptor that is free.
    sys.stdin = sys.stdin or _null("r")
    sys.stdout = sys.stdout or _null("w")
    sys.stderr = sys.stderr or _null("w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return had_output


class _Outliving(io.FileIO):
    """A stream that outlives its reader: what is written then goes nowhere, and is no error."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "w", closefd=False)
        self.is_read = True

    def write(self, data: Any, /) -> int:
        """As of the base class."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self.is_read = False
            _abandon(self.fileno())
            return len(data)


def outlive_readers() -> None:
    """From here on it changes nothing when who reads standard output or error goes (`| head -1`).

    Else it would be left to chance, by how much a pipe holds and who is faster, whether a command
    is broken off, and so what its exit status is.
    """
    # Not what somebody else has put there, as tests do: it may be no file.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        sys.stdout = _outliving(sys.stdout)
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _outliving(sys.stderr)


def _outliving(stream: "io.TextIOWrapper[Any]") -> TextIO:
    stream.flush()
    raw = _Outliving(stream.fileno())
    return io.TextIOWrapper(
        # With PYTHONUNBUFFERED there is no buffer between.
        raw if isinstance(stream.buffer, io.FileIO) else io.BufferedWriter(raw),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def is_read(stream: TextIO) -> bool:
    """Whether nothing has been lost yet because the reader of standard output or error has gone."""
    raw = getattr(stream.buffer, "raw", stream.buffer)
    return not isinstance(raw, _Outliving) or raw.is_read


def _null(mode: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(os.devnull, mode), encoding="utf-8")


def tell_closed() -> int:
    """Say that there is no standard output, before anything is done; returns the exit status."""
    sys.stderr.write(
        "agent-pool: standard output is closed, so nothing is done: what comes of it would be "
        "lost; >/dev/null says that nobody is to read it\n"
    )
    return FAILED


def is_output_stuck(error: OSError) -> bool:
    """Whether that comes of writing to standard output, which alone fails so without a name."""
    return error.filename is None and error.errno in _STUCK


def tell_stuck(error: OSError) -> int:
    """Say what became of the output, with the error's notes; returns the exit status."""
    abandon_output()
    lines = [f"agent-pool: standard output cannot be written: {error.strerror}"]
    lines += getattr(error, "__notes__", [])
    sys.stderr.write("\n".join(lines) + "\n")
    return FAILED


def abandon_output() -> None:
    """Have what is left of the output go nowhere, so that Python can end without an error."""
    _abandon(sys.stdout.fileno())


def _abandon(fd: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd)
    os.close(nowhere)
