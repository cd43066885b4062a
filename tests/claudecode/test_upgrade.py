"""agent-pool is upgraded while windows of Claude Code are open on a pool of the version before."""

import shlex
import sys
from pathlib import Path
from typing import Final

import pytest

from supervisor import __version__
from tests.claudecode.stage import BY_CONFIG, Stage, invoke

BEFORE: Final = "0.0.9"


@pytest.fixture
def outdated(stage: Stage, tmp_path: Path) -> Stage:
    """A stage whose `agent-pool` is of the version before, relay and pool alike."""
    folder = tmp_path / "before"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"import supervisor\nsupervisor.__version__ = {BEFORE!r}\n"
    )
    python = f"{shlex.quote(sys.executable)} -P -m agent_pool"
    stage.write_command(f'PYTHONPATH={shlex.quote(str(folder))} exec {python} "$@"')
    return stage


def upgrade(stage: Stage) -> None:
    """From now on, `agent-pool` is what it truly is."""
    stage.write_command(f'exec {shlex.quote(sys.executable)} -P -m agent_pool "$@"')


def test_an_open_window_works_on_and_a_new_one_is_told_of_the_versions_and_the_way_out(
    outdated: Stage,
) -> None:
    with outdated.claude(*BY_CONFIG) as open_one:
        open_one.task(invoke("worker", "[[say before]]"))
        upgrade(outdated)
        with outdated.claude(*BY_CONFIG) as new_one:
            (server,) = new_one.servers()
        result = open_one.task(invoke("worker", "[[say after]]"))

    assert server["status"] == "failed"
    assert f"version: the pool is {BEFORE}, this client is {__version__}" in server["error"]
    assert "agent-pool stop" in server["error"]
    assert result["result"] == "tool: after"


def test_once_the_pool_is_stopped_the_open_window_is_served_by_one_of_the_new_version(
    outdated: Stage,
) -> None:
    with outdated.claude(*BY_CONFIG) as claude:
        claude.task(invoke("worker", "[[say before]]"))
        upgrade(outdated)
        assert outdated.run("stop").returncode == 0
        result = claude.task(invoke("worker", "[[say after]]"))

    assert result["result"] == "tool: after"
    assert (outdated.project.place.holder() or {})["version"] == __version__


@pytest.mark.parametrize("command", ["status", "top"])
def test_on_the_command_line_the_difference_is_one_clear_line(
    outdated: Stage, command: str
) -> None:
    with outdated.claude(*BY_CONFIG) as claude:
        claude.task(invoke("worker", "[[say before]]"))
        upgrade(outdated)
        done = outdated.run(command)

    (line,) = done.stdout.splitlines()
    assert done.returncode == 1
    assert f"version: the pool is {BEFORE}, this client is {__version__}" in line
    assert "agent-pool stop" in line
