"""What a call is answered, seen through the SDK's own client.

The client checks structured content against the tool's output schema, and raises where it does
not fit.
"""

import itertools
import json
from typing import Any

import mcp_types
import pytest
import trio
from mcp import Client
from trio.testing import MockClock

from supervisor.frontend._calls import Client as Connection
from supervisor.pool import TaskError, TaskResult
from supervisor.protocol import Denial, Usage
from tests.frontend.conftest import ROW, CannedPool

TASK = {"agent": "scout", "task": "Find it."}


async def call(client: Client, tool: str, **arguments: Any) -> mcp_types.CallToolResult:
    with trio.fail_after(60):
        return await client.call_tool(tool, arguments)


def text(result: mcp_types.CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, mcp_types.TextContent)
    return block.text


# results


async def test_an_answer_is_the_agents_text_and_nothing_else(client: Client) -> None:
    result = await call(client, "invoke", **TASK)

    assert text(result) == "the answer"
    assert result.structured_content is None
    assert not result.is_error


async def test_an_answer_has_its_record_in_meta(client: Client, pool: CannedPool) -> None:
    result = await call(client, "invoke", **TASK)

    assert result.meta is not None
    assert result.meta["task_id"] == pool.tasks[0].id
    assert result.meta["usage"]["input_tokens"] == 5
    expected = {
        "agent": "scout", "attempts": 1, "pid": 7, "session_id": "session-1", "cost_usd": 0.25,
    }  # fmt: skip
    assert expected.items() <= result.meta.items()
    assert result.meta["duration_s"] >= 0


async def test_the_task_and_its_timeout_reach_the_pool_as_they_are(
    client: Client, pool: CannedPool
) -> None:
    await call(client, "invoke", agent="scout", task=" /é\n ", timeout_s=2.5)

    (task,) = pool.tasks
    assert (task.agent, task.text, task.timeout_s) == ("scout", " /é\n ", 2.5)


async def test_refused_uses_of_tools_are_a_last_line_with_the_setting(
    client: Client, pool: CannedPool
) -> None:
    denials = (Denial("Bash", "make test"), Denial("Bash", "ls"), Denial("WebFetch", ""))
    pool.outcome = TaskResult("half of it", Usage(), None, None, denials)

    lines = text(await call(client, "invoke", **TASK)).splitlines()

    assert lines[0] == "half of it"
    assert "Refused for lack of permission: Bash (make test); Bash (ls); WebFetch." in lines[-1]
    assert "list Bash, WebFetch under `tools:` in" in lines[-1]


async def test_list_gives_the_agents_as_a_record_and_as_text(client: Client) -> None:
    result = await call(client, "list")

    assert result.structured_content == {
        "agents": [ROW],
        "warnings": ["a warning"],
        "refused": [],
        "ledger": None,
    }
    assert json.loads(text(result)) == {
        "agents": [ROW],
        "warnings": ["a warning"],
        "refused": [],
        "ledger": None,
    }


async def test_warmup_gives_the_process_as_a_record_and_as_text(client: Client) -> None:
    result = await call(client, "warmup", agent="scout")

    assert result.structured_content == {"agent": "scout", "pid": 7, "ready_s": 0.5}
    assert json.loads(text(result)) == result.structured_content


async def test_reset_gives_what_was_there_as_a_record_and_as_text(client: Client) -> None:
    result = await call(client, "reset", agent="scout")

    assert result.structured_content == {"agent": "scout", "was": "idle", "pid": 7}
    assert json.loads(text(result)) == result.structured_content


# errors


def code(result: mcp_types.CallToolResult) -> str:
    """The code of an error, which its text begins with as well."""
    assert result.is_error
    assert result.meta is not None
    found: str = result.meta["code"]
    assert text(result).startswith(f"{found}: ")
    return found


