"""The pool: agents under supervision, tasks accepted and brought to their outcome."""

import contextlib
import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from supervisor.agents import (
    AgentDefinition,
    BrokenAgent,
    BrokenDefinition,
    Catalogue,
    Folders,
    UnknownAgent,
)
from supervisor.ledger import By, Stats, TaskFilter, TaskRecord
from supervisor.logs import OnLine
from supervisor.place import TAG
from supervisor.pool.agent import Agent, Limits, Ready, Seat
from supervisor.pool.agent_tree import AgentTree
from supervisor.pool.book import TaskBook, WaitMode, unknown_task_error
from supervisor.pool.boot import Launch, Profile, Yard, conversing, launch_of
from supervisor.pool.budget import Budget
from supervisor.pool.config import (
    AgentTable,
    Config,
    ConfigError,
    ConfigFiles,
    Loaded,
    task_timeout_s,
)
from supervisor.pool.conversations import check_name, forgettable, make_room
from supervisor.pool.events import PoolEvent, TaskEnded, TaskQueued, WorkerStarted
from supervisor.pool.journal import Journal, revived
from supervisor.pool.launch import (
    CliFinder,
    Role,
    folder_of,
    ignored_bypass,
    passed_on,
    permission_mode,
    role,
)
from supervisor.pool.memory import MemoryGovernor, Watched
from supervisor.pool.outcome import PoolError, Priority, Task, TaskError, TaskResult
from supervisor.pool.spares import SpareKeeper
from supervisor.pool.temporary import SPARE, TemporaryFolders
from supervisor.pool.trust import is_trusted
from supervisor.pool.worker import Surroundings, Worker
from supervisor.process import LocalHost
from supervisor.tree import (
    ChildSpec,
    ChildStatus,
    Snapshot,
    StartFunction,
    Supervisor,
    SupervisorFlags,
    snapshot,
)

TASK_LIMIT = 10_000_000
"""Bytes of a task's text; the API takes no more than 32 MB of a whole request."""

SHOWN = 200
"""Characters of a name that are repeated in an error."""


