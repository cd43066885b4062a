"""What an agent, and a command that it runs, gets to see of its client's surroundings."""

import psutil

from tests.client import Client
from tests.product.conftest import CLIENTS_OWN
from tests.product.stage import Stage, pid_of, text_of


async def test_a_command_sees_nothing_of_the_clients_environment_but_what_logs_in(
    client: Client, steady: str, shared: Stage
) -> None:
    answer = text_of(await client.call("invoke", agent=steady, task="[[bash env]]"))

    lines = answer.removeprefix("bash: ").splitlines()
    seen = dict(line.split("=", 1) for line in lines if "=" in line)
    assert "clients-own" not in answer
    assert "CLAUDE_PROJECT_DIR" not in seen
    assert seen["ANTHROPIC_API_KEY"] == "dummy"
    assert seen["HOME"] == str(shared.project.home)


async def test_the_cli_is_not_told_that_it_runs_within_claude_code_nor_how_its_pool_is_set(
    client: Client, steady: str
) -> None:
    result = await client.call("invoke", agent=steady, task="hello")

    given = set(psutil.Process(pid_of(result)).environ())
    assert not given & {*CLIENTS_OWN, "CLAUDE_PROJECT_DIR"}
    assert not given & {"CLAUDE_CLI", "AGENTS_DIR", "AGENT_POOL_CONFIG", "XDG_STATE_HOME"}


async def test_a_command_runs_in_the_projects_root(
    client: Client, steady: str, shared: Stage
) -> None:
    result = await client.call("invoke", agent=steady, task="[[bash pwd -P]]")

    assert text_of(result) == f"bash: {shared.project.folder.resolve()}"
