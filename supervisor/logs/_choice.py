"""Which lines of the log are wanted, and reading those."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from supervisor.logs._tail import LogLine, Tail, Wanted, everything

LEVELS = ("debug", "info", "warning", "error")
"""How much a line matters, the least first."""

LINES = 20
"""Lines that are wanted where nothing else is said."""

TIMES = (
    'allowed are a span such as "30s", "10m", "2h" or "1d", and a date such as "2026-03-31" or '
    '"2026-03-31T14:05", with "Z" or "+02:00" if it is not local'
)
"""What `parse_time` takes, in words."""

_RANKS = {level: rank for rank, level in enumerate((*LEVELS, "critical"))}
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Choice:
    """Which lines are wanted."""

    agent: str | None = None
    """Of this agent alone."""
    level: str | None = None
    """Of this level, and what is graver."""
    since: datetime | None = None
    """From this time on."""
    lines: int | None = None
    """So many at most, the last ones; None: `LINES`, or all since a time that is given."""
    task: str | None = None
    """Of the task with this id alone."""
    also: Wanted = everything
    """What else must be so of a line."""

    def wants(self, line: LogLine) -> bool:
        """Whether the line is wanted, its time aside.

        A line that does not tell its level is; one that does not tell its agent or task is not
        that agent's or task's. An agent's lines are those of its conversations as well.
        """
        record = line.record or {}
        if self.agent is not None and not _is_of(record.get("agent"), self.agent):
            return False
        if self.task is not None and record.get("task_id") != self.task:
            return False
        rank = _RANKS.get(str(record.get("level")))
        if not (self.level is None or rank is None or rank >= _RANKS[self.level]):
            return False
        return self.also(line)

    def read(self, log: Tail) -> Iterator[LogLine]:
        """The lines that are wanted of what there is, the oldest first."""
        if self.since is not None and self.lines is None:
            return log.since(self.since, self.wants)
        count = LINES if self.lines is None else self.lines
        return iter(log.last(count, self.wants, self.since))


def parse_time(text: str) -> datetime:
    """A time with its zone: so long ago, or a date with or without a time of day.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip())
    with contextlib.suppress(ValueError, OverflowError, OSError):
        if match is not None and match[2] in _UNITS:
            ago = timedelta(seconds=float(match[1]) * _UNITS[match[2]])
            return datetime.now().astimezone() - ago
        if match is None:
            return datetime.fromisoformat(text.strip()).astimezone()
    raise ValueError(f'"{text}" is no time; {TIMES}')


def _is_of(named: object, agent: str) -> bool:
    return named == agent or (isinstance(named, str) and named.startswith(f"{agent}@"))
