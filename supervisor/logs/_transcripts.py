"""A transcript a task: what went to its CLI and came from it, redacted, a JSON object a line.

    {"timestamp": "2026-03-31T12:00:00.123456Z", "direction": "out", "line": {"type": …}}

The pool only puts lines into a queue; a thread redacts and writes them. The queue is bounded:
where the disk is slower than the agents, the oldest lines in it are lost, and the transcript says
how many. A file that nobody has written to for a moment is closed; it is opened again, and added
to, where more comes.
"""

import contextlib
import gzip
import json
import logging
import os
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from supervisor.logs._files import open_private
from supervisor.logs._names import COMPRESSED
from supervisor.logs._pipeline import redact

Direction = Literal["in", "out"]
"""To the CLI, or from it."""

OnLine = Callable[[Direction, bytes], None]
"""Takes what was written or read, as it came, lines in pieces or several at once."""

QUEUE_BYTES = 16 * 2**20
"""What may wait to be written."""

LINE_BYTES = 2**20
"""A longer line is not written, only how long it was: no part of it could be redacted well."""

OPEN_FILES = 16
"""Transcripts that are open at once."""

LINE_COST = 256
"""Bytes of memory that a line which waits takes beside its own."""

QUIET_S = 1.0
"""How long nothing is written until all files are closed."""

PART_OF_TOTAL = 4
"""One task's transcript may take this part of what all of them may."""

SUFFIX = ".jsonl"

_log = logging.getLogger("agent_pool.transcripts")


@dataclass(frozen=True)
class _Line:
    task_id: str
    direction: Direction
    time: datetime
    data: bytes
    size: int
    """In bytes; `data` is empty where that was too much."""

    @property
    def cost(self) -> int:
        """Bytes of memory that it takes."""
        return len(self.data) + LINE_COST


