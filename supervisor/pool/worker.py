"""The worker: one supervised actor that owns no process or one, and serves one agent's queue.

It is always a running child of its supervisor. The first start of its process, a planned
replacement and an eviction happen inside it; only an *unplanned* end of the process ends the
worker too, as a crash, for the supervisor to deal with.
"""

import errno
import math
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import trio

from supervisor.agents import AgentDefinition
from supervisor.place import TAG, PlaceError
from supervisor.pool.agent import Agent, Ready
from supervisor.pool.agent_process import AgentProcess, ProcessGoneError
from supervisor.pool.config import AgentTable
from supervisor.pool.events import (
    PoolEvent,
    SpawnDelayed,
    TaskStarted,
    TemporaryFull,
    WorkerExited,
    WorkerHung,
    WorkerReady,
    WorkerRecycled,
    WorkerStarted,
)
from supervisor.pool.launch import (
    OPTIONAL,
    Cli,
    CliFinder,
    arguments,
    check_version,
    environment,
    permission_mode,
)
from supervisor.pool.liveness import hang
from supervisor.pool.outcome import PoolError, Task, TaskError, TaskResult
from supervisor.pool.temporary import TemporaryFolders, size_of, variables
from supervisor.process import Command, Process, ProcessHost
from supervisor.protocol import TurnResult

SWEEP_AFTER_S = 1.0
"""Idle seconds after which what tasks have left running is looked for, though no tool was used.

A look at all processes takes milliseconds, which is too long for each of many small tasks."""

SCARCE = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What a start fails with when the machine has no room for it at the moment."""

SCARCE_WAIT_S = (0.1, 5.0)
"""How long the first wait for room is, and the longest; each is twice the one before."""

UNSENT_LIMIT = 3
"""Processes that may die before a task's line is written whole, until the task ends with it."""

AFTER_CRASH = (
    "It is restarted, unless it has failed too often (list says so). The task may have had "
    "effects: look before you send it again."
)
"""What a caller is advised whose task was cut off by the end of its process."""

_numbers = count(1)


@dataclass(frozen=True)
class Surroundings:
    """What a worker needs of its pool."""

    define: Callable[[str], AgentDefinition]
    """An agent's definition as it is on disk now; raises PoolError."""
    settings: Callable[[str], AgentTable]
    """An agent's settings as they are now."""
    clis: CliFinder
    """Finds the CLI."""
    environ: dict[str, str]
    """The pool's environment, of which processes get a part."""
    root: Path
    """The folder that processes run in."""
    mark: str
    """The pool's own mark: the beginning of every tag."""
    host: ProcessHost
    """Where processes run."""
    starting: trio.Semaphore
    """Places for processes that are starting."""
    emit: Callable[[PoolEvent], None]
    """Where events go."""
    admit: Callable[[Agent], Awaitable[None]]
    """Waits until there is room for a process of an agent."""
    left: Callable[[Agent], None]
    """Told when that process is gone, or has never come."""
    temporary: TemporaryFolders | None = None
    """Where processes get a folder for temporary files; None: they share everybody's."""


@dataclass(frozen=True)
class Launch:
    """What a process is started with."""

    definition: AgentDefinition
    """Its role."""
    cli: Cli
    """The program."""
    mode: str
    """Its permission mode."""

    @property
    def key(self) -> tuple[object, ...]:
        """Changes when a process would have to be replaced."""
        return self.definition.digest, self.mode, self.cli.argv, self.cli.key


class AgentCrashError(Exception):
    """The process of an agent ended unplanned: the worker ends with it."""


