"""The worker: one supervised actor that owns no process or one, and serves one agent's queue.

It is always a running child of its supervisor. The first start of its process, a planned
replacement and an eviction happen inside it; only an *unplanned* end of the process ends the
worker too, as a crash, for the supervisor to deal with.
"""

import time

import trio

from supervisor.place import PlaceError
from supervisor.pool.agent import Agent, Ready, Seat
from supervisor.pool.agent_process import AgentProcess, ProcessGoneError
from supervisor.pool.boot import Boot, Launch
from supervisor.pool.ends import CutOff, End
from supervisor.pool.events import (
    PermissionsBypassed,
    WorkerExited,
    WorkerHung,
    WorkerReady,
    WorkerRecycled,
    WorkerStarted,
)
from supervisor.pool.launch import ASK, OPTIONAL, Role
from supervisor.pool.liveness import hang
from supervisor.pool.outcome import PoolError, Task, TaskError
from supervisor.pool.read_only import check_only_reads
from supervisor.pool.service import Service
from supervisor.pool.serving import Serving, Surroundings
from supervisor.pool.spares import Spare
from supervisor.pool.verdict import (
    conversation_lost_error,
    crashed_error,
    exit_in_words,
    hung_error,
    reset_error,
    restarted_error,
    start_failed_error,
)


class AgentCrashError(Exception):
    """The process of an agent ended unplanned: the worker ends with it."""


