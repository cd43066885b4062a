"""What the log tells of a task can be found by its id, its worker and its process."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.pool.events import StderrLine
from tests.client import Project, open_project, until

Line = dict[str, Any]


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        project.write_agent("coder", "Do it.", "tools: Bash")
        project.write_config('[logs]\nlevel = "debug"\n[agents.coder]\nretries = 1\n')
        yield project


def of(project: Project, *events: str) -> Iterator[Line]:
    return (line for line in project.log_lines() if line["event"] in events)


@pytest.fixture
async def lines(project: Project) -> list[Line]:
    """The log of one task whose first process dies in it and whose second answers."""
    mark = project.folder / "was-here"
    task = f"[[bash test -e {mark} && echo second || {{ touch {mark}; kill -9 $PPID; }}]]"
    async with project.connect() as client:
        await client.call("invoke", agent="coder", task=task)
        await until(lambda: next(of(project, "context_reset"), None), "the reset")
    return project.log_lines()


async def test_all_that_happens_with_a_task_has_its_id_and_attempt(lines: list[Line]) -> None:
    (task_id,) = {line["task_id"] for line in lines if line["event"] == "task_queued"}
    told = [(one["event"], one.get("attempt")) for one in lines if one.get("task_id") == task_id]

    assert [(event, attempt) for event, attempt in told if event != "stderr_line"] == [
        ("task_queued", None),
        ("task_started", 1),
        ("worker_exited", 1),
        ("task_retried", 1),
        ("task_started", 2),
        ("task_ended", 2),
        ("context_reset", 2),
    ]


async def test_all_that_happens_with_a_process_names_its_worker(lines: list[Line]) -> None:
    ours = [line for line in lines if "pid" in line and line["event"] != "pool_started"]
    expected = {"worker_started", "worker_ready", "worker_exited", "task_started", "task_ended"}

    assert {line["event"] for line in ours} >= expected
    assert {line["worker"] for line in ours} == {"coder#0"}


async def test_every_time_is_in_utc(lines: list[Line]) -> None:
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_what_an_event_says_itself_stays() -> None:
    event = StderrLine("coder", 7, "text", worker="coder#1", attempt=3)

    assert event.told_by("coder#2", "t1", 9).fields() == {
        "agent": "coder",
        "worker": "coder#1",
        "task_id": "t1",
        "attempt": 3,
        "pid": 7,
        "line": "text",
    }
