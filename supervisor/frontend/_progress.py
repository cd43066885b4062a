"""What callers are told while they wait: what their task's agent does, how far it is."""

from collections.abc import Sequence

import trio
from mcp.server.session import ServerSession

from supervisor.frontend._answers import clean
from supervisor.pool import WAITS, Pool, Task

EVERY_S = 5.0
"""Seconds after which progress is reported though nothing changed."""

GAP_S = 0.5
"""Seconds between two reports, however fast things change."""

SHOWN = 3
"""Tasks of many that a report tells of."""


def doing(pool: Pool, task: Task) -> str:
    """What happens with a task now: `Bash: make test`, `waiting in the queue, place 2 of 5`."""
    now: str = task.doing.value
    place = pool.place_in_queue(task) if now == WAITS else None
    return now if place is None else f"{now}, place {place} of {pool.queue_length(task)}"


async def report(pool: Pool, task: Task, session: ServerSession) -> None:
    """Report the progress of one task until cancelled.

    To a client that did not ask for it, the SDK sends nothing.
    """
    while True:
        elapsed = trio.current_time() - task.accepted_at
        told = task.doing.value
        figures = [f"{elapsed:.0f} s"]
        figures += [f"{task.tokens_so_far:,} tokens"] if task.tokens_so_far else []
        message = f"{task.agent}: {doing(pool, task)} ({', '.join(figures)}; task {task.id})"
        await session.report_progress(round(elapsed, 3), None, clean(message))
        await trio.sleep(GAP_S)
        with trio.move_on_after(EVERY_S):
            await task.doing.wait_value(lambda now, told=told: now != told)


class Steps:
    """What the progress of many tasks is told as: each value is above the last, as MCP wants it.

    Between two tasks that are done it creeps towards the next whole number.
    """

    def __init__(self) -> None:
        self._last = -1.0

    def next(self, done: int) -> float:
        """The value to tell while so many are done."""
        between = self._last + (done + 1 - self._last) / 100
        self._last = done if done > self._last else between
        return self._last


def of_many(pool: Pool, done: int, total: int, open_tasks: Sequence[Task]) -> str:
    """How far many tasks are, and what the first that are open do."""
    shown = [f"{task.agent}: {doing(pool, task)}" for task in open_tasks[:SHOWN]]
    more = len(open_tasks) - len(shown)
    shown += [f"and {more} more"] if more else []
    return clean("; ".join([f"{done} of {total} done", *shown]))
