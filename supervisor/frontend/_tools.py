"""The tools: what a model may ask of the pool. What each does is in `_calls`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mcp_types
from pydantic import BaseModel, ValidationError

from supervisor.frontend import _calls, _logs
from supervisor.frontend._answers import WHOLE, error_result
from supervisor.frontend._arguments import (
    AgentArguments,
    Arguments,
    ConsultArguments,
    InvokeArguments,
    InvokeManyArguments,
    LogsArguments,
    NoArguments,
    ResetArguments,
    ResultArguments,
    StatsArguments,
    SubmitArguments,
    TaskArguments,
    TasksArguments,
    WaitArguments,
)
from supervisor.frontend._calls import Context
from supervisor.frontend._records import (
    ListRecord,
    ReadyRecord,
    ReloadRecord,
    ResetRecord,
    StatsRecord,
    SubmittedRecord,
    TaskRow,
    TasksRecord,
    TreeRecord,
)
from supervisor.frontend._schemas import arguments_schema, record_schema
from supervisor.pool import Pool, PoolError, TaskError


@dataclass(frozen=True)
class Tool:
    """One tool: what the model is told, and what is done."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    result: type[BaseModel] | None
    annotations: mcp_types.ToolAnnotations
    call: Callable[[Pool, Any, Context], Awaitable[mcp_types.CallToolResult]]
    long: bool = False
    """Its results may be long, and are wanted whole."""
    asks: bool = False
    """Its caller may be asked what an agent may do."""

    def declared(self) -> mcp_types.Tool:
        """As `tools/list` gives it."""
        result = self.result
        return mcp_types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=arguments_schema(self.arguments),
            output_schema=None if result is None else record_schema(result),
            # In its annotations as well: there clients up to 2025-03-26 look for it.
            annotations=self.annotations.model_copy(update={"title": self.title}),
            _meta=dict(WHOLE) if self.long else None,
        )


def input_schema(name: str) -> dict[str, Any] | None:
    """The JSON Schema of that tool's arguments; None: there is no such tool."""
    tool = TOOLS.get(name)
    return None if tool is None else arguments_schema(tool.arguments)


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


WORKS, CONSULTS, STARTS, ENDS, LOOKS = (
    mcp_types.ToolAnnotations(
        read_only_hint=read_only,
        destructive_hint=destructive,
        idempotent_hint=idempotent,
        open_world_hint=open_world,
    )
    for read_only, destructive, idempotent, open_world in (
        (False, True, False, True),
        (True, False, False, True),
        (False, False, True, False),
        (False, True, True, False),
        (True, False, True, False),
    )
)
"""What a tool does, for clients that ask before they call: an agent works, an agent works that can
only read, its process is started, something is ended, or it is only looked."""

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
            annotations=WORKS,
            call=_calls.invoke,
            long=True,
            asks=True,
        ),
        Tool(
            name="invoke_many",
            title="Give tasks to several agents at once",
            description=(
                "Hand over several tasks, run them side by side across agents, and get every "
                "answer, in the order of the tasks; one that fails shows its error in its place. "
                "Each task must stand alone, as for `invoke`."
            ),
            arguments=InvokeManyArguments,
            result=None,
            annotations=WORKS,
            call=_calls.invoke_many,
            long=True,
            asks=True,
        ),
        Tool(
            name="submit",
            title="Give a task to an agent in the background",
            description=(
                "As `invoke`, but answers at once with a task id, while the agent works: for work "
                "of many minutes, or to go on meanwhile. Collect it with `wait`, then `result`."
            ),
            arguments=SubmitArguments,
            result=SubmittedRecord,
            annotations=WORKS,
            call=_calls.submit,
        ),
        Tool(
            name="wait",
            title="Wait for background tasks",
            description=(
                "Wait until any or all of these tasks have ended, but no longer than timeout_s; "
                "tells the state of each. Call it again for those that go on."
            ),
            arguments=WaitArguments,
            result=TasksRecord,
            annotations=LOOKS,
            call=_calls.wait,
        ),
        Tool(
            name="result",
            title="Get the outcome of a task",
            description=(
                "The answer of a task that has ended, or its error. Works for every task, also one "
                "whose call was cut off."
            ),
            arguments=ResultArguments,
            result=None,
            annotations=LOOKS,
            call=_calls.result,
            long=True,
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
            annotations=LOOKS,
            call=_calls.list_agents,
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
            annotations=STARTS,
            call=_calls.warmup,
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
            arguments=ResetArguments,
            result=ResetRecord,
            annotations=ENDS,
            call=_calls.reset,
        ),
        Tool(
            name="consult",
            title="Ask an agent that only reads",
            description=(
                "As `invoke`, but only for an agent that cannot change anything: it has no tool "
                "that writes or runs something. So several calls may run at once. Refused for "
                "every other agent, with the reason."
            ),
            arguments=ConsultArguments,
            result=None,
            annotations=CONSULTS,
            call=_calls.consult,
            long=True,
            asks=True,
        ),
        Tool(
            name="cancel",
            title="Cancel a task",
            description=("End a task that waits or runs; its outcome is the error `cancelled`."),
            arguments=TaskArguments,
            result=TaskRow,
            annotations=ENDS,
            call=_calls.cancel,
        ),
        Tool(
            name="tasks",
            title="List tasks",
            description=("The newest tasks, with the state, outcome and cost of each."),
            arguments=TasksArguments,
            result=TasksRecord,
            annotations=LOOKS,
            call=_calls.tasks,
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
            annotations=LOOKS,
            call=_calls.tree,
        ),
        Tool(
            name="logs",
            title="Read the log",
            description=(
                "The last lines of the pool's log, by agent, level and time: why an agent "
                "crashed, was replaced or is down, and what it printed on stderr."
            ),
            arguments=LogsArguments,
            result=None,
            annotations=LOOKS,
            call=_logs.logs,
        ),
        Tool(
            name="stats",
            title="Show tokens and costs",
            description=(
                "Tokens by kind, the share served from the prompt cache, costs, outcomes and "
                "durations of the tasks of the last days, by agent, conversation or day."
            ),
            arguments=StatsArguments,
            result=StatsRecord,
            annotations=LOOKS,
            call=_calls.stats,
        ),
        Tool(
            name="reload",
            title="Read the configuration again",
            description=(
                "Read pool.toml and all definitions now, and have what is right of them hold: "
                "tells what has changed, and what is wrong. Changed files are noticed without it."
            ),
            arguments=NoArguments,
            result=ReloadRecord,
            annotations=STARTS,
            call=_calls.reload,
        ),
    )
}
"""Every tool, by name, in the order in which clients see them."""
