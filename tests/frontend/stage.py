"""A real pool in the test's own run, its MCP server, and clients of it without a process between.

The agents are real processes of the rehearsal CLI, started when a task needs them.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import mcp_types
import trio
import trio.testing
from mcp import Client

from supervisor.agents import Folders
from supervisor.frontend import FrontEnd
from supervisor.frontend._calls import CLIENT
from supervisor.frontend._calls import Client as Connection
from supervisor.frontend._transport import LineReader, LineWriter
from supervisor.place import built_in
from supervisor.pool import ConfigFiles, Pool
from supervisor.pool.events import PoolEvent
from supervisor.tree import ChildSpec, Supervisor, SupervisorFlags
from tests.client import LIMIT_S, Project

Mode = Literal["legacy", "auto"]

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSION = "2026-07-28"

Message = dict[str, Any]


class Raw:
    """A client that knows JSON lines and nothing else."""

    def __init__(self, stream: trio.abc.Stream, version: str) -> None:
        self.version = version
        self.initialized: Message = {}
        """What `initialize` was answered, before 2026-07-28."""
        self.notices: list[Message] = []
        """Every notification that was read."""
        self._stream = stream
        self._number = 0
        self._rest = b""

    @property
    def is_modern(self) -> bool:
        return self.version == MODERN_VERSION

    async def begin(self) -> None:
        """The handshake, where the version has one."""
        if self.is_modern:
            return
        info = {"name": "raw", "version": "0"}
        params = {"protocolVersion": self.version, "capabilities": {}, "clientInfo": info}
        self.initialized = (await self.request("initialize", **params))["result"]
        await self.send({"method": "notifications/initialized"})

    async def request(self, method: str, **params: Any) -> Message:
        """The message that answers it."""
        number = await self.start(method, **params)
        return await self.until(lambda message: message.get("id") == number)

    async def start(self, method: str, **params: Any) -> int:
        """Send a request, and wait for nothing; returns its id."""
        self._number += 1
        if self.is_modern:
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": self.version,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
            } | params.get("_meta", {})
        await self.send({"id": self._number, "method": method, "params": params})
        return self._number

    async def result(self, method: str, **params: Any) -> Message:
        """The result of a request, which must have one."""
        answer = await self.request(method, **params)
        assert "error" not in answer, answer
        found: Message = answer["result"]
        return found

    async def notice(self, method: str) -> Message:
        """The params of the next notification of that method."""
        message = await self.until(lambda message: message.get("method") == method)
        found: Message = message.get("params") or {}
        return found

    async def send(self, message: Message) -> None:
        line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
        await self._stream.send_all(line)

    async def close(self) -> None:
        """Go."""
        await self._stream.aclose()

    async def until(self, wanted: Any) -> Message:
        """The next message that is `wanted`; notifications on the way are kept."""
        with trio.fail_after(LIMIT_S):
            while True:
                while b"\n" not in self._rest:
                    data = await self._stream.receive_some()
                    assert data, "the server closed the connection"
                    self._rest += data
                line, _, self._rest = self._rest.partition(b"\n")
                message: Message = json.loads(line)
                if "id" not in message:
                    self.notices.append(message)
                if wanted(message):
                    return message


class Stage:
    """The pool and its front end, which run until the end of `serving`."""

    def __init__(self, project: Project, nursery: trio.Nursery) -> None:
        environ = project.environment()
        shipped = Path(built_in()) / "config" / "pool.toml"
        files = ConfigFiles.find(project.folder, environ, shipped)
        folders = Folders.resolve(project.folder, environ, project.home, Path(built_in()))
        self.project = project
        self.events: list[PoolEvent] = []
        """All that the pool told."""
        self.faults: list[Exception] = []
        """What the front end reported as its own faults."""
        self.pool = Pool(
            project.folder, environ, files, folders, self._tell, "mark", state=project.state
        )
        self.pool.log = project.state / "pool.log"
        self.front_end = FrontEnd(self.pool, project.place, {}, self.faults.append)
        self._nursery = nursery

    def _tell(self, event: PoolEvent) -> None:
        self.events.append(event)
        self.front_end.told(event)

    async def start(self) -> None:
        notices = ChildSpec("notices", self.front_end.notices.run)
        root = Supervisor("root", SupervisorFlags(), [*self.pool.children, notices])
        self.pool.root_supervisor = root
        await self._nursery.start(root.run)

    async def restart_notices(self) -> None:
        """Have what tells clients ended, and started again."""
        root = self.pool.root_supervisor
        assert root is not None
        await root.terminate_child("notices")
        await root.restart_child("notices")

    def log(self, **fields: Any) -> None:
        """Write one line of the pool's log."""
        assert self.pool.log is not None
        line = {"timestamp": "2026-03-31T14:05:00.123456Z", "level": "info", "event": "e"} | fields
        with self.pool.log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def client(self, mode: Mode = "legacy") -> AbstractAsyncContextManager[Client]:
        """The SDK's client: JSON-RPC as Claude Code speaks it, or the newest protocol."""
        CLIENT.set(Connection())
        return Client(self.front_end.server, mode=mode)

    @asynccontextmanager
    async def raw(self, version: str = "2025-11-25") -> AsyncIterator[Raw]:
        """A client of that version, on lines."""
        ours, theirs = trio.testing.memory_stream_pair()
        async with self.connected(theirs):
            client = Raw(ours, version)
            await client.begin()
            yield client

    @asynccontextmanager
    async def connected(self, stream: trio.abc.Stream) -> AsyncIterator[None]:
        """Serve a client on the other end of `stream`, as the pool's socket does."""

        async def serve() -> None:
            CLIENT.set(Connection())
            server, writer = self.front_end.server, LineWriter(stream)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(writer.abandon_when_cancelled)
                options = server.create_initialization_options()
                await server.run(LineReader(stream, lambda: None), writer, options)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            try:
                yield
            finally:
                nursery.cancel_scope.cancel()


@asynccontextmanager
async def serving(base: Path, config: str = "", **agents: str) -> AsyncIterator[Stage]:
    """A pool with that pool.toml and those agents: their names, and lines of frontmatter."""
    project = Project(base)
    if config:
        project.write_config(config)
    for name, frontmatter in agents.items():
        project.write_agent(name, "Do it.", *frontmatter.splitlines())
    try:
        async with trio.open_nursery() as nursery:
            stage = Stage(project, nursery)
            await stage.start()
            try:
                yield stage
            finally:
                with trio.CancelScope(shield=True):
                    await stage.pool.drain()
                nursery.cancel_scope.cancel()
    finally:
        await project.close()


def text(result: mcp_types.CallToolResult) -> str:
    """The text of a result of one block."""
    (block,) = result.content
    assert isinstance(block, mcp_types.TextContent)
    return block.text
