"""What the ledger's tests share: a ledger in a folder, tasks for it, and disks that fail."""

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import trio

from supervisor.ledger import Ledger, LedgerError, Settings, TaskRecord

LIMIT_S = 30
"""For what takes milliseconds, on a machine that is busy."""

NOW = 1_700_000_000.0
"""A Tuesday, 22:13:20 UTC."""

NAME = "ledger.sqlite"


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[Ledger]:
    """The ledger of `folder`; a failed write is tried again after 10 ms."""
    values: dict[str, Any] = {"clock": Clock(), "first_retry_s": 0.01, "busy_timeout_s": 0.1}
    with trio.fail_after(LIMIT_S):
        ledger = await Ledger.open(folder / NAME, folder / "replies", Settings(**values | settings))
        async with ledger:
            yield ledger


def task(task_id: str = "t-1", agent: str = "reviewer", **rest: Any) -> TaskRecord:
    return TaskRecord(task_id, agent, **{"accepted_at": NOW, **rest})


async def accepted(ledger: Ledger, *task_ids: str, **rest: Any) -> None:
    for task_id in task_ids:
        await ledger.accept(task(task_id, **rest), f"the text of {task_id}")


async def broken(ledger: Ledger) -> LedgerError:
    """Why it is broken, once it is."""
    found: LedgerError = await ledger.problem.wait_value(lambda problem: problem is not None)
    return found


async def mended(ledger: Ledger) -> None:
    """Wait until it writes again."""
    await ledger.problem.wait_value(None)


@contextmanager
def no_write_works() -> Iterator[None]:
    """Every write to a file of this program fails, as on a bad disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@asynccontextmanager
async def disk_full(ledger: Ledger) -> AsyncIterator[None]:
    """The file cannot grow any more."""
    await _limit_pages(ledger, 1)  # it cannot be less than there are
    try:
        yield
    finally:
        await _limit_pages(ledger, 2**30)


async def _limit_pages(ledger: Ledger, pages: int) -> None:
    statement = f"PRAGMA max_page_count = {pages}"
    await ledger._writer.run(lambda connection: connection.execute(statement).fetchall())
