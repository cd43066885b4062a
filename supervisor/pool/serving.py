"""One task in a worker's process: from its line to its outcome, and to a context that is clear."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from supervisor.agents import AgentDefinition
from supervisor.pool.agent import Agent, Seat
from supervisor.pool.agent_process import AgentProcess, ProcessGoneError
from supervisor.pool.boot import Boot, Launch, Profile, Yard
from supervisor.pool.config import AgentTable
from supervisor.pool.ends import CutOff, End
from supervisor.pool.events import PoolEvent, TaskRetried, TaskStarted, TemporaryFull
from supervisor.pool.outcome import Attempt, Task, TaskError
from supervisor.pool.permission import Questions
from supervisor.pool.spares import Spare
from supervisor.pool.verdict import conversation_lost_error, cost_error, outcome_of, restarted_error
from supervisor.protocol import TurnResult

COST_EVERY_S = 15.0
"""Seconds between two questions after what a task has cost so far."""

LIMITED_COST_EVERY_S = 2.0
"""The same where there is a limit."""

UNSENT_LIMIT = 3
"""Processes that may die before a task's line is written whole, until the task ends with it."""


@dataclass(frozen=True)
class Surroundings:
    """What a worker needs of its pool."""

    define: Callable[[str], AgentDefinition]
    """The definition by which an agent's tasks are served now; raises PoolError."""
    launch: Callable[[Agent], Launch]
    """How an agent is started now; raises PoolError."""
    settings: Callable[[str], AgentTable]
    """An agent's settings as they are now."""
    yard: Yard
    """Where processes come from."""
    take_spare: Callable[[Profile, str, str], Awaitable[Spare | None]]
    """A process that stands by, as `SpareKeeper.take`."""
    keep_session: Callable[[Agent], Awaitable[None]]
    """Told when another session holds a conversation than before, or none."""


