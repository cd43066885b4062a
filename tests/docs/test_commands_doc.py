"""docs/commands.md has every command, and the exit statuses that their help tells."""

import re
from collections.abc import Iterator
from pathlib import Path

from supervisor.cli._manual import MANUAL, USUAL

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def rows() -> Iterator[str]:
    """The lines of the table of exit statuses; commands that share all of them share one."""
    sharing: dict[str, list[str]] = {}
    for name, entry in MANUAL.items():
        own = [(n, means) for n, means in entry.every_status.items() if USUAL.get(n) != means]
        told = " ".join(f"**{status}** {means}" for status, means in own)
        sharing.setdefault(told, []).append(f"`{name}`")
    for told, names in sharing.items():
        yield f"| {', '.join(names)} | {told} |"


def test_every_command_has_its_row() -> None:
    assert sorted(re.findall(r"^\| `agent-pool ([\w-]+)", PAGE, re.MULTILINE)) == sorted(MANUAL)


def test_the_exit_statuses_are_those_of_the_help() -> None:
    told = [line for line in PAGE.splitlines() if "| **0** " in line]

    assert told == list(rows()), "\n".join(rows())
