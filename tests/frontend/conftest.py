"""The MCP server that `FrontEnd` builds, before a pool with canned answers, and its client."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal, cast

import pytest
import trio
from mcp import Client

from supervisor.frontend import FrontEnd
from supervisor.frontend._calls import CLIENT
from supervisor.frontend._calls import Client as Connection
from supervisor.place import Place, built_in
from supervisor.pool import Config, ConfigFiles, Pool, PoolError, Task, TaskError, TaskResult
from supervisor.pool.agent import Ready
from supervisor.pool.outcome import Attempt
from supervisor.protocol import Usage

CONFIG = ConfigFiles(Path(built_in()) / "config" / "pool.toml").load()

ROW: dict[str, Any] = {
    "name": "scout",
    "description": "Finds things.",
    "state": "idle",
    "pid": 7,
    "memory_bytes": 1024,
    "tmp_bytes": 0,
    "tasks_done": 3,
    "tasks_failed": 1,
    "restarts": 0,
    "recycles": 0,
    "uptime_s": 1.5,
    "queue_length": 0,
    "reset_by": "rewind",
    "watched_by": "ping",
    "origin": "project",
    "source": "/project/.claude/agents/scout.md",
    "workers": [],
    "conversations": [],
    "permission_mode": "acceptEdits",
    "color": None,
    "warnings": [],
    "error": None,
}


class CannedPool:
    """What the handlers need of a pool. Its answers are set by the test."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.outcome: TaskResult | TaskError | None = TaskResult(
            "the answer", Usage(input_tokens=5), 0.25, "session-1"
        )
        """None: the task never ends."""
        self.refusal: TaskError | None = None
        """What every call is refused with."""
        self.fault: Exception | None = None
        """What every call fails with."""
        self.steps: list[tuple[float, str]] = []
        """Seconds to wait, and what the agent does then; after the last, the outcome."""
        self.rows: list[dict[str, Any]] = [ROW]
        self.tasks: list[Task] = []
        self.cancelled: list[Task] = []
        self.lost: list[Task] = []
        self._nursery = nursery

    def _check(self) -> None:
        if self.refusal is not None:
            raise PoolError(self.refusal)
        if self.fault is not None:
            raise self.fault

    async def submit(
        self, name: str, text: str, timeout_s: float | None = None, **_: object
    ) -> Task:
        self._check()
        task = Task(name, text, timeout_s or 60)
        task.pid = 7
        task.begin_attempt(Attempt(1, 7, 0.0))
        self.tasks.append(task)
        self._nursery.start_soon(self._work, task)
        return task

    async def _work(self, task: Task) -> None:
        for seconds, doing in self.steps:
            await trio.sleep(seconds)
            task.doing.value = doing
        if self.outcome is not None:
            task.settle(self.outcome)

    async def recorded(self, task: Task) -> None:
        await task.settled.wait()

    def cancel(self, task: Task) -> None:
        self.cancelled.append(task)

    def client_lost(self, task: Task) -> None:
        self.lost.append(task)

    @property
    def name(self) -> str:
        return "canned"

    @property
    def config(self) -> Config:
        return CONFIG

    def place_in_queue(self, task: Task) -> int | None:
        return None

    def queue_length(self, task: Task) -> int:
        return 0

    @property
    def warnings(self) -> list[str]:
        return ["a warning"]

    ledger_problem: str | None = None

    @property
    def refused(self) -> list[str]:
        return []

    def define(self, name: str) -> object:
        raise PoolError(TaskError("unknown_agent", f"{name} has no file."))

    async def warmup(self, name: str) -> Ready:
        self._check()
        return Ready(pid=7, ready_s=0.5)

    async def tree(self) -> list[dict[str, Any]]:
        self._check()
        return [{"path": "root", "name": "root", "type": "supervisor", "state": "running"}]

    async def reset(self, name: str, conversation: str | None = None) -> dict[str, Any]:
        self._check()
        return {"agent": name, "was": "idle", "pid": 7}

    async def agents(self) -> list[dict[str, Any]]:
        self._check()
        return self.rows


@pytest.fixture
async def pool() -> AsyncIterator[CannedPool]:
    async with trio.open_nursery() as nursery:
        yield CannedPool(nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture
def faults() -> list[Exception]:
    """What the front end reports as its own faults."""
    return []


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture(params=["legacy", "auto"])
async def client(
    request: pytest.FixtureRequest,
    pool: CannedPool,
    faults: list[Exception],
    connection: Connection,
    tmp_path: Path,
) -> AsyncIterator[Client]:
    """The SDK's client: over JSON-RPC as Claude Code speaks it, and by the newest protocol."""
    mode: Literal["legacy", "auto"] = request.param
    place = Place(str(tmp_path), {"HOME": str(tmp_path)})
    front_end = FrontEnd(cast(Pool, pool), place, {}, faults.append)
    CLIENT.set(connection)
    async with Client(front_end.server, mode=mode) as connected:
        yield connected