class Serving:
    """The part of a worker that serves a task, once there is a process for it."""

    def __init__(self, agent: Agent, seat: Seat, around: Surroundings) -> None:
        """As for `Worker`."""
        self.boot: Boot | None = None
        """The process that it has or waits for."""
        self._agent = agent
        self._seat = seat
        self._around = around
        self._in_hand: tuple[str, int] | None = None  # the task, and which attempt at it
        self._cut_off: CutOff | None = None
        self._recycle: str | None = None
        self._digest = ""
        self._asks = False  # its process asks for permissions

    @property
    def _settings(self) -> AgentTable:
        return self._around.settings(self._agent.defined_as)

    def _emit(self, event: PoolEvent) -> None:
        task_id, attempt = self._in_hand or (None, None)
        self._around.yard.emit(event.told_by(self._seat.name, task_id, attempt))

    async def _serve(self, process: AgentProcess, task: Task) -> End | None:
        """Bring one task to its outcome and the context back; None: ready for the next."""
        agent, seat = self._agent, self._seat
        seat.current, seat.state = task, "busy"
        self._in_hand = task.id, task.attempts + 1
        process.on_line = self._around.yard.transcript(task.id)
        try:
            result = await self._attempt(process, task)
        except ProcessGoneError:
            return End("task", task)
        except BaseException:
            self._cut_short(task)
            raise
        finally:
            seat.current = None
            process.on_question = None
            process.on_activity = lambda _: None
        try:
            if result is not None:
                lost = self._has_lost_context(result)
                await self._hold_conversation_in(None if lost else result.session_id)
                self._settle(process, task, result, lost)
                if lost:
                    return End("replace")
            elif not await self._interrupt(process, task):
                return End("unresponsive")
            seat.state = "resetting"
            if agent.conversation is None and not await process.reset(
                self._settings.control_timeout
            ):
                return End("replace")
            if result is None or (result.turns or 0) > 1:
                # It used tools, and a command may have left something running, or files.
                await self._clean_up(process)
        except ProcessGoneError:
            return End("idle")
        return None

    def _settle(self, process: AgentProcess, task: Task, result: TurnResult, lost: bool) -> None:
        """The agent has brought the task to its end; `lost`: without the context that it needs."""
        agent = self._agent
        task.bill(result.usage, result.cost_usd, is_lower_bound=False)
        outcome = (
            conversation_lost_error(agent, "its CLI began a new session")
            if lost
            else outcome_of(process, task, result)
        )
        task.settle(outcome)
        task.end_attempt(None, outcome.code if isinstance(outcome, TaskError) else "")
        agent.has_taken(task.times()["ran_s"])

    async def _hold_conversation_in(self, session_id: str | None) -> None:
        """Note that this session holds the conversation, if it is one; None: none does."""
        agent = self._agent
        if agent.conversation is not None and agent.session_id != session_id:
            agent.session_id = session_id
            await self._around.keep_session(agent)

    async def _interrupt(self, process: AgentProcess, task: Task) -> bool:
        """End the turn of a task that somebody else has settled; False: it goes on regardless."""
        try:
            cost = None if task.cost_usd is None else await process.cost_so_far()
            task.bill(None, cost, is_lower_bound=True)
            aborted = await process.interrupt(self._settings.interrupt_grace)
            if aborted is not None:
                task.bill(aborted.usage, aborted.cost_usd, is_lower_bound=False)
        finally:
            task.end_attempt(None, task.outcome.code if isinstance(task.outcome, TaskError) else "")
        return aborted is not None

    def _has_lost_context(self, result: TurnResult) -> bool:
        """The task was answered in another session than the one that holds its conversation."""
        return self._agent.session_id not in (None, result.session_id)

    async def _clean_up(self, process: AgentProcess) -> None:
        """End what a task's commands left running; recycle where its files take too much."""
        if not self._settings.keep_background:
            await process.child.end_strangers()
        assert self.boot is not None
        size = self._seat.tmp_bytes = await self.boot.tmp_bytes()
        limit = self._settings.tmp_limit
        if size is not None and size > limit:
            self._emit(TemporaryFull(self._agent.name, process.child.pid, limit, size))
            self._recycle = "its temporary files took too much"

    def _cut_short(self, task: Task) -> None:
        """The task in hand ends, or is tried again, since its worker drops everything."""
        cut_off = self._cut_off
        if cut_off is not None:
            self._end_or_retry(task, cut_off.error, may_retry=cut_off.retry)
        elif self._agent.down is not None:
            self._end_or_retry(task, self._agent.down_error(), may_retry=False)
        else:
            self._end_or_retry(task, restarted_error(self._agent.name), may_retry=True)

    def _end_or_retry(
        self, task: Task, error: TaskError, *, may_retry: bool, status: int | None = None
    ) -> None:
        """An attempt was cut off: queue the task again where that is safe, else it ends so.

        It is where no process had all of it, or where its agent is declared to bear that.
        """
        was_sent = task.sent_whole
        task.end_attempt(status, error.code)
        task.unsent += not was_sent
        safe = task.attempts <= self._settings.retries if was_sent else task.unsent < UNSENT_LIMIT
        if task.outcome is not None or not (may_retry and safe):
            task.settle(error)
            return
        if was_sent:
            self._emit(TaskRetried(task.agent, error.code))
        self._agent.put_back(task, "waiting for the agent's new process")

    async def _attempt(self, process: AgentProcess, task: Task) -> TurnResult | None:
        """The result of `task`; None: somebody else settled it, at its deadline for example."""

        def doing(text: str) -> None:
            task.tokens_so_far = process.tokens_so_far
            task.doing.value = text

        task.started_at = trio.current_time()
        task.pid, task.worker = process.child.pid, self._seat.name
        task.definition_hash = self._digest
        process.on_activity = doing
        task.doing.value = "working"
        asked = Questions(task, task.pid, process.answer, doing, self._emit)
        process.on_question = asked.take if self._asks else None
        self._emit(TaskStarted(self._agent.name, task.pid))
        result: TurnResult | ProcessGoneError | None = None
        with trio.CancelScope() as until_settled:
            task.on_settled = until_settled.cancel
            await process.send_task(task.text)
            task.begin_attempt(Attempt(task.attempts + 1, task.pid, time.time()))
            async with trio.open_nursery() as beside:
                beside.start_soon(self._watch_cost, process, task)
                beside.start_soon(asked.serve)
                result = await _result_of(process)
                beside.cancel_scope.cancel()
        task.on_settled = None
        if isinstance(result, ProcessGoneError):
            raise result
        return result

    async def _watch_cost(self, process: AgentProcess, task: Task) -> None:
        """Ask now and then what the task has cost, so that something is known if its process dies.

        Interrupt it at its limit.
        """
        while True:
            limit = self._settings.max_cost_usd
            await trio.sleep(COST_EVERY_S if not limit else LIMITED_COST_EVERY_S)
            try:
                cost = await process.cost_so_far()
            except ProcessGoneError:
                return
            if cost is None:
                return
            task.bill(None, cost, is_lower_bound=True)
            if limit and (task.cost_usd or 0.0) > limit:
                task.settle(cost_error(task, limit))


async def _result_of(process: AgentProcess) -> TurnResult | ProcessGoneError:
    """The result, or why there is none, as a value: what is beside it must not wrap it."""
    try:
        return await process.result()
    except ProcessGoneError as gone:
        return gone
