"""The pool: agents under supervision, tasks accepted and brought to their outcome."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
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
from supervisor.place import TAG
from supervisor.pool.agent import Agent, Ready
from supervisor.pool.agent_tree import AgentTree
from supervisor.pool.budget import Budget
from supervisor.pool.config import AgentTable, Config, ConfigError, ConfigFiles, Problem
from supervisor.pool.events import PoolEvent, TaskEnded, TaskQueued, WorkerStarted
from supervisor.pool.launch import CliFinder, ignored_bypass, permission_mode
from supervisor.pool.memory import MemoryGovernor, Watched
from supervisor.pool.outcome import PoolError, Task, TaskError, TaskResult
from supervisor.pool.temporary import TemporaryFolders
from supervisor.pool.worker import Launch, Surroundings, Worker
from supervisor.process import measure_trees
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
        self._config = self._first_config()
        self._agents: dict[str, Agent] = {}
        self._workers: dict[str, Worker] = {}
        self._open_tasks: dict[str, Task] = {}
        self._watchers: trio.Nursery | None = None
        self._stopping = False
        self._budget = Budget(self._running, lambda: self._config.pool, emit)
        self._around = Surroundings(
            define=self.define,
            settings=self.settings,
            clis=self._clis,
            environ=self._environ,
            root=root,
            mark=f"{mark}.{uuid.uuid4().hex[:8]}",
            starting=trio.Semaphore(self._config.pool.spawn_limit or os.cpu_count() or 1),
            emit=self._tell,
            admit=self._budget.admit,
            left=self._budget.left,
            temporary=temporary,
        )
        self._governor = MemoryGovernor(self._watched, self._budget, emit)
        self._tree = AgentTree(lambda: self._config, self._agents, self._work, emit)
        self._know_members()

    # configuration

    @property
    def config(self) -> Config:
        """The configuration in force: the built-in one while the user's is wrong."""
        return self._config

    @property
    def problem(self) -> str | None:
        """Why the pool is degraded, or None."""
        return None if self._config_error is None else str(self._config_error)

    def settings(self, name: str) -> AgentTable:
        """What is configured for the agent `name`."""
        return self._config.agent(name)

    def define(self, name: str) -> AgentDefinition:
        """The definition of the agent `name` as it is on disk now.

        Raises:
            PoolError: `unknown_agent` or `agent_broken`, with what to do.
        """
        try:
            return self._catalogue.get(name)
        except UnknownAgent as unknown:
            raise PoolError(_unknown_error(unknown)) from None
        except BrokenAgent as broken:
            raise PoolError(_broken_error(broken)) from None

    def _first_config(self) -> Config:
        self._config_signature = self._files.signature()
        try:
            config = self._files.load()
            _timeout_of(self._environ)
        except ConfigError as error:
            self._config_error = error
            return ConfigFiles(self._files.built_in, None, ()).load()
        return config

    def _check_config(self) -> None:
        """Degraded: try again if a file has changed, refuse the call otherwise."""
        if self._config_error is not None and self._files.signature() != self._config_signature:
            self._config_error = None
            self._config = self._first_config()
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
                    ChildSpec("task watch", self._watch_tasks),
                    ChildSpec("memory governor", self._governor.run),
                ],
            )
            await services.run(task_status=task_status)

        return [ChildSpec("services", serve, type="supervisor"), self._tree.spec]

    async def _watch_tasks(self, *, task_status: ChildStatus) -> None:
        """Bring every accepted task to its outcome in time, whoever else has it."""
        try:
            async with trio.open_nursery() as self._watchers:
                for task in self._open_tasks.values():
                    self._watchers.start_soon(self._watch, self._agents[task.agent], task)
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
        with trio.move_on_after(self._config.pool.shutdown_grace):
            await self.idle.wait()
        for task in list(self._open_tasks.values()):
            task.settle(error)
        # All at once: a supervisor would stop them one after the other, each with its grace.
        async with trio.open_nursery() as nursery:
            for worker in self._workers.values():
                nursery.start_soon(worker.retire, error)

    # calls

    async def submit(self, name: str, text: str, timeout_s: float | None = None) -> Task:
        """Accept a task; its outcome comes with `Task.settled`.

        Args:
            name: the agent.
            text: what it is to do.
            timeout_s: seconds until the deadline; None: as configured.

        Raises:
            PoolError: it is not accepted; nothing has happened then.
        """
        self._check_call()
        _check_text(text)
        self.define(name)
        agent, is_new = self._known(name)
        if agent.down is not None:
            await self._revive(agent)
        task = Task(name, text, self._timeout_s(name, timeout_s))
        # Before anything is awaited: tasks are served in the order in which they came.
        agent.put(task)
        self._open_tasks[task.id] = task
        if self.idle.is_set():
            self.idle = trio.Event()
        self._emit(TaskQueued(name, task.id, len(text)))
        if self._watchers is not None:  # else it is watched as soon as the watch is there again
            self._watchers.start_soon(self._watch, agent, task)
        if is_new:
            # Shielded: the task has been accepted, and its caller must get hold of it.
            with trio.CancelScope(shield=True):
                await self._tree.add(agent)
        return task

    def cancel(self, task: Task) -> None:
        """End a task that its caller no longer wants."""
        error = TaskError("cancelled", "the task was cancelled by its caller.", "", task.times())
        if task.settle(error):
            self._agents[task.agent].forget_settled()

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

    async def reset(self, name: str) -> dict[str, Any]:
        """Kill the agent's process and all that it started; returns what was there.

        Everything is gone when this returns. The task in hand ends with `agent_reset`; those
        that wait go on waiting. An agent that is down is brought up again.

        Raises:
            PoolError: there is no such agent.
        """
        self._check_call()
        agent = self._agents.get(name)
        if agent is None:
            self.define(name)
            return {"agent": name, "was": "stopped", "pid": None}
        was, pid = agent.state, agent.ready.pid if agent.ready else None
        worker = self._workers.get(name)
        if agent.down is not None or worker is None:
            await self._bring_back(agent)
        else:
            await worker.reset()
        return {"agent": name, "was": was, "pid": pid}

    async def agents(self) -> list[dict[str, Any]]:
        """Every defined agent, running or not, and how it does; sorted by name.

        Raises:
            PoolError: the pool is degraded.
        """
        self._check_call()
        rows = [self._row(entry) for entry in self._catalogue.all()]
        rows += [self._orphan_row(name) for name in self._undefined({r["name"] for r in rows})]
        trees = {one.agent: one.tree for one in self._watched()}
        leaders = {tree.tag: tree.pid for tree in trees.values()}
        memory = await trio.to_thread.run_sync(measure_trees, TAG, leaders)
        for row in rows:
            if row["name"] in trees:
                row["memory_bytes"] = memory[trees[row["name"]].tag].size_bytes
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
                row |= {"agent": agent.name, "agent_state": agent.state}
                row["pid"] = agent.ready.pid if agent.ready and info.type == "worker" else None
                row["error"] = agent.down.reason if agent.down else None
            yield row | ({} if below is None else _flags_row(below))
            if below is not None:
                yield from self._tree_rows(below, here)

    def _running(self) -> list[tuple[Agent, Worker]]:
        agents = self._agents
        return [(agents[n], worker) for n, worker in self._workers.items() if agents[n].tree]

    def _watched(self) -> list[Watched]:
        watched = (self._watch_on(name) for name in self._workers)
        return [one for one in watched if one is not None]

    def _watch_on(self, name: str) -> Watched | None:
        agent, worker = self._agents[name], self._workers[name]
        if agent.tree is None:
            return None
        return Watched(name, agent.tree, self.settings(name), worker, agent.ready is not None)

    def _tell(self, event: PoolEvent) -> None:
        """Pass a worker's event on; its process is watched from the start."""
        started = self._watch_on(event.agent) if isinstance(event, WorkerStarted) else None
        if started is not None:
            self._governor.started(started)
        self._emit(event)

    def _undefined(self, defined: set[str]) -> list[str]:
        return [name for name, a in self._agents.items() if a.ready and name not in defined]

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
        return _timeout_of(self._environ) or self.settings(name).task_timeout

    def _know_members(self) -> None:
        """The members of groups are supervised from the start, whether they are used or not."""
        for name, table in self._config.agents.items():
            if table.supervisor:
                self._known(name)

    def _known(self, name: str) -> tuple[Agent, bool]:
        """The agent, and whether it is new: then its supervisor is still to be started."""
        if name in self._agents:
            return self._agents[name], False
        agent = self._agents[name] = Agent(name, lambda: self.settings(name).queue_limit)
        return agent, True

    async def _agent(self, name: str) -> Agent:
        agent, is_new = self._known(name)
        if is_new:
            # Shielded: an agent that is known is one that has a supervisor.
            with trio.CancelScope(shield=True):
                await self._tree.add(agent)
        elif agent.down is not None:
            await self._revive(agent)
        return agent

    async def _revive(self, agent: Agent) -> None:
        """Start a down agent again, if what it starts has changed; else refuse the call."""
        assert agent.down is not None
        if self._launch_key(agent) != agent.down.launch_key:
            await self._bring_back(agent)
        if agent.down is not None:
            raise PoolError(agent.down_error())

    def _launch_key(self, agent: Agent) -> object:
        definition = self.define(agent.name)
        mode = permission_mode(definition, self.settings(agent.name).permission_mode)
        return Launch(definition, self._clis.find(), mode).key

    async def _bring_back(self, agent: Agent) -> None:
        # Shielded: half-way there would be an agent that is not down, and that nobody serves.
        with trio.CancelScope(shield=True):
            await self._tree.bring_back(agent)

    def _work(self, agent: Agent) -> StartFunction:
        async def work(*, task_status: ChildStatus) -> None:
            agent.come_up()
            worker = self._workers[agent.name] = Worker(agent, self._around)
            try:
                await worker.run(task_status=task_status)
            finally:
                del self._workers[agent.name]

        return work

    async def _watch(self, agent: Agent, task: Task) -> None:
        with trio.move_on_at(task.deadline):
            await task.settled.wait()
        if task.settle(_deadline_error(task)):
            agent.forget_settled()
        del self._open_tasks[task.id]
        if not self._open_tasks:
            self.idle.set()
        done = isinstance(task.outcome, TaskResult)
        agent.figures.tasks_done += done
        agent.figures.tasks_failed += not done
        code = task.outcome.code if isinstance(task.outcome, TaskError) else "result"
        cost = task.outcome.cost_usd if isinstance(task.outcome, TaskResult) else None
        self._emit(TaskEnded(agent.name, task.id, code, **task.times(), cost_usd=cost))

    async def _cancel_later(self, task: Task) -> None:
        with trio.move_on_after(self._config.pool.disconnect_grace):
            await task.settled.wait()
        self.cancel(task)

    def _row(self, entry: AgentDefinition | BrokenDefinition) -> dict[str, Any]:
        agent = self._agents.get(entry.name) or Agent(entry.name, lambda: 0)
        row: dict[str, Any] = {
            "name": entry.name,
            "description": "",
            "state": agent.state,
            "pid": agent.ready.pid if agent.ready else None,
            "memory_bytes": None,
            "tmp_bytes": agent.tmp_bytes,
            "tasks_done": agent.figures.tasks_done,
            "tasks_failed": agent.figures.tasks_failed,
            "restarts": agent.figures.restarts,
            "recycles": agent.figures.recycles,
            "uptime_s": round(time.time() - agent.started_at, 1) if agent.started_at else None,
            "queue_length": len(agent.queue),
            "reset_by": agent.reset_by,
            "watched_by": agent.watched_by,
            "origin": entry.origin,
            "source": str(entry.source),
            "warnings": [],
            "error": agent.down_error().message if agent.down else None,
        }
        if isinstance(entry, BrokenDefinition):
            return row | {"state": "broken", "error": _broken_error(entry).message}
        warnings = [str(finding) for finding in entry.warnings]
        if (refused := ignored_bypass(entry)) is not None:
            warnings.append(refused)
        return row | {"description": entry.description, "warnings": warnings}


def _flags_row(supervisor: Snapshot) -> dict[str, Any]:
    flags = supervisor.flags
    return {
        "strategy": flags.strategy,
        "intensity": flags.intensity,
        "period_s": flags.period_s,
    }


def _timeout_of(environ: Mapping[str, str]) -> float | None:
    """Seconds of `TASK_TIMEOUT_MS`, or None where it is not set."""
    value = environ.get("TASK_TIMEOUT_MS")
    if not value:
        return None
    digits = value.isascii() and value.isdigit() and len(value) <= 15
    if not digits or int(value) == 0:
        reason = (
            f'"{value}" does not fit: a whole number of milliseconds above 0 is allowed. It is '
            "settled when the pool starts: mend it, then run agent-pool stop"
        )
        raise ConfigError([Problem(Path("environment"), None, "TASK_TIMEOUT_MS", reason)])
    return int(value) / 1000


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
