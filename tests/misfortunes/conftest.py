"""Pools that many tests share, each test with agents of its own."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.client import Project
from tests.misfortunes.stage import Stage, command

CONFIG = """
[pool]
shutdown_grace = "250ms"
disconnect_grace = "1s"
spawn_limit = 8

[defaults.agent]
reply_limit = "0B"
shutdown = "1s"
control_timeout = "1s"
interrupt_grace = "1s"
queue_limit = 100

[agents.silent]
start_timeout = "700ms"

[defaults.supervisor]
intensity = {intensity}

[defaults.supervisor.backoff]
initial = "20ms"
maximum = "{maximum}"
jitter = 0.0
"""

LEAKS = {
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "CLAUDE_CODE_SESSION_ID": "the client's own",
    "CLAUDE_CODE_SSE_PORT": "1",
    "MY_SECRET": "hush",
    "GITHUB_TOKEN": "hush",
    "PYTHONPATH": "",
    "LD_PRELOAD": "",
    "NODE_OPTIONS": "--inspect",
}
"""What a client's environment may hold and an agent's may not."""

PASSED_ON = {
    "ANTHROPIC_API_KEY": "no-key",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
"""What an agent's environment is to hold too."""


@dataclass(frozen=True)
class Theatre:
    """A project whose pool outlives the tests that use it."""

    project: Project
    """Its project."""
    ways: Path
    """The folder that its stand-ins look into."""
    variables: dict[str, str]
    """What every client of it has in its environment."""

    @staticmethod
    def build(base: Path, config: str, **variables: str) -> "Theatre":
        """A project in the empty folder `base`."""
        project = Project(base)
        ways = base / "w"
        ways.mkdir()
        toml = base / "pool.toml"
        toml.write_text(config)
        settled = {
            "CLAUDE_CLI": command(ways),
            "AGENT_POOL_CONFIG": str(toml),
            "CLAUDE_PROJECT_DIR": str(project.folder),
            **LEAKS,
            **PASSED_ON,
            **variables,
        }
        return Theatre(project, ways, settled)


def _theatre(base: Path, config: str) -> Iterator[Theatre]:
    theatre = Theatre.build(base, config)
    try:
        yield theatre
    finally:
        trio.run(theatre.project.close)


@pytest.fixture(scope="session")
def patient_theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    config = CONFIG.format(intensity=10_000, maximum="100ms")
    yield from _theatre(tmp_path_factory.mktemp("m"), config)


@pytest.fixture(scope="session")
def strict_theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    yield from _theatre(tmp_path_factory.mktemp("m"), CONFIG.format(intensity=2, maximum="10s"))


async def _play(theatre: Theatre) -> AsyncIterator[Stage]:
    async with theatre.project.connect(**theatre.variables) as client:
        stage = Stage(theatre.project, client, theatre.ways, theatre.variables)
        yield stage
        await stage.clear()


@pytest.fixture
async def stage(patient_theatre: Theatre) -> AsyncIterator[Stage]:
    """A connection to a pool whose agents may crash as often as they like."""
    async for stage in _play(patient_theatre):
        yield stage


@pytest.fixture
async def strict_stage(strict_theatre: Theatre) -> AsyncIterator[Stage]:
    """A connection to a pool whose agents are down at their third crash."""
    async for stage in _play(strict_theatre):
        yield stage
