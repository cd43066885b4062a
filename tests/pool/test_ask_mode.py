"""How an agent is started that asks for permissions."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from supervisor.agents import READ_AND_EDIT
from supervisor.pool.launch import Capabilities, Role, arguments, role
from tests.pool.test_launch import AGENT, config

ROOT: Final = Path("/project")
ASK: Final = '[agents.a]\npermission_mode = "ask"\n'


def made(tmp_path: Path, *tools: str, text: str = ASK) -> Role:
    definition = replace(AGENT, name="a", tools=tools or None)
    return role(definition, config(text, tmp_path), ROOT, trusted=False)


def option(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


def words(agent: Role) -> list[str]:
    return arguments(agent, agent.mode, Capabilities())


def test_the_cli_asks_its_host_in_its_default_mode(tmp_path: Path) -> None:
    given = words(made(tmp_path, "Bash"))

    assert option(given, "--permission-mode") == "default"
    assert option(given, "--permission-prompt-tool") == "stdio"


@pytest.mark.parametrize("mode", ["default", "acceptEdits", "plan", "dontAsk"])
def test_in_every_other_mode_it_asks_nobody(tmp_path: Path, mode: str) -> None:
    text = f'[agents.a]\npermission_mode = "{mode}"\n'

    assert "--permission-prompt-tool" not in words(made(tmp_path, "Bash", text=text))


def test_a_file_may_say_so_too(tmp_path: Path) -> None:
    agent = role(replace(AGENT, permission_mode="ask"), config("", tmp_path), ROOT, trusted=False)

    assert agent.mode == "ask"


@pytest.mark.parametrize(
    ("tools", "unasked"),
    [
        (("Bash", "Read"), None),
        (("*",), None),
        (("mcp__a__b", "mcp__a"), None),
        (("Bash", "Bash(git log:*)"), "Bash(git log:*)"),
        (("Edit(*)", "Bash(*)"), "Edit,Bash"),
        (("mcp__a__*",), "mcp__a"),
    ],
)
def test_of_a_list_only_rules_are_unasked(
    tmp_path: Path, tools: tuple[str, ...], unasked: str | None
) -> None:
    assert option(words(made(tmp_path, *tools)), "--allowedTools") == unasked


def test_without_a_list_it_has_bash_as_well(tmp_path: Path) -> None:
    given = words(made(tmp_path))

    assert option(given, "--tools") == ",".join((*READ_AND_EDIT, "Bash"))
    assert "--allowedTools" not in given


def test_what_the_user_says_of_the_usual_tools_stays(tmp_path: Path) -> None:
    text = f'{ASK}[defaults.agent]\ntools = ["Read"]\n'

    assert option(words(made(tmp_path, text=text)), "--tools") == "Read"


def test_another_mode_is_another_role(tmp_path: Path) -> None:
    other = '[agents.a]\npermission_mode = "plan"\n'
    asks, plans = made(tmp_path, "Bash"), made(tmp_path, "Bash", text=other)

    assert asks.digest != plans.digest
