"""Reading the structured log: its end, a span of it, and what is written from now on.

    with Tail(path, follow=True) as log:
        for line in log.last(20):
            ...
        while True:
            for line in log.more():
                ...

The log is `path` and its older files, `path.1`, `path.2.gz`, … (the oldest has the highest number).
A file is renamed while it is read, a new one takes its place, all of them may go and come again
with another pool. What holds through this: a file that is open keeps its identity whatever its
name, so which files are newer than ours is settled by where ours stands among them; one that has
been compressed meanwhile is known by how it begins. Files are read in blocks, from the end where
the end is wanted; no file is ever held as a whole. A compressed one can be read only from its
beginning, so it is left alone where its time says that nothing in it is wanted.
"""

import contextlib
import json
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from types import TracebackType
from typing import Any, Self

from supervisor.logs._names import Name, find_names

BLOCK = 64 * 1024
"""Bytes that are read at once."""

_PATIENCE = 5
"""How often the files are looked up anew while they are being renamed."""

_HEAD_BYTES = 512
"""How much of a file's beginning tells it from any other: there is a time in it."""

_GZIP = 31
"""What zlib calls the format."""


@dataclass(frozen=True)
class LogLine:
    """One line of the log."""

    raw: bytes
    """As it stands in the file, without its end."""
    record: dict[str, Any] | None
    """The JSON object that it is, or None."""

    @staticmethod
    def of(raw: bytes) -> "LogLine":
        """Parse a line; one that is no JSON object has no record."""
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            value = None
        return LogLine(raw, value if isinstance(value, dict) else None)

    @property
    def time(self) -> datetime | None:
        """When it was logged, with its zone; None: it does not tell."""
        stamp = (self.record or {}).get("timestamp")
        if not isinstance(stamp, str):
            return None
        with contextlib.suppress(ValueError):
            time = datetime.fromisoformat(stamp)
            return time if time.tzinfo is not None else None
        return None


Wanted = Callable[[LogLine], bool]


def everything(_: LogLine) -> bool:
    """Want every line."""
    return True