class Worker:
    """One replica of an agent. `run` is the start of its child spec."""

    def __init__(self, agent: Agent, around: Surroundings) -> None:
        """`agent` outlives this worker; `around` is its pool's."""
        self._agent = agent
        self._around = around
        self._life = trio.CancelScope()
        self._resets: list[trio.Event] = []
        self._cut_off: CutOff | None = None
        self._recycle: str | None = None
        self._in_use = False
        self._rest: str | None = None
        self._resting = False  # its last process was ended because nobody needs one
        self._tmp: Path | None = None

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the agent's queue until cancelled.

        Raises:
            AgentCrashError: the process ended unplanned, or could not be started.
        """
        task_status.started(self)
        try:
            while True:
                with trio.CancelScope() as self._life:
                    crash = await self._live()
                    if self._cut_off is None:
                        self._agent.eager = True
                        raise crash
                # Cut off, be it while its process crashed: that is gone already.
                self._after_cut_off()
                self._answer_resets()
        finally:
            if self._in_use and self._agent.down is None:
                # Stopped with its group: where there was a process, there is to be one again.
                self._agent.eager = True
            self._answer_resets()

    async def reset(self) -> None:
        """Kill the process's tree, end the task in hand, and wait until all of it is gone."""
        done = trio.Event()
        self._resets.append(done)
        error = TaskError(
            "agent_reset",
            f'the agent "{self._agent.name}" was reset while it had this task.',
            "Send the task again; what it had done to files stays done.",
        )
        self._cut(CutOff(error, replace=False))
        await done.wait()

    async def retire(self, error: TaskError) -> None:
        """End the process in order, and wait for that; `error` is for a task in hand."""
        done = trio.Event()
        self._resets.append(done)
        self._cut(CutOff(error, replace=False, in_order=True))
        await done.wait()

    def rest(self, why: str) -> None:
        """End the process if it is idle, until somebody needs one again."""
        self._rest = why
        self._agent.poke()

    def recycle(self, why: str) -> None:
        """Recycle the process after the task in hand; before its first task that is no use."""
        self._recycle = why
        self._agent.poke()

    def over_hard_ceiling(self, error: TaskError) -> None:
        """Kill the process's tree now, and replace it; the task in hand ends with `error`."""
        self._cut(CutOff(error, replace=True, blameless=self._agent.state in ("busy", "resetting")))

    def _cut(self, cut_off: "CutOff") -> None:
        if self._cut_off is None:
            self._cut_off = cut_off
        self._life.cancel()

    def _after_cut_off(self) -> None:
        cut_off, self._cut_off = self._cut_off, None
        assert cut_off is not None
        self._agent.state = "stopped"
        self._agent.eager = cut_off.replace
        if not cut_off.blameless:
            # It grew without a task: where it does so at each start, that must have an end.
            raise AgentCrashError(str(cut_off.error))

    def _answer_resets(self) -> None:
        waiting, self._resets = self._resets, []
        for done in waiting:
            done.set()

    # one process after the other

    async def _live(self) -> AgentCrashError:
        while True:
            self._in_use = False
            while not self._agent.wants_process:
                self._agent.state = "stopped"
                await self._agent.wait_poked()
            self._in_use = True
            try:
                launch = self._prepare()
            except PoolError as refused:
                self._refuse_one(refused.error)
                continue
            crash = await self._own_process(launch)
            if crash is not None:
                return crash
            if not self._resting:
                self._agent.figures.recycles += 1
                self._agent.eager = True

    def _prepare(self) -> Launch:
        definition = self._around.define(self._agent.name)
        cli = self._around.clis.find()
        mode = permission_mode(definition, self._settings.permission_mode)
        return Launch(definition, cli, mode)

    @property
    def _settings(self) -> AgentTable:
        return self._around.settings(self._agent.name)

    def _refuse_one(self, error: TaskError) -> None:
        """Nothing can be started: who asked first is told; nobody else is kept waiting for it."""
        self._agent.eager = False
        self._agent.answer_warmups(error)
        task = self._agent.take()
        if task is not None:
            task.settle(error)

    async def _own_process(self, launch: Launch) -> AgentCrashError | None:
        """Start a process, serve with it, end it; None: its end was planned."""
        self._agent.state = "starting"
        self._agent.launch_key = launch.key
        slot = StartSlot(self._around.starting)
        try:
            await self._around.admit(self._agent)
            await slot.acquire()
            began = time.monotonic()
            try:
                await self._make_tmp()
                child = await self._spawn(self._command(launch))
            except (OSError, ValueError, PlaceError) as error:
                return self._start_failed(f"cannot be started: {error}", ())
            return await self._use(child, launch, slot, began)
        finally:
            slot.release()
            await self._remove_tmp()
            self._around.left(self._agent)

    async def _spawn(self, command: Command) -> Process:
        """Start it; what the machine has no room for now is tried again, and is no crash."""
        wait_s, longest_s = SCARCE_WAIT_S
        while True:
            try:
                return await self._around.host.start(command)
            except OSError as error:
                if error.errno not in SCARCE:
                    raise
                self._around.emit(SpawnDelayed(self._agent.name, str(error), wait_s))
                for task in self._agent.queue:
                    task.doing.value = f"waiting for room for its process: {error.strerror}"
                await trio.sleep(wait_s)
                wait_s = min(2 * wait_s, longest_s)

    async def _make_tmp(self) -> None:
        if self._around.temporary is not None:
            self._tmp = await self._around.temporary.make(self._agent.name)
            self._agent.tmp_bytes = 0

    async def _remove_tmp(self) -> None:
        if self._around.temporary is not None and self._tmp is not None:
            await self._around.temporary.remove(self._tmp)
            self._tmp = self._agent.tmp_bytes = None

    async def _measure_tmp(self, pid: int) -> None:
        """Recycle the process after the task in hand if its temporary files take too much."""
        if self._tmp is None:
            return
        size = self._agent.tmp_bytes = await size_of(self._tmp)
        limit = self._settings.tmp_limit
        if size > limit:
            self._around.emit(TemporaryFull(self._agent.name, pid, limit, size))
            self._recycle = "its temporary files took too much"

    def _command(self, launch: Launch) -> Command:
        return Command(
            argv=(
                *launch.cli.argv,
                *arguments(
                    launch.definition, launch.mode, self._around.clis.capabilities(launch.cli)
                ),
            ),
            cwd=self._around.root,
            env=environment(self._around.environ, launch.mode)
            | (variables(self._tmp) if self._tmp is not None else {}),
            tag_variable=TAG,
            tag=f"{self._around.mark}.{next(_numbers)}.{self._agent.name}",
            memory_limit=self._settings.hard_ceiling,
        )

    async def _use(
        self, child: Process, launch: Launch, slot: "StartSlot", began: float
    ) -> AgentCrashError | None:
        agent = self._agent
        capabilities = self._around.clis.capabilities(launch.cli)
        process = AgentProcess(child, agent.name, capabilities, self._around.emit, agent.poke)
        agent.started_at = time.time()
        agent.process = child
        self._recycle = self._rest = None
        self._around.emit(WorkerStarted(agent.name, child.pid))
        end = End("reset")
        # A process that is to end in order must be listened to until it has.
        attending = trio.CancelScope(shield=True)

        async def attend() -> None:
            with attending:
                await process.attend()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(attend)
            try:
                end = await self._start_and_serve(process, launch, slot, began)
            finally:
                try:
                    status = await self._end(process, end)
                finally:
                    attending.cancel()
        self._resting = end.kind == "rest"
        return self._crash(process, end, status)

    async def _end(self, process: AgentProcess, end: "End") -> int | None:
        """End the process and everything that it started; returns its exit status."""
        agent = self._agent
        agent.ready = agent.started_at = agent.process = None
        with trio.CancelScope(shield=True):
            if (self._cut_off is None or self._cut_off.in_order) and end.in_order:
                await process.end_in_order(self._settings.shutdown)
            planned = end.planned and (self._cut_off is None or self._cut_off.blameless)
            status = await process.end(end.planned or end.kind == "silent start")
        self._around.emit(WorkerExited(agent.name, process.child.pid, status, planned))
        return status

    async def _start_and_serve(
        self, process: AgentProcess, launch: Launch, slot: "StartSlot", began: float
    ) -> "End":
        agent = self._agent
        limit_s = self._settings.start_timeout
        try:
            if not await process.initialize(launch.definition.system_prompt, limit_s):
                return End("silent start")
        except ProcessGoneError:
            return End("start")
        slot.release()
        agent.ready = Ready(process.child.pid, round(time.monotonic() - began, 4))
        agent.state = "idle"
        agent.eager = False
        self._around.emit(WorkerReady(agent.name, agent.ready.pid, agent.ready.ready_s))
        ends: list[End] = []
        async with trio.open_nursery() as beside:
            beside.start_soon(self._watch_liveness, process)
            ends.append(await self._serve_all(process, launch, agent.ready))
            beside.cancel_scope.cancel()
        return ends[0]

    async def _watch_liveness(self, process: AgentProcess) -> None:
        timeout_s = self._settings.liveness_timeout
        if not timeout_s:
            return
        hung = await hang(process, timeout_s)
        agent = self._agent
        self._around.emit(WorkerHung(agent.name, process.child.pid, hung.in_words))
        error = TaskError(
            "agent_hung",
            f'the process of "{agent.name}" {hung.in_words}, so it was killed.',
            AFTER_CRASH,
            {"pid": process.child.pid, "waited_s": round(hung.waited_s, 1)},
        )
        self._cut(CutOff(error, replace=True, blameless=False))

    async def _serve_all(self, process: AgentProcess, launch: Launch, ready: Ready) -> "End":
        agent = self._agent
        life = Service(trio.current_time())
        while True:
            if process.gone:
                return End("idle")
            agent.answer_warmups(ready)
            agent.state, agent.watched_by = "idle", process.watched_by
            agent.last_used = trio.current_time()
            why = self._recycle if life.tasks else None
            if why := why or life.used_up(self._settings):
                self._around.emit(WorkerRecycled(agent.name, process.child.pid, why))
                return End("replace")
            if not agent.queue:
                if (end := await self._idle(process, life)) is not None:
                    return end
                continue
            try:
                if self._around.define(agent.name).digest != launch.definition.digest:
                    return End("replace")
            except PoolError as refused:
                self._refuse_one(refused.error)
                continue
            task = agent.take()
            if task is not None:
                end = await self._serve(process, task)
                if end is not None:
                    return end
                life.has_served()

    async def _idle(self, process: AgentProcess, life: "Service") -> "End | None":
        """Wait for work, or for what is due without any."""
        due = life.next_due(self._settings)
        with trio.move_on_at(due) as idle:
            await self._agent.wait_poked()
        why, self._rest = self._rest, None
        if why is not None and not self._agent.wants_process:
            self._around.emit(WorkerRecycled(self._agent.name, process.child.pid, why))
            return End("rest")
        if not idle.cancelled_caught:
            return None
        if life.is_idle_too_long(self._settings):
            why = f"it had no task for {self._settings.max_idle:g} s"
            self._around.emit(WorkerRecycled(self._agent.name, process.child.pid, why))
            return End("rest")
        if life.unswept:
            life.unswept = False
            await process.child.end_strangers()
        return None

    # one task

    async def _serve(self, process: AgentProcess, task: Task) -> "End | None":
        """Bring one task to its outcome and the context back; None: ready for the next."""
        agent = self._agent
        agent.current, agent.state = task, "busy"
        try:
            result = await self._attempt(process, task)
        except ProcessGoneError:
            return End("task", task)
        except BaseException:
            cut_off = self._cut_off
            task.settle(cut_off.error if cut_off else self._stopped_error())
            raise
        finally:
            agent.current = None
            process.on_activity = lambda _: None
        try:
            if result is not None:
                task.settle(self._outcome(process, result))
            elif not await process.interrupt(self._settings.interrupt_grace):
                return End("unresponsive")
            agent.state = "resetting"
            if not await process.reset(self._settings.control_timeout):
                return End("replace")
            if result is None or (result.turns or 0) > 1:
                # It used tools, and a command may have left something running, or files.
                await process.child.end_strangers()
                await self._measure_tmp(process.child.pid)
        except ProcessGoneError:
            return End("idle")
        finally:
            agent.reset_by = process.reset_by
        return None

    def _stopped_error(self) -> TaskError:
        """What the task in hand ends with when the tree stops this worker."""
        return self._agent.down_error() if self._agent.down else restarted_error(self._agent.name)

    async def _attempt(self, process: AgentProcess, task: Task) -> TurnResult | None:
        """The result of `task`; None: somebody else settled it, at its deadline for example."""

        def doing(text: str) -> None:
            task.doing.value = text

        task.started_at = trio.current_time()
        task.pid = process.child.pid
        process.on_activity = doing
        doing("working")
        self._around.emit(TaskStarted(self._agent.name, task.id, task.pid))
        result = None
        with trio.CancelScope() as until_settled:
            task.on_settled = until_settled.cancel
            await process.send_task(task.text)
            task.attempts += 1
            task.sent_whole = True
            result = await process.result()
        task.on_settled = None
        return result

    def _outcome(self, process: AgentProcess, result: TurnResult) -> TaskResult | TaskError:
        if process.version is not None:
            try:
                check_version(process.version, " ".join(process.child.argv))
            except PoolError as refused:
                return refused.error
        if result.ok:
            return TaskResult(
                result.text, result.usage, result.cost_usd, result.session_id, result.denials
            )
        return failed_error(self._agent.name, result)

    # what an end means

    def _crash(
        self, process: AgentProcess, end: "End", status: int | None
    ) -> AgentCrashError | None:
        """What the supervisor is told of an end, after those whom it concerns."""
        if end.planned:
            return None
        how = exit_in_words(status)
        if process.fell_silent:
            how = "closed its pipes without ending"
        stderr = tuple(process.stderr)
        if end.kind == "silent start" and process.refusal is not None:
            return self._start_failed(f"refused its role: {process.refusal}", stderr)
        if end.kind == "silent start":
            limit_s = self._settings.start_timeout
            return self._start_failed(f"did not become ready within {limit_s:g} s", stderr)
        if end.kind == "start" and self._learned_option(process, stderr):
            return None
        if end.kind == "start":
            return self._start_failed(f"{how} before it was ready", stderr)
        if end.task is not None:
            self._settle_crashed(end.task, how, status, process)
        return AgentCrashError(f"its process {how} {'in a task' if end.task else 'while idle'}")

    def _learned_option(self, process: AgentProcess, stderr: tuple[str, ...]) -> bool:
        """Whether it ended over an option that it can do without, and will not be given again."""
        said = "\n".join(stderr)
        refused = {o for o in OPTIONAL if f"unknown option '{o}'" in said}
        new = refused - process.capabilities.unknown_options
        process.capabilities.unknown_options |= new
        return bool(new)

    def _settle_crashed(
        self, task: Task, how: str, status: int | None, process: AgentProcess
    ) -> None:
        if process.task_unread:
            task.sent_whole = False
        task.unsent += not task.sent_whole
        if not task.sent_whole and task.unsent < UNSENT_LIMIT:
            self._agent.put_back(task)
            return
        doing = f" It was last seen: {process.doing}." if process.doing else ""
        last = f" Its last words: {process.stderr[-1]}" if process.stderr else ""
        task.settle(
            TaskError(
                "agent_crashed",
                f'the process of "{task.agent}" {how} in the middle of this task.{doing}{last}',
                AFTER_CRASH,
                {
                    "exit_status": status,
                    "stderr": list(process.stderr),
                    "doing": process.doing,
                    "pid": process.child.pid,
                },
            )
        )

    def _start_failed(self, how: str, stderr: tuple[str, ...]) -> AgentCrashError:
        agent = self._agent
        said = f" Its stderr: {' | '.join(stderr[-5:])}" if stderr else ""
        self._refuse_one(
            TaskError(
                "agent_start_failed",
                f'the process of "{agent.name}" {how}.{said}',
                "It is tried again, a few times. Check that the CLI runs by itself "
                "(CLAUDE_CLI says which) and is logged in.",
                {"stderr": list(stderr)},
            )
        )
        return AgentCrashError(f"its process {how}{'.' + said if said else ''}")


