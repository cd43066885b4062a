"""`consult` is for agents that cannot change anything, by their definition."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervisor.agents import Folders, McpServer
from supervisor.place import built_in
from supervisor.pool import PoolError, TaskError
from supervisor.pool.config import ConfigFiles
from supervisor.pool.launch import Role
from supervisor.pool.read_only import READING_TOOLS, ways_to_change
from supervisor.pool.roles import Roles
from tests.client import LIMIT_S
from tests.frontend.stage import Stage, serving, text

READER = Role(
    name="reader", description="", system_prompt="", tools=("Read", "Grep", "Glob"),
    disallowed_tools=(), model=None, permission_mode=None, skills=(), expertise=(),
    source=Path("/reader.md"), origin="user", digest="", warnings=(),
)  # fmt: skip
SERVER = McpServer("files", "{}", True)


def ways(definition: Role, mode: str = "acceptEdits") -> list[str]:
    return ways_to_change(replace(definition, mode=mode))


def test_an_agent_that_only_reads_can_change_nothing() -> None:
    assert ways(READER) == []


def test_an_agent_without_any_tool_can_change_nothing() -> None:
    assert ways(replace(READER, tools=())) == []


@pytest.mark.parametrize(
    "tool",
    [
        "Bash", "Bash(git log:*)", "Edit", "Write", "NotebookEdit", "Task", "Agent", "Skill",
        "SlashCommand", "KillShell", "LSP", "mcp__files__read", "SomethingNew", "read",
    ],
)  # fmt: skip
def test_a_tool_that_may_have_effects_is_named(tool: str) -> None:
    assert ways(replace(READER, tools=("Read", tool))) == [f"the tools {tool.split('(')[0]}"]


def test_every_tool_is_too_many() -> None:
    assert ways(replace(READER, tools=("*",))) == ["every tool"]


def test_a_definition_without_a_list_has_the_usual_tools() -> None:
    assert ways(replace(READER, tools=None)) == ["the tools Edit, Write, NotebookEdit"]
    assert ways(replace(READER, tools=None, usual_tools=("Read",))) == []


def test_a_tool_that_is_taken_away_again_counts_for_nothing() -> None:
    assert ways(replace(READER, tools=("Read", "Bash"), disallowed_tools=("Bash",))) == []


def test_a_rule_that_denies_some_uses_takes_no_tool_away() -> None:
    bash = replace(READER, tools=("Bash",), disallowed_tools=("Bash(rm:*)",))

    assert ways(bash) == ["the tools Bash"]


def test_what_runs_code_beside_the_model_is_named() -> None:
    able = replace(READER, mcp_servers=(SERVER,), hooks="{}", extra_arguments=("--settings", "x"))

    assert ways(able, "bypassPermissions") == [
        "the MCP servers files",
        "its hooks",
        "permission_mode = bypassPermissions",
        "extra_arguments --settings",
    ]


@pytest.mark.parametrize("words", [("--fallback-model", "sonnet"), ("--fallback-model=sonnet",)])
def test_an_argument_that_is_known_to_do_nothing_is_none(words: tuple[str, ...]) -> None:
    assert ways(replace(READER, extra_arguments=words)) == []


@given(st.lists(st.sampled_from([*READING_TOOLS, "Bash", "Edit", "Agent", "mcp__a__b"])))
def test_it_can_only_read_if_every_tool_only_reads(tools: list[str]) -> None:
    assert (not ways(replace(READER, tools=tuple(tools)))) == (set(tools) <= READING_TOOLS)


def test_the_built_in_agents_that_review_and_explore_can_be_consulted(tmp_path: Path) -> None:
    shipped = Path(built_in()) / "config" / "pool.toml"
    config = ConfigFiles.find(tmp_path, {"HOME": str(tmp_path)}, shipped).load()
    folders = Folders.resolve(tmp_path, {}, tmp_path, Path(built_in()))
    roles = Roles(tmp_path, {"HOME": str(tmp_path)}, folders, lambda: config)

    able = {name for name in roles.purposes() if ways(roles.define(name))}

    assert able == {"debugger", "doc-specialist", "refactorer", "test-writer"}


# as a tool


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    agents = {"reader": "tools: Read, Grep", "worker": "tools: Read, Bash(git log:*)"}
    config = "[agents.reader]\nreplicas = 2\n"
    async with serving(tmp_path, config, **agents) as stage:
        yield stage


async def test_an_agent_that_only_reads_is_consulted(stage: Stage) -> None:
    async with stage.client() as client:
        with trio.fail_after(LIMIT_S):
            result = await client.call_tool("consult", {"agent": "reader", "task": "[[say so]]"})

        assert text(result) == "so"


async def test_an_agent_that_can_do_more_is_refused_with_what_it_can_do(stage: Stage) -> None:
    async with stage.client() as client:
        result = await client.call_tool("consult", {"agent": "worker", "task": "x"})

        assert result.is_error
        assert text(result).startswith(
            'agent_may_change: the agent "worker" can do more than read: the tools Bash. Use '
            "invoke for it"
        )
        assert result.meta is not None
        assert result.meta["ways_to_change"] == ["the tools Bash"]


async def test_an_agent_that_is_given_more_while_the_task_waits_does_not_get_it(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, reader="tools: Read") as stage:
        first = await stage.pool.submit("reader", "[[hang]]")
        waiting = await stage.pool.submit("reader", "[[say done]]", only_reads=True)
        with trio.fail_after(LIMIT_S):
            await first.doing.wait_value("working")
        stage.project.write_agent("reader", "Do it.", "tools: Read, Bash")
        await stage.pool.reload("the test")
        stage.pool.cancel(first)

        with trio.fail_after(LIMIT_S):
            await waiting.settled.wait()

        assert isinstance(waiting.outcome, TaskError)
        assert waiting.outcome.code == "agent_may_change"


async def test_a_task_that_is_refused_is_no_task(stage: Stage) -> None:
    with pytest.raises(PoolError, match="agent_may_change"):
        await stage.pool.submit("worker", "x", only_reads=True)

    assert stage.pool.idle.is_set()
