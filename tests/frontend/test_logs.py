"""The tool `logs`: the last lines of the pool's log."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mcp_types
import pytest

from supervisor.frontend._logs import CHARACTERS
from tests.frontend.stage import Stage, serving, text


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with serving(tmp_path, coder="") as stage:
        yield stage


async def logs(stage: Stage, **asked: Any) -> mcp_types.CallToolResult:
    async with stage.client() as client:
        return await client.call_tool("logs", asked)


def records(result: mcp_types.CallToolResult) -> list[Any]:
    assert result.meta is not None
    found: list[Any] = result.meta["lines"]
    return found


async def test_a_line_is_its_time_level_agent_and_event_with_the_other_fields(
    stage: Stage,
) -> None:
    stage.log(level="warning", agent="coder", event="worker_restarted", delay_s=0.25, why="it died")

    result = await logs(stage)

    assert text(result) == (
        '2026-03-31 14:05:00.123 warning coder worker_restarted delay_s=0.25 why="it died"'
    )
    assert records(result)[0]["delay_s"] == 0.25


async def test_lines_are_chosen_by_agent_level_and_number(stage: Stage) -> None:
    for number in range(5):
        stage.log(agent="coder", level="error", event=f"e{number}")
        stage.log(agent="coder", level="info", event="small")
        stage.log(agent="other", level="error", event="not_its")

    result = await logs(stage, agent="coder", level="warning", lines=2)

    assert [record["event"] for record in records(result)] == ["e3", "e4"]


async def test_lines_are_chosen_by_time(stage: Stage) -> None:
    stage.log(event="old")
    stage.log(event="new", timestamp=datetime.now(UTC).isoformat())

    assert [one["event"] for one in records(await logs(stage, since="10m"))] == ["new"]
    assert len(records(await logs(stage, since="2026-03-31T14:05:00Z"))) == 2


async def test_a_time_that_is_none_is_an_error_that_says_what_is_allowed(stage: Stage) -> None:
    result = await logs(stage, since="yesterday")

    assert result.is_error
    assert text(result).startswith('invalid_arguments: since: "yesterday" is no time; allowed are')


async def test_without_a_log_there_is_no_such_line(stage: Stage) -> None:
    assert text(await logs(stage)) == "There is no such line in the log."


async def test_no_more_lines_come_than_a_client_shows(stage: Stage) -> None:
    for number in range(20):
        stage.log(event=f"e{number}", line="x" * 5_000)

    result = await logs(stage)

    assert len(text(result)) < CHARACTERS + 2_000
    assert records(result)[-1]["event"] == "e19"
    assert 5 < len(records(result)) < 10


async def test_a_line_that_is_no_json_is_shown_as_it_is(stage: Stage) -> None:
    assert stage.pool.log is not None
    stage.pool.log.write_bytes(b"Fatal error: \xff\n")

    result = await logs(stage)

    assert text(result) == "Fatal error: \ufffd"
    assert records(result) == ["Fatal error: \ufffd"]


async def test_a_log_that_cannot_be_read_is_an_error_that_names_it(stage: Stage) -> None:
    assert stage.pool.log is not None
    stage.pool.log.mkdir()

    result = await logs(stage)

    assert result.is_error
    assert text(result).startswith("log_unreadable: ")
    assert str(stage.pool.log) in text(result)
