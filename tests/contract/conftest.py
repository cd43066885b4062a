"""Both programs, started alike."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.contract.driver import STREAM_JSON, Driver
from tests.loopback import LoopbackAPI
from tests.realcli.fixtures import real_cli
from tests.realcli.install import environment

__all__ = ["real_cli"]

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("rehearsal", "2.1.197")
TOGETHER = [pytest.param(one, marks=pytest.mark.xdist_group(f"turns of {one}")) for one in PROGRAMS]
"""The programs, for a fixture of a module: all that look at it run where it is."""

Start = Callable[..., Driver]


@contextmanager
def starting(request: pytest.FixtureRequest, folder: Path) -> Iterator[Start]:
    """Start the program that is the fixture's parameter, in an empty folder, with more flags.

    Each is killed at the end. Bash is allowed by default.
    """
    with ExitStack() as stack:
        if request.param == "rehearsal":
            argv, base_url = (sys.executable, "-m", "supervisor.rehearsal"), ""
        else:
            argv = request.getfixturevalue("real_cli").argv
            base_url = stack.enter_context(LoopbackAPI()).base_url
        home = folder / "home"
        home.mkdir()
        variables = environment(
            home,
            base_url,
            PYTHONPATH=str(ROOT),
            CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS="1",
            CLAUDE_CODE_DISABLE_BACKGROUND_TASKS="1",
            CLAUDE_CODE_DISABLE_AUTO_MEMORY="1",
            CLAUDE_CODE_ATTRIBUTION_HEADER="0",
            CLAUDE_CODE_MAX_RETRIES="0",
        )

        def started(*flags: str, bash: bool = True) -> Driver:
            allowed = ("--allowedTools", "Bash") if bash else ()
            command = [*argv, *STREAM_JSON, *allowed, *flags]
            return stack.enter_context(Driver(command, variables, folder))

        yield started


@pytest.fixture(params=PROGRAMS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Start a CLI of the test's own."""
    with starting(request, tmp_path) as started:
        yield started
