"""Clients of three kinds on one pool: Claude Code, the MCP SDK's over HTTP, the command line."""

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import mcp_types
import pytest
import trio
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.claudecode.conftest import opened
from tests.claudecode.stage import BY_PLUGIN, INVOKE_BY_PLUGIN, Claude, Stage, use
from tests.client import LIMIT_S
from tests.realcli.install import RealCLI

AGENTS = ("for-claude", "for-http", "for-command")


@pytest.fixture
def stage(real_cli: RealCLI, tmp_path: Path) -> Iterator[Stage]:
    """A pool that also serves HTTP, and an agent for each client."""
    for stage in opened(tmp_path, real_cli, '[http]\naddress = "127.0.0.1:0"\n'):
        for name in AGENTS:
            stage.project.write_agent(name, f"You are {name}.", "tools: Bash")
        yield stage


@pytest.fixture
def claude(stage: Stage) -> Iterator[Claude]:
    """Claude Code with the plugin; it has started the pool."""
    with stage.claude(*BY_PLUGIN) as session:
        session.servers()
        yield session


@asynccontextmanager
async def over_http(stage: Stage) -> AsyncIterator[Client]:
    """The SDK's client, with what `agent-pool status` tells of HTTP."""
    await command(stage, "list")  # waits for the pool; Claude Code may have been greeted before
    told = json.loads(await command(stage, "status", "--json"))["http"]
    token = await trio.Path(told["token_file"]).read_text()
    headers = {"authorization": f"Bearer {token.strip()}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=LIMIT_S) as http,
        Client(streamable_http_client(told["url"], http_client=http)) as client,
    ):
        yield client


async def command(stage: Stage, *arguments: str) -> str:
    """What an `agent-pool` command prints."""
    done = await stage.project.run(*arguments, CLAUDE_CLI=stage.environment()["CLAUDE_CLI"])
    assert done.returncode == 0, done.stderr
    return done.stdout


def text_of(result: mcp_types.CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, mcp_types.TextContent)
    return block.text


def view(agents: list[dict[str, Any]]) -> dict[str, tuple[object, ...]]:
    """What a client sees of the three agents, as far as it stays."""
    kept = ("state", "pid", "tasks_done", "tasks_failed")
    return {one["name"]: tuple(one[key] for key in kept) for one in agents if one["name"] in AGENTS}


async def test_each_is_given_its_own_answer_and_all_see_the_same(
    stage: Stage, claude: Claude
) -> None:
    answers: dict[str, str] = {}

    async def ask_over_http(client: Client) -> None:
        asked = {"agent": "for-http", "task": "[[sleep 0.5]][[say to http]]"}
        answers["http"] = text_of(await client.call_tool("invoke", asked))

    async def ask_by_command() -> None:
        task = "[[sleep 0.5]][[say to the command]]"
        answers["command"] = (await command(stage, "invoke", "for-command", task)).strip()

    claude.give(use(INVOKE_BY_PLUGIN, agent="for-claude", task="[[sleep 0.5]][[say to claude]]"))
    async with over_http(stage) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_over_http, client)
            nursery.start_soon(ask_by_command)
            answers["claude"] = (await trio.to_thread.run_sync(claude.result))["result"]
        over_the_wire = (await client.call_tool("list", {})).structured_content
    printed = await command(stage, "list", "--json")
    task = use(INVOKE_BY_PLUGIN.replace("invoke", "list"))
    await trio.to_thread.run_sync(claude.task, task)

    assert answers == {"claude": "tool: to claude", "http": "to http", "command": "to the command"}
    assert over_the_wire is not None
    seen = [json.loads(stage.seen(task)[0]), over_the_wire, json.loads(printed)]
    first, *others = [view(one["agents"]) for one in seen]
    assert set(first) == set(AGENTS)
    assert others == [first, first]


async def test_one_that_is_killed_in_the_middle_loses_nothing_and_harms_nobody(
    stage: Stage, claude: Claude
) -> None:
    claude.give(use(INVOKE_BY_PLUGIN, agent="for-claude", task="[[sleep 1]][[say not lost]]"))
    (started,) = await trio.to_thread.run_sync(stage.logged, "task_started")
    answers: list[str] = []

    async def ask_over_http(client: Client) -> None:
        asked = {"agent": "for-http", "task": "[[sleep 1]][[say unharmed]]"}
        answers.append(text_of(await client.call_tool("invoke", asked)))

    async with over_http(stage) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_over_http, client)
            await trio.to_thread.run_sync(stage.logged, "task_started", 2)
            os.kill(claude.pid, signal.SIGKILL)
            await command(stage, "wait", started["task_id"])
        found = text_of(await client.call_tool("result", {"task_id": started["task_id"]}))

    assert answers == ["unharmed"]
    assert found == "not lost"
    assert (await command(stage, "result", started["task_id"])).strip() == "not lost"
