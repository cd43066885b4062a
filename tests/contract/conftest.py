"""Both programs, started alike."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract.driver import STREAM_JSON, Driver
from tests.realcli.fixtures import loopback, real_cli
from tests.realcli.install import environment

__all__ = ["loopback", "real_cli"]

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., Driver]


@pytest.fixture(params=["rehearsal", "2.1.197"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Start a CLI with more flags; each is killed at the end. Bash is allowed by default."""
    if request.param == "rehearsal":
        argv, base_url = (sys.executable, "-m", "supervisor.rehearsal"), ""
    else:
        argv = request.getfixturevalue("real_cli").argv
        base_url = request.getfixturevalue("loopback").base_url
    home = tmp_path / "home"
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
    with ExitStack() as stack:

        def started(*flags: str, bash: bool = True) -> Driver:
            allowed = ("--allowedTools", "Bash") if bash else ()
            command = [*argv, *STREAM_JSON, *allowed, *flags]
            return stack.enter_context(Driver(command, variables, tmp_path))

        yield started
