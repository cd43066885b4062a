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
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from supervisor.cli._screen import colours, painted, visible
from supervisor.place import Place

if TYPE_CHECKING:
    from supervisor.logs import LogLine, Tail

POLL_S = 0.2
"""Between two looks at the files."""

LINES = 20
"""How many are shown where the command says nothing."""

LEVELS = ("debug", "info", "warning", "error")

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_RANKS = {level: rank for rank, level in enumerate((*LEVELS, "critical"))}
_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}
_HEAD = ("timestamp", "level", "agent", "event")
_EXACT_BELOW = 10_000.0


@dataclass(frozen=True)
class Choice:
    """Which lines are shown."""

    agent: str | None
    """Of this agent alone."""
    level: str | None
    """Of this level, and what is graver."""
    since: datetime | None
    """From this time on."""
    lines: int | None
    """So many at most, the last ones; None: `LINES`, or all since a time that is given."""
    task: str | None = None
    """Of the task with this id alone."""
    grep: "re.Pattern[str] | None" = None
    """Only those in which this is found, as they are in the file or as a person reads them."""

    def wants(self, line: "LogLine") -> bool:
        """Whether the line is shown, its time aside.

        A line that does not tell its level is shown; one that does not tell its agent or task is
        not that agent's or task's.
        """
        record = line.record or {}
        if self.agent is not None and record.get("agent") != self.agent:
            return False
        if self.task is not None and record.get("task_id") != self.task:
            return False
        rank = _RANKS.get(str(record.get("level")))
        if not (self.level is None or rank is None or rank >= _RANKS[self.level]):
            return False
        return self.grep is None or _holds(line, self.grep)


def _holds(line: "LogLine", wanted: "re.Pattern[str]") -> bool:
    if wanted.search(line.raw.decode("utf-8", "replace")):
        return True
    return wanted.search(pretty(line, False)) is not None


def tail(place: Place, choice: Choice, follow: bool, as_json: bool) -> int:
    """Show the end of the log, and with `follow` what is added, until Ctrl-C.

    Returns the exit status: 1 where there is no log, or it cannot be read.

    Raises:
        BrokenPipeError: nobody reads what is printed.
    """
    # Here, since this module is also imported for every other command's `--help`.
    from supervisor.logs import Tail

    out = _Output(as_json)
    try:
        with Tail(place.log, follow) as log:
            if not log.exists:
                _say(f"no pool of {place.root} has written a log yet ({place.log})")
                if not follow:
                    return 1
            _show_past(log, choice, out)
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


def _show_past(log: "Tail", choice: Choice, out: "_Output") -> None:
    count = LINES if choice.lines is None else choice.lines
    if choice.since is None:
        found = log.last(count, choice.wants)
    elif choice.lines is None:
        for line in log.since(choice.since, choice.wants):
            out.write(line)
        found = []
    else:
        found = _last_since(log, choice, count, choice.since)
    for line in found:
        out.write(line)
    out.flush()


def _last_since(log: "Tail", choice: Choice, count: int, since: datetime) -> "list[LogLine]":
    found = log.last(count, choice.wants)
    times = [line.time for line in found]
    first = next((at for at, t in enumerate(times) if t is not None and t >= since), len(found))
    return found[first:]


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
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip())
    with contextlib.suppress(ValueError, OverflowError, OSError):
        if match is not None and match[2] in _UNITS:
            ago = timedelta(seconds=float(match[1]) * _UNITS[match[2]])
            return datetime.now().astimezone() - ago
        if match is None:
            return datetime.fromisoformat(text.strip()).astimezone()
    raise argparse.ArgumentTypeError(
        f'"{text}" is no time; allowed are a span such as "30s", "10m", "2h" or "1d", '
        'and a date such as "2026-03-31" or "2026-03-31T14:05", with "Z" or "+02:00" if it is '
        "not local"
    )


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
