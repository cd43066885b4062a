"""Which tools a model is told of, in every version of the protocol, and what they cost it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.frontend._mcp import INSTRUCTIONS
from supervisor.frontend._tools import TOOLS
from supervisor.pool import config
from tests.frontend.stage import HANDSHAKE_VERSIONS, MODERN_VERSION, Stage, serving

VERSIONS = [*HANDSHAKE_VERSIONS, MODERN_VERSION]

CUT_AT = 2048
"""Characters: Claude Code cuts a description, and the instructions, there."""

TOKENS = 3000
"""What all that a model reads may cost it, at 4 characters a token."""


@pytest.fixture
async def everything(tmp_path: Path) -> AsyncIterator[Stage]:
    async with serving(tmp_path, '[frontend]\ntools = "all"\n', coder="") as stage:
        yield stage


def test_the_tools_that_can_be_configured_are_those_there_are() -> None:
    assert tuple(TOOLS) == config.TOOLS


@pytest.mark.parametrize("version", VERSIONS)
async def test_all_tools_are_listed_where_that_is_configured(
    everything: Stage, version: str
) -> None:
    async with everything.raw(version) as client:
        listed = (await client.result("tools/list"))["tools"]

        assert [tool["name"] for tool in listed] == list(TOOLS)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ('["list", "invoke"]', ["invoke", "list"]),
        ('"usual"', list(config.USUAL_TOOLS)),
        ('["consult"]', ["consult"]),
    ],
)
async def test_those_tools_are_listed_that_are_named(
    tmp_path: Path, said: str, names: list[str]
) -> None:
    async with serving(tmp_path, f"[frontend]\ntools = {said}\n") as stage, stage.raw() as client:
        listed = (await client.result("tools/list"))["tools"]

        assert [tool["name"] for tool in listed] == names


async def test_a_tool_that_is_not_listed_can_be_called(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, '[frontend]\ntools = ["list"]\n') as stage,
        stage.raw() as client,
    ):
        result = await client.result("tools/call", name="tasks", arguments={})

        assert result["structuredContent"] == {"tasks": []}


async def test_all_that_a_model_reads_of_all_tools_is_below_its_limit(everything: Stage) -> None:
    async with everything.raw() as client:
        listed = (await client.result("tools/list"))["tools"]
        read = [
            f"mcp__agent-pool__{tool['name']} {tool['description']} "
            + json.dumps(tool["inputSchema"])
            for tool in listed
        ]

        assert len(client.initialized["instructions"]) + sum(map(len, read)) < 4 * TOKENS
        assert all(50 < len(tool["description"]) < CUT_AT for tool in listed)


def test_the_instructions_are_not_cut_and_name_only_tools_that_a_model_has() -> None:
    words = {word.strip("`,.:") for word in INSTRUCTIONS.split() if word.startswith("`")}

    assert 500 < len(INSTRUCTIONS) < CUT_AT
    assert words - {"conversation"} <= set(config.USUAL_TOOLS)


async def test_what_only_looks_or_asks_says_so_and_the_rest_does_not(everything: Stage) -> None:
    async with everything.raw() as client:
        listed = (await client.result("tools/list"))["tools"]
        hints = {tool["name"]: tool["annotations"] for tool in listed}

        assert {name for name, hint in hints.items() if hint["readOnlyHint"]} == {
            "wait", "result", "list", "consult", "tasks", "tree", "logs", "stats",
        }  # fmt: skip
        assert {name for name, hint in hints.items() if hint["openWorldHint"]} == {
            "invoke", "invoke_many", "submit", "consult",
        }  # fmt: skip
        assert {name for name, hint in hints.items() if hint["destructiveHint"]} == {
            "invoke", "invoke_many", "submit", "reset", "cancel",
        }  # fmt: skip
        assert all(hint["title"] for hint in hints.values())


async def test_long_answers_are_wanted_whole(everything: Stage) -> None:
    async with everything.raw() as client:
        listed = (await client.result("tools/list"))["tools"]
        sizes = {
            tool["name"]: tool["_meta"]["anthropic/maxResultSizeChars"]
            for tool in listed
            if "_meta" in tool
        }

        assert sizes == dict.fromkeys(("invoke", "invoke_many", "result", "consult"), 500_000)


async def test_records_have_a_schema_and_texts_have_none(everything: Stage) -> None:
    async with everything.raw() as client:
        listed = (await client.result("tools/list"))["tools"]

        assert {tool["name"] for tool in listed if "outputSchema" not in tool} == {
            "invoke", "invoke_many", "result", "consult", "logs",
        }  # fmt: skip


# what each version is served


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_an_older_version_is_echoed_with_what_the_server_can(
    everything: Stage, version: str
) -> None:
    async with everything.raw(version) as client:
        assert client.initialized["protocolVersion"] == version
        assert capabilities(client.initialized) == {
            "tools.listChanged", "resources.listChanged", "resources.subscribe", "prompts",
            "completions", "logging",
        }  # fmt: skip


async def test_the_newest_version_discovers_what_the_server_can(everything: Stage) -> None:
    async with everything.raw(MODERN_VERSION) as client:
        found = await client.result("server/discover")

        assert MODERN_VERSION in found["supportedVersions"]
        assert {
            "tools.listChanged", "resources.subscribe", "completions", "logging",
        } <= capabilities(found)  # fmt: skip


def capabilities(found: dict[str, Any]) -> set[str]:
    """The names of all that is there, with the switches that are on."""
    names = set()
    for name, switches in found["capabilities"].items():
        on = {f"{name}.{switch}" for switch, is_on in switches.items() if is_on}
        names |= on or {name}
    return names


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_task_is_answered_in_every_version(everything: Stage, version: str) -> None:
    async with everything.raw(version) as client:
        asked = {"agent": "coder", "task": "[[say done]]"}
        result = await client.result("tools/call", name="invoke", arguments=asked)

        assert [block["text"] for block in result["content"]] == ["done"]


async def test_clients_of_all_versions_are_served_at_once(everything: Stage) -> None:
    async with (
        everything.raw("2024-11-05") as oldest,
        everything.raw("2025-11-25") as usual,
        everything.raw(MODERN_VERSION) as newest,
    ):
        for client in (newest, oldest, usual, oldest, newest):
            result = await client.result("tools/call", name="tree", arguments={})
            assert result["content"]
