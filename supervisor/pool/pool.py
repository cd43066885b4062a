"""The pool: agents under supervision, tasks accepted and brought to their outcome."""

import contextlib
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import trio

from supervisor.agents import Folders, canonical
from supervisor.ledger import By, Stats, TaskRecord
from supervisor.logs import OnLine
from supervisor.place import TAG
from supervisor.pool.agent import Agent, Limits, Ready, Seat
from supervisor.pool.agent_tree import AgentTree
from supervisor.pool.book import TaskBook
from supervisor.pool.boot import Launch, Profile, Yard, conversing
from supervisor.pool.branch import Post, taking_turns
from supervisor.pool.budget import Budget
from supervisor.pool.config import (
    AgentTable,
    Config,
    ConfigFiles,
    ConfigInForce,
    task_timeout_s,
)
from supervisor.pool.conversations import check_name, forgettable, make_room
from supervisor.pool.departures import Departures
from supervisor.pool.events import PoolEvent, TaskQueued, WorkerStarted
from supervisor.pool.journal import Journal, revived
from supervisor.pool.known_tasks import KnownTasks
from supervisor.pool.memory import MemoryGovernor, Watched
from supervisor.pool.outcome import PoolError, Priority, Task
from supervisor.pool.permission import Desk
from supervisor.pool.read_only import check_only_reads
from supervisor.pool.refusals import (
    check_text,
    config_error,
    spent_error,
    stopping_error,
)
from supervisor.pool.reload import Reloaded, Reloader
from supervisor.pool.report import add_memory, agent_rows, tree_rows
from supervisor.pool.roles import Roles
from supervisor.pool.serving import Surroundings
from supervisor.pool.spares import SpareKeeper
from supervisor.pool.task_watch import TaskWatch
from supervisor.pool.worker import Worker
from supervisor.process import LocalHost
from supervisor.temporary import SPARE, TemporaryFolders
from supervisor.tree import (
    ChildSpec,
    ChildStatus,
    StartFunction,
    Supervisor,
    SupervisorFlags,
    snapshot,
)


