"""A pool that the gentle tests share, and pools of their own for those that are not."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.claudecode.stage import Stage
from tests.client import LIMIT_S, Project
from tests.loopback import LoopbackAPI
from tests.realcli.fixtures import loopback, real_cli
from tests.realcli.install import RealCLI

__all__ = ["loopback", "real_cli"]

_numbers = itertools.count(1)

CONFIG = '[pool]\nlinger = "10min"\nshutdown_grace = "250ms"\ndisconnect_grace = "{grace}"\n'


def _open(
    base: Path, api: LoopbackAPI, cli: RealCLI, grace: str, config: str = ""
) -> Iterator[Stage]:
    project = Project(base)
    project.write_agent("worker", "You are the worker.", "tools: Bash")
    project.write_config(CONFIG.format(grace=grace) + config)
    try:
        yield Stage(project, api, cli.argv, base / "b")
    finally:
        trio.run(project.close)


def opened(base: Path, cli: RealCLI, config: str = "") -> Iterator[Stage]:
    """A pool for several tests; a task whose client has gone runs on for half a minute.

    `config` goes on with its pool.toml.
    """
    with LoopbackAPI() as api:
        yield from _open(base, api, cli, "30s", config)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claude Code ends in its own time: to kill it early would be another test."""
    monkeypatch.setattr("tests.realcli.session.EXIT_TIMEOUT_S", LIMIT_S)


@pytest.fixture(scope="session")
def shared(real_cli: RealCLI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The pool that is shared; the first Claude Code starts it, the last test's end stops it."""
    yield from opened(tmp_path_factory.mktemp("c"), real_cli)


@pytest.fixture
def stage(real_cli: RealCLI, loopback: LoopbackAPI, tmp_path: Path) -> Iterator[Stage]:
    """Whatever the test does, its pool is stopped in the end, and has left nothing.

    A task whose client has gone is cancelled after a second.
    """
    yield from _open(tmp_path, loopback, real_cli, "1s")


@pytest.fixture
def agent(shared: Stage) -> str:
    """An agent in the shared pool that no other test has."""
    name = f"agent-{next(_numbers)}"
    shared.project.write_agent(name, f"You are {name}.", "tools: Bash")
    return name
