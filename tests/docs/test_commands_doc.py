"""docs/commands.md has every command, and the exit statuses that their help tells."""

import argparse
import re
from pathlib import Path

from supervisor.cli._main import parser
from supervisor.cli._words import EXIT_STATUS

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def test_every_command_has_its_row() -> None:
    (commands,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )

    assert sorted(re.findall(r"^\| `agent-pool ([\w-]+)", PAGE, re.MULTILINE)) == sorted(
        commands.choices
    )


def test_every_exit_status_has_its_row() -> None:
    told = re.findall(r"^ +(\d+) ", EXIT_STATUS, re.MULTILINE)

    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == told
