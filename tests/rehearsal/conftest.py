"""The rehearsal agent in a folder of its own."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract.driver import STREAM_JSON, Driver

ROOT = Path(__file__).resolve().parents[2]
REHEARSAL = (sys.executable, "-m", "supervisor.rehearsal")
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "PYTHONPATH": str(ROOT),
    "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
}
Start = Callable[..., Driver]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start one with more flags; each is killed at the end."""
    with ExitStack() as stack:

        def started(*flags: str) -> Driver:
            argv = [*REHEARSAL, *STREAM_JSON, "--allowedTools", "Bash", *flags]
            return stack.enter_context(Driver(argv, ENVIRONMENT, tmp_path))

        yield started


@pytest.fixture
def agent(start: Start) -> Driver:
    """One that runs."""
    return start()
