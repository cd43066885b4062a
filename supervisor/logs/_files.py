"""The files of the log: written by one handler, rotated by size and by age, compressed, limited.

    pool.jsonl         what is written now
    pool.jsonl.1       the file before it, for the moment until it is compressed
    pool.jsonl.2.gz    the one before that, …
    pool.jsonl.gz.part the one that is being compressed

Writing and renaming happen in whatever thread logs; compressing takes longer, so a thread of its
own does it. The two meet where files are renamed, under one lock, which is held for nothing else.
A pool that is killed meanwhile leaves a part, which the next one removes, and a plain file, which
it compresses.
"""

import contextlib
import gzip
import logging
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from supervisor.logs._names import COMPRESSED, Name, find_names
from supervisor.logs._tail import LogLine

LAST_COMPRESSION_S = 2.0
"""How long closing the log waits for the file that is being compressed."""

HEAD_BYTES = 64 * 1024
"""How much of a file is read to learn when it was begun."""


@dataclass(frozen=True)
class Rotation:
    """When a file of the log is full, and what becomes of it then."""

    max_bytes: int
    """Size of one file before the next begins, but half of the total at most; 0: any."""
    max_age_s: float = 0.0
    """Seconds from a file's first line after which the next begins; 0: any."""
    keep: int = 5
    """Older files that are kept."""
    total_bytes: int = 0
    """Size of all files together; the oldest are removed first; 0: any."""
    compress: bool = False
    """Older files are compressed."""

    @property
    def file_bytes(self) -> int:
        """Size of one file before the next begins, so that an older one has room beside it."""
        limits = [limit for limit in (self.max_bytes, self.total_bytes // 2) if limit]
        return min(limits, default=0)


def open_private(path: str, flags: int) -> int:
    """Open for this user alone, also where the file was open to others; as `opener`."""
    fd = os.open(path, flags, 0o600)
    os.fchmod(fd, 0o600)
    return fd


class LogFiles(logging.Handler):
    """Writes each record as a line; every file is of mode 0600."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        """Open the newest file, and see to the older ones.

        Raises:
            OSError: it cannot be written.
        """
        super().__init__()
        self._path = str(path)
        self.rotation = rotation
        """By which files are full, and kept."""
        self._renaming = threading.Lock()
        self._compressor: threading.Thread | None = None
        self._file: IO[bytes]
        self._begun: float | None  # when its first line was written, in seconds since the epoch
        self._open()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._part)
        with self._renaming:
            self._remove_too_many()
            self._compress_older()

    @property
    def _part(self) -> str:
        return f"{self._path}{COMPRESSED}.part"

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; what fails is told as `logging` tells it."""
        try:
            data = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            if self._is_full(len(data), record.created):
                self._rotate()
            if self._begun is None:
                self._begun = record.created
            self._file.write(data)
            self._file.flush()
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the file; one that is being compressed gets a moment."""
        super().close()
        self._file.close()
        compressor = self._compressor
        if compressor is not None:
            compressor.join(LAST_COMPRESSION_S)

    def _open(self) -> None:
        self._file = open(self._path, "ab", opener=open_private)  # noqa: SIM115
        self._begun = _begun(self._path)

    def _is_full(self, more: int, now: float) -> bool:
        size, rotation = self._file.tell(), self.rotation
        if not size:
            return False
        too_big = 0 < rotation.file_bytes < size + more
        too_old = self._begun is not None and 0 < rotation.max_age_s <= now - self._begun
        return too_big or too_old

    def _rotate(self) -> None:
        self._file.close()
        with contextlib.suppress(OSError):  # a log that grows too big is better than none
            self._make_room()
        self._open()

    def _make_room(self) -> None:
        if not self.rotation.keep:
            os.truncate(self._path, 0)
            return
        with self._renaming:
            self._rename()
            self._remove_too_many()
            self._compress_older()

    # the older files, all of it under the lock

    def _rename(self) -> None:
        for name in reversed(find_names(self._path)):
            next_name = Name(name.number + 1, name.compressed)
            os.rename(name.of(self._path), next_name.of(self._path))

    def _remove_too_many(self) -> None:
        rotation = self.rotation
        # The newest one's room is left to it from the beginning.
        room = rotation.total_bytes - rotation.file_bytes
        for name in find_names(self._path):
            if not name.number:
                continue
            path = name.of(self._path)
            room -= os.stat(path).st_size
            if name.number > rotation.keep or (rotation.total_bytes and room < 0):
                os.unlink(path)

    def _compress_older(self) -> None:
        if self._compressor is None and self.rotation.compress and self._next_plain() is not None:
            self._compressor = threading.Thread(target=self._compress, name="logs", daemon=True)
            self._compressor.start()

    def _next_plain(self) -> str | None:
        plain = [name for name in find_names(self._path) if name.number and not name.compressed]
        return plain[-1].of(self._path) if plain else None

    # the thread that compresses

    def _compress(self) -> None:
        try:
            while (source := self._next_source()) is not None:
                with source:
                    self._compress_one(source)
        except OSError:
            # No room, for example: the file stays as it is until the next rotation.
            with contextlib.suppress(OSError):
                os.unlink(self._part)
            with self._renaming:
                self._compressor = None

    def _next_source(self) -> IO[bytes] | None:
        """The oldest plain file, whatever it may be called a moment later; None: that was all."""
        with self._renaming:
            path = self._next_plain()
            if path is None:
                self._compressor = None
            return None if path is None else open(path, "rb")

    def _compress_one(self, source: IO[bytes]) -> None:
        with (
            open(self._part, "wb", opener=open_private) as part,
            gzip.GzipFile("", "wb", fileobj=part, mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed, 1 << 18)
        facts = os.fstat(source.fileno())
        # By its time, a reader knows that nothing in it is newer.
        os.utime(self._part, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        with self._renaming:
            for name in find_names(self._path):
                path = name.of(self._path)
                if name.number and os.path.samestat(os.stat(path), facts):
                    os.rename(self._part, Name(name.number, True).of(self._path))
                    os.unlink(path)
                    return
            os.unlink(self._part)  # it was removed meanwhile


def _begun(path: str) -> float | None:
    """When the first line was written, in seconds since the epoch; None: there is none."""
    with open(path, "rb") as file:
        first = file.readline(HEAD_BYTES)
        if not first:
            return None
        stamp = LogLine.of(first).time
        return stamp.timestamp() if stamp is not None else os.fstat(file.fileno()).st_mtime
