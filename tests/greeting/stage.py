"""A pool that does not come up before a test lets it."""

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from tests.client import Client, Project


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


@asynccontextmanager
async def early(project: Project) -> AsyncIterator[Client]:
    """A client with a session, which begins it whether the pool is up or not."""
    async with project.connect_raw() as client:
        await client.initialize(is_early=True)
        yield client