class Tail:
    """The log at `path`, as it was when this was made, and then what is added to it.

    One reader, on one thread. Leaving the block closes the files.
    """

    def __init__(self, path: str, follow: bool = False) -> None:
        """Open what there is, which may be nothing.

        Args:
            path: the newest file.
            follow: `more` will be called; a last line that has no end yet is left to it.

        Raises:
            OSError: a file is there and cannot be read.
        """
        self._path = path
        self._past = _open_all(path)
        self._current = self._past[-1] if self._past else None
        if follow and self._current is not None and self._current.number == 0:
            self._current.end = _end_of_last_line(self._current)
        self._offset = self._current.end if self._current is not None else 0
        self._rest: list[bytes] = []
        self.exists = bool(self._past)
        """Whether there was a log when this was made."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._forget_past()
        if self._current is not None:
            os.close(self._current.fd)
            self._current = None

    def last(
        self, count: int, wanted: Wanted = everything, start: datetime | None = None
    ) -> list[LogLine]:
        """The last `count` lines that are wanted, the oldest first, through all files.

        None is from before `start`, and what is older is not read. A line without a time belongs
        to the one before it.
        """
        found: list[LogLine] = []
        for file in reversed(self._past):
            if len(found) >= count or (start is not None and file.written < start):
                break
            found += _last_of(file, count - len(found), wanted, start)
        found.reverse()
        return found

    def since(self, start: datetime, wanted: Wanted = everything) -> Iterator[LogLine]:
        """The wanted lines from the time `start` on, the oldest first, through all files.

        A line without a time belongs to the one before it. The place where they begin is
        searched for, which takes for granted that times grow along the log.
        """
        places = self._places_since(start)
        raw = chain.from_iterable(_forwards(file, offset) for file, offset in places)
        yield from filter(wanted, _from(start, map(LogLine.of, raw)))

    def more(self) -> Iterator[LogLine]:
        """What has been added since the last look, in order, through renames and new files.

        To be iterated to its end. Lines are lost only where a file came and went between two
        looks.
        """
        self._forget_past()
        newest = _identity(self._path)
        if self._current is not None:
            yield from self._grown()
        if newest is None or (self._current is not None and newest == self._current.identity):
            return
        # Ours was renamed or removed before it was read to its end just now, so it is complete.
        yield from self._unfinished()
        for file in self._successors():
            self._replace_current(file)
            yield from self._grown()
            if file.number:
                yield from self._unfinished()

    def _places_since(self, start: datetime) -> list[tuple["_File", int]]:
        places: list[tuple[_File, int]] = []
        for file in reversed(self._past):
            if file.compressed and file.written < start:
                return places
            first = _first_time(file, 0)
            if first is not None and first < start:
                offset = 0 if file.compressed else _offset_of(file, start)
                return [(file, offset), *places]
            places.insert(0, (file, 0))
        return places

    def _grown(self) -> Iterator[LogLine]:
        assert self._current is not None
        if self._current.compressed:
            yield from self._unpacked()
            return
        fd = self._current.fd
        if os.fstat(fd).st_size < self._offset:  # it was emptied, and begins anew
            self._offset, self._rest = 0, []
        while block := os.pread(fd, BLOCK, self._offset):
            self._offset += len(block)
            first, *others = block.split(b"\n")
            self._rest.append(first)
            for begun in others:
                yield from self._unfinished()
                self._rest = [begun]

    def _unpacked(self) -> Iterator[LogLine]:
        """All of a file that was compressed before it was seen, the first time."""
        assert self._current is not None
        if self._offset == 0:
            self._offset = self._current.end
            yield from (LogLine.of(raw) for raw in _forwards(self._current, 0))

    def _unfinished(self) -> Iterator[LogLine]:
        raw, self._rest = b"".join(self._rest), []
        if raw:
            yield LogLine.of(raw)

    def _successors(self) -> list["_File"]:
        """The files that are newer than ours, the oldest first, ready to be read."""
        files = _open_all(self._path)
        if not files or files[-1].number:
            _close(files)  # in the middle of a rename; the next look finds it done
            return []
        if self._current is None:
            return files
        known = [at for at, file in enumerate(files) if _is_same(file, self._current)]
        if known:
            newer = files[known[0] + 1 :]
        else:
            # Ours is gone for good. What was written to after it is newer.
            ended = os.fstat(self._current.fd).st_mtime_ns
            newer = [file for file in files if os.fstat(file.fd).st_mtime_ns >= ended]
        _close([file for file in files if file not in newer])
        return newer

    def _replace_current(self, file: "_File") -> None:
        if self._current is not None:
            os.close(self._current.fd)
        self._current, self._offset = file, 0

    def _forget_past(self) -> None:
        _close([file for file in self._past if file is not self._current])
        self._past = []


@dataclass(eq=False)
class _File:
    """One open file of the log."""

    name: Name
    """What it was called when it was opened."""
    fd: int
    identity: tuple[int, int]
    """Device and inode: nobody else has these while it is open."""
    end: int
    """Bytes that are read of it at first."""

    @property
    def number(self) -> int:
        """0 for the newest, 1 for the one before it, …, when it was opened."""
        return self.name.number

    @property
    def compressed(self) -> bool:
        """It is read through zlib, from its beginning."""
        return self.name.compressed

    @property
    def written(self) -> datetime:
        """When something was written to it last."""
        return datetime.fromtimestamp(os.fstat(self.fd).st_mtime, UTC)


def _open_all(path: str) -> list[_File]:
    """The files of the log, the oldest first; those that are just being renamed are waited for.

    Raises:
        OSError: one is there and cannot be opened.
    """
    for _ in range(_PATIENCE):
        files = _open_once(path)
        names = [(file.name, file.identity) for file in files]
        if names == [(name, _identity(name.of(path))) for name in _names(path)]:
            break
        _close(files)
    else:
        files = _open_once(path)
    return files[::-1]


def _open_once(path: str) -> list[_File]:
    files: dict[tuple[int, int], _File] = {}
    try:
        for name in _names(path):
            file = _open(path, name)
            # The newest is opened first; what was renamed meanwhile is met again, further on.
            if file is not None and files.setdefault(file.identity, file) is not file:
                os.close(file.fd)
    except OSError:
        _close(list(files.values()))
        raise
    return list(files.values())


def _open(path: str, name: Name) -> _File | None:
    try:
        fd = os.open(name.of(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    facts = os.fstat(fd)
    return _File(name, fd, (facts.st_dev, facts.st_ino), facts.st_size)


def _close(files: list[_File]) -> None:
    for file in files:
        os.close(file.fd)


def _names(path: str) -> list[Name]:
    """The files, the newest first, each once: where it is there in both forms, the plain one."""
    names = find_names(path)
    plain = {name.number for name in names if not name.compressed}
    return [name for name in names if not (name.compressed and name.number in plain)]


def _is_same(file: _File, ours: _File) -> bool:
    """`file` is the one that we have open, or what was made of it."""
    if file.identity == ours.identity:
        return True
    if not file.compressed or ours.compressed:
        return False
    # Of ours, all that is there, which may be more than when it was opened.
    head = os.pread(ours.fd, _HEAD_BYTES, 0)
    return bool(head) and _head_of_packed(file) == head


def _head_of_packed(file: _File) -> bytes:
    head = b""
    for block in _blocks(file, 0):
        head += block
        if len(head) >= _HEAD_BYTES:
            break
    return head[:_HEAD_BYTES]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return facts.st_dev, facts.st_ino


def _end_of_last_line(file: _File) -> int:
    position = file.end
    while position > 0:
        start = max(0, position - BLOCK)
        at = os.pread(file.fd, position - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        position = start
    return 0


def _last_of(file: _File, count: int, wanted: Wanted, start: datetime | None) -> list[LogLine]:
    """The last `count` lines that are wanted, the last one first."""
    if file.compressed:
        lines = map(LogLine.of, _forwards(file, 0))
        found = filter(wanted, lines if start is None else _from(start, lines))
        return list(deque(found, maxlen=count))[::-1]
    lines = map(LogLine.of, _backwards(file))
    found = filter(wanted, lines if start is None else _back_to(start, lines))
    return list(islice(found, count))


def _from(start: datetime, lines: Iterator[LogLine]) -> Iterator[LogLine]:
    """Those from `start` on; one without a time belongs to the one before it."""
    within = False
    for line in lines:
        time = line.time
        within = within if time is None else time >= start
        if within:
            yield line


def _back_to(start: datetime, lines: Iterator[LogLine]) -> Iterator[LogLine]:
    """The same of lines the last of which comes first; what is older is not read."""
    without_time: list[LogLine] = []
    for line in lines:
        time = line.time
        if time is None:
            without_time.append(line)
        elif time < start:
            return
        else:
            yield from (*without_time, line)
            without_time = []


def _backwards(file: _File) -> Iterator[bytes]:
    """The lines of a file, the last one first."""
    position = file.end
    pieces: list[bytes] = []  # of the line whose beginning was not read yet, the last one first
    while position > 0:
        start = max(0, position - BLOCK)
        *before, last = os.pread(file.fd, position - start, start).split(b"\n")
        position = start
        pieces.append(last)
        while before:
            if raw := b"".join(reversed(pieces)):
                yield raw
            pieces = [before.pop()]
    if raw := b"".join(reversed(pieces)):
        yield raw


def _forwards(file: _File, offset: int) -> Iterator[bytes]:
    """The lines of a file that begin after `offset`; all of them where that is 0."""
    is_whole = offset == 0
    pieces: list[bytes] = []
    for block in _blocks(file, offset):
        first, *others = block.split(b"\n")
        pieces.append(first)
        for begun in others:
            raw = b"".join(pieces)
            if raw and is_whole:
                yield raw
            is_whole, pieces = True, [begun]
    raw = b"".join(pieces)
    if raw and is_whole:
        yield raw


def _blocks(file: _File, offset: int) -> Iterator[bytes]:
    """The file from `offset` on, as it was before it was compressed."""
    stored = _stored_blocks(file, offset)
    return _unpack(stored) if file.compressed else stored


def _stored_blocks(file: _File, offset: int) -> Iterator[bytes]:
    position = offset
    while position < file.end:
        block = os.pread(file.fd, min(BLOCK, file.end - position), position)
        if not block:
            return  # it was emptied
        position += len(block)
        yield block


def _unpack(stored: Iterator[bytes]) -> Iterator[bytes]:
    """The content of a gzip file, up to where it is damaged."""
    engine = zlib.decompressobj(_GZIP)
    with contextlib.suppress(zlib.error):
        for block in stored:
            if data := engine.decompress(block):
                yield data


def _first_time(file: _File, offset: int) -> datetime | None:
    """The time of the first line after `offset` that has one."""
    times = (LogLine.of(raw).time for raw in _forwards(file, offset))
    return next((time for time in times if time is not None), None)


def _offset_of(file: _File, start: datetime) -> int:
    """An offset at most a block before the first line from `start` on; what is before it is older.

    By halving: a file of a gigabyte takes some fifteen looks.
    """
    low, high = 0, file.end
    while high - low > BLOCK:
        middle = (low + high) // 2
        time = _first_time(file, middle)
        if time is None or time >= start:
            high = middle
        else:
            low = middle
    return low
