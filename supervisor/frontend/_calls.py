"""What the tools do: each call is put to the pool, and its answer is awaited."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import mcp_types
import trio
from mcp.server.context import ServerRequestContext

from supervisor.frontend import _progress
from supervisor.frontend._answers import (
    error_result,
    part_result,
    prose_result,
    record_result,
    task_result,
    text_of,
    told_if_huge,
)
from supervisor.frontend._arguments import (
    AgentArguments,
    ConsultArguments,
    InvokeArguments,
    InvokeManyArguments,
    NoArguments,
    OneOfMany,
    ResetArguments,
    ResultArguments,
    StatsArguments,
    SubmitArguments,
    TaskArguments,
    TasksArguments,
    WaitArguments,
)
from supervisor.frontend._questions import GONE, RETURNED, desk_for, show_to
from supervisor.frontend._records import (
    AgentRecord,
    DurationsRecord,
    ListRecord,
    ReadyRecord,
    ReloadRecord,
    ResetRecord,
    StatsRecord,
    StatsRow,
    SubmittedRecord,
    TaskRow,
    TasksRecord,
    TreeRecord,
    TreeRow,
)
from supervisor.frontend._rounds import Rounds
from supervisor.ledger import Durations, Stats, TaskFilter
from supervisor.pool import Desk, Pool, PoolError, Task, TaskError, TaskResult
from supervisor.pool.outcome import SHELL_ADVICE

Context = ServerRequestContext[Any, Any]
Answer = mcp_types.CallToolResult


CANCELLED_KEPT = 1_000
"""Of so many requests it is known that their client has cancelled them: more than end at once."""


@dataclass
class Client:
    """One connection."""

    name: str = ""
    """Who takes turns with others where tasks wait for one agent."""
    lost: bool = False
    """It was closed from the other side, so nobody cancelled anything but what is `cancelled`."""
    cancelled: deque[object] = field(default_factory=lambda: deque(maxlen=CANCELLED_KEPT))
    """The requests that it took back last, by their ids; what they ask for may have ended."""
    rounds: Rounds | None = None
    """Where its calls are held while it is asked; None: nowhere, so it is asked by requests."""


CLIENT: ContextVar[Client] = ContextVar("CLIENT")
"""The connection that the running call came in by."""


async def invoke(pool: Pool, arguments: InvokeArguments, context: Context) -> Answer:
    """Hand over a task, and wait for its outcome."""
    task = await _submitted(pool, arguments, desk_for(context))
    limit_s = float("inf") if arguments.if_longer_than_s is None else arguments.if_longer_than_s
    with _held(pool, [task], context), task.clock.move_on_after(limit_s):
        await _await_outcome(pool, task, context)
    if task.outcome is not None:
        await pool.recorded(task)
    else:
        meta = {"task_id": task.id, "agent": task.agent, "at_shell": _runs_on_at_shell(pool, task)}
        return prose_result(_runs_on(pool, task), meta)
    return task_result(pool, task)


async def consult(pool: Pool, arguments: ConsultArguments, context: Context) -> Answer:
    """Hand over a task to an agent that cannot change anything, and wait for its outcome."""
    task = await pool.submit(
        arguments.agent,
        arguments.task,
        arguments.timeout_s,
        caller=CLIENT.get().name,
        reply_limit=0 if arguments.reply == "full" else None,
        only_reads=True,
        desk=desk_for(context),
    )
    with _held(pool, [task], context):
        await _await_outcome(pool, task, context)
    await pool.recorded(task)
    return task_result(pool, task)


async def invoke_many(pool: Pool, arguments: InvokeManyArguments, context: Context) -> Answer:
    """Hand over many tasks, and wait for all of their outcomes."""
    wanted = arguments.tasks
    places = trio.Semaphore(arguments.max_parallel or len(wanted))
    outcomes: list[Answer | None] = [None] * len(wanted)
    running: list[Task] = []
    desk = desk_for(context)
    changed = trio.Event()

    async def serve(number: int, one: OneOfMany) -> None:
        async with places:
            outcomes[number] = await _one_of_many(pool, one, running, desk)
        nonlocal changed
        changed.set()
        changed = trio.Event()

    async def report() -> None:
        steps = _progress.Steps()
        while True:
            done = sum(outcome is not None for outcome in outcomes)
            message = _progress.of_many(pool, done, len(wanted), running)
            await context.session.report_progress(steps.next(done), len(wanted), message)
            await trio.sleep(_progress.GAP_S)
            with trio.move_on_after(_progress.EVERY_S):
                await changed.wait()

    with _held(pool, running, context):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(report)
            nursery.start_soon(desk.serve, show_to(context))
            async with trio.open_nursery() as working:
                for number, one in enumerate(wanted):
                    working.start_soon(serve, number, one)
            nursery.cancel_scope.cancel()
    return _many(wanted, [outcome for outcome in outcomes if outcome is not None])


async def _one_of_many(pool: Pool, one: OneOfMany, running: list[Task], desk: Desk) -> Answer:
    try:
        task = await pool.submit(
            one.agent,
            one.task,
            one.timeout_s,
            caller=CLIENT.get().name,
            reply_limit=0 if one.reply == "full" else None,
            desk=desk,
        )
    except PoolError as refused:
        return error_result(refused.error, {"agent": one.agent})
    running.append(task)
    await task.settled.wait()
    running.remove(task)
    await pool.recorded(task)
    return task_result(pool, task)


def _many(wanted: list[OneOfMany], outcomes: list[Answer]) -> Answer:
    """One text a task, in the order of the tasks; `_meta` has a record each."""
    content: list[mcp_types.ContentBlock] = []
    metas = []
    for number, (one, outcome) in enumerate(zip(wanted, outcomes, strict=True), 1):
        meta = dict(outcome.meta or {})
        failed = "failed, " if outcome.is_error else ""
        head = f"[{number}/{len(wanted)}] {one.agent} ({failed}{meta.get('task_id', 'refused')})"
        content.append(mcp_types.TextContent(text=f"{head}\n{text_of(outcome)}"))
        metas.append(meta)
    every = all(outcome.is_error for outcome in outcomes)
    many = mcp_types.CallToolResult(content=content, is_error=every, _meta={"outcomes": metas})
    return told_if_huge(many, "each of them by its task's id")


async def submit(pool: Pool, arguments: SubmitArguments, context: Context) -> Answer:
    """Hand over a task, and wait for nothing."""
    task = await _submitted(pool, arguments)
    waiting = pool.queue_length(task)
    return record_result(SubmittedRecord(task_id=task.id, agent=task.agent, queue_length=waiting))


async def wait(pool: Pool, arguments: WaitArguments, context: Context) -> Answer:
    """Wait for tasks that run in the background."""
    ids = list(dict.fromkeys(arguments.task_ids))
    tasks = [await pool.find(task_id) for task_id in ids]

    async def report() -> None:
        steps = _progress.Steps()
        while True:
            left = [task for task in tasks if task.outcome is None]
            done = len(tasks) - len(left)
            message = _progress.of_many(pool, done, len(tasks), left)
            await context.session.report_progress(steps.next(done), len(tasks), message)
            await trio.sleep(_progress.EVERY_S)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(report)
        tasks = await pool.wait(ids, arguments.timeout_s, arguments.mode)
        nursery.cancel_scope.cancel()
    return record_result(TasksRecord(tasks=[task_row(task) for task in tasks]))


async def result(pool: Pool, arguments: ResultArguments, context: Context) -> Answer:
    """The outcome of a task that was handed over earlier."""
    task = await pool.find(arguments.task_id)
    if task.outcome is None:
        times = task.times()
        error = TaskError(
            "task_running",
            f"the task {task.id} has no outcome yet; {task.agent}: {_progress.doing(pool, task)}.",
            "Wait for it with the tool wait.",
            {**times, SHELL_ADVICE: f"agent-pool wait {task.id} waits for it."},
        )
        return error_result(error, {"task_id": task.id, "agent": task.agent})
    await pool.recorded(task)
    if arguments.part is not None and isinstance(task.outcome, TaskResult):
        return part_result(task, arguments.part)
    return task_result(pool, task)


async def cancel(pool: Pool, arguments: TaskArguments, context: Context) -> Answer:
    """End a task."""
    task = await pool.find(arguments.task_id)
    pool.cancel(task)
    await pool.recorded(task)
    return record_result(task_row(task))


async def tasks(pool: Pool, arguments: TasksArguments, context: Context) -> Answer:
    """The newest tasks."""
    wanted = TaskFilter(agent=arguments.agent, state=arguments.state)
    found = await pool.tasks(wanted, arguments.limit)
    if not found:
        await pool.check_defined(arguments.agent)
    return record_result(TasksRecord(tasks=[task_row(task) for task in found]))


async def stats(pool: Pool, arguments: StatsArguments, context: Context) -> Answer:
    """Tokens, costs, outcomes and durations."""
    since = time.time() - arguments.days * 86_400
    found = await pool.stats(arguments.by, since, arguments.agent)
    if not found:
        await pool.check_defined(arguments.agent)
    return record_result(StatsRecord(since=_utc(since), stats=[_stats_row(one) for one in found]))


async def warmup(pool: Pool, arguments: AgentArguments, context: Context) -> Answer:
    """Start an agent."""
    ready = await pool.warmup(arguments.agent)
    return record_result(ReadyRecord(agent=arguments.agent, pid=ready.pid, ready_s=ready.ready_s))


async def reset(pool: Pool, arguments: ResetArguments, context: Context) -> Answer:
    """End an agent's processes, or a conversation with it."""
    found = await pool.reset(arguments.agent, arguments.conversation)
    return record_result(ResetRecord(**found))


