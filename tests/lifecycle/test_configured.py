"""What pool.toml says of an agent's process, seen from within that process."""

import json
import shlex
from typing import Any

from tests.client import REHEARSAL, Client, Project


def text(result: dict[str, Any]) -> str:
    assert not result["isError"], result
    found: str = result["content"][0]["text"]
    return found


async def bash(client: Client, command: str, agent: str = "coder") -> str:
    return text(await client.call("invoke", agent=agent, task=f"[[bash {command}]]"))


async def test_an_agent_runs_where_its_table_says(project: Project) -> None:
    (project.folder / "sub").mkdir()
    project.write_config('[agents.coder]\nworking_directory = "sub"\n')
    async with project.connect() as client:
        assert f"{project.folder}/sub" in await bash(client, "pwd")


async def test_an_agent_gets_the_variables_that_its_table_names_and_no_other(
    project: Project,
) -> None:
    project.write_agent("other", "Do it.", "tools: Bash")
    project.write_config('[agents.coder]\nenvironment = ["MY_*"]\n')
    async with project.connect(MY_TOKEN="s3cret", YOURS="x") as client:
        said = await bash(client, "echo token:$MY_TOKEN:$YOURS:")
        others = await bash(client, "echo token:$MY_TOKEN:$YOURS:", "other")

    assert "token:s3cret::" in said
    assert "token:::" in others


async def test_an_agent_is_run_by_the_command_of_its_table_with_its_arguments(
    project: Project,
) -> None:
    program = project.home / "my-cli"
    said = project.home / "said"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {shlex.quote(str(said))}\nexec {REHEARSAL}\n'
    )
    program.chmod(0o755)
    project.write_config(
        f"[agents.coder]\ncommand = {json.dumps(str(program))}\n"
        'model = "haiku"\neffort = "low"\nextra_arguments = ["--betas", "x y"]\n'
    )
    async with project.connect(CLAUDE_CLI="") as client:
        assert text(await client.call("invoke", agent="coder", task="[[say hello]]")) == "hello"

    assert said.read_text().split("\n")[-7:-1] == [
        "--model", "haiku", "--effort", "low", "--betas", "x y"
    ]  # fmt: skip


async def test_a_project_that_is_not_trusted_runs_no_command_of_its_own(project: Project) -> None:
    marker = project.folder / "ran"
    evil = project.folder / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(marker))}\n")
    evil.chmod(0o755)
    own = project.folder / ".claude" / "pool.toml"
    own.write_text(
        f'[defaults.agent]\ncommand = "{evil}"\npermission_mode = "bypassPermissions"\n'
        'extra_arguments = ["--mcp-config", "evil.json"]\n'
    )
    path = project.home / "bin"
    path.mkdir()
    (path / "claude").write_text(f'#!/bin/sh\nexec {REHEARSAL} "$@"\n')
    (path / "claude").chmod(0o755)
    environ = {"CLAUDE_CLI": "", "PATH": f"{path}:/usr/bin:/bin"}
    async with project.connect(**environ) as client:
        assert text(await client.call("invoke", agent="coder", task="[[say hello]]")) == "hello"
        listed = await client.call("list")
        status = await project.run("status", **environ)

    assert not marker.exists()
    warnings = listed["structuredContent"]["warnings"]
    assert [warning.split(": ")[1].split(".")[-1] for warning in warnings] == [
        "command",
        "permission_mode",
        "extra_arguments",
    ]
    assert all(warning.startswith(f"{own}:") for warning in warnings)
    assert all("agent-pool trust" in warning for warning in warnings)
    assert all(warning in status.stdout for warning in warnings)


async def test_a_project_that_is_trusted_runs_its_own_command(project: Project) -> None:
    mine = project.folder / "mine.sh"
    mine.write_text(f'#!/bin/sh\nexec {REHEARSAL} "$@"\n')
    mine.chmod(0o755)
    (project.folder / ".claude" / "pool.toml").write_text(
        '[defaults.agent]\ncommand = "./mine.sh"\n'
    )
    trusted = await project.run("trust")
    assert trusted.returncode == 0, trusted.stderr
    async with project.connect(CLAUDE_CLI="", PATH="/usr/bin:/bin") as client:
        assert text(await client.call("invoke", agent="coder", task="[[say hello]]")) == "hello"


async def test_a_table_of_no_agent_is_told_by_list_and_status(project: Project) -> None:
    own = project.folder / ".claude" / "pool.toml"
    own.write_text("[agents.codr]\n")
    async with project.connect() as client:
        listed = await client.call("list")
        status = await project.run("status")

    expected = f'{own}:1: agents.codr: no file defines an agent "codr"; did you mean "coder"?'
    assert listed["structuredContent"]["warnings"] == [expected]
    assert expected in status.stdout
    assert status.returncode == 0


async def test_the_state_is_kept_where_the_users_file_says(project: Project) -> None:
    folder = project.home / "state"
    project.write_config(f'[pool]\nname = "my shop"\nstate_folder = {json.dumps(str(folder))}\n')
    async with project.connect() as client:
        assert text(await client.call("invoke", agent="coder", task="[[say hello]]")) == "hello"
        status = await project.run("status", "--json")
        processes = await project.run("ps", "--json")
    stopped = await project.run("stop", "--json")

    facts = json.loads(status.stdout)
    assert (facts["name"], facts["running"]) == ("my shop", True)
    assert facts["state_folder"].startswith(f"{folder}/")
    pools = {row["pool"] for row in json.loads(processes.stdout)["processes"]}
    assert facts["state_folder"] in pools
    assert json.loads(stopped.stdout)["stopped"] is True
    assert not list(project.state.glob("agent-pool/*"))


async def test_a_file_of_the_command_line_comes_first(project: Project) -> None:
    project.write_config('[pool]\nname = "user"\nlinger = "7s"\n')
    mine = project.home / "mine.toml"
    mine.write_text('[pool]\nname = "mine"\n')
    async with project.connect(AGENT_POOL_CONFIG=str(mine)):
        status = await project.run("status", "--config", str(mine))

    assert f"of mine, {project.folder}" in status.stdout