async def test_an_unknown_tool_is_an_error_that_names_those_there_are(client: Client) -> None:
    result = await call(client, "invok", **TASK)

    assert code(result) == "unknown_tool"
    assert "invoke, invoke_many, submit, wait, result, list, warmup, reset" in text(result)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("invoke", {"task": "x"}, "agent: it is missing"),
        ("invoke", {"agent": "scout"}, "task: it is missing"),
        ("invoke", TASK | {"agnt": "x"}, "agnt: there is no such argument"),
        ("invoke", TASK | {"agent": ""}, "agent: '' does not fit: "),
        ("invoke", TASK | {"agent": 5}, "agent: 5 does not fit: "),
        ("invoke", TASK | {"task": None}, "task: None does not fit: "),
        ("invoke", TASK | {"task": ["x"]}, "task: ['x'] does not fit: "),
        ("invoke", TASK | {"timeout_s": 0}, "timeout_s: 0 does not fit: "),
        ("invoke", TASK | {"timeout_s": -1}, "timeout_s: -1 does not fit: "),
        ("invoke", TASK | {"timeout_s": "soon"}, "timeout_s: 'soon' does not fit: "),
        ("warmup", {}, "agent: it is missing"),
        ("reset", {"agent": "x", "force": True}, "force: there is no such argument"),
        ("list", {"all": True}, "all: there is no such argument"),
    ],
)
async def test_a_wrong_argument_is_an_error_that_names_it_and_those_there_are(
    client: Client, pool: CannedPool, tool: str, arguments: dict[str, Any], said: str
) -> None:
    result = await call(client, tool, **arguments)

    assert code(result) == "invalid_arguments"
    assert said in text(result)
    assert f"Arguments of {tool}: " in text(result)
    assert not pool.tasks


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("invoke", TASK), ("warmup", {"agent": "a"}), ("reset", {"agent": "a"}), ("list", {})],
)
async def test_what_the_pool_refuses_is_an_error_with_its_code_and_advice(
    client: Client, pool: CannedPool, tool: str, arguments: dict[str, Any]
) -> None:
    pool.refusal = TaskError("config_invalid", "It is wrong.", "Mend it.", {"problems": ["x"]})

    result = await call(client, tool, **arguments)

    assert code(result) == "config_invalid"
    assert text(result) == "config_invalid: It is wrong. Mend it."
    assert result.meta is not None
    assert result.meta["problems"] == ["x"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("invoke", TASK), ("warmup", {"agent": "a"}), ("reset", {"agent": "a"}), ("list", {})],
)
async def test_a_fault_of_the_pool_is_an_error_and_is_reported(
    client: Client,
    pool: CannedPool,
    faults: list[Exception],
    tool: str,
    arguments: dict[str, Any],
) -> None:
    pool.fault = ZeroDivisionError("by zero")

    assert code(await call(client, tool, **arguments)) == "internal_error"
    assert faults == [pool.fault]


async def test_a_task_that_failed_is_an_error_with_its_record(
    client: Client, pool: CannedPool
) -> None:
    pool.outcome = TaskError("agent_crashed", "It died.", "Try again.", {"exit_status": 3})

    result = await call(client, "invoke", **TASK)

    assert code(result) == "agent_crashed"
    assert result.meta is not None
    expected = {"task_id": pool.tasks[0].id, "agent": "scout", "pid": 7, "exit_status": 3}
    assert expected.items() <= result.meta.items()


async def test_after_an_error_the_next_call_is_served(client: Client, pool: CannedPool) -> None:
    pool.fault = ZeroDivisionError()
    await call(client, "invoke", **TASK)
    pool.fault = None

    assert text(await call(client, "invoke", **TASK)) == "the answer"


# half of a surrogate pair, which UTF-8 has no form for


async def test_an_answer_with_half_a_surrogate_pair_is_served(
    client: Client, pool: CannedPool
) -> None:
    pool.outcome = TaskResult("half \ud83d", Usage(), None, None)

    assert text(await call(client, "invoke", **TASK)) == "half ?"