@dataclass(frozen=True)
class _Made:
    """A role, and what it was made of."""

    definition: AgentDefinition
    config: Config
    trusted: bool
    role: Role

    def is_of(self, definition: AgentDefinition, config: Config, trusted: bool) -> bool:
        """Whether it was made of the very same."""
        same = self.definition is definition and self.config is config
        return same and self.trusted is trusted


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
        self.idle = trio.Event()
        """Set while no task is accepted and not yet settled; replaced when one is."""
        self.idle.set()
        self._environ = dict(environ)
        self._emit = emit
        self._files = files
        self._catalogue = Catalogue(folders)
        self._clis = CliFinder(self._environ)
        self._config_error: ConfigError | None = None
        self._config_signature: object = None
        self._loaded = self._first_config()
        self._roles: dict[str, _Made] = {}
        self._agents: dict[str, Agent] = {}
        self._workers: dict[Seat, Worker] = {}
        self._book = TaskBook()
        self._journal = Journal(state, lambda: self.config.ledger, emit)
        self._journal.runs_on = lambda name: self.settings(name).on_restart == "run"
        self._journal.on_interrupted = self._run_again
        self._watchers: trio.Nursery | None = None
        self._stopping = False
        self._host = LocalHost(TAG)
        self._budget = Budget(self._running, lambda: self.config.pool, emit)
        yard = Yard(
            host=self._host,
            clis=self._clis,
            mark=f"{mark}.{uuid.uuid4().hex[:8]}",
            starting=trio.Semaphore(self.config.pool.spawn_limit or os.cpu_count() or 1),
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
        self._around = Surroundings(
            self.define, self._launch, self.settings, yard, self._spares.take
        )
        self._governor = MemoryGovernor(self._watched, self._host, self._budget, emit)
        self._tree = AgentTree(lambda: self.config, self._agents, self._work, emit)
        self._know_members()

    # configuration

    @property
    def config(self) -> Config:
        """The configuration in force: the built-in one while the user's is wrong."""
        return self._loaded.config

    @property
    def name(self) -> str:
        """What it is called."""
        return self.config.pool.name or self.root.name

    @property
    def warnings(self) -> list[str]:
        """What of the configuration is left out, and what names no agent."""
        defined = {entry.name for entry in self._definitions.all()}
        return list(map(str, (*self._loaded.warnings, *self._loaded.undefined(defined))))

    @property
    def problem(self) -> str | None:
        """Why the pool is degraded, or None."""
        return None if self._config_error is None else str(self._config_error)

    def settings(self, name: str) -> AgentTable:
        """What is configured for the agent `name`."""
        return self.config.agent(name)

    def define(self, name: str) -> Role:
        """The definition of the agent `name` as it is on disk now, as pool.toml has it started.

        Raises:
            PoolError: `unknown_agent` or `agent_broken`, with what to do.
        """
        try:
            return self._role(self._definitions.get(name))
        except UnknownAgent as unknown:
            raise PoolError(_unknown_error(unknown)) from None
        except BrokenAgent as broken:
            raise PoolError(_broken_error(broken)) from None

    @property
    def _definitions(self) -> Catalogue:
        """All agents; what runs code counts where the user trusts the project, as of now."""
        self._catalogue.trusted = is_trusted(self.root, self._environ)
        return self._catalogue

    def _role(self, definition: AgentDefinition) -> Role:
        """The definition as it is started here; made anew only where something has changed."""
        config, trusted = self.config, self._catalogue.trusted
        known = self._roles.get(definition.name)
        if known is None or not known.is_of(definition, config, trusted):
            made = role(definition, config, self.root, trusted)
            known = self._roles[definition.name] = _Made(definition, config, trusted, made)
        return known.role

    def _first_config(self) -> Loaded:
        self._config_signature = self._files.signature()
        try:
            loaded = self._files.read()
            task_timeout_s(self._environ)
        except ConfigError as error:
            self._config_error = error
            return ConfigFiles(self._files.built_in).read()
        return loaded

    def _check_config(self) -> None:
        """Degraded: try again if a file has changed, refuse the call otherwise."""
        if self._config_error is not None and self._files.signature() != self._config_signature:
            self._config_error = None
            self._loaded = self._first_config()
            self._know_members()
            if self._watchers is not None:
                self._watchers.start_soon(self._tree.add_groups)
        if self._config_error is not None:
            raise PoolError(
                TaskError(
                    "config_invalid",
                    f"the pool's configuration is wrong: {self._config_error}.",
                    "Mend it: files are read again at the next call.",
                    {"problems": [str(p) for p in self._config_error.problems]},
                )
            )

    # running

    @property
    def children(self) -> list[ChildSpec]:
        """The pool's part of the tree: child specs for the root."""

        async def serve(*, task_status: ChildStatus) -> None:
            services = Supervisor(
                "services",
                SupervisorFlags(intensity=5, period_s=60),
                [
                    ChildSpec("ledger", self._journal.run),
                    ChildSpec("task watch", self._watch_tasks),
                    ChildSpec("memory governor", self._governor.run),
                    ChildSpec("spare keeper", self._spares.run),
                ],
            )
            await services.run(task_status=task_status)

        return [ChildSpec("services", serve, type="supervisor"), self._tree.spec]

    async def _watch_tasks(self, *, task_status: ChildStatus) -> None:
        """Bring every accepted task to its outcome in time, whoever else has it."""
        try:
            async with trio.open_nursery() as self._watchers:
                for task in self._book.open():
                    self._watchers.start_soon(self._watch, self._agents[task.mailbox], task)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._watchers = None

    async def drain(self) -> None:
        """Accept nothing more; let tasks in hand finish for the grace, then end them all."""
        self._stopping = True
        error = _stopping_error()
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

        Raises:
            PoolError: it is not accepted; nothing has happened then.
        """
        self._check_call()
        _check_text(text)
        self.define(name)
        if conversation is not None:
            check_name(conversation)
        agent, _ = self._known(name, conversation)
        if agent.down is not None:
            await self._revive(agent)
        if conversation is not None:
            limit = self.settings(name).max_conversations
            make_room(agent, self._agents.values(), self._workers, limit)
        settings = self.settings(name)
        await self._check_spending(name)
        limit = settings.reply_limit if reply_limit is None else reply_limit
        task = Task(
            name,
            text,
            self._timeout_s(name, timeout_s),
            caller=caller,
            priority=priority or settings.priority,
            conversation=conversation,
            reply_limit=limit,
        )
        # One at a time: tasks are served in the order in which they came.
        async with agent.accepting:
            agent.check_room()
            await self._journal.accept(task, background=background)
        # From here to the end nothing may be cancelled: it has been accepted.
        self._enter(agent, task)
        with trio.CancelScope(shield=True):
            await self._supervise(agent)
        return task

    def _enter(self, agent: Agent, task: Task) -> None:
        """A task that is on record gets into its agent's queue, or ends at once."""
        self._book.add(task)
        if self.idle.is_set():
            self.idle = trio.Event()
        self._emit(TaskQueued(agent.name, len(task.text), task_id=task.id))
        if self._watchers is not None:  # else it is watched as soon as the watch is there again
            self._watchers.start_soon(self._watch, agent, task)
        if self._stopping:
            task.settle(_stopping_error())
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
        for unused in forgettable(self._agents.values()):
            del self._agents[unused.name]
            await self._tree.forget(unused)

    def _run_again(self, found: list[tuple[TaskRecord, str]]) -> None:
        """Queue what a pool before this one has left, as it was."""
        for record, text in found:
            task = revived(record, text, self._journal)
            agent, _ = self._known(record.agent, record.conversation)
            task.reply_limit = self.settings(record.agent).reply_limit
            self._enter(agent, task)
            if self._watchers is not None:
                self._watchers.start_soon(self._supervise, agent)
            else:
                agent.is_supervised = True  # the tree starts with whoever is known

    async def _check_spending(self, name: str) -> None:
        for whose, limit in (
            (name, self.settings(name).max_cost_usd_per_day),
            (None, self.config.pool.max_cost_usd_per_day),
        ):
            spent = await self._journal.spent_today(whose) if limit else 0.0
            if limit and spent >= limit:
                raise PoolError(_spent_error(whose, spent, limit))

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

    async def tasks(self, wanted: TaskFilter, limit: int) -> list[Task]:
        """The newest tasks that fit, the newest first.

        Raises:
            PoolError: the ledger cannot be read.
        """
        found = await self._journal.tasks(wanted, limit)
        if found is None:
            fits = (t for t in self._book.newest_first() if _fits(t, wanted))
            return list(itertools.islice(fits, limit))
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

    def cancel(self, task: Task) -> None:
        """End a task that its caller no longer wants."""
        error = TaskError("cancelled", "the task was cancelled by its caller.", "", task.times())
        if task.settle(error):
            self._agents[task.mailbox].queue.forget_settled()

    def client_lost(self, task: Task) -> None:
        """The connection of a task's caller is lost: it runs on for the grace, then ends."""
        if self._watchers is not None:
            self._watchers.start_soon(self._cancel_later, task)

    async def warmup(self, name: str) -> Ready:
        """The agent's process, started if need be, once it is ready.

        Raises:
            PoolError: there will be none.
        """
        self._check_call()
        self.define(name)
        agent = await self._agent(name)
        if agent.ready is not None:
            return agent.ready  # it may be busy for long, and is warm all the same
        warmup = agent.ask_for_process()
        await warmup.done.wait()
        if isinstance(warmup.answer, Ready):
            return warmup.answer
        assert warmup.answer is not None
        raise PoolError(warmup.answer)

    async def reset(self, name: str, conversation: str | None = None) -> dict[str, Any]:
        """Kill the agent's process and all that it started; returns what was there.

        With a `conversation`, its process, and its context is gone as well.

        Everything is gone when this returns. The task in hand ends with `agent_reset`; those
        that wait go on waiting. An agent that is down is brought up again.

        Raises:
            PoolError: there is no such agent.
        """
        self._check_call()
        agent = self._agents.get(name if conversation is None else f"{name}@{conversation}")
        if agent is None:
            self.define(name)
            return {"agent": name, "was": "stopped", "pid": None}
        agent.session_id = None
        was, pid = agent.state, agent.ready.pid if agent.ready else None
        workers = [self._workers[seat] for seat in agent.seats if seat in self._workers]
        if agent.down is not None or len(workers) < len(agent.seats):
            await self._bring_back(agent)
        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(worker.reset)
        return {"agent": name, "was": was, "pid": pid}

    async def agents(self) -> list[dict[str, Any]]:
        """Every defined agent, running or not, and how it does; sorted by name.

        Raises:
            PoolError: the pool is degraded.
        """
        self._check_call()
        rows = [self._row(entry) for entry in self._definitions.all()]
        rows += [self._orphan_row(name) for name in self._undefined({r["name"] for r in rows})]
        sizes = await self._host.memory(
            {seat.name: seat.process for _, seat, _ in self._running() if seat.process}
        )
        for row in rows:
            for worker in row["workers"]:
                memory = sizes.get(worker["name"])
                worker["memory_bytes"] = memory and memory.size_bytes
            known = [w["memory_bytes"] for w in row["workers"] if w["memory_bytes"] is not None]
            row["memory_bytes"] = sum(known) if known else None
        return rows

    async def tree(self) -> list[dict[str, Any]]:
        """The supervision tree as it is, a row a supervisor or child, the root first."""
        if self.root_supervisor is None:
            return []
        top = await snapshot(self.root_supervisor)
        root = {"path": top.name, "name": top.name, "type": "supervisor", "state": "running"}
        return [root | _flags_row(top), *self._tree_rows(top, top.name)]

    def _tree_rows(self, above: Snapshot, path: str) -> Iterator[dict[str, Any]]:
        for info, below in above.children:
            here = f"{path}/{info.id}"
            row: dict[str, Any] = {"path": here, "name": info.id, "type": info.type}
            row |= {"state": info.state, "restart": info.restart}
            agent = self._tree.about(info.id)
            if agent is not None:
                seat = self._tree.seat_of(info.id)
                row |= {"agent": agent.name, "agent_state": agent.state}
                row["pid"] = seat.ready.pid if seat and seat.ready else None
                row["error"] = agent.down.reason if agent.down else None
            yield row | ({} if below is None else _flags_row(below))
            if below is not None:
                yield from self._tree_rows(below, here)

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
        for entry in self._definitions.all():
            with contextlib.suppress(PoolError):  # it is told when the agent is called
                wanted[self._launch_of(entry.name).spare] = number
        return wanted

    def _undefined(self, defined: set[str]) -> list[str]:
        return [
            name
            for name, agent in self._agents.items()
            if agent.ready and agent.conversation is None and name not in defined
        ]

    def _orphan_row(self, name: str) -> dict[str, Any]:
        """A process that still runs, though the definition of its agent has been taken away."""
        gone = BrokenDefinition(name, Path(), "project", ())
        error = "its definition is gone; reset ends its process"
        return self._row(gone) | {"state": self._agents[name].state, "source": "", "error": error}

    # inside

    def _check_call(self) -> None:
        self._check_config()
        if self._stopping:
            raise PoolError(_stopping_error())

    def _timeout_s(self, name: str, asked: float | None) -> float:
        if asked is not None:
            return asked
        return task_timeout_s(self._environ) or self.settings(name).task_timeout

    def _know_members(self) -> None:
        """The members of groups are supervised from the start, whether they are used or not."""
        for name, table in self.config.agents.items():
            if table.supervisor:
                agent, _ = self._known(name)
                agent.is_supervised = True

    def _known(self, name: str, conversation: str | None = None) -> tuple[Agent, bool]:
        """The agent, and whether it is new: then its supervisor is still to be started."""
        agent = Agent(name, lambda: self._limits(name, conversation), conversation)
        known = self._agents.setdefault(agent.name, agent)
        return known, known is agent

    def _limits(self, name: str, conversation: str | None) -> Limits:
        settings = self.settings(name)
        if conversation is not None:
            return Limits(settings.queue_limit)
        return Limits(settings.queue_limit, settings.replicas, settings.min_replicas)

    async def _agent(self, name: str) -> Agent:
        agent, _ = self._known(name)
        if agent.down is not None:
            await self._revive(agent)
        # Shielded: an agent that is known is one that has a supervisor.
        with trio.CancelScope(shield=True):
            await self._supervise(agent)
        return agent

    async def _revive(self, agent: Agent) -> None:
        """Start a down agent again, if what it starts has changed; else refuse the call."""
        assert agent.down is not None
        if self._launch(agent).key != agent.down.launch_key:
            await self._bring_back(agent)
        if agent.down is not None:
            raise PoolError(agent.down_error())

    def _launch(self, agent: Agent) -> Launch:
        """How an agent's process is started now; raises PoolError."""
        launch = self._launch_of(agent.defined_as)
        return launch if agent.conversation is None else conversing(launch, agent.session_id)

    def _launch_of(self, name: str) -> Launch:
        definition, settings = self.define(name), self.settings(name)
        cli = self._clis.otherwise(settings.command, self.root).find()
        return launch_of(
            definition,
            cli,
            permission_mode(definition, settings.permission_mode),
            self._clis.capabilities(cli),
            memory_limit=settings.hard_ceiling,
            folder=folder_of(settings.working_directory, self.root),
            environ=passed_on(self._environ, settings.environment),
            whole_environ=self._environ,
        )

    async def _bring_back(self, agent: Agent) -> None:
        # Shielded: half-way there would be an agent that is not down, and that nobody serves.
        with trio.CancelScope(shield=True):
            await self._tree.bring_back(agent)

    def _work(self, agent: Agent, seat: Seat) -> StartFunction:
        async def work(*, task_status: ChildStatus) -> None:
            agent.come_up(seat)
            worker = self._workers[seat] = Worker(agent, seat, self._around)
            try:
                await worker.run(task_status=task_status)
            finally:
                del self._workers[seat]

        return work

    async def _watch(self, agent: Agent, task: Task) -> None:
        with trio.move_on_at(task.deadline):
            await task.settled.wait()
        if task.settle(_deadline_error(task)):
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
        with trio.move_on_after(self.config.pool.disconnect_grace):
            await task.settled.wait()
        self.cancel(task)

    def _conversation_rows(self, name: str) -> list[dict[str, Any]]:
        agents = self._agents.values()
        found = [a for a in agents if a.defined_as == name and a.conversation is not None]
        return [_conversation_row(agent) for agent in sorted(found, key=lambda a: a.name)]

    def _row(self, entry: AgentDefinition | BrokenDefinition) -> dict[str, Any]:
        agent = self._agents.get(entry.name) or Agent(entry.name, lambda: Limits(0))
        workers = [_worker_row(seat) for seat in agent.seats]
        tmp = [w["tmp_bytes"] for w in workers if w["tmp_bytes"] is not None]
        row: dict[str, Any] = {
            "name": entry.name,
            "description": "",
            "state": agent.state,
            "pid": agent.ready.pid if agent.ready else None,
            "memory_bytes": None,
            "tmp_bytes": sum(tmp) if tmp else None,
            "tasks_done": agent.figures.tasks_done,
            "tasks_failed": agent.figures.tasks_failed,
            "restarts": agent.figures.restarts,
            "recycles": agent.figures.recycles,
            "uptime_s": max((w["uptime_s"] or 0 for w in workers), default=0) or None,
            "queue_length": len(agent.queue),
            "reset_by": agent.reset_by,
            "watched_by": agent.watched_by,
            "origin": entry.origin,
            "source": str(entry.source),
            "workers": workers,
            "conversations": self._conversation_rows(entry.name),
            "warnings": [],
            "error": agent.down_error().message if agent.down else None,
        }
        if isinstance(entry, BrokenDefinition):
            return row | {"state": "broken", "error": _broken_error(entry).message}
        warnings = [str(finding) for finding in entry.warnings]
        if (refused := ignored_bypass(self._role(entry))) is not None:
            warnings.append(refused)
        facts = {"description": entry.description, "color": entry.color, "warnings": warnings}
        return row | facts


def _conversation_row(agent: Agent) -> dict[str, Any]:
    idle_s = round(trio.current_time() - agent.last_used, 1) if agent.last_used else None
    return {
        "name": agent.conversation,
        "state": agent.state,
        "pid": agent.ready.pid if agent.ready else None,
        "queue_length": len(agent.queue),
        "idle_s": idle_s if agent.state in ("idle", "stopped") else None,
    }


def _worker_row(seat: Seat) -> dict[str, Any]:
    return {
        "name": seat.name,
        "state": seat.state,
        "pid": seat.ready.pid if seat.ready else None,
        "memory_bytes": None,
        "tmp_bytes": seat.tmp_bytes,
        "uptime_s": round(time.time() - seat.started_at, 1) if seat.started_at else None,
        "task_id": seat.current.id if seat.current else None,
    }


def _flags_row(supervisor: Snapshot) -> dict[str, Any]:
    flags = supervisor.flags
    return {
        "strategy": flags.strategy,
        "intensity": flags.intensity,
        "period_s": flags.period_s,
    }


def _check_text(text: str) -> None:
    if not text.strip():
        raise PoolError(
            TaskError("task_empty", "the task is empty.", "Say what the agent is to do.")
        )
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > TASK_LIMIT:
        raise PoolError(
            TaskError(
                "task_too_large",
                f"the task is {size} bytes long; {TASK_LIMIT} are allowed.",
                "Put the material into a file of the project, and name the file in the task.",
            )
        )


def _fits(task: Task, wanted: TaskFilter) -> bool:
    state = "ended" if task.outcome else "queued" if task.started_at is None else "running"
    return wanted.agent in (None, task.agent) and wanted.state in (None, state)


def _spent_error(agent: str | None, spent: float, limit: float) -> TaskError:
    whose = "all tasks" if agent is None else f'the tasks of "{agent}"'
    table = "[pool]" if agent is None else f"[agents.{agent}]"
    return TaskError(
        "budget_exceeded",
        f"{whose} have cost {spent:.4f} US dollars today (UTC), over the limit of {limit:g}.",
        f"Wait for midnight, or raise max_cost_usd_per_day under {table} in pool.toml.",
        {"spent_usd": spent, "limit_usd": limit},
    )


def _stopping_error() -> TaskError:
    return TaskError(
        "pool_stopping", "the pool is being stopped.", "The next connection starts a new one."
    )


def _deadline_error(task: Task) -> TaskError:
    times = task.times()
    return TaskError(
        "deadline_exceeded",
        f"the task was not done within {task.timeout_s:g} s: it waited {times['waited_s']:.1f} s "
        f"and ran {times['ran_s']:.1f} s; at the end the agent was: {task.doing.value}.",
        "Give it more time (timeout_s), or a smaller task.",
        times,
    )


def _unknown_error(unknown: UnknownAgent) -> TaskError:
    near = f" Did you mean {' or '.join(unknown.suggestions)}?" if unknown.suggestions else ""
    folders = ", ".join(str(folder) for folder in unknown.folders_searched)
    return TaskError(
        "unknown_agent",
        f'there is no agent "{_shortened(unknown.name)}".{near}',
        f"Agents are the files <name>.md in: {folders}. The tool list shows them.",
        {"suggestions": list(unknown.suggestions)},
    )


def _shortened(name: str) -> str:
    return name if len(name) <= SHOWN else name[:SHOWN] + "…"


def _broken_error(broken: BrokenAgent | BrokenDefinition) -> TaskError:
    findings = [str(finding) for finding in broken.findings]
    return TaskError(
        "agent_broken",
        f'the definition of "{broken.name}" is wrong: {"; ".join(findings)}',
        "Mend the file; the next call reads it again.",
        {"findings": findings},
    )
