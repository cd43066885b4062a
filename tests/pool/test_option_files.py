"""What a process is told by files: which, what is in them, and who may read them."""

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from supervisor.agents import McpServer
from supervisor.pool.option_files import OptionFile, option_files, written
from tests.pool.test_launch import AGENT, CALC

HOOKS = '{"Stop": [{"hooks": [{"command": "x", "type": "command"}]}]}'


def only(files: tuple[OptionFile, ...]) -> tuple[str, Any]:
    (file,) = files
    return file.option, json.loads(file.text)


def test_an_agent_that_asks_for_nothing_has_no_file() -> None:
    assert option_files(AGENT, {}) == ()


def test_its_servers_are_in_a_file_for_the_cli() -> None:
    option, content = only(option_files(replace(AGENT, mcp_servers=(CALC,)), {}))

    assert option == "--mcp-config"
    assert content == {"mcpServers": {"calc": {"command": "c"}}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${TOKEN}", "secret"),
        ("Bearer ${TOKEN}!", "Bearer secret!"),
        ("${MISSING:-else}", "else"),
        ("${MISSING:-}", ""),
        ("${TOKEN:-else}", "secret"),
        ("${MISSING}", "${MISSING}"),
        ("$TOKEN", "$TOKEN"),
        ("${2}", "${2}"),
    ],
)
def test_variables_in_a_server_are_replaced_from_the_pools_environment(
    text: str, expected: str
) -> None:
    config = {"command": text, "args": [text], "env": {"KEY": text}, "timeout": 5}
    server = McpServer("s", json.dumps(config), is_listed=True)

    _, content = only(option_files(replace(AGENT, mcp_servers=(server,)), {"TOKEN": "secret"}))

    assert content["mcpServers"]["s"] == {
        "command": expected,
        "args": [expected],
        "env": {"KEY": expected},
        "timeout": 5,
    }


def test_who_is_denied_every_server_has_none() -> None:
    definition = replace(AGENT, mcp_servers=(CALC,), disallowed_tools=("mcp__*",))

    assert option_files(definition, {}) == ()


def test_its_hooks_and_the_folders_of_its_skills_are_settings() -> None:
    folder = Path("/home/u/.claude/skills/s")

    option, content = only(
        option_files(replace(AGENT, hooks=HOOKS, readable_folders=(folder,)), {})
    )

    assert option == "--settings"
    assert content["hooks"] == json.loads(HOOKS)
    assert content["permissions"] == {"allow": ["Read(//home/u/.claude/skills/s/**)"]}


def test_the_same_definition_gives_the_same_files() -> None:
    definition = replace(AGENT, mcp_servers=(CALC,), hooks=HOOKS)

    assert option_files(definition, {"A": "1"}) == option_files(definition, {"A": "2"})


def test_a_file_is_its_users_alone(tmp_path: Path) -> None:
    words = written((OptionFile("--mcp-config", "mcp.json", "{}"),), tmp_path)

    path = tmp_path / "mcp.json"
    assert words == ("--mcp-config", str(path))
    assert path.read_text() == "{}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_folder_the_text_is_the_options_value() -> None:
    assert written((OptionFile("--settings", "s.json", "{}"),), None) == ("--settings", "{}")
