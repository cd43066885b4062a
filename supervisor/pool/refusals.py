"""What a caller is told whose call is refused, or whose task the pool itself ends."""

from collections.abc import Iterator

from supervisor.agents import BrokenAgent, BrokenDefinition, UnknownAgent
from supervisor.pool.config import ENVIRONMENT, ConfigError
from supervisor.pool.outcome import SHELL_ADVICE, PoolError, Task, TaskError

TASK_LIMIT = 10_000_000
"""Bytes of a task's text; the API takes no more than 32 MB of a whole request."""

SHOWN = 200
"""Characters of a name that are repeated in an error."""


def check_text(text: str) -> None:
    """Refuse a text that cannot be a task: `task_empty`, `task_too_large`; raises PoolError."""
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


def config_error(error: ConfigError) -> TaskError:
    """`config_invalid`, with every finding."""
    return TaskError(
        "config_invalid",
        f"the pool's configuration is wrong: {error}.",
        " ".join(_advice(error)),
        {"problems": [str(problem) for problem in error.problems]},
    )


def _advice(error: ConfigError) -> Iterator[str]:
    in_environment = [one.path == ENVIRONMENT for one in error.problems]
    if not all(in_environment):
        yield "Mend the files: they are read again at once."
    if any(in_environment):
        yield (
            "Mend the environment, then run agent-pool stop: the next pool takes it, a running "
            "one keeps that which it was started with."
        )


def spent_error(agent: str | None, spent: float, limit: float) -> TaskError:
    """`budget_exceeded`: US dollars of today, of an agent or (None) of all."""
    whose = "all tasks" if agent is None else f'the tasks of "{agent}"'
    table = "[pool]" if agent is None else f"[agents.{agent}]"
    return TaskError(
        "budget_exceeded",
        f"{whose} have cost {spent:.4f} US dollars today (UTC), over the limit of {limit:g}.",
        f"Wait for midnight, or raise max_cost_usd_per_day under {table} in pool.toml.",
        {"spent_usd": spent, "limit_usd": limit},
    )


def stopping_error() -> TaskError:
    """`pool_stopping`."""
    return TaskError(
        "pool_stopping",
        "the pool is being stopped.",
        "The next connection starts a new one.",
        {SHELL_ADVICE: "The next agent-pool invoke, list or run starts a new one."},
    )


def deadline_error(task: Task) -> TaskError:
    """`deadline_exceeded`, with how long it waited and ran."""
    times = task.times()
    return TaskError(
        "deadline_exceeded",
        f"the task was not done within {task.timeout_s:g} s: it waited {times['waited_s']:.1f} s "
        f"and ran {times['ran_s']:.1f} s; at the end the agent was: {task.doing.value}.",
        "Give it more time (timeout_s), or a smaller task.",
        {
            **times,
            SHELL_ADVICE: "Give it more time (--timeout; timeout_s in a line of invoke-many), or "
            "a smaller task.",
        },
    )


def unknown_error(unknown: UnknownAgent) -> TaskError:
    """`unknown_agent`, with the nearest names and where agents are looked for."""
    near = f" Did you mean {' or '.join(unknown.suggestions)}?" if unknown.suggestions else ""
    folders = ", ".join(str(folder) for folder in unknown.folders_searched)
    return TaskError(
        "unknown_agent",
        f'there is no agent "{_shortened(unknown.name)}".{near}',
        f"Agents are the files <name>.md in: {folders}. The tool list shows them.",
        {
            "suggestions": list(unknown.suggestions),
            SHELL_ADVICE: f"Agents are the files <name>.md in: {folders}. agent-pool list shows "
            "them.",
        },
    )


def removed_error(name: str) -> TaskError:
    """`unknown_agent`, of one that was there a moment ago."""
    return TaskError(
        "unknown_agent",
        f'there is no agent "{name}" any more: its file was removed. Its last tasks, which were '
        "accepted before, are still served.",
        "Put its file back, or choose another agent; the tool list shows them.",
        {
            "suggestions": [],
            SHELL_ADVICE: "Put its file back, or choose another agent; agent-pool list shows them.",
        },
    )


def _shortened(name: str) -> str:
    return name if len(name) <= SHOWN else name[:SHOWN] + "…"


def broken_error(broken: BrokenAgent | BrokenDefinition) -> TaskError:
    """`agent_broken`, with every finding."""
    findings = [str(finding) for finding in broken.findings]
    return TaskError(
        "agent_broken",
        f'the definition of "{broken.name}" is wrong: {"; ".join(findings)}',
        "Mend the file; it is read again at once.",
        {"findings": findings},
    )
