"""Replies in files of their own, and in parts that never cut a character."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supervisor.ledger._encoding import decode, encode, unbind
from supervisor.ledger._errors import LedgerError, from_system

PART_BYTES: Final = 16_000
"""Size of a part of a reply, where nothing else is asked for."""

_SUFFIX: Final = ".txt"
_UNFINISHED: Final = ".unfinished"


@dataclass(frozen=True, slots=True)
class ReplyPart:
    """One part of a reply. All parts, one after the other, are the reply."""

    text: str
    """The part."""
    number: int
    """1 for the first."""
    count: int
    """How many parts there are; 1 for an empty reply."""
    total_bytes: int
    """Size of the whole reply (UTF-8)."""


def part_count(total_bytes: int, part_bytes: int = PART_BYTES) -> int:
    """How many parts a reply of that size has."""
    return max(1, -(-total_bytes // part_bytes))


def cut(
    read: Callable[[int, int], bytes], total_bytes: int, number: int, part_bytes: int
) -> ReplyPart:
    """Part `number` of what `read(start, end)` gives; it is read as far as it is needed.

    A part begins at `part_bytes * (number - 1)`, or up to three bytes before, where that
    is inside a character; so no part is longer than `part_bytes + 3`.

    Raises:
        ValueError: there is no such part, or a part would be too small for a character.
    """
    if part_bytes < 4:
        raise ValueError(f"part_bytes = {part_bytes}: a character takes up to 4")
    count = part_count(total_bytes, part_bytes)
    if not 1 <= number <= count:
        raise ValueError(f"part = {number}: there are {count}, the first is 1")
    start = _border(read, (number - 1) * part_bytes)
    end = total_bytes if number == count else _border(read, number * part_bytes)
    return ReplyPart(decode(read(start, end)), number, count, total_bytes)


def _border(read: Callable[[int, int], bytes], at: int) -> int:
    """Where the character begins that `at` lies in."""
    near = read(max(0, at - 3), at + 1)
    back = 0
    while back + 1 < len(near) and near[-1 - back] & 0xC0 == 0x80:
        back += 1
    return at - back


def part_of(text: str, number: int, part_bytes: int) -> ReplyPart:
    """A part of a reply that is at hand.

    Raises:
        ValueError: there is no such part.
    """
    data = encode(text)
    return cut(lambda start, end: data[start:end], len(data), number, part_bytes)


class ReplyFiles:
    """A folder with one file a long reply, `<task id>.txt`, mode 0600."""

    def __init__(self, folder: Path) -> None:
        """Touches nothing; the folder is made when the first file is."""
        self.folder = folder
        """Where the files are."""

    def write(self, task_id: str, data: bytes) -> str:
        """Write the whole file, or nothing that bears its name; returns its path.

        Raises:
            LedgerError: it cannot be written.
        """
        path = self.folder / f"{task_id}{_SUFFIX}"
        unfinished = path.with_name(path.name + _UNFINISHED)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)
            fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with open(fd, "wb") as file:
                    file.write(data)
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)  # what fills a disk is not left there
                raise
        except OSError as error:
            raise from_system(path, error) from error
        return str(path)

    def read(self, path: str, size: int) -> bytes:
        """The whole file, which was written with that size.

        Raises:
            LedgerError: it cannot be read, or has another size.
        """
        with _opened(path, size) as fd:
            return _pread(fd, 0, size)

    def read_part(self, path: str, size: int, number: int, part_bytes: int) -> ReplyPart:
        """One part of the file, which was written with that size.

        Raises:
            LedgerError: it cannot be read, or has another size.
            ValueError: it has no such part.
        """
        with _opened(path, size) as fd:
            return cut(lambda start, end: _pread(fd, start, end), size, number, part_bytes)

    def remove(self, path: str) -> None:
        """Remove the file, if it is there."""
        with suppress(OSError):
            os.unlink(path)

    def strays(self, before: float) -> Iterator[str]:
        """Files of ours that were last written before that time, and leftovers of any age.

        Args:
            before: seconds since the epoch.
        """
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    if not entry.is_file(follow_symlinks=False):
                        continue
                    old = entry.stat(follow_symlinks=False).st_mtime < before
                    if entry.name.endswith(_UNFINISHED) or (old and entry.name.endswith(_SUFFIX)):
                        yield entry.path


def read_text(connection: sqlite3.Connection, task_id: str) -> str | None:
    """The text of a task; None: it is not kept."""
    row = connection.execute(
        "SELECT content FROM text JOIN task USING (number) WHERE id = ?", (task_id,)
    ).fetchone()
    return None if row is None else decode(row[0])


def read_reply(connection: sqlite3.Connection, files: ReplyFiles, task_id: str) -> str | None:
    """The reply to a task; None: it has none, or it is no longer kept.

    Raises:
        LedgerError: its file cannot be read.
    """
    path, size, content = _find_reply(connection, task_id)
    if path is not None:
        return decode(files.read(path, size))
    return None if content is None else decode(content)


def read_reply_part(
    connection: sqlite3.Connection, files: ReplyFiles, task_id: str, number: int, part_bytes: int
) -> ReplyPart | None:
    """A part of the reply; None: there is no reply.

    Raises:
        LedgerError: its file cannot be read.
        ValueError: there is no such part.
    """
    path, size, content = _find_reply(connection, task_id)
    if path is not None:
        return files.read_part(path, size, number, part_bytes)
    if content is None:
        return None
    return cut(lambda start, end: content[start:end], len(content), number, part_bytes)


def _find_reply(
    connection: sqlite3.Connection, task_id: str
) -> tuple[str | None, int, bytes | None]:
    """The file of a reply and its size, or its bytes, or neither."""
    row = connection.execute(
        "SELECT reply_path, reply_kept, content FROM task LEFT JOIN reply USING (number) "
        "WHERE id = ?",
        (task_id,),
    ).fetchone()
    return (None, 0, None) if row is None else (unbind(row[0]), row[1], row[2])


@contextmanager
def _opened(path: str, size: int) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(fd).st_size
            if found != size:
                # It was edited, or power was lost before it was on the disk.
                raise LedgerError("failed", path, f"it has {found} bytes, {size} were written")
            yield fd
        finally:
            os.close(fd)
    except OSError as error:
        raise from_system(path, error) from error


def _pread(fd: int, start: int, end: int) -> bytes:
    """Bytes `start` to `end`, fewer only at the end of the file."""
    found = bytearray()
    while start + len(found) < end and (
        data := os.pread(fd, end - start - len(found), start + len(found))
    ):
        found += data
    return bytes(found)
