"""What the caller of a task is told when the agent, not the caller, made it end."""

import signal

from supervisor.pool.agent import Agent
from supervisor.pool.agent_process import AgentProcess
from supervisor.pool.launch import check_version
from supervisor.pool.outcome import PoolError, Task, TaskError, TaskResult
from supervisor.pool.permission import with_reasons
from supervisor.protocol import TurnResult

AFTER_CRASH = (
    "It is restarted, unless it has failed too often (list says so). The task may have had "
    "effects: look before you send it again."
)
"""What a caller is advised whose task was cut off by the end of its process."""


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


def crashed_error(task: Task, how: str, status: int | None, process: AgentProcess) -> TaskError:
    """`agent_crashed`: the process died with the task in hand."""
    doing = f" It was last seen: {process.doing}." if process.doing else ""
    last = f" Its last words: {process.stderr[-1]}" if process.stderr else ""
    tried = f" This was attempt {task.attempts} at it." if task.attempts > 1 else ""
    return TaskError(
        "agent_crashed",
        f'the process of "{task.agent}" {how} in the middle of this task.{tried}{doing}{last}',
        AFTER_CRASH,
        {
            "exit_status": status,
            "stderr": list(process.stderr),
            "doing": process.doing,
            "pid": process.child.pid,
        },
    )


def hung_error(agent: str, how: str, pid: int, waited_s: float) -> TaskError:
    """`agent_hung`: the process gave no sign of life."""
    return TaskError(
        "agent_hung",
        f'the process of "{agent}" {how}, so it was killed.',
        AFTER_CRASH,
        {"pid": pid, "waited_s": round(waited_s, 1)},
    )


def reset_error(agent: str) -> TaskError:
    """`agent_reset`: somebody reset the agent."""
    return TaskError(
        "agent_reset",
        f'the agent "{agent}" was reset while it had this task.',
        "Send the task again; what it had done to files stays done.",
    )


def restarted_error(agent: str) -> TaskError:
    """`agent_restarted`: the worker was stopped with its supervisor."""
    return TaskError(
        "agent_restarted",
        f'the agent "{agent}" was restarted while it had this task.',
        "Send the task again; what it had done to files stays done.",
    )


def start_failed_error(agent: str, how: str, said: str, stderr: tuple[str, ...]) -> TaskError:
    """`agent_start_failed`: there is no process to give the task to."""
    return TaskError(
        "agent_start_failed",
        f'the process of "{agent}" {how}.{said}',
        "It is tried again, a few times. Check that the CLI runs by itself "
        "(CLAUDE_CLI says which) and is logged in.",
        {"stderr": list(stderr)},
    )


def cost_error(task: Task, limit: float) -> TaskError:
    """`cost_exceeded`: the task has cost more than it may."""
    return TaskError(
        "cost_exceeded",
        f"the task has cost {task.cost_usd or 0:.4f} US dollars, over its limit of {limit:g}, so "
        "it was interrupted.",
        f"Give it a smaller task, or raise max_cost_usd under [agents.{task.agent}] in pool.toml.",
        {"cost_usd": task.cost_usd, "limit_usd": limit},
    )


def conversation_lost_error(agent: Agent, why: str) -> TaskError:
    """`conversation_lost`: its context is gone, and nothing brings it back."""
    return TaskError(
        "conversation_lost",
        f'the conversation "{agent.conversation}" with "{agent.defined_as}" is lost: {why}.',
        "Its next call begins a new one under the same name: say again what it must know.",
    )


def outcome_of(process: AgentProcess, task: Task, result: TurnResult) -> TaskResult | TaskError:
    """What came of a task that the agent brought to its end."""
    if process.version is not None:
        try:
            check_version(process.version, " ".join(process.child.argv))
        except PoolError as refused:
            return refused.error
    if not result.ok:
        return failed_error(task.mailbox, result)
    denials = with_reasons(result.denials, task.refused_uses)
    return TaskResult(result.text, result.usage, result.cost_usd, result.session_id, denials)


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
    if result.subtype == "error_max_turns":
        advice = "Give it a smaller task, or raise maxTurns in its file."
    return TaskError("agent_failed", f'"{agent}" ended with {result.subtype}: {said}', advice, data)