@dataclass(frozen=True)
class CutOff:
    """Why a worker drops everything at once."""

    error: TaskError
    """For the task in hand."""
    replace: bool
    """A new process is to be started, though nobody may wait for one."""
    blameless: bool = True
    """It is no crash, and does not count."""
    in_order: bool = False
    """The process is asked to end before it is killed."""


@dataclass(frozen=True)
class End:
    """Why a process is ended or has ended."""

    kind: Literal[
        "reset", "rest", "replace", "unresponsive", "start", "silent start", "idle", "task"
    ]
    """The first four: we end it. The others: it failed, and when."""
    task: Task | None = None
    """The task in hand."""

    @property
    def in_order(self) -> bool:
        """It can be asked to end before it is killed."""
        return self.kind in ("reset", "rest", "replace")

    @property
    def planned(self) -> bool:
        """It is no crash."""
        return self.in_order or self.kind == "unresponsive"


@dataclass
class Service:
    """What a process has served since it became ready, and what is due for it. Trio's clock."""

    ready_at: float
    """When it became ready."""
    tasks: int = 0
    """Tasks that it has brought to their outcome."""
    unswept: bool = False
    """What its tasks have left running has not been looked for while it was idle."""

    def __post_init__(self) -> None:
        self._idle_since = self.ready_at

    def has_served(self) -> None:
        """A task has ended, and the context is reset."""
        self.tasks += 1
        self.unswept = True
        self._idle_since = trio.current_time()

    def used_up(self, settings: AgentTable) -> str | None:
        """Why it is to be recycled, if it is."""
        if settings.max_tasks and self.tasks >= settings.max_tasks:
            return f"it had served {self.tasks} tasks"
        if settings.max_age and trio.current_time() >= self.ready_at + settings.max_age:
            return f"it was older than {settings.max_age:g} s"
        return None

    def is_idle_too_long(self, settings: AgentTable) -> bool:
        """Whether it has had no task for `max_idle`."""
        return bool(
            settings.max_idle and trio.current_time() >= self._idle_since + settings.max_idle
        )

    def next_due(self, settings: AgentTable) -> float:
        """When something is due if no task comes; `math.inf`: nothing is."""
        dues = [math.inf]
        if self.unswept:
            dues.append(self._idle_since + SWEEP_AFTER_S)
        if settings.max_age:
            dues.append(self.ready_at + settings.max_age)
        if settings.max_idle:
            dues.append(self._idle_since + settings.max_idle)
        return min(dues)


