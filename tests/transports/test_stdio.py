"""The pool on its own stdio: for containers, and for whoever wants one process."""

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp import Client as SdkClient
from mcp import StdioServerParameters

from tests.client import LIMIT_S, Client, Project, open_client, open_project, until
from tests.transports.stage import INITIALIZE, RUN, Era, call

COMMAND = (*RUN, "--stdio")


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        project.write_agent("coder", "Do it.", "tools: Bash")
        project.write_config('[pool]\nshutdown_grace = "0s"\n')
        yield project


def start(project: Project) -> AbstractAsyncContextManager[Client]:
    """The pool, with a client on its stdio."""
    return open_client(COMMAND, cwd=project.folder, env=project.environment())


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_an_agent_answers_on_stdio(project: Project, era: Era) -> None:
    command, *args = COMMAND
    server = StdioServerParameters(
        command=command, args=args, cwd=project.folder, env=project.environment()
    )
    async with SdkClient(server, mode=era) as client:
        result = await client.call_tool("invoke", {"agent": "coder", "task": "[[say hello]]"})

    assert [block.text for block in result.content if block.type == "text"] == ["hello"]


async def test_relays_join_the_same_pool(project: Project) -> None:
    async with start(project) as client, project.connect() as other:
        ready = await client.call("warmup", agent="coder")

        assert (await other.agent("coder"))["pid"] == ready["structuredContent"]["pid"]


async def test_the_pool_ends_with_the_client_that_started_it(project: Project) -> None:
    async with start(project) as client:
        await client.call("warmup", agent="coder")

        client.close_input()

        assert await client.wait_closed() == 0
    assert project.processes() == []


async def test_where_it_lingers_it_outlives_that_client(project: Project) -> None:
    command = (*COMMAND, "--linger")
    async with open_client(command, cwd=project.folder, env=project.environment()) as client:
        await client.call("warmup", agent="coder")
        client.close_input()
        async with project.connect() as other:
            assert (await other.agent("coder"))["state"] == "idle"
        await project.stop()


async def test_a_client_that_dies_while_it_is_written_to_ends_it_in_order(
    project: Project,
) -> None:
    async with start(project) as client:
        _, answer = await client.start_call("invoke", agent="coder", task="[[bash sleep 1000]]")
        await until(lambda: client.notifications or _works(project), "the agent works")
        assert client.process.stdout is not None
        await client.process.stdout.aclose()
        for _ in range(50):
            await client.start_call("list")
        client.close_input()
        with trio.fail_after(LIMIT_S):
            assert await client.process.wait() == 0
    del answer
    async with project.connect() as later:
        (task,) = (await later.call("tasks"))["structuredContent"]["tasks"]
    assert task["outcome"] in ("cancelled", "pool_stopping")


def _works(project: Project) -> bool:
    return any("sleep" in process.cmdline() for process in project.processes())


async def test_a_client_that_stops_reading_does_not_keep_it_from_ending(project: Project) -> None:
    process = await trio.lowlevel.open_process(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=project.folder,
        env=project.environment(),
    )
    assert process.stdin is not None
    lines = [INITIALIZE, *(call("list", number) for number in range(1, 200))]
    await process.stdin.send_all(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    # Else the other's relay might be first, and start a pool of its own.
    await until(project.pool_pid, "the pool")
    async with project.connect() as other:
        assert await other.agents()  # it serves others meanwhile

    process.terminate()

    with trio.fail_after(15):
        assert await process.wait() == 0
    assert project.processes() == []
    await process.stdin.aclose()


async def test_where_a_pool_runs_already_the_client_is_told(project: Project) -> None:
    async with (
        project.connect(),
        open_client(
            COMMAND, cwd=project.folder, env=project.environment(), initialize=False
        ) as client,
    ):
        told = await client.request("initialize", INITIALIZE["params"])

        assert "runs already; agent-pool serve joins it" in told["error"]["message"]
        assert await client.wait_closed() == 1


async def test_nothing_but_mcp_is_on_stdout(project: Project) -> None:
    project.write_config("[pool]\nlnger = 1\n")  # it has something to say
    async with start(project) as client:  # which takes every line for a message
        await client.request("tools/list")

        assert "degraded" in client.stderr


async def run(project: Project, **streams: Any) -> "subprocess.CompletedProcess[bytes]":
    """The pool of the project, until its input has ended."""
    return await trio.run_process(
        COMMAND,
        stderr=subprocess.DEVNULL,
        cwd=project.folder,
        env=project.environment(),
        **streams,
    )


async def test_a_line_that_is_no_json_is_answered_with_a_parse_error(
    project: Project, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    asked.write_text("nonsense\n")
    with asked.open() as stdin:
        done = await run(project, stdin=stdin, capture_stdout=True)

    answer = json.loads(done.stdout)
    assert (answer["error"]["code"], answer["id"]) == (-32700, None)


async def test_stdin_and_stdout_may_be_files(project: Project, tmp_path: Path) -> None:
    asked, said = tmp_path / "asked", tmp_path / "said"
    asked.write_text(json.dumps(INITIALIZE) + "\n")
    with asked.open() as stdin, said.open("w") as stdout:
        done = await run(project, stdin=stdin, stdout=stdout)

    assert done.returncode == 0
    assert json.loads(said.read_text())["result"]["serverInfo"]["name"] == "agent-pool"
