"""What a client is told of the server and its tools."""

import json
from collections.abc import Mapping
from typing import Any

import mcp_types
import pytest
from mcp import Client

CUT_AT = 2048
"""Characters: Claude Code cuts a description, and the instructions, there."""


async def declared(client: Client) -> dict[str, mcp_types.Tool]:
    return {tool.name: tool for tool in (await client.list_tools()).tools}


async def test_there_are_eight_tools(client: Client) -> None:
    assert list(await declared(client)) == [
        "invoke", "invoke_many", "submit", "wait", "result", "list", "warmup", "reset",
    ]  # fmt: skip


async def test_the_tree_is_not_told_to_models_and_can_be_called(client: Client) -> None:
    result = await client.call_tool("tree", {})

    assert result.structured_content is not None
    assert result.structured_content["tree"][0]["name"] == "root"


async def test_every_tool_has_a_title(client: Client) -> None:
    assert all(tool.title for tool in (await declared(client)).values())


async def test_every_tool_has_a_description_that_no_client_cuts(client: Client) -> None:
    lengths = [len(tool.description or "") for tool in (await declared(client)).values()]

    assert all(50 < length < CUT_AT for length in lengths)


async def test_the_server_has_instructions_that_no_client_cuts(client: Client) -> None:
    assert 50 < len(client.instructions or "") < CUT_AT


async def test_all_that_a_model_reads_is_under_2100_tokens(client: Client) -> None:
    read = [
        f"mcp__agent-pool__{tool.name} {tool.description} {json.dumps(tool.input_schema)}"
        for tool in (await declared(client)).values()
    ]

    assert len(client.instructions or "") + sum(map(len, read)) < 2100 * 4


async def test_what_only_looks_is_read_only(client: Client) -> None:
    hints = {
        name: tool.annotations is not None and tool.annotations.read_only_hint
        for name, tool in (await declared(client)).items()
    }

    assert {name for name, read_only in hints.items() if read_only} == {"wait", "result", "list"}


async def test_what_changes_something_says_whether_it_destroys(client: Client) -> None:
    hints = {
        name: tool.annotations and tool.annotations.destructive_hint
        for name, tool in (await declared(client)).items()
    }

    destroying = {name for name, hint in hints.items() if hint}
    assert destroying == {"invoke", "invoke_many", "submit", "reset"}


@pytest.mark.parametrize(
    ("name", "arguments", "required"),
    [
        (
            "invoke",
            {
                "agent",
                "task",
                "timeout_s",
                "priority",
                "conversation",
                "reply",
                "reply_limit",
                "if_longer_than_s",
            },
            {"agent", "task"},
        ),
        ("invoke_many", {"tasks", "max_parallel"}, {"tasks"}),
        (
            "submit",
            {"agent", "task", "timeout_s", "priority", "conversation", "reply", "reply_limit"},
            {"agent", "task"},
        ),
        ("wait", {"task_ids", "timeout_s", "mode"}, {"task_ids"}),
        ("result", {"task_id", "part"}, {"task_id"}),
        ("warmup", {"agent"}, {"agent"}),
        ("list", set(), set()),
        ("reset", {"agent", "conversation"}, {"agent"}),
    ],
)
async def test_a_tool_takes(
    client: Client, name: str, arguments: set[str], required: set[str]
) -> None:
    schema = (await declared(client))[name].input_schema

    assert schema["properties"].keys() == arguments
    assert set(schema.get("required", ())) == required
    assert schema["additionalProperties"] is False


def is_typed(schema: Mapping[str, Any]) -> bool:
    return "type" in schema or all(is_typed(one) for one in schema["anyOf"])


async def test_every_argument_has_a_type_and_a_description(client: Client) -> None:
    for tool in (await declared(client)).values():
        for argument in tool.input_schema["properties"].values():
            assert is_typed(argument)
            assert len(argument["description"]) > 10


async def test_records_have_an_output_schema_and_prose_has_none(client: Client) -> None:
    schemas = {name: tool.output_schema for name, tool in (await declared(client)).items()}

    assert schemas["invoke"] is None
    for name in ("warmup", "list", "reset"):
        schema = schemas[name]
        assert schema is not None
        assert schema["type"] == "object"
        assert schema["properties"]
