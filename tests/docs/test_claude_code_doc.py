"""docs/claude-code.md names every command of the plugin and every version that doctor knows."""

import re
from pathlib import Path

from supervisor.cli._agent_cli import LACKS
from tests.realcli.install import VERSIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "claude-code.md").read_text(encoding="utf-8")


def test_every_command_of_the_plugin_has_its_row() -> None:
    commands = {path.stem for path in (ROOT / "plugin" / "commands").glob("*.md")}
    assert set(re.findall(r"^\| `/agent-pool:([\w-]+)", PAGE, re.MULTILINE)) == commands


def test_every_version_that_doctor_knows_of_has_its_row() -> None:
    known = {".".join(map(str, lack.before)) for lack in LACKS}
    assert set(re.findall(r"^\| (\d+\.\d+\.\d+) \|", PAGE, re.MULTILINE)) == known


def test_the_versions_that_are_tried_are_named() -> None:
    assert f"{', '.join(VERSIONS[:-1])} and {VERSIONS[-1]}" in PAGE
