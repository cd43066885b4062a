"""What a process is started with, and what it must not get."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.misfortunes.conftest import LEAKS, PASSED_ON
from tests.misfortunes.stage import Stage


@pytest.fixture
async def start(stage: Stage) -> dict[str, Any]:
    """What a process noted at its start."""
    agent = stage.agent()
    await agent.pid()
    return agent.journal()[0]


async def test_nothing_of_the_client_or_of_ours_is_in_the_environment(
    start: dict[str, Any],
) -> None:
    names = set(start["env"])
    assert not names & set(LEAKS)
    ours = {"CLAUDE_CLI", "CLAUDE_PROJECT_DIR", "AGENTS_DIR", "XDG_STATE_HOME"}
    assert not names & ours
    # These are how a process is found again; nothing else of ours may show.
    found = {"AGENT_POOL_TAG", "AGENT_POOL_FOLDER"}
    assert {name for name in names if name.startswith("AGENT_POOL")} == found


async def test_what_the_cli_needs_is_in_the_environment(
    stage: Stage, start: dict[str, Any]
) -> None:
    expected = {**PASSED_ON, "PATH": os.environ["PATH"], "HOME": str(stage.project.home)}
    assert {name: start["env"].get(name) for name in expected} == expected


async def test_it_inherits_no_descriptor(start: dict[str, Any]) -> None:
    # The fourth is the folder that it was listing.
    assert start["descriptors"] == [0, 1, 2, 3]


async def test_it_leads_a_session_and_a_group_of_its_own_in_the_project(
    stage: Stage, start: dict[str, Any]
) -> None:
    assert start["session"] == start["group"] == start["started"]
    assert start["cwd"] == str(stage.project.folder.resolve())


async def test_its_signals_are_as_a_program_expects_them(start: dict[str, Any]) -> None:
    status = dict(line.split(":\t", 1) for line in start["status"].splitlines() if ":\t" in line)
    assert int(status["SigBlk"], 16) == 0
    # Python, of which the stand-in is made, ignores these two by itself. Two more belong to the C
    # library, which lets nobody change them: they may be as this very process inherited them.
    own = {signal.SIGPIPE, signal.SIGXFSZ} | (ignored_by(Path("/proc/self/status")) & {32, 33})
    assert signals(status["SigIgn"]) <= own


def ignored_by(status: Path) -> set[int]:
    (mask,) = [x.split()[1] for x in status.read_text().splitlines() if x.startswith("SigIgn:")]
    return signals(mask)


def signals(mask: str) -> set[int]:
    return {number for number in range(1, 65) if int(mask, 16) >> number - 1 & 1}
