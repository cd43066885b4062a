"""No question reads all tasks: SQLite is asked how it would go about each."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.ledger import Retention
from supervisor.ledger._records import get, held_ones, last_number, open_ones
from supervisor.ledger._replies import ReplyFiles, read_reply, read_text
from supervisor.ledger._retention import step
from supervisor.ledger._schema import MIGRATIONS
from supervisor.ledger._stats import Asked, spent, stats
from tests.ledger.stage import NOW

Question = Callable[[sqlite3.Connection], object]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in itertools.chain(*MIGRATIONS):
        connection.execute(statement)
    yield connection
    connection.close()


def plan(connection: sqlite3.Connection, question: Question) -> list[str]:
    """How the table of tasks is gone through by a question."""
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    question(connection)
    connection.set_trace_callback(None)
    steps = [
        row[3]
        for statement in asked
        if statement.startswith(("SELECT", "DELETE", "UPDATE"))
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    return [one for one in steps if " task" in one]


FILES = ReplyFiles(Path("none"))
QUESTIONS: dict[str, tuple[Question, str]] = {
    "the last number": (last_number, "SEARCH task"),
    "open tasks": (open_ones, "task_open"),
    "tasks with an outcome and an open attempt": (held_ones, "task_held"),
    "a record": (lambda c: get(c, "t-1"), "sqlite_autoindex_task_1"),
    "a text": (lambda c: read_text(c, "t-1"), "sqlite_autoindex_task_1"),
    "a reply": (lambda c: read_reply(c, FILES, "t-1"), "sqlite_autoindex_task_1"),
    "stats": (lambda c: stats(c, Asked(since=NOW), []), "task_ended"),
    "stats of an agent": (lambda c: stats(c, Asked("day", NOW, "a"), []), "task_ended"),
    "spent": (lambda c: spent(c, Asked(since=NOW), []), "task_ended"),
    "spent by an agent": (lambda c: spent(c, Asked(since=NOW, agent="a"), []), "task_ended"),
    "prune": (lambda c: step(c, FILES, Retention(), NOW), "task_ended task_kept"),
}


@pytest.mark.parametrize(("question", "indexes"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_tasks_are_found_by_an_index(
    connection: sqlite3.Connection, question: Question, indexes: str
) -> None:
    steps = plan(connection, question)

    assert steps
    assert not [one for one in steps if one.startswith("SCAN") and " USING " not in one]
    for name in indexes.split():
        assert any(name in one for one in steps)
    assert not any("task_agent" in one for one in steps)