class Transcripts:
    """Writes the transcripts in one folder. `close` must be called once."""

    def __init__(
        self,
        folder: Path,
        total_bytes: int = 0,
        compress: bool = True,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        """Nothing is written before the first line.

        Args:
            folder: made, of mode 0700; the files are called `<task id>.jsonl.gz`.
            total_bytes: size of all of them together; the oldest are removed first; 0: any.
            compress: with gzip; else they are called `<task id>.jsonl`.
            queue_bytes: what may wait to be written.

        Raises:
            OSError: the folder cannot be made.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = _Files(folder, total_bytes, compress)
        self._limit = queue_bytes
        self._queue: deque[_Line] = deque()
        self._waiting_bytes = 0
        self._lost: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._ending = False
        self._writer = threading.Thread(target=self._write, name="transcripts", daemon=True)
        self._writer.start()

    def of(self, task_id: str) -> OnLine:
        """Takes what goes to the CLI and comes from it in this task; never waits for the disk."""
        rests: dict[Direction, _Rest] = {"in": _Rest(), "out": _Rest()}

        def on_line(direction: Direction, data: bytes) -> None:
            lines = rests[direction].lines(data)
            if lines:
                now = datetime.now(UTC)
                self._offer([_Line(task_id, direction, now, *line) for line in lines])

        return on_line

    def close(self, patience_s: float = 2.0) -> None:
        """Write what waits, for that long at most."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._writer.join(patience_s)

    def _offer(self, lines: list[_Line]) -> None:
        with self._changed:
            for line in lines:
                self._queue.append(line)
                self._waiting_bytes += line.cost
            while self._waiting_bytes > self._limit:
                oldest = self._queue.popleft()
                self._waiting_bytes -= oldest.cost
                self._lost[oldest.task_id] += 1
            self._changed.notify()

    # the thread

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(self._has_work, QUIET_S if self._files else None):
                    self._files.close()  # it is quiet
                    continue
                line = self._queue.popleft() if self._queue else None
                lost, self._lost = self._lost, Counter()
                if line is not None:
                    self._waiting_bytes -= line.cost
                elif not lost:
                    break
            for task_id, number in lost.items():
                self._files.write(task_id, {"timestamp": _stamp(), "lines_lost": number})
            if line is not None:
                self._files.write(line.task_id, _record(line))
            if not self._queue:
                self._files.flush()  # whoever reads it now finds all of it
        self._files.close()

    def _has_work(self) -> bool:
        return bool(self._queue or self._lost or self._ending)


class _Rest:
    """Makes lines of one direction's pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def lines(self, data: bytes) -> list[tuple[bytes, int]]:
        """The lines that are complete now, and their sizes; those that are too long are empty."""
        found = []
        first, *others = data.split(b"\n")
        self._add(first)
        for begun in others:
            if self._size:
                found.append((b"".join(self._pieces), self._size))
            self._pieces, self._size = [], 0
            self._add(begun)
        return found

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > LINE_BYTES:
            self._pieces = []
        elif piece:
            self._pieces.append(piece)


class _Files:
    """The files, for one thread."""

    def __init__(self, folder: Path, total_bytes: int, compress: bool) -> None:
        self._folder = folder
        self._total = total_bytes
        self._compress = compress
        self._open: OrderedDict[str, _File] = OrderedDict()
        self._unchecked_bytes = 0
        self._failed = False

    def __bool__(self) -> bool:
        return bool(self._open)

    def write(self, task_id: str, record: dict[str, Any]) -> None:
        """Write one line; where that is impossible it is lost, and the log says so once."""
        line = json.dumps(record).encode() + b"\n"
        with self._told():
            self._unchecked_bytes += len(line)
            if self._unchecked_bytes > self._total // OPEN_FILES:
                self._remove_oldest()
            self._file(task_id).write(line)

    def flush(self) -> None:
        """Let readers have it."""
        for file in self._open.values():
            with self._told():
                file.flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._failed:
                _log.warning("transcripts cannot be written: %s", error)
            self._failed = True

    def close(self) -> None:
        """Close all that are open, and remove the oldest where all of them take too much."""
        while self._open:
            self._close_oldest()
        with self._told():
            self._remove_oldest()

    def _close_oldest(self) -> None:
        _, file = self._open.popitem(last=False)
        with self._told():
            file.close()

    def _file(self, task_id: str) -> "_File":
        file = self._open.pop(task_id, None)
        if file is None:
            while len(self._open) >= OPEN_FILES:
                self._close_oldest()
            name = f"{task_id}{SUFFIX}{COMPRESSED * self._compress}"
            file = _File(self._folder / name, self._compress, self._total // PART_OF_TOTAL)
        self._open[task_id] = file
        return file

    def _remove_oldest(self) -> None:
        self._unchecked_bytes = 0
        if not self._total:
            return
        present = []
        for entry in os.scandir(self._folder):
            if entry.name.endswith((SUFFIX, SUFFIX + COMPRESSED)):
                facts = entry.stat()
                present.append((facts.st_mtime_ns, facts.st_size, entry.path))
        room = self._total
        for _, size, path in sorted(present, reverse=True):
            room -= size
            if room < 0:
                os.unlink(path)


class _File:
    """One transcript."""

    def __init__(self, path: Path, compress: bool, limit: int) -> None:
        self._limit = limit
        self._raw = open(path, "ab", opener=open_private)  # noqa: SIM115
        self._is_full = self._has_reached_limit()
        self._file: IO[bytes] | gzip.GzipFile = self._raw
        if compress and not self._is_full:
            self._file = gzip.GzipFile("", "ab", fileobj=self._raw, mtime=0)

    def write(self, line: bytes) -> None:
        """Add a line; the first that is over the limit is replaced by the limit's name."""
        if self._is_full:
            return
        if self._has_reached_limit():
            self._is_full = True
            end = {"timestamp": _stamp(), "ended": f"one task gets {self._limit} bytes at most"}
            line = json.dumps(end).encode() + b"\n"
        self._file.write(line)

    def flush(self) -> None:
        """Let readers have it."""
        self._file.flush()
        self._raw.flush()

    def close(self) -> None:
        """Close it; what cannot be written any more is lost."""
        try:
            self._file.close()
        finally:
            self._raw.close()

    def _has_reached_limit(self) -> bool:
        return 0 < self._limit < self._raw.tell()


def _record(line: _Line) -> dict[str, Any]:
    known = {"timestamp": _stamp(line.time), "direction": line.direction}
    if not line.data:
        return {**known, "line": None, "bytes": line.size}
    try:
        record = {**known, "line": redact(json.loads(line.data))}
        json.dumps(record)
    except (ValueError, RecursionError):  # it is no JSON, or as strange as JSON can be
        return {**known, "line": redact(line.data.decode("utf-8", "replace"))}
    return record


def _stamp(time: datetime | None = None) -> str:
    return f"{time or datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