async def test_an_error_with_half_a_surrogate_pair_is_served(
    client: Client, pool: CannedPool
) -> None:
    pool.outcome = TaskError("agent_crashed", "half \ud83d", "", {"stderr": ["\udcff"]})

    assert text(await call(client, "invoke", **TASK)) == "agent_crashed: half ?."


async def test_a_file_name_that_is_no_utf_8_is_listed(client: Client, pool: CannedPool) -> None:
    pool.rows = [ROW | {"source": "/project/\udcff.md"}]

    result = await call(client, "list")

    assert result.structured_content == {
        "agents": [ROW | {"source": "/project/?.md"}],
        "warnings": ["a warning"],
        "refused": [],
        "ledger": None,
    }


# progress


async def reports(client: Client) -> list[tuple[float, float | None, str | None]]:
    """Invoke, and give the reports of progress: seconds on the test's clock, value, message."""
    found: list[tuple[float, float | None, str | None]] = []
    began = trio.current_time()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        found.append((trio.current_time() - began, progress, message))

    with trio.fail_after(600):
        await client.call_tool("invoke", TASK, progress_callback=note)
    return found


async def test_progress_increases_and_tells_what_the_agent_does(
    client: Client, pool: CannedPool, autojump_clock: MockClock
) -> None:
    pool.steps = [(1, "thinking"), (2, "Bash: ls"), (2, "done")]

    found = await reports(client)

    values = [value for _, value, _ in found]
    assert values == sorted(set(values), key=lambda value: value or 0)
    messages = " | ".join(message or "" for _, _, message in found)
    for doing in ("scout: waiting in the queue (0 s", "scout: thinking (1 s", "scout: Bash: ls (3"):
        assert doing in messages
    assert pool.tasks[0].id in messages


async def test_progress_goes_on_while_nothing_changes(
    client: Client, pool: CannedPool, autojump_clock: MockClock
) -> None:
    pool.steps = [(60, "done")]

    gaps = await reports(client)

    times = [at for at, _, _ in gaps]
    assert len(times) >= 10
    assert max(b - a for a, b in itertools.pairwise(times)) <= 6


async def test_progress_is_no_flood_however_fast_things_change(
    client: Client, pool: CannedPool, autojump_clock: MockClock
) -> None:
    pool.steps = [(0.01, f"step {n}") for n in range(500)]

    assert len(await reports(client)) <= 12


async def test_what_changed_right_after_a_report_is_in_the_next(
    client: Client, pool: CannedPool, autojump_clock: MockClock
) -> None:
    pool.steps = [(0.1, "Bash: ls"), (20, "done")]

    found = await reports(client)

    told_at = next(at for at, _, message in found if "Bash: ls" in (message or ""))
    assert told_at < 1


async def test_progress_with_half_a_surrogate_pair_is_served(
    client: Client, pool: CannedPool, autojump_clock: MockClock
) -> None:
    pool.steps = [(1, "Bash: \ud83d"), (2, "done")]

    messages = [message or "" for _, _, message in await reports(client)]

    assert any("Bash: ?" in message for message in messages)


# callers that leave


@pytest.mark.parametrize("lost", [False, True])
async def test_who_cancels_cancels_the_task_and_who_is_lost_does_not(
    client: Client, pool: CannedPool, connection: Connection, lost: bool
) -> None:
    pool.outcome = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: client.call_tool("invoke", TASK))
        with trio.fail_after(60):
            while not pool.tasks:
                await trio.lowlevel.checkpoint()
        connection.lost = lost
        nursery.cancel_scope.cancel()
    with trio.fail_after(60):
        while not pool.cancelled and not pool.lost:
            await trio.lowlevel.checkpoint()

    assert (pool.cancelled, pool.lost) == (([], pool.tasks) if lost else (pool.tasks, []))
