"""Agents whose definitions were removed: what they have accepted is served yet, then they go."""

import trio

from supervisor.pool.agent import Agent
from supervisor.pool.agent_tree import AgentTree
from supervisor.pool.book import TaskBook
from supervisor.pool.outcome import Task
from supervisor.pool.refusals import removed_error
from supervisor.pool.roles import Roles

CALLS_END_S = 0.05
"""Seconds after which it is looked again whether a call has queued a task after all."""


class Departures:
    """Sees agents off. `run` is a service of the pool's tree."""

    def __init__(
        self, agents: dict[str, Agent], roles: Roles, tree: AgentTree, book: TaskBook
    ) -> None:
        """`agents` are all that the pool knows, by name: who has gone is taken out."""
        self._agents = agents
        self._roles = roles
        self._tree = tree
        self._book = book
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """See off whoever is to go, until cancelled."""
        try:
            async with trio.open_nursery() as self._nursery:
                for agent in self._agents.values():
                    if agent.is_removed:
                        self._nursery.start_soon(self._see_off, agent)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    def look(self) -> None:
        """Definitions have been read again: see who is to go from now on, and who is not."""
        leaving = self._roles.leaving
        for agent in self._agents.values():
            was_removed, agent.is_removed = agent.is_removed, agent.defined_as in leaving
            if agent.is_removed and not was_removed and self._nursery is not None:
                self._nursery.start_soon(self._see_off, agent)
        for name in leaving - {agent.defined_as for agent in self._agents.values()}:
            self._roles.has_left(name)  # it has never been called

    async def _see_off(self, agent: Agent) -> None:
        while agent.is_removed and (agent.callers or self._tasks_of(agent)):
            for task in self._tasks_of(agent):
                await task.settled.wait()
            await trio.sleep(CALLS_END_S)
        if not agent.is_removed:  # its file is there again
            return
        agent.is_served_out = True
        posts = self._tree.posts_of(agent)
        await self._tree.follow()
        for post in posts:
            await post.worker.wait_value(None)
        agent.is_served_out = False
        if agent.defined_as not in self._roles.leaving:  # it came back in the meantime
            await self._tree.follow()
            return
        agent.answer_warmups(removed_error(agent.name))
        self._agents.pop(agent.name, None)
        if agent.defined_as not in {other.defined_as for other in self._agents.values()}:
            self._roles.has_left(agent.defined_as)

    def _tasks_of(self, agent: Agent) -> list[Task]:
        return [task for task in self._book.open() if task.mailbox == agent.name]
