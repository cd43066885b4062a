"""A pool that serves HTTP, and the ways in which tests speak to it."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import trio
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client

from tests.client import LIMIT_S, SERVE, Project

Era = Literal["legacy", "auto"]
"""Up to 2025-11-25, with `initialize` and sessions; or the newest, without."""

RUN = (*SERVE[:-1], "run")

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "0"},
    },
}


@dataclass(frozen=True)
class Served:
    """A running pool."""

    project: Project
    process: "subprocess.Popen[bytes]"
    """Its outer reaper."""
    url: str
    token: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return httpx2.URL(self.url).port or 0

    def headers(self, **more: str) -> dict[str, str]:
        """Those of a POST that is welcome; a key's `_` stands for `-`."""
        known = {
            "authorization": f"Bearer {self.token}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        return known | {name.replace("_", "-"): value for name, value in more.items()}

    def post(self, message: object = INITIALIZE, **headers: str) -> httpx2.Response:
        """One request and its whole answer."""
        sent = self.headers(**headers)
        return httpx2.post(self.url, json=message, headers=sent, timeout=LIMIT_S)

    def session(self) -> str:
        """The id of a session that has begun."""
        return str(self.post().headers["mcp-session-id"])

    @asynccontextmanager
    async def client(
        self, era: Era = "legacy", person: ElicitationFnT | None = None
    ) -> AsyncIterator[Client]:
        """The SDK's client; `person` answers what it is asked."""
        headers = {"authorization": f"Bearer {self.token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=LIMIT_S) as http:
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=era, elicitation_callback=person) as client:
                yield client

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S)

    def head(self, length: int, **headers: str) -> bytes:
        """The head of a POST, as bytes."""
        lines = [f"{name}: {value}" for name, value in self.headers(**headers).items()]
        host = f"host: 127.0.0.1:{self.port}"
        return "\r\n".join(
            ["POST /mcp HTTP/1.1", host, f"content-length: {length}", *lines, "", ""]
        ).encode()

    def end(self) -> int:
        """Tell the pool to stop; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_S)


@contextmanager
def serving(base: Path, config: str = "", *flags: str) -> Iterator[Served]:
    """Run the pool of a project in the empty folder `base`, with one agent, `coder`.

    In the end it is stopped, and has left nothing.
    """
    project = Project(base)
    project.write_agent("coder", "Do it.", "tools: Bash")
    project.write_config(config)
    process = subprocess.Popen(
        [*RUN, *(flags or ("--http", "127.0.0.1:0"))],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=project.folder,
        env=project.environment(),
    )
    try:
        url = _announced(process)
        token = Path(project.place.http_token).read_text().strip()
        yield Served(project, process, url, token)
    finally:
        process.terminate()
        process.wait(LIMIT_S)
        assert process.stderr is not None
        process.stderr.close()
        trio.run(project.close)


def _announced(process: "subprocess.Popen[bytes]") -> str:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.decode())
        if found := re.search(r"MCP over HTTP: (\S+);", said[-1]):
            return found[1]
    raise AssertionError(f"it serves no HTTP; it said: {''.join(said)}")


def call(tool: str, number: int = 1, **arguments: object) -> dict[str, Any]:
    """A request that calls a tool."""
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def modern(
    request: dict[str, Any], capabilities: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The same request by the protocol of 2026-07-28, and the headers that go with it."""
    name = "io.modelcontextprotocol"
    meta = {
        f"{name}/protocolVersion": "2026-07-28",
        f"{name}/clientCapabilities": capabilities or {},
        f"{name}/clientInfo": {"name": "tests", "version": "0"},
    }
    headers = {
        "mcp_protocol_version": "2026-07-28",
        "mcp_method": request["method"],
        "mcp_name": request["params"].get("name", ""),
    }
    return {**request, "params": {**request["params"], "_meta": meta}}, headers


def answer_of(response: httpx2.Response) -> dict[str, Any]:
    """The JSON-RPC message of an answer, be it JSON or a stream."""
    if response.headers["content-type"].startswith("application/json"):
        found: dict[str, Any] = response.json()
        return found
    events = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    messages = [json.loads(event) for event in events if event.strip()]
    (answer,) = [one for one in messages if "id" in one and "method" not in one]
    return dict(answer)
