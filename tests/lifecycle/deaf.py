"""A client that never reads what it is sent."""

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.client import SERVE, Project


@asynccontextmanager
async def unread(project: Project) -> AsyncIterator[trio.Process]:
    """A relay whose stdout nobody reads."""
    process = await trio.lowlevel.open_process(
        list(SERVE),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=project.folder,
        env=project.environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            await pipe.aclose()


async def flood(process: trio.Process) -> None:
    """Ask for megabytes of answers that nobody takes; the questions themselves are small."""
    info = {"name": "flood", "version": "0"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
    await write(process, id=0, method="initialize", params=params)
    await write(process, method="notifications/initialized")
    for number in range(1, 500):
        await write(process, id=number, method="tools/list", params={})


async def write(process: trio.Process, **message: object) -> None:
    assert process.stdin is not None
    await process.stdin.send_all(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
