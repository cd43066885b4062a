"""What tools return that give records: structured content, with these schemas."""

from typing import Annotated

from pydantic import BaseModel, Field


class ReadyRecord(BaseModel):
    """What `warmup` returns."""

    agent: str
    pid: Annotated[int, Field(description="The process that is ready.")]
    ready_s: Annotated[float, Field(description="Seconds that it took to become ready.")]


WAS = "The state before; unknown: there was no such conversation."


class ResetRecord(BaseModel):
    """What `reset` returns."""

    agent: str
    was: Annotated[str, Field(description=WAS)]
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


class ConversationRecord(BaseModel):
    """One conversation with an agent in what `list` returns."""

    name: str
    state: Annotated[str, Field(description="stopped: it is kept, and taken up when needed.")]
    pid: int | None
    queue_length: int
    idle_s: float | None


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
    permission_mode: Annotated[
        str | None,
        Field(
            description="What it may do unasked, by Claude Code's name; ask: its caller is asked; "
            "bypassPermissions: anything."
        ),
    ] = None
    color: Annotated[str | None, Field(description="The colour that its file names.")] = None
    conversations: Annotated[
        list[ConversationRecord], Field(description="Contexts that are kept with it.")
    ]
    warnings: list[str]
    error: Annotated[str | None, Field(description="Why it is down or broken.")]


class ListRecord(BaseModel):
    """What `list` returns."""

    agents: list[AgentRecord]
    warnings: Annotated[
        list[str], Field(description="What of the configuration does not count, and why.")
    ]
    refused: Annotated[
        list[str],
        Field(description="What is wrong with changed files: what they said before holds on."),
    ]
    ledger: Annotated[
        str | None,
        Field(description="Why no task can be put on record, so that new ones are refused."),
    ] = None


class ReloadRecord(BaseModel):
    """What `reload` returns."""

    changed: Annotated[list[str], Field(description="What holds from now on.")]
    refused: Annotated[
        list[str], Field(description="What is wrong with files, so that it does not hold.")
    ]
    needs_restart: Annotated[
        list[str], Field(description="What cannot hold before the pool is started anew.")
    ]
    changed_before: Annotated[
        list[str], Field(description="Where nothing has changed now: what did last.")
    ]
    changed_before_at: Annotated[str | None, Field(description="When that was (UTC).")]


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


class SubmittedRecord(BaseModel):
    """What `submit` returns."""

    task_id: Annotated[str, Field(description="For wait, result and cancel.")]
    agent: str
    queue_length: Annotated[int, Field(description="Tasks that wait for the agent, this included.")]


class TaskRow(BaseModel):
    """One task in what `wait`, `tasks` and `cancel` return."""

    task_id: str
    agent: str
    conversation: str | None
    priority: str
    state: Annotated[str, Field(description="queued, running or ended.")]
    outcome: Annotated[
        str | None, Field(description="Once ended: result, or the code of its error.")
    ]
    doing: Annotated[str | None, Field(description="What happens with it now.")]
    waited_s: float
    ran_s: float
    attempts: int
    pid: int | None
    cost_usd: float | None
    cost_is_lower_bound: Annotated[bool, Field(description="It may have cost more.")]


class TasksRecord(BaseModel):
    """What `wait` and `tasks` return."""

    tasks: list[TaskRow]


class DurationsRecord(BaseModel):
    """How long something took."""

    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float


class StatsRow(BaseModel):
    """Figures in what `stats` returns."""

    agent: str | None
    conversation: str | None
    day: str | None
    tasks: int
    outcomes: Annotated[dict[str, int], Field(description="How often each outcome came.")]
    input_tokens: Annotated[int, Field(description="Not read from the cache or written to it.")]
    output_tokens: int
    cache_read_tokens: int
    cache_written_tokens: int
    cached_share: Annotated[
        float | None, Field(description="Of all input tokens, those served from the cache.")
    ]
    cost_usd: float
    cost_is_lower_bound: bool
    waited: DurationsRecord
    ran: DurationsRecord


class StatsRecord(BaseModel):
    """What `stats` returns."""

    since: Annotated[str, Field(description="UTC.")]
    stats: list[StatsRow]
