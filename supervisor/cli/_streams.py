"""Standard input, output and error, whatever they are when a command begins."""

import errno
import io
import os
import sys

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
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
