"""A process is ready only when its MCP servers are, or have failed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervisor.pool.agent_process import AgentProcess
from supervisor.pool.events import PoolEvent, ServerFailed
from supervisor.pool.launch import Capabilities

PENDING = {"name": "slow", "status": "pending"}
CONNECTED = {"name": "slow", "status": "connected"}
FAILED = {"name": "gone", "status": "failed", "error": "no such file"}


class FakeCli:
    """A process that answers each question after its servers with what `status` gives."""

    pid = 1
    argv = ("cli",)
    tag = "tag"
    takes_input = True
    is_stopped = False
    unread_bytes = 0

    def __init__(self, status: Callable[[], object]) -> None:
        self._status = status
        self._out, self._printed = trio.open_memory_channel[bytes](100)

    async def send(self, data: bytes) -> None:
        request = json.loads(data)
        reply = {"subtype": "success", "request_id": request["request_id"]}
        reply |= {"response": self._status()}
        line = json.dumps({"type": "control_response", "response": reply})
        self._out.send_nowait(line.encode() + b"\n")

    async def receive(self) -> bytes:
        return await self._printed.receive()

    async def receive_errors(self) -> bytes:
        return b""

    async def close_input(self) -> None:
        pass

    async def exited(self) -> None:
        await trio.sleep_forever()

    def limit_memory(self, limit_bytes: int) -> None:
        pass

    async def end_strangers(self) -> list[int]:
        return []

    async def end(self) -> int | None:
        return 0


async def waited_s(status: Callable[[], object], timeout_s: float = 60) -> tuple[float, list[Any]]:
    """How long a process was waited for, and the events."""
    events: list[PoolEvent] = []
    process = AgentProcess(FakeCli(status), "a", Capabilities(), events.append, lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.attend)
        began = trio.current_time()
        await process.await_servers(timeout_s)
        spent = trio.current_time() - began
        nursery.cancel_scope.cancel()
    return spent, events


async def test_it_is_waited_for_while_a_server_is_connecting(autojump_clock: MockClock) -> None:
    ready_at = trio.current_time() + 7

    def status() -> object:
        return {"mcpServers": [CONNECTED if trio.current_time() >= ready_at else PENDING]}

    spent, events = await waited_s(status)

    assert 7 <= spent < 7.5
    assert events == []


async def test_it_is_not_waited_for_beyond_the_limit(autojump_clock: MockClock) -> None:
    spent, _ = await waited_s(lambda: {"mcpServers": [PENDING]}, timeout_s=9)

    assert spent == 9


async def test_a_server_that_failed_is_told_once_and_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    spent, events = await waited_s(lambda: {"mcpServers": [FAILED, CONNECTED]})

    assert spent == 0
    assert events == [ServerFailed("a", 1, "gone", "no such file")]


@pytest.mark.parametrize("servers", [None, "x", ["x", 5], [{}], [{"status": ["failed"]}]])
async def test_a_stand_in_may_answer_anything(autojump_clock: MockClock, servers: object) -> None:
    assert await waited_s(lambda: {"mcpServers": servers}) == (0, [])