class Pool:
    """One project's agents. `children` go below the root; call the rest from the same Trio run."""

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        files: ConfigFiles,
        folders: Folders,
        emit: Callable[[PoolEvent], None],
        mark: str,
        temporary: TemporaryFolders | None = None,
        state: Path | None = None,
        transcript: Callable[[str], OnLine | None] = lambda _: None,
    ) -> None:
        """A wrong configuration does not stop a pool: it starts degraded, and says so.

        Args:
            root: the project; agents run there.
            environ: the environment that settles how agents are started.
            files: where pool.toml is looked for.
            folders: where definitions are looked for.
            emit: called with each event.
            mark: what the tag of each of its processes begins with; by it the next pool of the
                same place finds what a killed one left.
            temporary: where processes get folders for their temporary files.
            state: the folder of the ledger; None: tasks are known for as long as the pool lives.
            transcript: called with a task's id, for who is told what its process reads and prints.
        """
        self.root = root
        """The project."""
        self.root_supervisor: Supervisor | None = None
        """The tree's root, once it runs: for `tree`."""
        self.log: Path | None = None
        """Its log, for who reads that; None: it has none."""
        self._environ = dict(environ)
        self._emit = emit
        self._in_force = ConfigInForce(files, self._environ)
        self._roles = Roles(root, self._environ, folders, lambda: self.config)
        self._in_force.look_closer(self._roles.not_startable)
        self.define = self._roles.define
        """An agent's role as its files and pool.toml say; raises PoolError."""
        self.on_reload: Callable[[], None] = lambda: None
        """Called when other settings hold than before, with those in `config`."""
        self._agents: dict[str, Agent] = {}
        self._workers: dict[Seat, Worker] = {}
        self._book = TaskBook()
        self._journal = Journal(state, lambda: self.config.ledger, emit)
        self._journal.runs_on = lambda name: self.settings(name).on_restart == "run"
        self._journal.on_interrupted = self._run_again
        known = KnownTasks(self._book, self._journal)
        self.find, self.recorded, self.wait = known.find, known.recorded, known.wait
        """A task by its id; until its outcome is on record; for some of them. See `KnownTasks`."""
        self.tasks = known.newest
        """The newest tasks that fit; raises PoolError."""
        self._task_watch = TaskWatch(
            self._agents, self._book, lambda: self.config.pool.disconnect_grace, emit
        )
        self.cancel = self._task_watch.cancel
        """End a task that its caller no longer wants."""
        self.client_lost = self._task_watch.client_lost
        """The connection of a task's caller is lost: it runs on for the grace, then ends."""
        self._stopping = False
        self._host = LocalHost(TAG)
        self._budget = Budget(self._running, lambda: self.config.pool, emit)
        yard = Yard(
            host=self._host,
            clis=self._roles.clis,
            mark=f"{mark}.{uuid.uuid4().hex[:8]}",
            starting=trio.CapacityLimiter(self._spawn_limit),
            emit=self._tell,
            admit=self._budget.admit,
            left=self._budget.left,
            temporary=temporary,
            transcript=transcript,
        )
        self._spares = SpareKeeper(
            yard,
            self._wanted_spares,
            self._budget,
            lambda: self.config.defaults.agent.start_timeout,
            emit,
        )
        self._budget.end_spare = self._spares.end_one
        self._yard = yard
        self._around = Surroundings(
            self._roles.serving,
            self._launch,
            self.settings,
            yard,
            self._spares.take,
            self._keep_session,
        )
        self._governor = MemoryGovernor(self._watched, self._host, self._budget, emit)
        self._tree = AgentTree(lambda: self.config, self._agents, self._work, emit)
        self._know_members()
        self._departures = Departures(self._agents, self._roles, self._tree, self._book)
        self._reloader = Reloader(self._in_force, self._roles, self._follow, emit)

    # configuration

    @property
    def config(self) -> Config:
        """The configuration in force: the built-in one while the user's is wrong."""
        return self._in_force.config

    @property
    def name(self) -> str:
        """What it is called."""
        return self.config.pool.name or self.root.name

    @property
    def warnings(self) -> list[str]:
        """What of the configuration is left out, and what names no agent; that there is none."""
        loaded, lack = self._in_force.loaded, self._roles.lack
        told = map(str, (*loaded.warnings, *loaded.undefined(self._roles.names)))
        return [*told, *([] if lack is None else [lack])]

    @property
    def ledger_problem(self) -> str | None:
        """Why no task can be put on record, so that new ones are refused; None: all is well."""
        problem = self._journal.problem
        return None if problem is None else str(problem)

    @property
    def refused(self) -> list[str]:
        """What is wrong with files that have been changed: what they said before goes on."""
        broken = self._roles.refused.values()
        findings = [str(f) for one in broken for f in one.findings if f.is_error]
        return [*map(str, self._in_force.refused), *dict.fromkeys(findings)]

    @property
    def problem(self) -> str | None:
        """Why the pool is degraded, or None."""
        return None if self._in_force.error is None else str(self._in_force.error)

    def settings(self, name: str) -> AgentTable:
        """What is configured for the agent `name`."""
        return self.config.agent(name)

    async def reload(self, why: str) -> Reloaded:
        """Read all files now, and have what is right of them hold; `why` is for the log."""
        return await self._reloader.now(why)

    @property
    def last_reload(self) -> Reloaded:
        """What came of the last reload by which something changed."""
        return self._reloader.last

    async def _follow(self) -> None:
        """Go by the configuration and the definitions that are in force now."""
        if self._stopping:
            return
        self._departures.look()
        self._know_members()
        for agent in self._agents.values():
            agent.resize()
        await self._tree.follow()
        for agent in self._agents.values():
            agent.poke()
        for agent, seat, _ in self._running():
            if seat.process is not None:
                seat.process.limit_memory(self.settings(agent.defined_as).hard_ceiling)
        self._yard.starting.total_tokens = self._spawn_limit
        self._spares.poke()
        self.on_reload()

    @property
    def _spawn_limit(self) -> int:
        return self.config.pool.spawn_limit or os.cpu_count() or 1

    # running

    @property
    def idle(self) -> trio.Event:
        """Set while no task is accepted and not yet settled; replaced when one is."""
        return self._task_watch.idle

    @property
    def children(self) -> list[ChildSpec]:
        """The pool's part of the tree: child specs for the root."""

        async def serve(*, task_status: ChildStatus) -> None:
            services = Supervisor(
                "services",
                SupervisorFlags(intensity=5, period_s=60),
                [
                    ChildSpec("ledger", self._journal.run),
                    ChildSpec("task watch", self._task_watch.run),
                    ChildSpec("memory governor", self._governor.run),
                    ChildSpec("spare keeper", self._spares.run),
                    ChildSpec("definition watcher", self._reloader.run),
                    ChildSpec("tree keeper", self._tree.tidy),
                    ChildSpec("departures", self._departures.run),
                ],
            )
            await services.run(task_status=task_status)

        return [ChildSpec("services", serve, type="supervisor"), self._tree.spec]

    async def drain(self) -> None:
        """Accept nothing more; let tasks in hand finish for the grace, then end them all."""
        self._stopping = True
        error = stopping_error()
        for agent in self._agents.values():
            agent.fail_waiting(error)
        with trio.move_on_after(self.config.pool.shutdown_grace):
            await self.idle.wait()
        for task in self._book.open():
            task.settle(error)
        # All at once: a supervisor would stop them one after the other, each with its grace.
        async with trio.open_nursery() as nursery:
            for worker in self._workers.values():
                nursery.start_soon(worker.retire, error)

    # calls

    async def submit(
        self,
        name: str,
        text: str,
        timeout_s: float | None = None,
        *,
        caller: str = "",
        priority: Priority | None = None,
        conversation: str | None = None,
        reply_limit: int | None = None,
        background: bool = False,
        only_reads: bool = False,
        desk: Desk | None = None,
    ) -> Task:
        """Accept a task; its outcome comes with `Task.settled`, and `find` gives it by its id.

        Args:
            name: the agent.
            text: what it is to do.
            timeout_s: seconds until the deadline; None: as configured.
            caller: who takes turns with others.
            priority: how urgent it is; None: as configured.
            conversation: whose context it is to have; None: a fresh one.
            reply_limit: bytes above which its reply goes into a file; 0: never; None: as
                configured.
            background: nobody waits for its outcome.
            only_reads: it is for an agent that cannot change anything, or for none.
            desk: where its caller can be asked for a permission; None: nobody can.

        Raises:
            PoolError: it is not accepted; nothing has happened then.
        """
        check_text(text)
        await self._check_call()
        definition = self.define(name)
        name = definition.name  # as its files spell it
        if only_reads:
            check_only_reads(definition)
        if conversation is not None:
            check_name(conversation)
        agent = self._known(name, conversation)
        agent.callers += 1
        try:
            if agent.down is not None:
                await self._revive(agent)
            if conversation is not None:
                limit = self.settings(name).max_conversations
                make_room(agent, self._agents.values(), self._workers, limit)
            await self._check_spending(name)
            settings = self.settings(name)
            task = Task(
                name,
                text,
                self._timeout_s(name, timeout_s),
                caller=caller,
                priority=priority or settings.priority,
                conversation=conversation,
                reply_limit=settings.reply_limit if reply_limit is None else reply_limit,
                desk=desk,
            )
            task.only_reads = only_reads
            # One at a time: tasks are served in the order in which they came.
            async with agent.accepting:
                agent.check_room()
                await self._find_session(agent)
                await self._journal.accept(task, background=background)
            # From here to the end nothing may be cancelled: it has been accepted.
            self._enter(agent, task)
        finally:
            agent.callers -= 1
        with trio.CancelScope(shield=True):
            await self._supervise(agent)
        return task

    async def _find_session(self, agent: Agent) -> None:
        """Of a conversation that is new here: an earlier pool may have had it."""
        if not agent.knows_session:
            assert agent.conversation is not None
            agent.session_id = await self._journal.session_of(agent.defined_as, agent.conversation)
            agent.knows_session = True

    async def _keep_session(self, agent: Agent) -> None:
        if agent.conversation is not None:
            await self._journal.keep_session(agent.defined_as, agent.conversation, agent.session_id)

    def _enter(self, agent: Agent, task: Task) -> None:
        """A task that is on record gets into its agent's queue, or ends at once."""
        self._task_watch.begin(agent, task)
        self._emit(TaskQueued(agent.name, len(task.text), task_id=task.id))
        if self._stopping:
            task.settle(stopping_error())
        elif agent.down is not None:
            task.settle(agent.down_error())
        else:
            agent.queue.put(task)
            agent.poke()

    async def _supervise(self, agent: Agent) -> None:
        """Start the agent's supervisor, where nobody has yet."""
        if agent.is_supervised:
            return
        agent.is_supervised = True
        await self._tree.add(agent)
        # One by one: meanwhile another may be used, or forgotten by another call.
        while unused := forgettable(self._agents.values()):
            del self._agents[unused[0].name]
            await self._tree.forget(unused[0])

    async def _run_again(self, found: list[tuple[TaskRecord, str]]) -> None:
        """Queue what a pool before this one has left, as it was."""
        for record, text in found:
            task = revived(record, text, self._journal)
            agent = self._known(record.agent, record.conversation)
            task.reply_limit = self.settings(record.agent).reply_limit
            await self._find_session(agent)
            self._enter(agent, task)
            if not self._task_watch.beside(self._supervise, agent):
                agent.is_supervised = True  # the tree starts with whoever is known

    async def _check_spending(self, name: str) -> None:
        for whose, limit in (
            (name, self.settings(name).max_cost_usd_per_day),
            (None, self.config.pool.max_cost_usd_per_day),
        ):
            spent = await self._journal.spent_today(whose) if limit else 0.0
            if limit and spent >= limit:
                raise PoolError(spent_error(whose, spent, limit))

    async def stats(self, by: By, since: float, agent: str | None = None) -> tuple[Stats, ...]:
        """Figures over the tasks that ended since then (seconds since the epoch).

        Raises:
            PoolError: there is no ledger, or it cannot be read.
        """
        return await self._journal.stats(by, since, agent)

    def queue_length(self, task: Task) -> int:
        """How many tasks wait where this one does."""
        agent = self._agents.get(task.mailbox)
        return 0 if agent is None else len(agent.queue)

    def place_in_queue(self, task: Task) -> int | None:
        """Whose turn it is before this task's, as things are: 1: it is next; None: it waits for
        no turn."""
        agent = self._agents.get(task.mailbox)
        return None if agent is None else agent.queue.place(task)

    async def warmup(self, name: str) -> Ready:
        """The agent's process, started if need be, once it is ready.

        Raises:
            PoolError: there will be none.
        """
        await self._check_call()
        agent = self._known(self.define(name).name)
        agent.callers += 1  # an agent that is removed now stays until this is answered
        try:
            await self._have_up(agent)
            if agent.ready is not None:
                return agent.ready  # it may be busy for long, and is warm all the same
            warmup = agent.ask_for_process()
            await warmup.done.wait()
        finally:
            agent.callers -= 1
        if isinstance(warmup.answer, Ready):
            return warmup.answer
        assert warmup.answer is not None
        raise PoolError(warmup.answer)

    async def reset(self, name: str, conversation: str | None = None) -> dict[str, Any]:
        """Kill the agent's process and all that it started; returns what was there.

        With a `conversation`, its process, and its context is gone as well.

        It `was` "unknown" where there is no such conversation.

        Everything is gone when this returns. The task in hand ends with `agent_reset`; those
        that wait go on waiting. An agent that is down is brought up again.

        Raises:
            PoolError: there is no such agent.
        """
        await self._check_call()
        name = canonical(name)
        was = "stopped"
        if conversation is not None:
            kept = await self._journal.session_of(name, conversation)
            was = "unknown" if kept is None else was
            await self._journal.keep_session(name, conversation, None)
        agent = self._agents.get(name if conversation is None else f"{name}@{conversation}")
        if agent is None:
            self.define(name)
            return {"agent": name, "was": was, "pid": None}
        agent.session_id = None
        was, pid = agent.state, agent.ready.pid if agent.ready else None
        workers = [self._workers[seat] for seat in agent.seats if seat in self._workers]
        if agent.down is not None or len(workers) < len(agent.seats):
            await self._bring_back(agent)
        still = set(self._workers.values())  # what has ended with its group is reset already
        async with trio.open_nursery() as nursery:
            for worker in workers:
                if worker in still:
                    nursery.start_soon(worker.reset)
        return {"agent": name, "was": was, "pid": pid}

    async def agents(self) -> list[dict[str, Any]]:
        """Every defined agent, running or not, and how it does; sorted by name.

        Raises:
            PoolError: the pool is degraded.
        """
        await self._check_call()
        rows = agent_rows(self._roles.all(), self._agents, self._roles.refused)
        add_memory(
            rows,
            await self._host.memory(
                {seat.name: seat.process for _, seat, _ in self._running() if seat.process}
            ),
        )
        return rows

    async def tree(self) -> list[dict[str, Any]]:
        """The supervision tree as it is, a row a supervisor or child, the root first."""
        if self.root_supervisor is None:
            return []
        return tree_rows(await snapshot(self.root_supervisor), self._tree)

    def _running(self) -> list[tuple[Agent, Seat, Worker]]:
        return [
            (agent, seat, self._workers[seat])
            for agent in self._agents.values()
            for seat in agent.seats
            if seat.process is not None and seat in self._workers
        ]

    def _watched(self) -> list[Watched]:
        return [
            Watched(
                a.name, s.process, self.settings(a.defined_as), w, w.boot, s.ready is not None, s
            )
            for a, s, w in self._running()
            if s.process is not None and w.boot is not None
        ] + [
            Watched(SPARE, one.process.child, self.config.defaults.agent, one, one.boot)
            for one in self._spares.all
        ]

    def _tell(self, event: PoolEvent) -> None:
        """Pass a worker's event on; its process is watched from the start."""
        if isinstance(event, WorkerStarted):
            for one in self._watched():
                if one.process.pid == event.pid:
                    self._governor.started(one)
        self._emit(event)

    def _wanted_spares(self) -> dict[Profile, int]:
        """How many of each profile that a defined agent has are to stand by."""
        number = self.config.pool.spares
        if not number or self._stopping:
            return {}
        wanted: dict[Profile, int] = {}
        for entry in self._roles.all():
            with contextlib.suppress(PoolError):  # it is told when the agent is called
                wanted[self._roles.launch(entry.name).spare] = number
        return wanted

    @property
    def agent_names(self) -> set[str]:
        """The names of all defined agents."""
        return self._roles.names

    async def check_defined(self, name: str | None) -> None:
        """Refuse the name of an agent of whom nothing is known: it is misspelt. None: of nobody.

        Raises:
            PoolError: `unknown_agent`.
        """
        await self._reloader.current()
        if name is not None and name not in self.agent_names:
            self.define(name)

    async def purposes(self) -> dict[str, str]:
        """What each defined agent is for, by its name, as its file says now."""
        await self._reloader.current()
        return self._roles.purposes()

    # inside

    async def _check_call(self) -> None:
        # Not by the watch alone: whoever has changed a file, and calls, means what it says now.
        await self._reloader.current()
        if self._stopping:
            raise PoolError(stopping_error())
        if self._in_force.error is not None:
            raise PoolError(config_error(self._in_force.error))

    def _timeout_s(self, name: str, asked: float | None) -> float:
        if asked is not None:
            return asked
        return task_timeout_s(self._environ) or self.settings(name).task_timeout

    def _know_members(self) -> None:
        """The members of groups are supervised from the start, whether they are used or not."""
        for name, table in self.config.agents.items():
            if table.supervisor and name in self._roles.names:
                self._known(name).is_supervised = True

    def _known(self, name: str, conversation: str | None = None) -> Agent:
        """The pool's record of an agent, or of a conversation with it; made where there is none."""
        agent = Agent(name, lambda: self._limits(name, conversation), conversation)
        return self._agents.setdefault(agent.name, agent)

    def _limits(self, name: str, conversation: str | None) -> Limits:
        settings = self.settings(name)
        if conversation is not None:
            return Limits(settings.queue_limit)
        return Limits(settings.queue_limit, settings.replicas, settings.min_replicas)

    async def _have_up(self, agent: Agent) -> None:
        """Have an agent that is supervised, and not down; raises PoolError."""
        if agent.down is not None:
            await self._revive(agent)
        # Shielded: an agent that is known is one that has a supervisor.
        with trio.CancelScope(shield=True):
            await self._supervise(agent)
        if agent.down is not None:  # meanwhile
            raise PoolError(agent.down_error())

    async def _revive(self, agent: Agent) -> None:
        """Start a down agent again, if what it starts has changed; else refuse the call."""
        assert agent.down is not None
        started = agent.down.launch_key
        # Of who never had a process nothing can have changed: it is down for another's failure.
        if started is not None and self._launch(agent).key != started:
            await self._bring_back(agent)
        if agent.down is not None:
            raise PoolError(agent.down_error())

    def _launch(self, agent: Agent) -> Launch:
        """How an agent's process is started now; raises PoolError."""
        launch = self._roles.launch(agent.defined_as)
        return launch if agent.conversation is None else conversing(launch, agent.session_id)

    async def _bring_back(self, agent: Agent) -> None:
        # Shielded: half-way there would be an agent that is not down, and that nobody serves.
        with trio.CancelScope(shield=True):
            await self._tree.bring_back(agent)

    def _work(self, post: Post) -> StartFunction:
        agent, seat = post.agent, post.seat

        async def serve(status: trio.TaskStatus[object]) -> None:
            agent.come_up(seat)
            post.worker.value = worker = self._workers[seat] = Worker(agent, seat, self._around)
            try:
                await worker.run(task_status=status)
            finally:
                del self._workers[seat]

        return taking_turns(post, serve)
