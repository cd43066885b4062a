"""The tools: what a model may ask of the pool, and how it is answered.

Prose goes out as text alone, since structured content would replace it before the model's
eyes; records go out as structured content. Errors are results with `isError`: their text begins
with a code, and ends with what to do.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import mcp_types
import trio
from mcp.server.context import ServerRequestContext
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from supervisor.pool import Pool, PoolError, Task, TaskError, TaskResult

PROGRESS_EVERY_S = 5.0
"""Seconds after which progress is reported though nothing changed."""

PROGRESS_GAP_S = 0.5
"""Seconds between two reports, however fast things change."""

Context = ServerRequestContext[Any, Any]


@dataclass
class Client:
    """One connection."""

    lost: bool = False
    """It was closed from the other side, so nobody cancelled anything."""


CLIENT: ContextVar[Client] = ContextVar("CLIENT")
"""The connection that the running call came in by."""


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


AgentName = Annotated[
    str, Field(min_length=1, description="The agent's name, as the tool `list` gives it.")
]


class InvokeArguments(_Arguments):
    """Arguments of `invoke`."""

    agent: AgentName
    task: Annotated[
        str,
        Field(
            min_length=1,
            description="What the agent is to do. It sees nothing but this text and the "
            "project's files: say all that it needs to know, and what to return.",
        ),
    ]
    timeout_s: Annotated[
        float | None,
        Field(
            default=None,
            gt=0,
            description="Seconds until the task is given up, waiting included; "
            "by default as the pool is configured (30 minutes).",
        ),
    ]


class AgentArguments(_Arguments):
    """Arguments of `warmup` and `reset`."""

    agent: AgentName


class NoArguments(_Arguments):
    """Arguments of `list` and `tree`."""


class ReadyRecord(BaseModel):
    """What `warmup` returns."""

    agent: str
    pid: Annotated[int, Field(description="The process that is ready.")]
    ready_s: Annotated[float, Field(description="Seconds that it took to become ready.")]


class ResetRecord(BaseModel):
    """What `reset` returns."""

    agent: str
    was: Annotated[str, Field(description="The agent's state before.")]
    pid: Annotated[int | None, Field(description="The process that was killed, if there was one.")]


class WorkerRecord(BaseModel):
    """One worker of an agent in what `list` returns."""

    name: str
    state: str
    pid: int | None
    memory_bytes: int | None
    tmp_bytes: int | None
    uptime_s: float | None
    task_id: Annotated[str | None, Field(description="The task in hand.")]


class AgentRecord(BaseModel):
    """One agent in what `list` returns."""

    name: str
    description: str
    state: Annotated[
        str,
        Field(
            description="stopped, starting, idle, busy, resetting, restarting, down, or broken "
            "(its definition is wrong)."
        ),
    ]
    pid: int | None
    memory_bytes: Annotated[int | None, Field(description="Of its whole process tree.")]
    tmp_bytes: Annotated[
        int | None, Field(description="Of its temporary folder, as measured after its last task.")
    ]
    tasks_done: int
    tasks_failed: int
    restarts: Annotated[int, Field(description="Unplanned replacements of its process.")]
    recycles: Annotated[int, Field(description="Planned replacements of its process.")]
    uptime_s: Annotated[float | None, Field(description="Seconds that its process has run.")]
    queue_length: Annotated[int, Field(description="Tasks that wait for it.")]
    reset_by: Annotated[
        str,
        Field(
            description="How its context is cleared between tasks: rewind, /clear, or new process "
            "(its CLI can do neither: about a second a task); unknown before its first process."
        ),
    ]
    watched_by: Annotated[
        str,
        Field(
            description="How a hung process is found out: ping, or process state (its CLI answers "
            "no ping); unknown before it has been asked."
        ),
    ]
    origin: Annotated[str, Field(description="Where its definition came from.")]
    source: Annotated[str, Field(description="The file of its definition.")]
    workers: Annotated[
        list[WorkerRecord], Field(description="One each replica; the figures above are of all.")
    ]
    color: Annotated[str | None, Field(description="The colour that its file names.")] = None
    warnings: list[str]
    error: Annotated[str | None, Field(description="Why it is down or broken.")]


class ListRecord(BaseModel):
    """What `list` returns."""

    agents: list[AgentRecord]


class TreeRow(BaseModel):
    """One supervisor or child in what `tree` returns."""

    path: Annotated[str, Field(description="Where it is: the names from the root on, with /.")]
    name: str
    type: Annotated[str, Field(description="supervisor or worker.")]
    state: Annotated[str, Field(description="running, restarting, or undefined (it has ended).")]
    restart: Annotated[
        str | None, Field(description="permanent, transient or temporary; null for the root.")
    ] = None
    strategy: Annotated[str | None, Field(description="Of a running supervisor.")] = None
    intensity: Annotated[int | None, Field(description="Restarts that it bears ...")] = None
    period_s: Annotated[float | None, Field(description="... in so many seconds.")] = None
    agent: Annotated[str | None, Field(description="The agent that it is there for.")] = None
    agent_state: str | None = None
    pid: Annotated[int | None, Field(description="The process that the worker owns.")] = None
    error: Annotated[str | None, Field(description="Why the agent is down.")] = None


class TreeRecord(BaseModel):
    """What `tree` returns."""

    tree: Annotated[list[TreeRow], Field(description="Depth first, children in start order.")]


@dataclass(frozen=True)
class Tool:
    """One tool: what the model is told, and what is done."""

    name: str
    title: str
    description: str
    arguments: type[_Arguments]
    result: type[BaseModel] | None
    annotations: mcp_types.ToolAnnotations
    call: Callable[[Pool, Any, Context], Awaitable[mcp_types.CallToolResult]]
    listed: bool = True
    """Whether a model is told of it: each tool costs it tokens. The command line calls all."""

    def declared(self) -> mcp_types.Tool:
        """As `tools/list` gives it."""
        return mcp_types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=_schema(self.arguments),
            output_schema=None if self.result is None else _schema(self.result),
            annotations=self.annotations,
        )


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    schema.pop("description", None)
    return schema


async def call_tool(
    pool: Pool, name: str, arguments: Mapping[str, Any] | None, context: Context
) -> mcp_types.CallToolResult:
    """Serve one call; whatever is wrong with it comes back as a result with `isError`."""
    tool = TOOLS.get(name)
    if tool is None:
        known = ", ".join(TOOLS)
        return error_result(
            TaskError("unknown_tool", f'there is no tool "{name}".', f"There are: {known}.")
        )
    try:
        given = tool.arguments.model_validate(arguments or {})
    except ValidationError as error:
        return error_result(_arguments_error(tool, error))
    try:
        return await tool.call(pool, given, context)
    except PoolError as refused:
        return error_result(refused.error)


def _arguments_error(tool: Tool, error: ValidationError) -> TaskError:
    found = [
        f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {_plainly(one)}"
        for one in error.errors()
    ]
    allowed = ", ".join(tool.arguments.model_fields) or "none"
    return TaskError(
        "invalid_arguments",
        f"{'; '.join(found)}.",
        f"Arguments of {tool.name}: {allowed}.",
        {"problems": found},
    )


def _plainly(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such argument"
    if problem["type"] == "missing":
        return "it is missing"
    text = str(problem["msg"])
    return f"{problem['input']!r} does not fit: {text[:1].lower()}{text[1:]}"


def error_result(
    error: TaskError, meta: Mapping[str, Any] | None = None
) -> mcp_types.CallToolResult:
    """A failed call, for the model as text and for programs in `_meta`."""
    record = {**(meta or {}), "code": error.code, **error.data}
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text=_clean(str(error)))],
        is_error=True,
        _meta=_cleaned(record),
    )


def _record_result(model: BaseModel) -> mcp_types.CallToolResult:
    record = _cleaned(model.model_dump())
    text = json.dumps(record, ensure_ascii=False)
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text=text)], structured_content=record
    )


async def _invoke(
    pool: Pool, arguments: InvokeArguments, context: Context
) -> mcp_types.CallToolResult:
    task = await pool.submit(arguments.agent, arguments.task, arguments.timeout_s)
    answered = False
    try:
        await _await_outcome(task, context)
        answered = True
    finally:
        # Cancelled: by the caller's word, or because its connection is lost.
        if not answered and CLIENT.get().lost:
            pool.client_lost(task)
        elif not answered:
            pool.cancel(task)
    return _task_result(pool, task)


async def _await_outcome(task: Task, context: Context) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_report_progress, task, context)
        await task.settled.wait()
        nursery.cancel_scope.cancel()


async def _report_progress(task: Task, context: Context) -> None:
    # To a client that did not ask for it, the SDK sends nothing.
    while True:
        elapsed = trio.current_time() - task.accepted_at
        told = task.doing.value
        message = f"{task.agent}: {told} ({elapsed:.0f} s; task {task.id})"
        await context.session.report_progress(round(elapsed, 3), None, _clean(message))
        await trio.sleep(PROGRESS_GAP_S)
        with trio.move_on_after(PROGRESS_EVERY_S):
            await task.doing.wait_value(lambda doing, told=told: doing != told)


def _task_result(pool: Pool, task: Task) -> mcp_types.CallToolResult:
    meta: dict[str, Any] = {
        "task_id": task.id,
        "agent": task.agent,
        "duration_s": round(task.ended_at - task.accepted_at, 4),
        "attempts": task.attempts,
        "pid": task.pid,
    }
    outcome = task.outcome
    if isinstance(outcome, TaskError):
        return error_result(outcome, meta)
    assert outcome is not None
    meta |= {
        "session_id": outcome.session_id,
        "usage": asdict(outcome.usage),
        "cost_usd": outcome.cost_usd,
    }
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text=_clean(outcome.text + _refusals(pool, task, outcome)))],
        _meta=meta,
    )


def _refusals(pool: Pool, task: Task, result: TaskResult) -> str:
    """A last line that names the refused uses of tools, and the setting that would allow them."""
    if not result.denials:
        return ""
    uses = [f"{d.tool} ({d.detail})" if d.detail else d.tool for d in result.denials]
    tools = ", ".join(dict.fromkeys(d.tool for d in result.denials))
    try:
        where = str(pool.define(task.agent).source)
    except PoolError:
        where = "its definition"
    return (
        f"\n\n[agent-pool] Refused for lack of permission: {'; '.join(uses)}. "
        f"To allow it, list {tools} under `tools:` in {where}, or only rules, such as "
        "Bash(git log:*)."
    )


async def _warmup(
    pool: Pool, arguments: AgentArguments, context: Context
) -> mcp_types.CallToolResult:
    ready = await pool.warmup(arguments.agent)
    return _record_result(ReadyRecord(agent=arguments.agent, pid=ready.pid, ready_s=ready.ready_s))


async def _reset(
    pool: Pool, arguments: AgentArguments, context: Context
) -> mcp_types.CallToolResult:
    return _record_result(ResetRecord(**await pool.reset(arguments.agent)))


async def _list(pool: Pool, arguments: NoArguments, context: Context) -> mcp_types.CallToolResult:
    rows = [AgentRecord.model_validate(row) for row in await pool.agents()]
    return _record_result(ListRecord(agents=rows))


async def _tree(pool: Pool, arguments: NoArguments, context: Context) -> mcp_types.CallToolResult:
    rows = [TreeRow.model_validate(row) for row in await pool.tree()]
    return _record_result(TreeRecord(tree=rows))


def _clean(text: str) -> str:
    # Half of a surrogate pair cannot be written as UTF-8.
    return text.encode("utf-8", "replace").decode()


def _cleaned(record: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(_clean(json.dumps(record, ensure_ascii=False)))
    return whole


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            name="invoke",
            title="Give a task to an agent",
            description=(
                "Hand a task to a named agent and get its answer. The agent is a separate AI "
                "with its own role and tools; it works in this project's folder and sees "
                "nothing of this conversation, so the task must say everything that it needs: "
                "the goal, the files, what to return and how short. Each task begins with a "
                "fresh context. One agent does one task at a time; more of them wait in line. "
                "Use `list` to see which agents there are. An error says by its code what "
                "happened and what to do."
            ),
            arguments=InvokeArguments,
            result=None,
            annotations=mcp_types.ToolAnnotations(
                read_only_hint=False,
                destructive_hint=True,
                idempotent_hint=False,
                open_world_hint=True,
            ),
            call=_invoke,
        ),
        Tool(
            name="warmup",
            title="Start an agent",
            description=(
                "Start an agent's process ahead of its first task, and wait until it is ready. "
                "Fine to call on one that runs already: it is not started twice."
            ),
            arguments=AgentArguments,
            result=ReadyRecord,
            annotations=mcp_types.ToolAnnotations(
                read_only_hint=False,
                destructive_hint=False,
                idempotent_hint=True,
                open_world_hint=False,
            ),
            call=_warmup,
        ),
        Tool(
            name="list",
            title="List the agents",
            description=(
                "Every agent that can be given a task, running or not: name, what it is for, "
                "state, process, memory, tasks done, restarts, queue length, and where its "
                "definition came from."
            ),
            arguments=NoArguments,
            result=ListRecord,
            annotations=mcp_types.ToolAnnotations(
                read_only_hint=True, idempotent_hint=True, open_world_hint=False
            ),
            call=_list,
        ),
        Tool(
            name="reset",
            title="Reset an agent",
            description=(
                "Kill an agent's process and everything that it started; all of it is gone when "
                "this returns. A task in hand ends with the error agent_reset; the next task "
                "starts a new process. Brings up an agent that is down. Not needed between "
                "tasks: the context is cleared after each one."
            ),
            arguments=AgentArguments,
            result=ResetRecord,
            annotations=mcp_types.ToolAnnotations(
                read_only_hint=False,
                destructive_hint=True,
                idempotent_hint=True,
                open_world_hint=False,
            ),
            call=_reset,
        ),
        Tool(
            name="tree",
            title="Show the supervision tree",
            description=(
                "The pool's supervisors and what they supervise: strategy, state, process, and "
                "why an agent is down. To choose an agent, use `list` instead."
            ),
            arguments=NoArguments,
            result=TreeRecord,
            annotations=mcp_types.ToolAnnotations(
                read_only_hint=True, idempotent_hint=True, open_world_hint=False
            ),
            call=_tree,
            listed=False,
        ),
    )
}
"""Every tool, by name, in the order in which clients see them."""