class Worker(Serving):
    """One replica of an agent. `run` is the start of its child spec."""

    def __init__(self, agent: Agent, seat: Seat, around: Surroundings) -> None:
        """`agent` and its `seat` outlive this worker; `around` is its pool's."""
        super().__init__(agent, seat, around)
        self._life = trio.CancelScope()
        self._resets: list[trio.Event] = []
        self._in_use = False
        self._rest: str | None = None
        self._resting = False  # its last process was ended because nobody needs one
        self._over = False
        self._leaving: str | None = None  # why it is to let its seat go

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the agent's queue until cancelled, or until it has let its seat go (`leave`).

        Raises:
            AgentCrashError: the process ended unplanned, or could not be started.
        """
        task_status.started(self)
        try:
            while True:
                with trio.CancelScope() as self._life:
                    crash = await self._live()
                    if crash is None:
                        return
                    if self._cut_off is None:
                        self._seat.eager = True
                        raise crash
                # Cut off, be it while its process crashed: that is gone already.
                self._after_cut_off()
                self._answer_resets()
        finally:
            if self._in_use and self._agent.down is None:
                # Stopped with its group: where there was a process, there is to be one again.
                self._seat.eager = True
            self._over = True
            self._answer_resets()

    async def reset(self) -> None:
        """Kill the process's tree, end the task in hand, and wait until all of it is gone."""
        await self._cut_and_wait(CutOff(reset_error(self._agent.name), replace=False))

    async def retire(self, error: TaskError) -> None:
        """End the process in order, and wait for that; `error` is for a task in hand."""
        await self._cut_and_wait(CutOff(error, replace=False, in_order=True))

    def leave(self, why: str) -> None:
        """Let the seat go, in order, after the task in hand: `run` returns then."""
        self._leaving = why
        if self._seat.state == "starting":  # it may wait for room for long
            self._cut(CutOff(restarted_error(self._agent.name), replace=True, retry=True))
        self._agent.poke()

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
        busy = self._seat.state in ("busy", "resetting")
        self._cut(CutOff(error, replace=True, blameless=busy, retry=True))

    async def _cut_and_wait(self, cut_off: CutOff) -> None:
        if self._over:
            return  # it crashed just now: all of it is gone, and nobody would answer
        done = trio.Event()
        self._resets.append(done)
        self._cut(cut_off)
        await done.wait()

    def _cut(self, cut_off: CutOff) -> None:
        if self._cut_off is None:
            self._cut_off = cut_off
        self._life.cancel()

    def _after_cut_off(self) -> None:
        cut_off, self._cut_off = self._cut_off, None
        assert cut_off is not None
        self._seat.state = "stopped"
        self._seat.eager = cut_off.replace
        if not cut_off.blameless:
            # It grew without a task: where it does so at each start, that must have an end.
            raise AgentCrashError(str(cut_off.error))

    def _answer_resets(self) -> None:
        waiting, self._resets = self._resets, []
        for done in waiting:
            done.set()

    # one process after the other

    async def _live(self) -> AgentCrashError | None:
        """One process after the other; returns with a crash, or None: it lets its seat go."""
        while True:
            self._in_use = False
            while self._leaving or not self._agent.needs(self._seat):
                self._seat.state = "stopped"
                if self._leaving:
                    return None
                await self._agent.wait_poked()
            self._in_use = True
            try:
                launch = self._around.launch(self._agent)
            except PoolError as refused:
                self._refuse_one(refused.error)
                if not self._agent.is_wanted:
                    await self._agent.wait_poked()
                continue
            crash = await self._own_process(launch)
            if crash is not None:
                return crash
            if not self._resting:
                self._agent.figures.recycles += 1
                self._seat.eager = not self._seat.is_leaving

    def _refuse_one(self, error: TaskError) -> None:
        """Nothing can be started: who asked first is told; nobody else is kept waiting for it."""
        self._seat.eager = False
        self._agent.answer_warmups(error)
        task = self._agent.take()
        if task is not None:
            task.settle(error)

    async def _own_process(self, launch: Launch) -> AgentCrashError | None:
        """Start a process, serve with it, end it; None: its end was planned."""
        self._seat.state = "starting"
        self._seat.launch_key = launch.key
        self._digest = launch.definition.digest
        self._asks = launch.profile.mode == ASK
        seat, agent = self._seat.name, self._agent.name
        spare = await self._around.take_spare(launch.spare, seat, agent)
        boot = Boot(self._around.yard, launch.profile, seat, agent) if spare is None else spare.boot
        boot.waiting = self._tell_waiting
        self.boot = boot
        try:
            if spare is not None:
                spare.process.belongs_to(agent, self._agent.poke)
                return await self._use(spare.process, launch, spare)
            try:
                process = await boot.start(self._agent.poke)
            except (OSError, ValueError, PlaceError) as error:
                return self._start_failed(f"cannot be started: {error}", ())
            return await self._use(process, launch)
        finally:
            await boot.close()
            self._seat.tmp_bytes = None

    def _tell_waiting(self, what: str) -> None:
        for task in self._agent.queue:
            task.doing.value = what

    async def _use(
        self, process: AgentProcess, launch: Launch, spare: Spare | None = None
    ) -> AgentCrashError | None:
        seat = self._seat
        seat.started_at, seat.process = time.time(), process.child
        process.emit, self._in_hand = self._emit, None
        self._recycle = self._rest = None
        self._emit(WorkerStarted(self._agent.name, process.child.pid, bool(spare) or None))
        if launch.profile.mode == "bypassPermissions":
            self._emit(PermissionsBypassed(self._agent.name, process.child.pid))
        end = End("reset")
        # A process that is to end in order must be listened to until it has.
        attending = trio.CancelScope(shield=True)

        async def attend() -> None:
            with attending:
                await process.attend()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(attend)
            try:
                end = await self._start_and_serve(process, launch, spare)
            finally:
                try:
                    status = await self._end(process, end)
                finally:
                    attending.cancel()
        self._resting = end.kind == "rest"
        if end.kind == "start" and self._agent.session_id is not None:
            if not self._learned_option(process, tuple(process.stderr)):
                await self._lose_conversation(process, status)
            return None
        return self._crash(process, end, status)

    async def _end(self, process: AgentProcess, end: End) -> int | None:
        """End the process and everything that it started; returns its exit status."""
        seat = self._seat
        seat.ready = seat.started_at = seat.process = None
        with trio.CancelScope(shield=True):
            if (self._cut_off is None or self._cut_off.in_order) and end.in_order:
                await process.end_in_order(self._settings.shutdown)
            planned = end.planned and (self._cut_off is None or self._cut_off.blameless)
            status = await process.end(end.planned or end.kind == "silent start")
        self._emit(WorkerExited(self._agent.name, process.child.pid, status, planned))
        return status

    async def _start_and_serve(
        self, process: AgentProcess, launch: Launch, spare: Spare | None
    ) -> End:
        agent, seat, boot = self._agent, self._seat, self.boot
        assert boot is not None
        limit_s = self._settings.start_timeout
        definition = launch.definition
        late_model = definition.model if spare and launch.spare != launch.profile else None
        try:
            if not await process.initialize(
                definition.system_prompt,
                limit_s,
                late_model,
                definition.sub_agents,
                resumes=agent.session_id is not None,
                keeps_context=agent.conversation is not None,
            ):
                return End("replace" if spare else "silent start")
            if definition.mcp_servers:
                await process.await_servers(limit_s)
        except ProcessGoneError:
            return End("replace" if spare else "start")
        boot.has_started()
        seat.ready = Ready(process.child.pid, round(time.monotonic() - boot.began, 4))
        seat.state = "idle"
        seat.eager = False
        agent.capabilities = process.capabilities
        self._emit(WorkerReady(agent.name, seat.ready.pid, seat.ready.ready_s))
        ends: list[End] = []
        async with trio.open_nursery() as beside:
            beside.start_soon(self._watch_liveness, process)
            ends.append(await self._serve_all(process, launch, seat.ready))
            beside.cancel_scope.cancel()
        return ends[0]

    async def _watch_liveness(self, process: AgentProcess) -> None:
        hung = await hang(process, lambda: self._settings.liveness_timeout)
        name, pid = self._agent.name, process.child.pid
        self._emit(WorkerHung(name, pid, hung.in_words))
        error = hung_error(name, hung.in_words, pid, hung.waited_s)
        self._cut(CutOff(error, replace=True, blameless=False))

    async def _serve_all(self, process: AgentProcess, launch: Launch, ready: Ready) -> End:
        agent, seat = self._agent, self._seat
        life = Service(trio.current_time())
        while True:
            if process.gone:
                return End("idle")
            agent.answer_warmups(ready)
            seat.state = "idle"
            seat.last_used = trio.current_time()
            why = self._recycle if life.tasks else None
            why = why or self._outdated(launch) or life.used_up(self._settings)
            if why := self._leaving or why:
                self._emit(WorkerRecycled(agent.name, process.child.pid, why))
                return End("replace")
            if not agent.queue:
                if (end := await self._idle(process, life)) is not None:
                    return end
                continue
            task = agent.take()
            if task is not None and self._may_have(task, launch.definition):
                end = await self._serve(process, task)
                if end is not None:
                    return end
                self._in_hand = process.on_line = None
                life.has_served()

    def _may_have(self, task: Task, role: Role) -> bool:
        """False, and it has ended: the agent was redefined while it waited."""
        try:
            if task.only_reads:
                check_only_reads(role)
        except PoolError as refused:
            task.settle(refused.error)
        return task.outcome is None

    def _outdated(self, launch: Launch) -> str | None:
        """Why the process is not what the agent's would be now, if it is not."""
        try:
            now = self._around.define(self._agent.defined_as).digest
        except PoolError as refused:
            # No task is served any more by what its user has taken back.
            return f"its agent cannot be served any more: {refused.error.message}"
        return None if now == launch.definition.digest else "its definition has changed"

    async def _idle(self, process: AgentProcess, life: Service) -> End | None:
        """Wait for work, or for what is due without any."""
        may_rest = self._agent.can_spare(self._seat)
        with trio.move_on_at(life.next_due(self._settings, may_rest)) as idle:
            await self._agent.wait_poked()
        why, self._rest = self._rest, None
        if not idle.cancelled_caught and why is None:
            return None
        if why is None and may_rest and life.is_idle_too_long(self._settings):
            why = f"it had no task for {self._settings.idle_timeout:g} s"
        if why is not None and self._agent.can_spare(self._seat):
            self._emit(WorkerRecycled(self._agent.name, process.child.pid, why))
            return End("rest")
        if idle.cancelled_caught and life.unswept:
            life.unswept = False
            await process.child.end_strangers()
        return None

    # what an end means

    def _crash(self, process: AgentProcess, end: End, status: int | None) -> AgentCrashError | None:
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
        if end.task is None:
            return AgentCrashError(f"its process {how} while idle")
        if process.task_unread:
            end.task.take_back_attempt()
        error = crashed_error(end.task, how, status, process)
        self._end_or_retry(end.task, error, may_retry=True, status=status)
        if end.task.attempts > 1:
            # A task that has met a death before is to blame, not its agent: so the attempts at
            # one task do not take a group over its intensity.
            self._agent.figures.restarts += 1
            return None
        return AgentCrashError(f"its process {how} in a task")

    async def _lose_conversation(self, process: AgentProcess, status: int | None) -> None:
        """It cannot be taken up again: whoever waits is told, and the next call begins anew."""
        why = " | ".join(list(process.stderr)[-5:]) or f"its process {exit_in_words(status)}"
        await self._hold_conversation_in(None)
        self._agent.fail_waiting(conversation_lost_error(self._agent, why))

    def _learned_option(self, process: AgentProcess, stderr: tuple[str, ...]) -> bool:
        """Whether it ended over an option that it can do without, and will not be given again."""
        said = "\n".join(stderr)
        refused = {o for o in OPTIONAL if f"unknown option '{o}'" in said}
        new = refused - process.capabilities.unknown_options
        process.capabilities.unknown_options |= new
        return bool(new)

    def _start_failed(self, how: str, stderr: tuple[str, ...]) -> AgentCrashError:
        said = f" Its stderr: {' | '.join(stderr[-5:])}" if stderr else ""
        self._refuse_one(start_failed_error(self._agent.name, how, said, stderr))
        return AgentCrashError(f"its process {how}{'.' + said if said else ''}")
