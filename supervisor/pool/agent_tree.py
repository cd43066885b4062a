"""The agents' part of the tree: who supervises which agent, and what becomes of it.

An agent without a group has a supervisor of its own; the agents of a group (`[supervisors.<name>]`
in pool.toml) are children of one supervisor, and share its strategy, intensity and fate. All of
these supervisors are transient: one that exceeds its intensity ends, its agents are *down*, and
nothing climbs further. The tree starts it again after its cool-down, or when it is told to.

There is no restart logic here: this builds child specs, listens to the tree, and says what its
events mean for agents.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import trio

from supervisor.pool.agent import Agent, Seat
from supervisor.pool.config import Config, SupervisorTable
from supervisor.pool.events import AgentDown, PoolEvent, WorkerRestarted
from supervisor.tree import (
    AutoShutdownEvent,
    Backoff,
    ChildError,
    ChildExited,
    ChildRestarting,
    ChildSpec,
    ChildStarted,
    ChildStatus,
    Event,
    IntensityExceededEvent,
    StartFunction,
    Supervisor,
    SupervisorFlags,
    SupervisorGone,
)

TOP = "agents"
"""The supervisor of all the others here, by its name."""

GROUP = "group:"
"""What the name of a group's supervisor begins with. No agent's name has a colon."""


class AgentTree:
    """Supervises agents. `spec` is the child of the root."""

    def __init__(
        self,
        config: Callable[[], Config],
        agents: dict[str, Agent],
        work: Callable[[Agent, Seat], StartFunction],
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """Nothing runs before `spec` does.

        Args:
            config: gives the configuration in force.
            agents: all agents that are known, by name.
            work: gives the life of the worker that has a seat of an agent.
            emit: called with what happens to agents.
        """
        self._config = config
        self._agents = agents
        self._work = work
        self._emit = emit
        self._supervisors: dict[str, Supervisor] = {}
        self._bringing_back = trio.Lock()
        self._stopping_for: dict[str, str] = {}  # supervisor → whose restart stops its children

    @property
    def spec(self) -> ChildSpec:
        """The supervisor of all agents' supervisors."""

        async def supervise(*, task_status: ChildStatus) -> None:
            children = [self._group(name) for name in self._groups_in("")]
            children += [
                self._own(agent) for agent in self._agents.values() if not self._group_of(agent)
            ]
            # Its flags never matter: its children are transient, and end with a Shutdown.
            top = self._supervisors[TOP] = Supervisor(TOP, SupervisorFlags(), children)
            await top.run(task_status=task_status)

        return ChildSpec(TOP, supervise, type="supervisor")

    async def add(self, agent: Agent) -> None:
        """Supervise an agent that was not known before."""
        group = self._group_of(agent)
        if not group:
            # Gone: the supervisor of all is being restarted, and starts whoever is known.
            with _there_already(), contextlib.suppress(SupervisorGone):
                await self._supervisors[TOP].start_child(self._own(agent))
            return
        try:
            await self._start_workers(agent)
        except (SupervisorGone, KeyError):
            self._down(agent, f'its group "{group}" has ended', GROUP + group)

    async def forget(self, agent: Agent) -> None:
        """Supervise an agent no more that has no process."""
        with contextlib.suppress(SupervisorGone, ChildError):
            await self._supervisors[TOP].terminate_child(agent.name)
            await self._supervisors[TOP].delete_child(agent.name)
        self._supervisors.pop(agent.name, None)

    async def add_groups(self) -> None:
        """Start the groups of the configuration that are not there yet."""
        for name in self._groups_in(""):
            with _there_already():
                await self._supervisors[TOP].start_child(self._group(name))

    async def bring_back(self, agent: Agent) -> None:
        """Start again what has ended above a down agent; have one that waits for its restart go.

        Of a group nothing is hurried: its restart is one of several agents, in order.
        """
        # One at a time: what one caller has started, the next is not to stop again.
        async with self._bringing_back:
            if agent.down is None:
                await self._hurry(agent)
                return
            # Gone: what is above has ended as well. The agent stays down then, and says so.
            with _there_already(), contextlib.suppress(SupervisorGone):
                await self._start_again(agent, agent.down.ended)

    async def _hurry(self, agent: Agent) -> None:
        if agent.state != "restarting" or self._group_of(agent):
            return
        with _there_already(), contextlib.suppress(SupervisorGone):
            own = self._supervisors[agent.name]
            for seat in agent.seats:
                if seat.state == "restarting":
                    await own.terminate_child(seat.name)
                    await own.restart_child(seat.name)

    async def _start_again(self, agent: Agent, ended: str | None) -> None:
        if ended is None:
            await self._start_workers(agent)
            return
        above = self._parent_of(ended)
        await above.terminate_child(ended)  # it may still be stopping its children
        await above.restart_child(ended)

    async def _start_workers(self, agent: Agent) -> None:
        group = self._group_of(agent)
        above = self._supervisors[GROUP + group if group else agent.name]
        for seat in agent.seats:
            with _there_already():
                await above.start_child(self._worker(agent, seat))

    def seat_of(self, child: str) -> Seat | None:
        """The seat of a worker, by its name in the tree; None: it is none."""
        agent = self._agent_of(child)
        return next((seat for seat in agent.seats if seat.name == child), None) if agent else None

    def about(self, child: str) -> Agent | None:
        """The agent that a child of this part of the tree is there for; None: it is a group."""
        return self._agent_of(child) or self._agents.get(child)

    # ---- child specs

    def _own(self, agent: Agent) -> ChildSpec:
        table = self._config().defaults.supervisor
        return self._supervisor(agent.name, table, lambda: self._workers(agent))

    def _group(self, name: str) -> ChildSpec:
        def children() -> list[ChildSpec]:
            members = [spec for agent in self._members(name) for spec in self._workers(agent)]
            return members + [self._group(inner) for inner in self._groups_in(name)]

        return self._supervisor(GROUP + name, self._config().supervisors[name], children)

    def _supervisor(
        self, name: str, table: SupervisorTable, children: Callable[[], list[ChildSpec]]
    ) -> ChildSpec:
        async def supervise(*, task_status: ChildStatus) -> None:
            listen = partial(self._listen, name)
            supervisor = Supervisor(name, _flags(table), children(), on_event=listen)
            self._supervisors[name] = supervisor
            await supervisor.run(task_status=task_status)

        return ChildSpec(
            name, supervise, restart="transient", type="supervisor", cool_down_s=table.cool_down
        )

    def _workers(self, agent: Agent) -> list[ChildSpec]:
        return [self._worker(agent, seat) for seat in agent.seats]

    def _worker(self, agent: Agent, seat: Seat) -> ChildSpec:
        settings = self._config().agent(agent.defined_as)
        return ChildSpec(
            seat.name,
            self._work(agent, seat),
            restart=settings.restart,
            shutdown="infinity",  # it ends its process by itself, and in bounded time
            significant=settings.significant and agent.conversation is None,
        )

    # ---- who is where

    def _group_of(self, agent: Agent) -> str:
        """The group of an agent; empty where it has none, as a conversation."""
        if agent.conversation is not None:
            return ""
        return self._config().agent(agent.defined_as).supervisor

    def _groups_in(self, parent: str) -> list[str]:
        groups = self._config().supervisors.items()
        return [name for name, table in groups if table.parent == parent]

    def _members(self, group: str) -> list[Agent]:
        return [agent for agent in self._agents.values() if self._group_of(agent) == group]

    def _below(self, supervisor: str) -> Iterator[Agent]:
        if not supervisor.startswith(GROUP):
            yield self._agents[supervisor]
            return
        group = supervisor.removeprefix(GROUP)
        yield from self._members(group)
        for inner in self._groups_in(group):
            yield from self._below(GROUP + inner)

    def _parent_of(self, supervisor: str) -> Supervisor:
        parent = ""
        if supervisor.startswith(GROUP):
            parent = self._config().supervisors[supervisor.removeprefix(GROUP)].parent
        return self._supervisors[GROUP + parent if parent else TOP]

    # ---- what the tree tells

    def _listen(self, supervisor: str, event: Event) -> None:
        match event:
            case ChildRestarting(child_id=child, delay_s=delay_s):
                self._stopping_for[supervisor] = child
                self._restarting(child, delay_s)
            case ChildStarted():
                # A group has been stopped as a whole before its first member starts.
                self._stopping_for.pop(supervisor, None)
            case ChildExited(child_id=child, cause=cause, asked=asked):
                seat = self.seat_of(child)
                if seat is not None and asked:
                    self._stopped_with_group(child, seat, self._restart_around(supervisor))
                elif seat is not None:
                    self._crashed(child, seat, str(cause))
            case IntensityExceededEvent(child_id=child, cause=cause):
                times = f"{event.intensity + 1} times within {event.period_s:g} s"
                reason = f"it failed {times}, at last because {cause}"
                if supervisor.startswith(GROUP):
                    told = _in_words(supervisor)
                    reason = f"its {told} failed {times}, at last {child} because {cause}"
                self._ended(supervisor, reason, self._table(supervisor).cool_down)
            case AutoShutdownEvent(child_id=child):
                told = _in_words(supervisor)
                self._ended(supervisor, f"its {told} ended with {child}, a significant child")
            case _:
                pass

    def _restarting(self, child: str, delay_s: float) -> None:
        agent, seat = self._agent_of(child), self.seat_of(child)
        if agent is not None and seat is not None:
            self._is_restarted(agent, seat, round(delay_s, 3), seat.last_crash)

    def _stopped_with_group(self, child: str, seat: Seat, cause: str | None) -> None:
        agent = self._agent_of(child)
        if agent is not None and agent.down is None and cause is not None:
            self._is_restarted(agent, seat, 0.0, f"its group is restarted for {cause}")

    def _is_restarted(self, agent: Agent, seat: Seat, delay_s: float, why: str) -> None:
        seat.state = "restarting"
        agent.figures.restarts += 1
        self._emit(WorkerRestarted(agent.name, delay_s, why, worker=seat.name))

    def _crashed(self, child: str, seat: Seat, cause: str) -> None:
        agent = self._agent_of(child)
        seat.last_crash = cause
        if agent is None or self._config().agent(agent.defined_as).restart != "temporary":
            return
        seat.state, seat.gone = "stopped", True
        if all(one.gone for one in agent.seats):
            self._down(agent, f"{cause}, and it is not to be restarted", None)

    def _ended(self, supervisor: str, reason: str, cool_down_s: float | None = None) -> None:
        for agent in self._below(supervisor):
            self._down(agent, reason, supervisor, cool_down_s)

    def _table(self, supervisor: str) -> SupervisorTable:
        if not supervisor.startswith(GROUP):
            return self._config().defaults.supervisor
        return self._config().supervisors[supervisor.removeprefix(GROUP)]

    def _down(
        self, agent: Agent, reason: str, ended: str | None, cool_down_s: float | None = None
    ) -> None:
        if agent.go_down(reason, ended, cool_down_s):
            self._emit(AgentDown(agent.name, reason))

    def _restart_around(self, supervisor: str) -> str | None:
        """The child whose restart stops what is below `supervisor`, if there is one."""
        while True:
            cause = self._stopping_for.get(supervisor)
            if cause is not None or not supervisor.startswith(GROUP):
                return cause
            parent = self._config().supervisors[supervisor.removeprefix(GROUP)].parent
            supervisor = GROUP + parent if parent else TOP

    def _agent_of(self, child: str) -> Agent | None:
        """The agent whose worker that child is; None: it is a group."""
        return self._agents.get(child.rpartition("#")[0])


def _in_words(supervisor: str) -> str:
    return supervisor.replace(GROUP, "group ", 1)


def _flags(table: SupervisorTable) -> SupervisorFlags:
    backoff = Backoff(
        initial_s=table.backoff.initial,
        maximum_s=table.backoff.maximum,
        jitter=table.backoff.jitter,
        reset_after_s=table.backoff.reset_after,
    )
    return SupervisorFlags(
        table.strategy, table.intensity, table.period, table.auto_shutdown, backoff
    )


@contextlib.contextmanager
def _there_already() -> Iterator[None]:
    """Somebody else was first."""
    try:
        yield
    except ChildError as error:
        if error.code not in ("already_started", "already_present", "running", "restarting"):
            raise
