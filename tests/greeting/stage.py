"""A pool that does not come up before a test lets it."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.client import Project


@contextmanager
def held_back(project: Project) -> Iterator[Callable[[], None]]:
    """No relay can start the pool before what is yielded is called, or the block left.

    To each it seems that another one is about it.
    """
    project.place.prepare()
    with open(project.place.start_lock, "w", opener=_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.close


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
