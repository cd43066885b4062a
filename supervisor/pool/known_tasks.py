"""All tasks that can be asked for: those that this pool knows, and on record those before."""

import trio

from supervisor.ledger import TaskFilter
from supervisor.pool.book import TaskBook, WaitMode, unknown_task_error
from supervisor.pool.journal import Journal
from supervisor.pool.outcome import PoolError, Task


class KnownTasks:
    """Finds tasks, and waits for them."""

    def __init__(self, book: TaskBook, journal: Journal) -> None:
        """What is in neither of them is not known."""
        self._book = book
        self._journal = journal

    async def find(self, task_id: str) -> Task:
        """A task by its id, of this pool or one before, whether it has its outcome or not.

        Raises:
            PoolError: `unknown_task`; or the ledger cannot be read.
        """
        task = self._book.find(task_id) or await self._journal.find(task_id)
        if task is None:
            raise PoolError(unknown_task_error(task_id))
        if task.recorder is None and task.reply_path is not None:
            task.reply_limit = 1  # it was long when it ended
        return task

    async def recorded(self, task: Task) -> None:
        """Wait until the outcome of a task is on record, as far as it can be."""
        await task.settled.wait()
        await self._journal.written(task)

    async def newest(self, wanted: TaskFilter, limit: int) -> list[Task]:
        """The newest tasks that fit, the newest first.

        Raises:
            PoolError: the ledger cannot be read, and this pool itself knows of none.
        """
        ours = self._book.newest(wanted, limit)
        try:
            found = await self._journal.tasks(wanted, limit)
        except PoolError:
            if not ours:
                raise
            return ours  # what this pool knows itself is told all the same
        if found is None:
            return ours
        return [self._book.find(task.id) or task for task in found]

    async def wait(self, task_ids: list[str], timeout_s: float, mode: WaitMode) -> list[Task]:
        """Wait until any or all of these tasks have their outcome, but not for longer than that.

        Raises:
            PoolError: `unknown_task`.
        """
        tasks = [await self.find(task_id) for task_id in task_ids]
        enough = any if mode == "any" else all
        with trio.move_on_after(timeout_s):
            async with trio.open_nursery() as nursery:
                if enough(task.outcome is not None for task in tasks):
                    nursery.cancel_scope.cancel()

                async def watch(task: Task) -> None:
                    await task.settled.wait()
                    if enough(one.outcome is not None for one in tasks):
                        nursery.cancel_scope.cancel()

                for task in tasks:
                    nursery.start_soon(watch, task)
        for task in tasks:
            if task.outcome is not None:
                await self._journal.written(task)
        return tasks
