"""What a process is started with, and what it must not get."""

import os
import signal
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
    # Its tag is how a process is found again; nothing else of ours may show.
    assert {name for name in names if name.startswith("AGENT_POOL")} == {"AGENT_POOL_TAG"}


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
    # Python, of which the stand-in is made, ignores these two by itself; the C library keeps two
    # for itself, and nobody can change how they were inherited.
    own = {signal.SIGPIPE, signal.SIGXFSZ, 32, 33}
    ignored = {number for number in range(1, 65) if int(status["SigIgn"], 16) >> number - 1 & 1}
    assert ignored <= own
