"""A log as the pool writes it, for the tests to write."""

import contextlib
import gzip
import json
import os
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
            for end in ("", ".gz"):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{self.older(number)}{end}", f"{self.older(number + 1)}{end}")
        self.path.rename(self.older(1))

    def compress(self, number: int) -> Path:
        """Compress an older file as the pool does, which is thereby another one."""
        plain = self.older(number)
        packed = plain.with_name(f"{plain.name}.gz")
        facts = plain.stat()
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        os.utime(packed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        plain.unlink()
        return packed

    def compress_all(self) -> None:
        """Compress every older file that holds something, as the pool rotates no other."""
        for number in range(1, len(list(self.path.parent.glob("pool.jsonl.*"))) + 1):
            if self.older(number).exists() and self.older(number).stat().st_size:
                self.compress(number)

    def remove(self) -> None:
        """Remove every file."""
        for path in self.path.parent.glob("pool.jsonl*"):
            path.unlink()


def names(lines: Sequence[LogLine]) -> list[str]:
    """What each line is: its event, or the line itself where it is no JSON."""
    return [line.record["event"] if line.record else line.raw.decode() for line in lines]
