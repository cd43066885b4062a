"""Talking to an agent CLI without I/O: bytes in → events out; requests → bytes.

Claude's stream-json, several versions of it::

    session = ClaudeSession()
    write(session.begin_task("Say hello"))
    for event in session.receive(read()):
        if isinstance(event, TaskEnded):
            print(event.result.text)
"""

from supervisor.protocol._events import (
    Activity,
    ClearEnded,
    ControlReply,
    Denial,
    Event,
    Garbage,
    Question,
    TaskEnded,
    TurnResult,
    TurnStarted,
    Unsolicited,
    Usage,
)
from supervisor.protocol._lines import LINE_LIMIT, LineSplitter
from supervisor.protocol._permission import QuestionWithdrawn, ToolQuestion
from supervisor.protocol._session import ClaudeSession, sum_of_money

__all__ = [
    "LINE_LIMIT",
    "Activity",
    "ClaudeSession",
    "ClearEnded",
    "ControlReply",
    "Denial",
    "Event",
    "Garbage",
    "LineSplitter",
    "Question",
    "QuestionWithdrawn",
    "TaskEnded",
    "ToolQuestion",
    "TurnResult",
    "TurnStarted",
    "Unsolicited",
    "Usage",
    "sum_of_money",
]
