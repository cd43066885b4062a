"""One thread that starts and reaps every child, and never ends while the program lives.

Why a thread of its own:

* a parent-death signal belongs to the *thread* that started the child; Trio's worker threads
  retire after ten idle seconds, and the signal would fire then;
* between fork and registration a new child cannot be told from an adopted stranger; where one
  thread does both the starting and the reaping, nobody ever looks in between.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

import outcome
import trio

T = TypeVar("T")


class SpawnerThread:
    """Runs functions one after the other in one thread that outlives every child."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="spawner", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()

    async def run(self, function: Callable[[], T]) -> T:
        """`function()`, run in the thread; its result or its exception.

        Not cancellable: a caller that left early would leave a child that nobody knows.
        """
        task = trio.lowlevel.current_task()
        token = trio.lowlevel.current_trio_token()

        def job() -> None:
            result = outcome.capture(function)
            token.run_sync_soon(trio.lowlevel.reschedule, task, result)

        self._jobs.put(job)
        value: Any = await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        return cast(T, value)


_thread: SpawnerThread | None = None


def spawner() -> SpawnerThread:
    """The program's spawner thread, started at its first use."""
    global _thread
    if _thread is None:
        _thread = SpawnerThread()
    return _thread
