"""Answers that are too long even for a client that was asked to hand them on whole."""

import mcp_types
from mcp import Client

from supervisor.frontend._answers import HUGE
from supervisor.pool import TaskResult
from supervisor.protocol import Usage
from tests.frontend.conftest import CannedPool


def blocks(result: mcp_types.CallToolResult) -> list[mcp_types.TextContent]:
    return [block for block in result.content if isinstance(block, mcp_types.TextContent)]


async def test_an_answer_up_to_the_limit_is_whole_and_alone(
    client: Client, pool: CannedPool
) -> None:
    pool.outcome = TaskResult("x" * HUGE, Usage(), None, None)

    result = await client.call_tool("invoke", {"agent": "a", "task": "t", "reply": "full"})

    assert [block.text for block in blocks(result)] == ["x" * HUGE]


async def test_beyond_it_the_model_is_told_first_how_to_read_all_of_it(
    client: Client, pool: CannedPool
) -> None:
    pool.outcome = TaskResult("x" * (HUGE + 1), Usage(), None, None)

    result = await client.call_tool("invoke", {"agent": "a", "task": "t", "reply": "full"})

    note, answer = blocks(result)
    assert answer.text == "x" * (HUGE + 1)
    assert note.text.startswith("[agent-pool] This answer has 500,001 characters")
    assert f'task_id="{pool.tasks[0].id}", part=1 to 17' in note.text
    assert note.annotations is not None
    assert note.annotations.audience == ["assistant"]


async def test_answers_that_are_too_long_together_are_told_likewise(
    client: Client, pool: CannedPool
) -> None:
    pool.outcome = TaskResult("x" * (HUGE // 2), Usage(), None, None)
    one = {"agent": "a", "task": "t", "reply": "full"}

    result = await client.call_tool("invoke_many", {"tasks": [one, one]})

    note, *answers = blocks(result)
    assert note.text.startswith("[agent-pool] This answer has 500,0")
    assert len(answers) == 2
