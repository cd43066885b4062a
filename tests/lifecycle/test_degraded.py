"""A pool whose configuration is wrong, or whose CLI is missing, starts all the same."""

import sys
from pathlib import Path
from typing import Any

from tests.client import REHEARSAL, Client, Project, open_client
from tests.lifecycle.foreground import pools_started


async def invoke(client: Client) -> dict[str, Any]:
    return await client.call("invoke", agent="coder", task="[[say hello]]")


def text(result: dict[str, Any]) -> str:
    found: str = result["content"][0]["text"]
    return found


async def test_a_wrong_pool_toml_is_located_by_every_tool_and_read_again_once_mended(
    project: Project,
) -> None:
    path = project.write_config('[pool]\nlinger = "60s"\nlingr = "1s"\n')
    async with project.connect() as client:
        assert (await client.request("tools/list"))["result"]["tools"]
        for tool, arguments in {
            "list": {},
            "invoke": {"agent": "coder", "task": "x"},
            "warmup": {"agent": "coder"},
            "reset": {"agent": "coder"},
        }.items():
            result = await client.call(tool, None, **arguments)
            assert result["isError"], tool
            assert result["_meta"]["code"] == "config_invalid", tool
            assert f"{path}:3" in text(result), tool
            assert "lingr" in text(result), tool
            assert "Mend the files" in text(result), tool
        status = await project.run("status")
        assert status.returncode == 1
        assert f"{path}:3" in status.stdout
        path.write_text('[pool]\nlinger = "60s"\n')
        assert text(await invoke(client)) == "hello"
        assert (await project.run("status")).returncode == 0
    assert len(pools_started(project)) == 1


async def test_a_timeout_that_is_no_number_is_named_with_the_way_out(project: Project) -> None:
    async with project.connect(TASK_TIMEOUT_MS="soon") as client:
        result = await invoke(client)
        assert result["isError"]
        for part in ("TASK_TIMEOUT_MS", '"soon"', "agent-pool stop"):
            assert part in text(result)


async def test_a_missing_cli_is_named_and_found_once_it_is_there(project: Project) -> None:
    # Relative to where the client runs, so that a later client must mean the same by it.
    below = project.folder / "below"
    below.mkdir()
    env = project.environment(CLAUDE_CLI="./my-cli --flag")
    cli = below / "my-cli"
    async with open_client(cwd=below, env=env) as client:
        result = await invoke(client)
        assert result["isError"]
        assert result["_meta"]["code"] == "cli_missing"
        assert str(cli) in text(result)
        assert "CLAUDE_CLI" in text(result)
        assert not (await client.call("list"))["isError"]
        write_program(cli)
        assert text(await invoke(client)) == "hello"
        async with open_client(cwd=below, env=env) as later:
            assert text(await invoke(later)) == "hello"
    assert len(pools_started(project)) == 1


async def test_a_cli_of_which_there_is_none_on_the_path_is_named(project: Project) -> None:
    tools = project.home / "bin"
    tools.mkdir()
    env = project.environment(CLAUDE_CLI="", PATH=str(tools))
    async with open_client(cwd=project.folder, env=env) as client:
        result = await invoke(client)
        assert result["_meta"]["code"] == "cli_missing"
        assert '"claude"' in text(result)
        write_program(tools / "claude")
        assert text(await invoke(client)) == "hello"


def write_program(path: Path) -> None:
    assert sys.executable in REHEARSAL
    path.write_text(f'#!/bin/sh\nexec {REHEARSAL} "$@"\n')
    path.chmod(0o755)
