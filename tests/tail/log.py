"""A log as the pool writes it, for the tests to write."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from supervisor.logs import LogLine

START = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
"""When the log's time begins."""


class Log:
    """The files `pool.jsonl`, `pool.jsonl.1`, … in a folder; each line is a second later."""

    def __init__(self, folder: Path) -> None:
        """Write into `folder`, which is made with the first line."""
        self.path = folder / "pool.jsonl"
        self._seconds = 0

    def time(self, second: int) -> datetime:
        """The time of the line with that number, counted from 0."""
        return START + timedelta(seconds=second)

    def event(self, name: str, level: str = "info", **fields: object) -> None:
        """Log an event."""
        stamp = self.time(self._seconds).isoformat().replace("+00:00", "Z")
        self._seconds += 1
        self.raw(json.dumps({**fields, "event": name, "level": level, "timestamp": stamp}) + "\n")

    def events(self, numbers: Sequence[int], width: int = 0) -> None:
        """Log an event `e<n>` for each number, in lines that are `width` longer than need be."""
        for number in numbers:
            self.event(f"e{number}", **({"fill": "x" * width} if width else {}))

    def same_time(self) -> None:
        """Let the next event have the time of the last one."""
        self._seconds = max(0, self._seconds - 1)

    def raw(self, text: str | bytes) -> None:
        """Append that."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def older(self, number: int) -> Path:
        """The file before, the one before that, …"""
        return self.path.with_name(f"{self.path.name}.{number}")

    def rotate(self) -> None:
        """Rename every file as the pool does; the next line begins a new one."""
        count = len(list(self.path.parent.glob("pool.jsonl.*")))
        for number in range(count, 0, -1):
            self.older(number).rename(self.older(number + 1))
        self.path.rename(self.older(1))

    def remove(self) -> None:
        """Remove every file."""
        for path in self.path.parent.glob("pool.jsonl*"):
            path.unlink()


def names(lines: Sequence[LogLine]) -> list[str]:
    """What each line is: its event, or the line itself where it is no JSON."""
    return [line.record["event"] if line.record else line.raw.decode() for line in lines]
