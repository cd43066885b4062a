"""Notices that files may have changed: by inotify where there is it, else by looking now and then.

What it says is a hint, and no more: whoever is told compares what the files are with what they
were. So too many hints harm nobody, and for too few of them (a network's file system, a file that
is reached by a link within a link) it is looked at times all the same.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import trio

LOOK_EVERY_S = 1.0
"""Seconds between two looks where nothing tells of changes."""

LOOK_ANYWAY_EVERY_S = 15.0
"""The same where something does."""


class Watch:
    """Waits for changes at paths. An asynchronous context manager."""

    def __init__(self) -> None:
        """Watches nothing yet."""
        self._inotify: Any = None
        self._names: dict[int, set[str] | None] = {}  # by watch; None: every name counts

    async def __aenter__(self) -> Self:
        with contextlib.suppress(OSError):  # no descriptor is left, or none for this user
            # In a thread: the library asks other programs where the C library is.
            self._inotify = await trio.to_thread.run_sync(_new_inotify)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def at(self, paths: Iterable[str]) -> None:
        """Watch these from now on, be there something or not; what comes meanwhile is kept."""
        if self._inotify is None:
            return
        names: dict[int, set[str] | None] = {}
        try:
            for folder, wanted in _folders(paths).items():
                for number in self._watch(folder):
                    known = names.get(number, set())
                    both = None if wanted is None or known is None else known | wanted
                    names[number] = both
        except OSError:
            self._stop()
            return
        for number in self._names.keys() - names.keys():
            with contextlib.suppress(OSError):  # what it watched is gone
                self._inotify.rm_watch(number)
        self._names = names

    async def hint(self) -> None:
        """Wait until something may have changed there."""
        limit_s = LOOK_EVERY_S if self._inotify is None else LOOK_ANYWAY_EVERY_S
        with trio.move_on_after(limit_s):
            while True:
                if self._inotify is None:
                    await trio.sleep_forever()
                await trio.lowlevel.wait_readable(self._inotify.fileno())
                if any(map(self._concerns, self._inotify.read(timeout=0))):
                    return

    def _concerns(self, event: Any) -> bool:
        if event.wd not in self._names:
            return bool(event.wd < 0)  # some have been lost
        names = self._names[event.wd]
        return not event.name or names is None or event.name in names

    def _watch(self, folder: str) -> list[int]:
        from inotify_simple import flags

        mask = (
            flags.CREATE | flags.DELETE | flags.CLOSE_WRITE | flags.MODIFY | flags.ATTRIB
            | flags.MOVED_FROM | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF
            | flags.ONLYDIR
        )  # fmt: skip
        try:
            return [self._inotify.add_watch(folder, mask)]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):  # no more watches for this user
                raise
            return []  # it has gone since, or may not be read

    def _stop(self) -> None:
        inotify, self._inotify, self._names = self._inotify, None, {}
        if inotify is not None:
            inotify.close()


def _new_inotify() -> Any:
    if sys.platform != "linux":
        return None
    from inotify_simple import INotify

    return INotify(nonblocking=True)


def _folders(paths: Iterable[str]) -> dict[str, set[str] | None]:
    """The folders to watch for these paths, each with the names that count in it (None: all)."""
    found: dict[str, set[str] | None] = {}
    for path in {*paths}:
        for one in {path, os.path.realpath(path)}:
            if os.path.isdir(one):
                found[one] = None
            _add_parent(found, one)
    return found


def _add_parent(found: dict[str, set[str] | None], path: str) -> None:
    """The nearest folder above a path that is there, and what would have to appear in it."""
    parent, name = os.path.split(path)
    while not os.path.isdir(parent) and parent != os.path.dirname(parent):
        parent, name = os.path.split(parent)
    names = found.setdefault(parent, set())
    if names is not None:
        names.add(name)
