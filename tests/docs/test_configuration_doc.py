"""docs/configuration.md says what holds: its examples are right, and its keys are there."""

import re
from pathlib import Path
from typing import Final

import pytest

from supervisor.cli._parser import parser
from supervisor.pool.config import AgentTable, ConfigFiles, HttpTable, PoolTable
from supervisor.pool.trust import trust_file
from tests.pool.config.conftest import SHIPPED, Files, files
from tests.pool.config.test_project import UNTRUSTED

__all__ = ["files"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "configuration.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")


def rows(head: str) -> list[list[str]]:
    """The cells of the table that begins with this cell, its head aside."""
    _, _, after = TEXT.partition(f"| {head} |")
    lines = after.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def keys(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", text))


def test_the_example_is_a_valid_pool_toml(files: Files) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    files.write(files.user, example)

    config = files.load()

    assert config.pool.name == "shop"
    assert config.agent("code-reviewer").model == "opus"


def test_the_places_are_those_that_are_searched_in_their_order(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "AGENT_POOL_CONFIG": "/asked.toml"}
    found = ConfigFiles.find(tmp_path / "project", environ, SHIPPED).all

    assert [str(path) for path in found] == [
        "/asked.toml",
        f"{tmp_path}/project/.claude/pool.toml",
        f"{tmp_path}/.config/agent-pool/pool.toml",
        str(SHIPPED),
    ]
    places = [TEXT.index(word) for word in ("1. `--config", "2. `$AGENT", "3. `.claude/pool.toml`")]
    assert places == sorted(places)


def test_the_keys_that_need_trust_are_those_that_are_refused() -> None:
    assert {key for row in rows("key | where it is refused") for key in keys(row[0])} == set(
        UNTRUSTED
    )


def test_the_keys_of_a_process_are_keys_and_the_list_is_complete() -> None:
    named = {key for row in rows("key | `[agents.<name>]`") for key in keys(row[0])}
    fields = list(AgentTable.model_fields)

    assert named == set(fields[fields.index("permission_mode") :])


def test_every_key_of_the_text_is_one() -> None:
    known = {*AgentTable.model_fields, *PoolTable.model_fields, *HttpTable.model_fields}
    commands = {"serve", "run", "check", "config", "status", "list", "doctor", "reload"}
    others = {"unknown_agent", "configuration_reloaded", "configuration_refused"}

    assert keys(TEXT) - commands - others <= known


@pytest.mark.parametrize("words", re.findall(r"^\$? ?agent-pool ([^#\n]+)", TEXT, re.MULTILINE))
def test_every_command_of_the_text_is_one(words: str) -> None:
    assert parser().parse_args(words.split(">")[0].split()).command


def test_the_messages_of_the_example_are_those_that_are_told(files: Files) -> None:
    files.write(
        files.project,
        '[pool]\n\nlnger = "1s"\n\n[agents.coder]\ntools = ["Raed"]\ntask_timeout = 600\n',
    )
    shown = re.findall(r"^\.claude/pool\.toml(:\d+: .*?)(?: \(allowed.*)?$", TEXT, re.MULTILINE)

    error = files.error()
    found = sorted([*error.problems, *error.warnings], key=lambda one: one.line or 0)
    said = [f":{one.line}: {one.key}: {one.severity}: {one.message}" for one in found]

    assert len(shown) == len(said) == 3
    assert all(one.startswith(begin) for one, begin in zip(said, shown, strict=True))


def test_the_list_of_trusted_projects_is_where_the_text_says() -> None:
    assert trust_file({"HOME": "/h"}) == Path("/h/.config/agent-pool/trusted.json")
    assert "`trusted.json` beside your pool.toml" in TEXT