async def list_agents(pool: Pool, arguments: NoArguments, context: Context) -> Answer:
    """Every agent, and how it does."""
    rows = [AgentRecord.model_validate(row) for row in await pool.agents()]
    record = ListRecord(
        agents=rows, warnings=pool.warnings, refused=pool.refused, ledger=pool.ledger_problem
    )
    return record_result(record)


async def reload(pool: Pool, arguments: NoArguments, context: Context) -> Answer:
    """Read all files of the configuration again."""
    found = await pool.reload(f"{CLIENT.get().name} asked for it")
    before = pool.last_reload
    record = ReloadRecord(
        changed=list(found.changed),
        refused=list(found.refused),
        needs_restart=list(found.needs_restart),
        changed_before=[] if found.changed else list(before.changed),
        changed_before_at=None if found.changed or not before.changed else _utc(before.at),
    )
    return record_result(record)


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


async def tree(pool: Pool, arguments: NoArguments, context: Context) -> Answer:
    """The supervision tree."""
    rows = [TreeRow.model_validate(row) for row in await pool.tree()]
    return record_result(TreeRecord(tree=rows))


async def _submitted(pool: Pool, arguments: SubmitArguments, desk: Desk | None = None) -> Task:
    """Hand over a task; without a `desk` it runs in the background, and asks nobody."""
    return await pool.submit(
        arguments.agent,
        arguments.task,
        arguments.timeout_s,
        caller=CLIENT.get().name,
        priority=arguments.priority,
        conversation=arguments.conversation,
        reply_limit=0 if arguments.reply == "full" else arguments.reply_limit,
        background=desk is None,
        desk=desk,
    )


