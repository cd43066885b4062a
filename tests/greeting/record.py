"""What the pool of an empty project answers to what it answers to each client alike.

    python -m tests.greeting.record

writes it where the relay finds it: after a change to the tools, the prompts, the resources or the
instructions, or of the SDK.
"""

import json
import tempfile
from pathlib import Path

import trio
from mcp_types.version import LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from supervisor.greeting import ALIKE, HANDSHAKE, INITIALIZE, PREFIX, SHIPPED
from tests.client import Client, Message, Project, open_project

CLIENT = {"name": "tests", "version": "0"}


def of_version(version: str) -> Message:
    """The params of a request of the era without a handshake."""
    meta = {"protocolVersion": version, "clientInfo": CLIENT, "clientCapabilities": {}}
    return {"_meta": {f"{PREFIX}{key}": value for key, value in meta.items()}}


async def answers(project: Project) -> dict[str, Message]:
    """By era and method."""
    found: dict[str, Message] = {}
    async with project.connect() as client:
        assert client.server["protocolVersion"] == LATEST_HANDSHAKE_VERSION
        found[HANDSHAKE] = await _known(client, {}) | {INITIALIZE: client.server}
    for version in MODERN_PROTOCOL_VERSIONS:
        async with project.connect_raw() as client:
            found[version] = await _known(client, of_version(version))
    return found


async def _known(client: Client, params: Message) -> Message:
    answered = {}
    for method in ALIKE:
        if method != INITIALIZE:
            answered[method] = (await client.request(method, params)).get("result")
    return {method: result for method, result in answered.items() if result is not None}


async def recorded(folder: Path) -> dict[str, Message]:
    """The answers of the pool of a project in `folder` that has nothing."""
    async with open_project(folder) as project:
        # Once it has answered this, it is up, and no relay answers for it.
        assert (await project.run("list")).returncode == 0
        return await answers(project)


def main() -> None:
    """Write them."""
    with tempfile.TemporaryDirectory() as folder:
        found = trio.run(recorded, Path(folder))
    Path(SHIPPED).write_text(json.dumps(found, separators=(",", ":")) + "\n")
    print(f"{SHIPPED}: written")


if __name__ == "__main__":
    main()
