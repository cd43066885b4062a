"""The ledger: every task that was accepted, and its outcome, in one SQLite file.

    async with await Ledger.open(folder / "ledger.sqlite", folder / "replies") as ledger:
        await ledger.interrupt_open("The pool was killed.")
        await ledger.accept(TaskRecord("t-1", "reviewer", accepted_at=time.time()), "Look at …")
        ledger.started("t-1", pid=4711)
        ledger.ended("t-1", "result", reply="All is well.", usage=Usage(1200, 80), cost_usd=0.01)
        await ledger.reply_of("t-1")

What was accepted survives the death of the program. Nothing here waits for the disk but `accept`;
questions are answered by threads. `Ledger` says what is guaranteed.
"""

from supervisor.ledger._errors import LedgerError, Trouble
from supervisor.ledger._ledger import Interrupted, Ledger, Settings
from supervisor.ledger._listing import TaskFilter
from supervisor.ledger._replies import PART_BYTES, ReplyPart, part_count
from supervisor.ledger._retention import Pruned, Retention
from supervisor.ledger._stats import By, Durations, Spent, Stats
from supervisor.ledger._values import (
    INTERRUPTED,
    RESULT,
    Attempt,
    Failure,
    KeepText,
    Priority,
    State,
    TaskRecord,
    Usage,
)

__all__ = [
    "INTERRUPTED",
    "PART_BYTES",
    "RESULT",
    "Attempt",
    "By",
    "Durations",
    "Failure",
    "Interrupted",
    "KeepText",
    "Ledger",
    "LedgerError",
    "Priority",
    "Pruned",
    "ReplyPart",
    "Retention",
    "Settings",
    "Spent",
    "State",
    "Stats",
    "TaskFilter",
    "TaskRecord",
    "Trouble",
    "Usage",
    "part_count",
]
