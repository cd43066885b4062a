"""What stands on disk, read again only when it may have changed.

`Disk.look(path)` gives the content of a path: a file's bytes, a folder's entries, or why there
is neither. As long as the content is the same it is the same *object*, so whoever derived
something from it may compare with `is`.

A path is read again when its stat differs. Stat alone can miss a change: file times come from
a clock that ticks every few milliseconds (on old file systems every two seconds), so a second
write within a tick leaves no trace. A reading taken that soon after the last change is
therefore not trusted the next time; git calls this a racy entry.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass

MAX_FILE_BYTES = 1024 * 1024
"""Larger files are refused unread; Claude Code has the same limit."""

MAX_JSON_BYTES = 32 * 1024 * 1024
"""The same for what programs write: ~/.claude.json also keeps a history."""

_TICK_NS = 100_000_000
_COARSE_TICK_NS = 2_100_000_000
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FileBytes:
    """A regular file."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder's entries, sorted, as far as definitions can be among them."""

    markdown: tuple[str, ...]
    """Names that end in `.md` and are no folders."""
    folders: tuple[str, ...]
    """Names of folders, also those reached by a link."""
    has_others: bool = False
    """It holds other files as well."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing there, or a link to nothing."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something there that cannot be used."""

    problem: str
    """What it is and what to do."""


Content = FileBytes | Listing | Absent | Unreadable

_Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    stamp: _Stamp
    is_settled: bool
    content: Content


class Disk:
    """A cache of readings. Not for several threads at once."""

    def __init__(self) -> None:
        self._readings: dict[str, _Reading] = {}

    def look(self, path: str) -> Content:
        """What stands at `path` now; the same object as last time if it is the same."""
        stamp = _stamp(path)
        known = self._readings.get(path)
        if known is not None and known.is_settled and known.stamp == stamp:
            return known.content
        is_settled = _is_settled(stamp)
        content = _read(path, stamp)
        if known is not None and known.content == content:
            content = known.content
        self._readings[path] = _Reading(stamp, is_settled, content)
        return content

    def stamp(self, path: str) -> object:
        """What tells of a change of `path` for as long as its clock ticks; nothing is read."""
        return _stamp(path)

    def is_unchanged(self, seen: Iterable[tuple[str, Content]]) -> bool:
        """Whether every path still has the content with which it is paired."""
        look = self.look
        for path, content in seen:  # noqa: SIM110 (on the path of every look-up; twice as fast)
            if look(path) is not content:
                return False
        return True

    def keep_only(self, paths: Iterable[str]) -> None:
        """Forget all other paths."""
        wanted = set(paths)
        self._readings = {p: r for p, r in self._readings.items() if p in wanted}


def _stamp(path: str) -> _Stamp:
    try:
        s = os.stat(path)
    except OSError as error:
        return (error.errno or 0,)
    # The change time also tells of permissions, and of edits that put the old time back.
    return (s.st_ctime_ns, s.st_mtime_ns, s.st_size, s.st_ino, s.st_dev, s.st_mode)


def _is_settled(stamp: _Stamp) -> bool:
    if len(stamp) == 1:
        return True
    # The modification time does not count: anybody may set it to anything.
    changed_ns = stamp[0]
    tick_ns = _TICK_NS if changed_ns % _SECOND_NS else _COARSE_TICK_NS
    return changed_ns < time.time_ns() - tick_ns


def _read(path: str, stamp: _Stamp) -> Content:
    if len(stamp) == 1:
        return _nothing(stamp[0])
    mode, size = stamp[-1], stamp[2]
    limit = MAX_JSON_BYTES if path.endswith(".json") else MAX_FILE_BYTES
    try:
        if stat.S_ISDIR(mode):
            return _list(path)
        # Opening a named pipe would wait for its writer.
        if not stat.S_ISREG(mode):
            return Unreadable("is not a regular file; put a markdown file here, or remove it")
        if size > limit:
            return Unreadable(f"has {size} bytes; at most {limit} are allowed")
        with open(path, "rb") as file:
            return FileBytes(file.read(limit))
    except OSError as error:
        return _nothing(error.errno or 0)


def _nothing(number: int) -> Content:
    if number in (errno.ENOENT, errno.ENOTDIR):
        return Absent()
    advice = "; check its permissions" if number in (errno.EACCES, errno.EPERM) else ""
    return Unreadable(f"cannot be read: {os.strerror(number)}{advice}")


def _list(path: str) -> Listing:
    # Hidden entries are editors' lock files (dangling links), `._x.md` of macOS, `.git`.
    markdown, folders, has_others = [], [], False
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                folders.append(entry.name)
            elif entry.name.lower().endswith(".md"):
                markdown.append(entry.name)
            else:
                has_others = True
    return Listing(tuple(sorted(markdown)), tuple(sorted(folders)), has_others)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: it is for its own reading to say so
        return False