class StartSlot:
    """One of the few places for processes that are starting; may be given back early."""

    def __init__(self, places: trio.Semaphore) -> None:
        self._places = places
        self._held = False

    async def acquire(self) -> None:
        """Wait for a place."""
        await self._places.acquire()
        self._held = True

    def release(self) -> None:
        """Give it back, where it is held."""
        if self._held:
            self._held = False
            self._places.release()


def exit_in_words(status: int | None) -> str:
    """How a process ended, to follow its name."""
    if status is None:
        return "would not end"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def restarted_error(agent: str) -> TaskError:
    """`agent_restarted`: the worker was stopped with its supervisor."""
    return TaskError(
        "agent_restarted",
        f'the agent "{agent}" was restarted while it had this task.',
        "Send the task again; what it had done to files stays done.",
    )


def failed_error(agent: str, result: TurnResult) -> TaskError:
    """The error of a task that the CLI itself reports as failed."""
    said = result.text or "; ".join(result.errors) or f"it ended with {result.subtype}"
    data = {"subtype": result.subtype, "api_error_status": result.api_error_status}
    if result.subtype == "success" and not result.aborted:
        message = f'the model could not serve "{agent}": {said}'
        advice = "Where it is about the login or a limit, settle that; else send the task again."
        return TaskError("api_error", message, advice, data)
    advice = "Send the task again, perhaps in smaller parts."
    if result.aborted:
        message = f'"{agent}" was interrupted from inside: {said}'
        return TaskError("agent_aborted", message, advice, data)
    return TaskError("agent_failed", f'"{agent}" ended with {result.subtype}: {said}', advice, data)
