"""Prompts: what a person asks for by name, with what the pool knows of it put in."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import mcp_types
from mcp.shared.exceptions import MCPError

from supervisor.frontend import _logs
from supervisor.frontend._answers import clean
from supervisor.frontend._calls import task_row
from supervisor.ledger import TaskFilter
from supervisor.logs import Choice
from supervisor.pool import Pool, PoolError, Task, TaskError

FAILURES = 5
"""Failed tasks that are told of, the newest."""

SEARCHED = 200
"""Tasks among which they are looked for."""

LOG_LINES = 30
"""Lines of the log that stand beside them."""

SHOWN = 600
"""Characters of a task's text, and of an error."""


@dataclass(frozen=True)
class Prompt:
    """One prompt: what a person is told of it, and how it is made."""

    name: str
    title: str
    description: str
    arguments: Mapping[str, str]
    """What each is for, by name; all of them may be left out."""
    make: Callable[[Pool, Mapping[str, str]], Awaitable[str]]
    """Its text; raises PoolError."""

    def declared(self) -> mcp_types.Prompt:
        """As `prompts/list` gives it."""
        arguments = [
            mcp_types.PromptArgument(name=name, description=about, required=False)
            for name, about in self.arguments.items()
        ]
        return mcp_types.Prompt(
            name=self.name, title=self.title, description=self.description, arguments=arguments
        )


async def get(
    pool: Pool, name: str, arguments: Mapping[str, str] | None
) -> mcp_types.GetPromptResult:
    """The prompt, as a message of the user.

    Raises:
        MCPError: there is none of that name, or it has no such argument, or it cannot be made.
    """
    prompt = PROMPTS.get(name)
    if prompt is None:
        known = ", ".join(PROMPTS)
        raise _wrong(f'there is no prompt "{name}"; there are: {known}')
    given = {key: value for key, value in (arguments or {}).items() if value.strip()}
    for key in given.keys() - prompt.arguments.keys():
        known = ", ".join(prompt.arguments) or "none"
        raise _wrong(f'the prompt {name} has no argument "{key}"; it has: {known}')
    try:
        text = await prompt.make(pool, given)
    except PoolError as refused:
        raise _wrong(str(refused.error)) from None
    content = mcp_types.TextContent(text=clean(text))
    return mcp_types.GetPromptResult(
        description=prompt.description,
        messages=[mcp_types.PromptMessage(role="user", content=content)],
    )


async def _status(pool: Pool, given: Mapping[str, str]) -> str:
    rows = await pool.agents()
    used = [row for row in rows if row["state"] != "stopped" or row["tasks_done"]]
    shown = (
        "name", "state", "pid", "memory_bytes", "tasks_done", "tasks_failed", "restarts",
        "queue_length", "error",
    )  # fmt: skip
    lines = [json.dumps({key: row[key] for key in shown}, ensure_ascii=False) for row in used]
    unused = ", ".join(row["name"] for row in rows if row not in used) or "none"
    return "\n".join(
        [
            f"This is how the agent pool {pool.name} does. Tell me in a few lines: who works, who "
            "waits and for what, who is down or broken and why, and what I should do about it. "
            "If all is well, one line is enough.",
            "",
            "Agents in use:",
            *(lines or ["none"]),
            f"Not started: {unused}",
            *(["Warnings:", *pool.warnings] if pool.warnings else []),
        ]
    )


async def _failures(pool: Pool, given: Mapping[str, str]) -> str:
    agent = given.get("agent")
    if agent is not None:
        pool.define(agent)
    ended = await pool.tasks(TaskFilter(agent=agent, state="ended"), SEARCHED)
    failed = [task for task in ended if isinstance(task.outcome, TaskError)][:FAILURES]
    lines = await _logs.last_lines(pool, Choice(agent, "warning", lines=LOG_LINES))
    whose = "the agent pool" if agent is None else f"the agent {agent}"
    return "\n".join(
        [
            f"Look at the last failures of {whose}: for each, what went wrong, whether it is the "
            "task, the agent's definition, the configuration or the machine, and what to change "
            "so that it does not come again. The code that an error begins with says what kind "
            "it is. Change nothing yet.",
            "",
            f"Tasks that failed lately, the newest first ({len(failed)} of {len(ended)} looked "
            "at):",
            *(_failure(task) for task in failed),
            "",
            "The log's last warnings and errors (UTC):",
            _logs.in_words(lines),
        ]
    )


def _failure(task: Task) -> str:
    row = task_row(task)
    facts = f"{row.task_id} {row.agent}, ran {row.ran_s:.1f} s, {row.attempts} attempts"
    return f"- {facts}\n  error: {_short(str(task.outcome))}\n  task: {_short(task.text)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


async def _delegate(pool: Pool, given: Mapping[str, str]) -> str:
    agent, work = given.get("agent"), given.get("work")
    if agent is None:
        purposes = await pool.purposes()
        listed = "\n".join(f"- {n}: {_short(about)}" for n, about in purposes.items())
        whom = f"to the agent that fits it best, of these:\n{listed}\n"
    else:
        whom = f"to the agent {agent} ({_short(pool.define(agent).description)})."
    what = "what we have just talked about"
    if work is not None:
        # Of what is typed behind a command, Claude Code hands on one word an argument (measured).
        what = f"this work: {work} (where that is cut short, all of it stands behind the command)"
    return (
        f"Delegate {what}\n\nHand it over with agent-pool's tools, {whom}\n"
        "The agent sees nothing of this conversation: write a task that stands alone, with the "
        "goal, the files to begin with, what must not be touched, and what to return and how "
        "short. Pieces that do not depend on each other go out at once, with invoke_many. Then "
        "tell me what came back, and check what can be checked before you rely on it."
    )


def _wrong(message: str) -> MCPError:
    return MCPError(mcp_types.INVALID_PARAMS, clean(message))


_AGENT = "The agent's name; left out: "

PROMPTS = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            name="status",
            title="How the pool does",
            description="Who works, who waits, who is down and why.",
            arguments={},
            make=_status,
        ),
        Prompt(
            name="failures",
            title="Look at the last failures",
            description="What went wrong lately, why, and what to change.",
            arguments={"agent": f"{_AGENT}all of them."},
            make=_failures,
        ),
        Prompt(
            name="delegate",
            title="Delegate this work",
            description="Hand a piece of work to an agent, with a task that stands alone.",
            arguments={
                "agent": f"{_AGENT}the one that fits best.",
                "work": "What is to be done; left out: what was talked about last.",
            },
            make=_delegate,
        ),
    )
}
"""Every prompt, by name, in the order in which clients see them."""
