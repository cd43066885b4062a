"""The agents' part of the tree: who supervises which agent, and what becomes of it.

An agent without a group has a supervisor of its own; the agents of a group (`[supervisors.<name>]`
in pool.toml) are children of one supervisor, and share its strategy, intensity and fate. All of
these supervisors are transient: one that exceeds its intensity ends, its agents are *down*, and
nothing climbs further. The tree starts it again after its cool-down, or when it is told to.

Where another configuration holds from now on, supervisors that differ from what is running are new
ones. They are started beside the old ones, and each worker lets go of its seat in the old one when
it has no task in hand, for the one in the new that has been waiting for it; so queues, and what
else an agent is, go over unharmed.

There is no restart logic here: this builds child specs, listens to the tree, and says what its
events mean for agents.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial

import trio

from supervisor.pool.agent import Agent, Seat
from supervisor.pool.branch import Branch, Post, Wanted
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
    """Supervises agents. `spec` is the child of the root, `tidy` a service."""

    def __init__(
        self,
        config: Callable[[], Config],
        agents: dict[str, Agent],
        work: Callable[[Post], StartFunction],
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """Nothing runs before `spec` does.

        Args:
            config: gives the configuration in force.
            agents: all agents that are known, by name.
            work: gives the life of the worker that is to have a post.
            emit: called with what happens to agents.
        """
        self._config = config
        self._agents = agents
        self._work = work
        self._emit = emit
        self._top: Supervisor | None = None
        self._branches: dict[str, Branch] = {}  # by id: those that are, and those that leave
        self._current: dict[str, Branch] = {}  # by what it is for
        self._changing = trio.Lock()
        self._bringing_back = trio.Lock()
        self._leaving: trio.Nursery | None = None
        self._stopping_for: dict[Branch, str] = {}  # whose restart stops its children

    @property
    def spec(self) -> ChildSpec:
        """The supervisor of all agents' supervisors."""

        async def supervise(*, task_status: ChildStatus) -> None:
            self._branches.clear()
            self._current.clear()
            for one in self._wanted():
                self._grow(one)
            children = [self._spec(b) for b in self._current.values() if b.above is None]
            # Its flags never matter: its children are transient, and end with a Shutdown.
            self._top = Supervisor(TOP, SupervisorFlags(), children)
            await self._top.run(task_status=task_status)

        return ChildSpec(TOP, supervise, type="supervisor")

    async def add(self, agent: Agent) -> None:
        """Supervise an agent that was not known before; not one that has gone meanwhile."""
        async with self._changing:
            for wanted in self._wanted():
                if wanted.key == self._key(agent):
                    await self._have(wanted)

    async def forget(self, agent: Agent) -> None:
        """Supervise an agent no more that has no process."""
        async with self._changing:
            branch = self._current.pop(agent.name, None)
            if branch is not None:
                await self._cut(branch)

    # ---- another configuration

    async def follow(self) -> None:
        """Have the tree be as it is configured now.

        What fits stays as it is. Of the rest, what is to be instead stands ready at once, and each
        worker comes into it when it has finished the task in hand; what it was in goes then.
        """
        async with self._changing:
            if self._top is None:  # it starts with what is configured then
                return
            wanted = self._wanted()
            for one in wanted:
                await self._have(one)
            for key in self._current.keys() - {one.key for one in wanted}:
                self._retire(self._current.pop(key))
            for agent in self._agents.values():
                self._see_who_is_left(agent)

    async def tidy(self, *, task_status: ChildStatus) -> None:
        """Take away what the configuration has no place for, as it becomes free."""
        try:
            async with trio.open_nursery() as self._leaving:
                for branch in list(self._branches.values()):
                    if branch.is_retired:
                        self._leaving.start_soon(self._see_off, branch)
                    else:
                        for post in branch.leaving:
                            self._leaving.start_soon(self._let_go, branch, post)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._leaving = None

    def posts_of(self, agent: Agent) -> list[Post]:
        """Where the workers of an agent are, or leave."""
        all_of_them = (p for b in self._branches.values() for p in (*b.posts, *b.leaving))
        return [post for post in all_of_them if post.agent is agent]

    def _wanted(self) -> list[Wanted]:
        """All supervisors as they are configured now, those above before those below."""
        config, found = self._config(), []
        for name in self._groups_below(""):
            table = config.supervisors[name]
            posts = [post for agent in self._members(name) for post in self._posts(agent)]
            above = GROUP + table.parent if table.parent else None
            found.append(Wanted(GROUP + name, table, above, posts))
        for agent in self._agents.values():
            if not self._group_of(agent) and agent.is_supervised and not agent.is_served_out:
                posts = self._posts(agent)
                found.append(Wanted(agent.name, config.defaults.supervisor, None, posts))
        return found

    def _posts(self, agent: Agent) -> list[Post]:
        settings = self._config().agent(agent.defined_as)
        significant = settings.significant and agent.conversation is None
        seats = [seat for seat in agent.seats if not seat.is_leaving]
        return [Post(agent, seat, settings.restart, significant) for seat in seats]

    async def _have(self, wanted: Wanted) -> None:
        """Have one supervisor as it is wanted."""
        branch = self._current.get(wanted.key)
        above = self._current[wanted.above] if wanted.above else None
        if branch is not None and branch.fits(wanted, above):
            await self._adjust(branch, wanted.posts)
            return
        if branch is not None:
            self._retire(branch)
        branch = self._grow(wanted)
        try:
            with _there_already():
                await self._above(branch).start_child(self._spec(branch))
        except SupervisorGone:  # it is started with what is above it
            if above is not None:
                for post in branch.posts:
                    self._down(post.agent, f"its {_in_words(above.key)} has ended", above)

    def _grow(self, wanted: Wanted) -> Branch:
        above = self._current[wanted.above] if wanted.above else None
        numbers = (f"{wanted.key} ({n})" if n > 1 else wanted.key for n in itertools.count(1))
        free = next(name for name in numbers if name not in self._branches)
        branch = Branch(free, wanted.key, wanted.table, above, list(wanted.posts))
        self._branches[free] = self._current[wanted.key] = branch
        if above is not None:
            above.inner.append(branch)
        return branch

    async def _adjust(self, branch: Branch, wanted: list[Post]) -> None:
        for post in branch.without(wanted):
            branch.posts.remove(post)
            branch.leaving.append(post)
            post.is_leaving = True
            if self._leaving is not None:
                self._leaving.start_soon(self._let_go, branch, post)
        for post in branch.new_of(wanted):
            branch.posts.append(post)
            try:
                with _there_already():
                    await _running(branch).start_child(self._worker(post))
            except SupervisorGone:
                self._down(post.agent, f"its {_in_words(branch.key)} has ended", branch)

    def _retire(self, branch: Branch) -> None:
        """Have a supervisor go, once its workers have let their seats go."""
        branch.is_retired = True
        branch.leaving += branch.posts
        branch.posts = []
        for post in branch.leaving:
            post.is_leaving = True
        if self._leaving is not None:
            self._leaving.start_soon(self._see_off, branch)

    async def _see_off(self, branch: Branch) -> None:
        async with trio.open_nursery() as nursery:
            for post in branch.leaving:
                nursery.start_soon(self._let_go, branch, post)
        for inner in list(branch.inner):  # they have been retired as well
            await inner.has_gone.wait()
        await self._cut(branch)

    async def _cut(self, branch: Branch) -> None:
        """Take a supervisor out of the tree that has no worker with a process."""
        with contextlib.suppress(SupervisorGone, ChildError):
            await _remove(self._above(branch), branch.id)
        self._branches.pop(branch.id, None)
        self._stopping_for.pop(branch, None)
        if branch.above is not None and branch in branch.above.inner:
            branch.above.inner.remove(branch)
        branch.has_gone.set()

    async def _let_go(self, branch: Branch, post: Post) -> None:
        """Take a worker out of the tree, once it has no task in hand."""
        if post.worker.value is not None:
            post.worker.value.leave("its place in the supervision tree has changed")
            await post.worker.wait_value(None)
        with contextlib.suppress(SupervisorGone, ChildError):
            await _remove(_running(branch), post.seat.name)
        if post in branch.leaving:
            branch.leaving.remove(post)
        if post.seat.is_leaving and post.seat in post.agent.seats:
            post.agent.seats.remove(post.seat)

    # ---- down and up

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
        branch = self._branch_of(agent)
        if agent.state != "restarting" or branch is None or branch.key != agent.name:
            return
        with _there_already(), contextlib.suppress(SupervisorGone):
            for post in branch.posts:
                if post.seat.state == "restarting":
                    await _running(branch).terminate_child(post.seat.name)
                    await _running(branch).restart_child(post.seat.name)

    async def _start_again(self, agent: Agent, ended: str | None) -> None:
        branch = self._branch_of(agent) if ended is None else self._branches.get(ended)
        if branch is None:
            return
        if ended is not None:
            await self._above(branch).terminate_child(ended)  # it may still stop its children
            await self._above(branch).restart_child(ended)
            return
        for post in branch.posts:
            if post.agent is agent:
                with _there_already():
                    await _running(branch).start_child(self._worker(post))

    # ---- child specs

    def _spec(self, branch: Branch) -> ChildSpec:
        async def supervise(*, task_status: ChildStatus) -> None:
            children = [self._worker(post) for post in branch.posts]
            children += [self._spec(inner) for inner in branch.inner if not inner.is_retired]
            listen = partial(self._listen, branch)
            supervisor = Supervisor(branch.id, _flags(branch.table), children, on_event=listen)
            branch.supervisor = supervisor
            await supervisor.run(task_status=task_status)

        cool_down_s = branch.table.cool_down
        return ChildSpec(
            branch.id, supervise, restart="transient", type="supervisor", cool_down_s=cool_down_s
        )

    def _worker(self, post: Post) -> ChildSpec:
        return ChildSpec(
            post.seat.name,
            self._work(post),
            restart=post.restart,
            shutdown="infinity",  # it ends its process by itself, and in bounded time
            significant=post.significant,
        )

    # ---- who is where

    def seat_of(self, child: str) -> Seat | None:
        """The seat of a worker, by its name in the tree; None: it is none."""
        agent = self._agent_of(child)
        return next((seat for seat in agent.seats if seat.name == child), None) if agent else None

    def about(self, child: str) -> Agent | None:
        """The agent that a child of this part of the tree is there for; None: it is a group."""
        branch = self._branches.get(child)
        return self._agent_of(child) or (self._agents.get(branch.key) if branch else None)

    def _key(self, agent: Agent) -> str:
        group = self._group_of(agent)
        return GROUP + group if group else agent.name

    def _group_of(self, agent: Agent) -> str:
        """The group of an agent; empty where it has none, as a conversation."""
        if agent.conversation is not None:
            return ""
        return self._config().agent(agent.defined_as).supervisor

    def _groups_below(self, parent: str) -> Iterator[str]:
        for name, table in self._config().supervisors.items():
            if table.parent == parent:
                yield name
                yield from self._groups_below(name)

    def _members(self, group: str) -> list[Agent]:
        """In the order of their tables, as pool.toml has them."""
        order = {name: number for number, name in enumerate(self._config().agents)}
        members = [
            agent
            for agent in self._agents.values()
            if self._group_of(agent) == group and agent.is_supervised and not agent.is_served_out
        ]
        return sorted(members, key=lambda agent: order.get(agent.defined_as, len(order)))

    def _branch_of(self, agent: Agent) -> Branch | None:
        return self._current.get(self._key(agent))

    def _above(self, branch: Branch) -> Supervisor:
        if branch.above is not None:
            return _running(branch.above)
        if self._top is None:
            raise SupervisorGone(TOP)
        return self._top

    def _agent_of(self, child: str) -> Agent | None:
        """The agent whose worker that child is; None: it is a group."""
        return self._agents.get(child.rpartition("#")[0])

    # ---- what the tree tells

    def _listen(self, branch: Branch, event: Event) -> None:
        if branch.is_retired:
            return  # what becomes of its agents is told by where they are now
        match event:
            case ChildRestarting(child_id=child, delay_s=delay_s):
                self._stopping_for[branch] = child
                self._restarting(branch.post(child), delay_s)
            case ChildStarted():
                # A group has been stopped as a whole before its first member starts.
                self._stopping_for.pop(branch, None)
            case ChildExited(child_id=child, cause=cause, asked=asked):
                post = branch.post(child)
                if post is not None and asked:
                    self._stopped_with_group(branch, post)
                elif post is not None:
                    self._crashed(post, str(cause))
            case IntensityExceededEvent(child_id=child, cause=cause):
                times = f"{event.intensity + 1} times within {event.period_s:g} s"
                reason = f"it failed {times}, at last because {cause}"
                if branch.key.startswith(GROUP):
                    group = _in_words(branch.key)
                    reason = f"its {group} failed {times}, at last {child} because {cause}"
                self._ended(branch, reason, branch.table.cool_down, self._culprit(branch, child))
            case AutoShutdownEvent(child_id=child):
                reason = f"its {_in_words(branch.key)} ended with {child}, a significant child"
                self._ended(branch, reason, culprit=self._culprit(branch, child))
            case _:
                pass

    def _restarting(self, post: Post | None, delay_s: float) -> None:
        if post is not None:
            self._is_restarted(post, round(delay_s, 3), post.seat.last_crash)

    def _stopped_with_group(self, branch: Branch, post: Post) -> None:
        cause = self._restart_around(branch)
        if post.agent.down is not None or cause is None:
            return
        if post.restart == "temporary" and branch in self._stopping_for:
            # It is forgotten; where its supervisor itself is restarted, it is started with that.
            self._crashed(post, f"its group was restarted for {cause}")
        else:
            self._is_restarted(post, 0.0, f"its group is restarted for {cause}")

    def _is_restarted(self, post: Post, delay_s: float, why: str) -> None:
        post.seat.state = "restarting"
        post.agent.figures.restarts += 1
        self._emit(WorkerRestarted(post.agent.name, delay_s, why, worker=post.seat.name))

    def _crashed(self, post: Post, cause: str) -> None:
        post.seat.last_crash = cause
        if post.restart != "temporary":
            return
        post.seat.state, post.seat.gone = "stopped", True
        self._see_who_is_left(post.agent)

    def _see_who_is_left(self, agent: Agent) -> None:
        """An agent whose workers have ended for good is down, though others finish a task yet."""
        gone = [seat for seat in agent.seats if seat.gone]
        is_served = any(not (seat.gone or seat.is_leaving) for seat in agent.seats)
        if gone and not is_served and agent.down is None:
            self._down(agent, f"{gone[0].last_crash}, and it is not to be restarted", None)

    def _culprit(self, branch: Branch, child: str) -> str | None:
        """The agent whose end was that of a child: a worker, or a supervisor that took it down."""
        post = branch.post(child)
        if post is not None:
            return post.agent.defined_as
        inner = self._branches.get(child)
        downs = () if inner is None else (post.agent.down for post in inner.all_posts())
        return next((down.culprit for down in downs if down is not None), None)

    def _ended(
        self,
        branch: Branch,
        reason: str,
        cool_down_s: float | None = None,
        culprit: str | None = None,
    ) -> None:
        for post in branch.all_posts():
            self._down(post.agent, reason, branch, cool_down_s, culprit)

    def _down(
        self,
        agent: Agent,
        reason: str,
        ended: Branch | None,
        cool_down_s: float | None = None,
        culprit: str | None = None,
    ) -> None:
        if agent.go_down(reason, None if ended is None else ended.id, cool_down_s, culprit):
            self._emit(AgentDown(agent.name, reason))

    def _restart_around(self, branch: Branch) -> str | None:
        """The child whose restart stops what is below `branch`, if there is one."""
        around: Branch | None = branch
        while around is not None:
            if around in self._stopping_for:
                return self._stopping_for[around]
            around = around.above
        return None


def _running(branch: Branch) -> Supervisor:
    if branch.supervisor is None:
        raise SupervisorGone(branch.id)
    return branch.supervisor


async def _remove(supervisor: Supervisor, child: str) -> None:
    """Have a child end, and its supervisor know nothing of it any more.

    Raises:
        ChildError, SupervisorGone: the same holds without that.
    """
    while True:
        await supervisor.terminate_child(child)
        try:
            await supervisor.delete_child(child)
        except ChildError as error:
            if error.code not in ("running", "restarting"):
                raise
            # Between the two, a restart of its group has started it again.
        else:
            return


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
