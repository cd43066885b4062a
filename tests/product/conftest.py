"""A pool that the gentle tests share, and pools of their own for those that are not."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.client import Client, open_project
from tests.loopback import LoopbackAPI
from tests.product.stage import Stage, staged
from tests.realcli.fixtures import loopback, real_cli
from tests.realcli.install import RealCLI

__all__ = ["loopback", "real_cli"]

CLIENTS_OWN = {
    "CLAUDECODE": "clients-own",
    "CLAUDE_CODE_ENTRYPOINT": "clients-own",
    "CLAUDE_CODE_SESSION_ID": "clients-own",
    "CLAUDE_CODE_SSE_PORT": "clients-own",
    "GITHUB_TOKEN": "clients-own",
    "DATABASE_URL": "clients-own",
    "NODE_OPTIONS": "--title=clients-own",
    "PYTHONSTARTUP": "clients-own",
}
"""What a session of Claude Code, and its user, may have in their environment."""

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared(real_cli: RealCLI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The pool that is shared, as a session of Claude Code with secrets starts it."""
    with staged(tmp_path_factory.mktemp("shared"), real_cli.argv) as stage:
        stage.extra.update(CLIENTS_OWN, CLAUDE_PROJECT_DIR=str(stage.project.folder))
        yield stage


@pytest.fixture
async def client(shared: Stage) -> AsyncIterator[Client]:
    """A client of the shared pool."""
    async with shared.connect() as connected:
        yield connected


@pytest.fixture(scope="session")
def steady(shared: Stage) -> str:
    """An agent with Bash in the shared pool, for tests that leave it as they found it."""
    shared.write_agent("steady")
    return "steady"


@pytest.fixture
async def agent(shared: Stage, client: Client) -> AsyncIterator[str]:
    """An agent with Bash in the shared pool that no other test has; its process ends with it."""
    name = f"agent-{next(_numbers)}"
    path = shared.write_agent(name)
    yield name
    await client.call("reset", agent=name)
    path.unlink()


@pytest.fixture
async def stage(real_cli: RealCLI, loopback: LoopbackAPI, tmp_path: Path) -> AsyncIterator[Stage]:
    """A project and a pool of the test's own, with the agent `worker`."""
    async with open_project(tmp_path) as project:
        own = Stage(project, loopback, real_cli.argv)
        own.write_agent("worker")
        yield own
