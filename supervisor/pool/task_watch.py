"""The watch over accepted tasks: each is brought to its outcome in time, whoever else has it."""

from collections.abc import Awaitable, Callable, Mapping

import trio

from supervisor.pool.agent import Agent
from supervisor.pool.book import TaskBook
from supervisor.pool.events import PoolEvent, TaskEnded
from supervisor.pool.outcome import Task, TaskError, TaskResult
from supervisor.pool.refusals import deadline_error
from supervisor.tree import ChildStatus


class TaskWatch:
    """Watches over tasks. `run` is a service of the pool's tree."""

    def __init__(
        self,
        agents: Mapping[str, Agent],
        book: TaskBook,
        grace_s: Callable[[], float],
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """Nothing happens before `run`.

        Args:
            agents: all that the pool knows, by name.
            book: where the tasks are.
            grace_s: gives how long a task runs on whose caller is lost.
            emit: called with the end of each task.
        """
        self.idle = trio.Event()
        """Set while no task is accepted and not yet settled; replaced when one is."""
        self.idle.set()
        self._agents = agents
        self._book = book
        self._grace_s = grace_s
        self._emit = emit
        self._watchers: trio.Nursery | None = None

    async def run(self, *, task_status: ChildStatus) -> None:
        """Bring every accepted task to its outcome in time, whoever else has it."""
        try:
            async with trio.open_nursery() as self._watchers:
                for task in self._book.open():
                    self._watchers.start_soon(self._watch, self._agents[task.mailbox], task)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._watchers = None

    def begin(self, agent: Agent, task: Task) -> None:
        """Watch over a task that has been accepted."""
        self._book.add(task)
        if self.idle.is_set():
            self.idle = trio.Event()
        if self._watchers is not None:  # else it is watched as soon as the watch is there again
            self._watchers.start_soon(self._watch, agent, task)

    def beside(self, work: Callable[[Agent], Awaitable[object]], agent: Agent) -> bool:
        """Have something done beside; False: it is not, since `run` does not run."""
        if self._watchers is None:
            return False
        self._watchers.start_soon(work, agent)
        return True

    def cancel(self, task: Task) -> None:
        """End a task that its caller no longer wants."""
        error = TaskError("cancelled", "the task was cancelled by its caller.", "", task.times())
        if task.settle(error):
            self._agents[task.mailbox].queue.forget_settled()

    def client_lost(self, task: Task) -> None:
        """The connection of a task's caller is lost: it runs on for the grace, then ends."""
        if self._watchers is not None:
            self._watchers.start_soon(self._cancel_later, task)

    async def _watch(self, agent: Agent, task: Task) -> None:
        with task.clock.move_on_after(task.deadline - trio.current_time()):
            await task.settled.wait()
        if task.settle(deadline_error(task)):
            agent.queue.forget_settled()
        self._book.has_ended(task)
        if not self._book.open():
            self.idle.set()
        done = isinstance(task.outcome, TaskResult)
        agent.figures.tasks_done += done
        agent.figures.tasks_failed += not done
        code = task.outcome.code if isinstance(task.outcome, TaskError) else "result"
        cost = task.outcome.cost_usd if isinstance(task.outcome, TaskResult) else None
        self._emit(
            TaskEnded(
                agent.name,
                code,
                **task.times(),
                pid=task.pid,
                cost_usd=cost,
                worker=task.worker,
                task_id=task.id,
                attempt=task.attempts or None,
            )
        )

    async def _cancel_later(self, task: Task) -> None:
        with trio.move_on_after(self._grace_s()):
            await task.settled.wait()
        self.cancel(task)
