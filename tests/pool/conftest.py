"""A pool that the gentle tests share, each with agents of its own.

A pool's start costs more than most of what is asked of it. Where the pool as a whole is the subject
(its start, its end, its death, its whole log), a test opens a project of its own instead.

    @pytest.fixture
    def coder(share: Share) -> str:
        return share.agent("coder", "tools: Bash", config="replicas = 2")

    async def test_it_answers(client: Client, coder: str) -> None:
        await client.call("invoke", agent=coder, task="[[say hello]]")
"""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from tests.client import Client, Message, Project

POOL = {"linger": "10min", "shutdown_grace": "0s", "disconnect_grace": "60s"}
"""`[pool]` of the shared pool: nothing ends by itself before a test has looked at it."""

_numbers = itertools.count(1)


class Share:
    """One test's part of the shared pool: agents, groups and files that no other test has.

    What it defines is in force at the next call, as everything in a running pool's files is.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        """Whose pool it is."""
        self.agents: list[str] = []
        """The names of the agents defined here."""
        self.suffix = f"-{next(_numbers)}"
        """What every name has at its end that is of this test."""
        self._pool = dict(POOL)
        self._tables: list[str] = []
        self._write_config()

    def name(self, stem: str) -> str:
        """The name that `stem` has in this test: of an agent, a group or a file."""
        return stem + self.suffix

    def agent(
        self, stem: str, *frontmatter: str, body: str = "Do it.", config: str | None = None
    ) -> str:
        """Define an agent; returns its name.

        `frontmatter`: further lines of its file; `config`: the lines of its table in pool.toml.
        """
        name = self.name(stem)
        self.project.write_agent(name, body, *frontmatter)
        self.agents.append(name)
        if config is not None:
            self.configure(f'[agents."{name}"]\n{config}\n')
        return name

    def configure(self, tables: str = "", **pool: str) -> None:
        """Add `tables` to pool.toml, and to its `[pool]` what `pool` says."""
        self._pool |= pool
        self._tables.append(tables)
        self._write_config()

    def log(self, event: str) -> list[Message]:
        """The lines of the pool's log of one kind that concern this test's agents."""
        lines = self.project.log_lines()
        return [one for one in lines if one["event"] == event and one.get("agent") in self.agents]

    async def clear(self, client: Client) -> None:
        """Have nothing run or wait any more that is of this test."""
        for name in self.agents:
            await client.call("reset", agent=name)

    def close(self) -> None:
        """Take everything away that was defined here."""
        for path in (self.project.folder / ".claude" / "agents").iterdir():
            path.unlink()
        self._pool, self._tables = dict(POOL), []
        self._write_config()

    def _write_config(self) -> None:
        pool = [f'{key} = "{value}"' for key, value in self._pool.items()]
        self.project.write_config("\n".join(["[pool]", *pool, *self._tables, ""]))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project of the pool that is shared, which the first client starts."""
    project = Project(tmp_path_factory.mktemp("p"))
    try:
        yield project
    finally:
        trio.run(project.close)


@pytest.fixture
def share(shared: Project) -> Iterator[Share]:
    """This test's part of the shared pool."""
    part = Share(shared)
    try:
        yield part
    finally:
        part.close()


@pytest.fixture
async def client(share: Share) -> AsyncIterator[Client]:
    """A client of the shared pool."""
    async with share.project.connect() as connected:
        yield connected
        await share.clear(connected)
