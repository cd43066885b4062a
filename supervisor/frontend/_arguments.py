"""What each tool takes. Descriptions are for the model that calls it, and cost it tokens."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

WAIT_S = 50.0
"""Seconds that `wait` waits by default: clients give a call up after a minute or two."""

MANY_LIMIT = 100
"""Tasks that one call of `invoke_many` or `wait` takes."""


class Arguments(BaseModel):
    """Unknown arguments are refused."""

    model_config = ConfigDict(extra="forbid")


AgentName = Annotated[
    str, Field(min_length=1, description="The agent's name, as the tool `list` gives it.")
]
TaskText = Annotated[
    str,
    Field(
        min_length=1,
        description="What the agent is to do. It sees nothing but this text and the "
        "project's files: say all that it needs to know, and what to return.",
    ),
]
Timeout = Annotated[
    float | None,
    Field(
        default=None,
        gt=0,
        description="Seconds until the task is given up, waiting included; "
        "by default as the pool is configured (30 minutes).",
    ),
]
Urgency = Annotated[
    Literal["high", "normal", "low"] | None,
    Field(default=None, description="Whose turn it is first where tasks wait for one agent."),
]
ConversationName = Annotated[
    str | None,
    Field(
        default=None,
        description="Keeps the agent's context between calls under this name; without it each "
        "task begins afresh.",
    ),
]
ReplyForm = Annotated[
    Literal["auto", "full"],
    Field(
        default="auto",
        description="full: all of a long answer; else it goes into a file and you get a digest.",
    ),
]
ReplyLimit = Annotated[
    int | None,
    Field(default=None, ge=1, description="Bytes above which an answer is long (16,000)."),
]
TaskId = Annotated[str, Field(min_length=1, description="As `submit` gives it.")]


class SubmitArguments(Arguments):
    """Arguments of `submit`."""

    agent: AgentName
    task: TaskText
    timeout_s: Timeout
    priority: Urgency
    conversation: ConversationName
    reply: ReplyForm
    reply_limit: ReplyLimit


class InvokeArguments(SubmitArguments):
    """Arguments of `invoke`."""

    if_longer_than_s: Annotated[
        float | None,
        Field(
            default=None,
            gt=0,
            description="After so many seconds, answer with the task's id in place of a result, "
            "and let it run on: for `wait` and `result`.",
        ),
    ]


class ConsultArguments(Arguments):
    """Arguments of `consult`."""

    agent: AgentName
    task: TaskText
    timeout_s: Timeout
    reply: ReplyForm


class OneOfMany(Arguments):
    """One task of `invoke_many`."""

    agent: AgentName
    task: TaskText
    timeout_s: Timeout
    reply: ReplyForm


class InvokeManyArguments(Arguments):
    """Arguments of `invoke_many`."""

    tasks: Annotated[
        list[OneOfMany],
        Field(min_length=1, max_length=MANY_LIMIT, description="What to hand to which agent."),
    ]
    max_parallel: Annotated[
        int | None,
        Field(default=None, ge=1, description="Tasks that run at once; by default all that can."),
    ]


class WaitArguments(Arguments):
    """Arguments of `wait`."""

    task_ids: Annotated[
        list[TaskId],
        Field(min_length=1, max_length=MANY_LIMIT, description="As `submit` gave them."),
    ]
    timeout_s: Annotated[
        float, Field(default=WAIT_S, ge=0, description="Seconds after which it answers anyway.")
    ]
    mode: Annotated[
        Literal["any", "all"],
        Field(default="all", description="Answer when any of them has ended, or all have."),
    ]


class TaskArguments(Arguments):
    """Arguments of `cancel`."""

    task_id: TaskId


class ResultArguments(TaskArguments):
    """Arguments of `result`."""

    part: Annotated[
        int | None,
        Field(default=None, ge=1, description="One part of a long answer, 1 for the first."),
    ]


class TasksArguments(Arguments):
    """Arguments of `tasks`."""

    agent: Annotated[str | None, Field(default=None, description="Only this agent's.")]
    state: Annotated[
        Literal["queued", "running", "ended"] | None,
        Field(default=None, description="Only those in this state."),
    ]
    limit: Annotated[int, Field(default=20, ge=1, le=1000, description="The newest so many.")]


class StatsArguments(Arguments):
    """Arguments of `stats`."""

    by: Annotated[
        Literal["pool", "agent", "conversation", "day"],
        Field(default="agent", description="What figures are told apart by."),
    ]
    days: Annotated[
        float, Field(default=7, gt=0, le=3650, description="How far back, in days of 24 hours.")
    ]
    agent: Annotated[str | None, Field(default=None, description="Only this agent's.")]


class LogsArguments(Arguments):
    """Arguments of `logs`."""

    agent: Annotated[str | None, Field(default=None, description="Only this agent's.")]
    level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        Field(default=None, description="This level and graver ones."),
    ]
    since: Annotated[
        str | None, Field(default=None, description='From then on: "10m", "2h", an ISO date.')
    ]
    lines: Annotated[int, Field(default=50, ge=1, le=1000, description="The last so many.")]


class AgentArguments(Arguments):
    """Arguments of `warmup`."""

    agent: AgentName


class ResetArguments(AgentArguments):
    """Arguments of `reset`."""

    conversation: Annotated[
        str | None, Field(default=None, description="End only this conversation with it.")
    ]


class NoArguments(Arguments):
    """Arguments of `list` and `tree`."""
