"""`agent-pool tail`: the pool's log for a person's eyes, or line by line as it is.

It reads files alone, so it needs no pool, and goes on through the end of one and the start of
the next.
"""

import argparse
import contextlib
import difflib
import json
import re
import select
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from supervisor.cli._screen import colours, painted, visible
from supervisor.place import Place

if TYPE_CHECKING:
    from supervisor.logs import Choice, LogLine

POLL_S = 0.2
"""Between two looks at the files."""

LINES = 20
"""How many are shown where the command says nothing."""

LEVELS = ("debug", "info", "warning", "error")

_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}
_HEAD = ("timestamp", "level", "agent", "event")
_EXACT_BELOW = 10_000.0


def _holds(line: "LogLine", wanted: "re.Pattern[str]") -> bool:
    if wanted.search(line.raw.decode("utf-8", "replace")):
        return True
    return wanted.search(pretty(line, False)) is not None


def tail(place: Place, arguments: argparse.Namespace) -> int:
    """Show the end of the log, and with `--follow` what is added, until Ctrl-C.

    Returns the exit status: 1 where there is no log, or it cannot be read.

    Raises:
        BrokenPipeError: nobody reads what is printed.
    """
    # Here, since this module is also imported for every other command's `--help`.
    from supervisor.logs import Tail

    choice, follow = _choice(arguments), arguments.follow
    out = _Output(arguments.json)
    try:
        with Tail(place.log, follow) as log:
            if not log.exists:
                _say(f"no pool of {place.root} has written a log yet ({place.log})")
                if not follow:
                    return 1
            for line in choice.read(log):
                out.write(line)
            out.flush()
            while follow:
                out.wait(POLL_S)
                for line in log.more():
                    if choice.wants(line):
                        out.write(line)
                out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _say(f"the log cannot be read: {error.filename or place.log}: {error.strerror}")
        return 1
    return 0


def _choice(arguments: argparse.Namespace) -> "Choice":
    from supervisor.logs import Choice

    grep = arguments.grep
    said = (arguments.agent, arguments.level, arguments.since, arguments.lines, arguments.task)
    return Choice(*said) if grep is None else Choice(*said, lambda line: _holds(line, grep))


def _say(text: str) -> None:
    sys.stderr.write(f"agent-pool: {text}\n")
    sys.stderr.flush()


class _Output:
    """Standard output: lines as they are, or as a person reads them."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._colour = colours(sys.stdout)
        self._encoding = sys.stdout.encoding
        self._reader = select.poll()
        with contextlib.suppress(OSError):
            self._reader.register(sys.stdout.fileno(), 0)

    def write(self, line: "LogLine") -> None:
        """Print one line."""
        if self._as_json:
            sys.stdout.buffer.write(line.raw + b"\n")
            return
        text = pretty(line, self._colour)
        sys.stdout.buffer.write(f"{text}\n".encode(self._encoding, "backslashreplace"))

    def flush(self) -> None:
        """Let the reader have it."""
        sys.stdout.buffer.flush()

    def wait(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            BrokenPipeError: the reader has gone, which is noticed though nothing is written.
        """
        for _, happened in self._reader.poll(seconds * 1000):
            if happened & (select.POLLERR | select.POLLHUP):
                raise BrokenPipeError
            time.sleep(seconds)


def pretty(line: "LogLine", colour: bool) -> str:
    """A line as a person reads it: local time, level, agent, event, the other fields.

    What would move the cursor or change colours is shown as an escape sequence; a text of
    several lines stands below, indented.
    """
    if line.record is None:
        return visible(line.raw.decode("utf-8", "backslashreplace"))
    record = line.record
    level = str(record.get("level", "-"))
    stamp = line.time
    shown = f"{stamp.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3] if stamp else "-"
    agent = visible(str(record.get("agent", "-")))
    words = [
        painted(shown, "2", colour),
        painted(f"{visible(level):<7}", _COLOURS.get(level, ""), colour),
        f"{agent:<16}",
        painted(visible(str(record.get("event", "-"))), "1", colour),
    ]
    blocks = []
    for key, value in record.items():
        if key in _HEAD:
            continue
        if isinstance(value, str) and "\n" in value.strip():
            blocks.append((key, value))
        else:
            words.append(f"{painted(f'{visible(key)}=', '2', colour)}{_value(value)}")
    lines = [" ".join(words)]
    for key, value in blocks:
        lines.append(f"    {visible(key)}:")
        lines += [f"      {visible(part)}" for part in value.rstrip().split("\n")]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, float) and abs(value) < _EXACT_BELOW:
        return f"{value:.4g}"
    if isinstance(value, str):
        is_word = value and not re.search(r"[\s\"'=]", value)
        return visible(value if is_word else json.dumps(value, ensure_ascii=False))
    return visible(json.dumps(value, ensure_ascii=False))


def level(text: str) -> str:
    """A level, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    word = text.lower()
    if word in LEVELS:
        return word
    near = difflib.get_close_matches(word, LEVELS, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise argparse.ArgumentTypeError(f'"{text}" is no level{hint} (allowed: {", ".join(LEVELS)})')


def since(text: str) -> datetime:
    """A time, for argparse: so long ago, or a date with or without a time of day.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    from supervisor.logs import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def pattern(text: str) -> "re.Pattern[str]":
    """A regular expression, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f'"{text}" is no regular expression: {error} (put a \\ before what is meant as it is)'
        ) from None


def lines(text: str) -> int:
    """A number of lines, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f'"{text}" is no number of lines (allowed: 0, 1, 2, …)')
    return int(text)
