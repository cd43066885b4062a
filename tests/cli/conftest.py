"""The command line in a folder of its own, and nothing left of it afterwards."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.realcli.fixtures import loopback, real_cli

__all__ = ["loopback", "real_cli"]

TIMEOUT_S = 120

Completed = subprocess.CompletedProcess[str]
Run = Callable[..., Completed]


def running_in(folder: Path) -> list[psutil.Process]:
    """The processes whose working directory is in `folder`, or was."""
    found = []
    for process in psutil.process_iter():
        try:
            cwd = process.cwd()
        except (psutil.Error, OSError):
            continue
        if Path(cwd.removesuffix(" (deleted)")).is_relative_to(folder):
            found.append(process)
    return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run `agent-pool` with some words, in an environment that says nothing else than asked for.

    All of its files lie in `tmp_path`. What still runs there at the end is killed, and is a
    failure. A `shell_line` is run in its place, where that is given.
    """
    temporary = tmp_path / "tmp"
    project = tmp_path / "project"
    temporary.mkdir()
    (project / ".claude").mkdir(parents=True)

    def done(*words: str, shell_line: str | None = None, **environ: str) -> Completed:
        command = [sys.executable, "-P", "-m", "agent_pool", *words]
        return subprocess.run(
            command if shell_line is None else ["/bin/sh", "-c", shell_line],
            cwd=project,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(tmp_path),
                "LANG": "C.UTF-8",
                "TMPDIR": str(temporary),
                "XDG_STATE_HOME": str(tmp_path / "state"),
                **environ,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    yield done
    left = running_in(tmp_path)
    for process in left:
        process.kill()
    assert not left
