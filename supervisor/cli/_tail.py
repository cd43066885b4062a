"""`agent-pool tail`: the pool's log for a person's eyes, or line by line as it is.

It reads files alone, so it needs no pool, and goes on through the end of one and the start of
the next.
"""

import argparse
import contextlib
import json
import re
import select
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisor.cli import _streams as streams
from supervisor.cli._failure import CommandError
from supervisor.cli._manual import DONE, FAILED, STARTERS
from supervisor.cli._screen import colours, painted, visible
from supervisor.cli._usage import did_you_mean
from supervisor.place import Place, built_in

if TYPE_CHECKING:
    from supervisor.logs import Choice, LogLine, Tail

POLL_S = 0.2
"""Between two looks at the files."""

LINES = 20
"""How many are shown where the command says nothing."""

TASKS_TOLD = "agent-pool tasks lists the newest tasks"
"""What to do where a task is not known."""

LEVELS = ("debug", "info", "warning", "error")

_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}
_HEAD = ("timestamp", "level", "agent", "event")
_EXACT_BELOW = 10_000.0


def _holds(line: "LogLine", wanted: "re.Pattern[str]") -> bool:
    if wanted.search(line.raw.decode("utf-8", "replace")):
        return True
    return wanted.search(pretty(line, False)) is not None


def tail(place: Place, arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show the end of the log, and with `--follow` what is added, until Ctrl-C or nobody reads it.

    `environ` says where agents are defined: of one that is not, nothing will ever be told.

    Returns the exit status.

    Raises:
        CommandError: there is no log, it cannot be read, or there is no such agent.
        OSError: there is no room for what is printed.
    """
    # Here, since this module is also imported for every other command's `--help`.
    from supervisor.logs import Tail

    choice, follow = _choice(arguments), arguments.follow
    out = _Output(arguments.json)
    try:
        with Tail(place.log, follow) as log:
            if not log.exists:
                said = f"no pool of {place.root} has written a log yet ({place.log})"
                if not follow:
                    raise CommandError(FAILED, "no_log", f"{said}; {STARTERS}")
                _say(f"{said}; waiting for it, Ctrl-C ends")
            shown = 0
            for shown, line in enumerate(choice.read(log), 1):  # noqa: B007
                out.write(line)
                if not streams.is_read(sys.stdout):
                    return DONE
            out.flush()
            if not shown:
                _tell_why_none(place, arguments, environ, log)
            while follow and out.wait(POLL_S):
                for line in log.more():
                    if choice.wants(line):
                        out.write(line)
                out.flush()
    except _OutputError as lost:
        raise lost.why from None
    except OSError as error:
        said = f"the log cannot be read: {error.filename or place.log}: {error.strerror}"
        raise CommandError(FAILED, "log_unreadable", said) from None
    return DONE


def _tell_why_none(
    place: Place, arguments: argparse.Namespace, environ: Mapping[str, str], log: "Tail"
) -> None:
    """No line is as it was wanted.

    Raises:
        CommandError: the agent does not exist, and nothing is to be waited for.
    """
    wrong = _unknown(arguments.agent, place.root, environ)
    if wrong is not None and not arguments.follow:
        raise CommandError(FAILED, "unknown_agent", wrong)
    if wrong is not None:
        _say(wrong)
    elif not arguments.follow and _is_nowhere(arguments.task, log):
        _say(f"no line of {place.log} is of a task {arguments.task}; {TASKS_TOLD}")
    elif sys.stderr.isatty() and not arguments.follow:
        _say(f"no line of {place.log} is like that")


def _is_nowhere(task: str | None, log: "Tail") -> bool:
    """Whether no line at all is of that task: it may be that other options leave them out."""
    from supervisor.logs import Choice

    return task is not None and not log.last(1, Choice(task=task).wants)


def _unknown(agent: str | None, root: str, environ: Mapping[str, str]) -> str | None:
    """That there is no such agent, and who there is; None: there is."""
    if agent is None:
        return None
    from supervisor.agents import Catalogue, Folders

    home = Path(environ.get("HOME") or Path.home())
    folders = Folders.resolve(Path(root), environ, home, Path(built_in()))
    names = sorted({one.name for one in Catalogue(folders).all()})
    if agent in names:
        return None
    return (
        f'there is no agent "{agent}"{did_you_mean(agent, names)} (there are: {", ".join(names)})'
    )


def _choice(arguments: argparse.Namespace) -> "Choice":
    from supervisor.logs import Choice

    grep = arguments.grep
    said = (arguments.agent, arguments.level, arguments.since, arguments.lines, arguments.task)
    return Choice(*said) if grep is None else Choice(*said, lambda line: _holds(line, grep))


def _say(text: str) -> None:
    sys.stderr.write(f"agent-pool: {text}\n")
    sys.stderr.flush()


class _OutputError(Exception):
    """Nothing can be written: else the log would be taken for what is wrong."""

    def __init__(self, why: OSError) -> None:
        super().__init__(str(why))
        self.why = why


class _Output:
    """Standard output: lines as they are, or as a person reads them.

    To write and to flush raises _OutputError where there is no room.
    """

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
            self._put(line.raw + b"\n")
            return
        text = pretty(line, self._colour)
        self._put(f"{text}\n".encode(self._encoding, "backslashreplace"))

    def _put(self, text: bytes) -> None:
        try:
            sys.stdout.buffer.write(text)
        except OSError as error:
            raise _OutputError(error) from None

    def flush(self) -> None:
        """Let the reader have it."""
        try:
            sys.stdout.buffer.flush()
        except OSError as error:
            raise _OutputError(error) from None

    def wait(self, seconds: float) -> bool:
        """Let time pass; False: the reader has gone, noticed also though nothing is written."""
        for _, happened in self._reader.poll(seconds * 1000):
            if happened & (select.POLLERR | select.POLLHUP):
                return False
            time.sleep(seconds)
        return streams.is_read(sys.stdout)


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
    hint = did_you_mean(word, LEVELS)
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