@contextmanager
def _held(pool: Pool, tasks: list[Task], context: Context) -> Iterator[None]:
    """End the tasks with the call, where that is cut short: by its caller's word, or its loss."""
    client, ended = CLIENT.get(), False
    try:
        yield
        ended = True
    finally:
        # A call takes a moment to end: its client may say that it cancels, and be gone by now.
        lost = client.lost and context.request_id not in client.cancelled
        for task in tasks:
            if not ended:
                (pool.client_lost if lost else pool.cancel)(task)
            task.desk.close(GONE if lost else RETURNED)


def _runs_on(pool: Pool, task: Task) -> str:
    return (
        f"[agent-pool] The task goes on in the background under the id {task.id} "
        f"({task.agent}: {_progress.doing(pool, task)}). Wait for it with wait, then ask for its "
        "result."
    )


def _runs_on_at_shell(pool: Pool, task: Task) -> str:
    return (
        f"The task goes on in the background ({task.agent}: {_progress.doing(pool, task)}). "
        f"agent-pool wait {task.id} waits for it, agent-pool result {task.id} prints its answer."
    )


def _stats_row(one: Stats) -> StatsRow:
    return StatsRow(
        agent=one.agent,
        conversation=one.conversation,
        day=one.day,
        tasks=one.tasks,
        outcomes=dict(one.outcomes),
        input_tokens=one.usage.input_tokens,
        output_tokens=one.usage.output_tokens,
        cache_read_tokens=one.usage.cache_read_tokens,
        cache_written_tokens=one.usage.cache_written_tokens,
        cached_share=one.cached_share,
        cost_usd=one.cost_usd,
        cost_is_lower_bound=one.cost_is_lower_bound,
        waited=_durations(one.waited),
        ran=_durations(one.ran),
    )


def _durations(one: Durations) -> DurationsRecord:
    return DurationsRecord(
        mean_s=round(one.mean_s, 3),
        p50_s=round(one.p50_s, 3),
        p90_s=round(one.p90_s, 3),
        p99_s=round(one.p99_s, 3),
    )


def task_row(task: Task) -> TaskRow:
    """A task as `wait`, `tasks` and `cancel` tell of it."""
    outcome = task.outcome
    ended = outcome.code if isinstance(outcome, TaskError) else "result" if outcome else None
    return TaskRow(
        task_id=task.id,
        agent=task.agent,
        conversation=task.conversation,
        priority=task.priority,
        state=task.state,
        outcome=ended,
        doing=None if outcome else task.doing.value,
        attempts=task.attempts,
        pid=task.pid,
        cost_usd=task.cost_usd,
        cost_is_lower_bound=task.cost_is_lower_bound,
        **task.times(),
    )


async def _await_outcome(pool: Pool, task: Task, context: Context) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_progress.report, pool, task, context.session)
        nursery.start_soon(task.desk.serve, show_to(context))
        await task.settled.wait()
        nursery.cancel_scope.cancel()
