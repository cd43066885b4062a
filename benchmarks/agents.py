"""An agent's process: how long until it is replaced, and what it grows to.

    python -m benchmarks.agents [--short] [--real] [--rounds N] [--tasks N] [--only PART]

Prints, from one run: SIGKILL of an idle agent's process → the next one ready, without and with a
spare, as a ratio to the bare spawn of the same CLI; the memory of an agent over many heavy tasks
(each uses Bash and prints a megabyte), with recycling and without. With the rehearsal agent, which
grows only as it is told to (so its memory is left out); with `--real` with the real CLI, against
the tests' stand-in of its API on the loopback interface. The memory takes some minutes; each part
can be run alone.
"""

import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import trio

from supervisor.agents import Folders
from supervisor.place import built_in
from supervisor.pool import Pool, PoolEvent, TaskResult
from supervisor.pool.config import ConfigFiles
from supervisor.pool.events import SpareReady, WorkerReady
from supervisor.tree import Supervisor, SupervisorFlags
from tests.client import REHEARSAL, Project
from tests.loopback import LoopbackAPI
from tests.realcli.install import ensure, environment

FLAGS = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
HEAVY = "[[bash head -c 1000000 /dev/zero | tr '\\0' x]]"
CONFIG = """\
[pool]
spares = {}
[defaults.supervisor]
intensity = 100000
[defaults.supervisor.backoff]
initial = "0s"
maximum = "0s"
[defaults.agent]
max_tasks = {}
[ledger]
enabled = false
"""
RECYCLED_AFTER = {"not recycled": 0, "recycled": 50}
"""A part → the tasks after which an agent is recycled in it; 0: never."""

PARTS = ("replacement", *RECYCLED_AFTER)


class Events:
    """What a pool tells, to be waited for."""

    def __init__(self) -> None:
        self._seen: list[PoolEvent] = []
        self._changed = trio.Event()

    def tell(self, event: PoolEvent) -> None:
        """Called by the pool."""
        self._seen.append(event)
        self._changed.set()
        self._changed = trio.Event()

    async def next(self, kind: type[PoolEvent], after: int) -> int:
        """Wait for an event of that kind behind the first `after`; how many there are then."""
        while not any(isinstance(event, kind) for event in self._seen[after:]):
            await self._changed.wait()
        return len(self._seen)

    def __len__(self) -> int:
        return len(self._seen)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, help="replacements of each kind (default 20)")
    parser.add_argument("--short", action="store_true", help="little of each")
    parser.add_argument("--real", action="store_true", help="the real CLI, on the loopback API")
    parser.add_argument("--tasks", type=int, help="heavy tasks, each way (default 300)")
    parser.add_argument("--only", choices=PARTS, help="this part alone")
    given = parser.parse_args()
    parts = PARTS if given.only is None else (given.only,)
    measure(given.short, given.real, given.rounds, given.tasks, parts)
    return 0


def measure(
    short: bool,
    real: bool,
    rounds: int | None = None,
    tasks: int | None = None,
    parts: Collection[str] = PARTS,
) -> None:
    """Measure and print: little where it is to be `short`, with the `real` CLI or without."""
    api_of = LoopbackAPI() if real else nullcontext()
    with api_of as api, tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        env = _variables(project, api)
        project.write_agent("bench", "You are BENCH.", "tools: Bash")
        try:
            if "replacement" in parts:
                _replacements(project, env, rounds or (1 if short else 20))
            for part in RECYCLED_AFTER if real else ():
                if part in parts:
                    _memory(project, env, RECYCLED_AFTER[part], tasks or (3 if short else 300))
        finally:
            trio.run(project.close)


def _replacements(project: Project, env: Mapping[str, str], rounds: int) -> None:
    floor = statistics.median(_spawn_s(project, env) for _ in range(rounds))
    print(f"SIGKILL of an idle agent → the next one ready (medians of {rounds})", flush=True)
    print(f"  {'bare spawn, until initialize is answered':<44}{floor * 1000:9.1f} ms   1")
    for spares in (0, 1):
        taken = trio.run(_replaced_s, project, env, spares, rounds)
        what = "with a spare" if spares else "without a spare"
        print(f"  {what:<44}{taken * 1000:9.1f} ms{taken / floor:8.3f}", flush=True)


def _memory(project: Project, env: Mapping[str, str], max_tasks: int, tasks: int) -> None:
    what = f"recycled every {max_tasks} tasks" if max_tasks else "never recycled"
    began = time.perf_counter()
    sizes = trio.run(_sizes, project, env, max_tasks, tasks)
    took = (time.perf_counter() - began) / tasks
    print(f"memory of the agent over {tasks} heavy tasks, {what}: {took:.2f} s a task")
    tenth = max(len(sizes) // 10, 1)
    for name, some in (("all", sizes), ("first", sizes[:tenth]), ("last", sizes[-tenth:])):
        least, middle, most = min(some), statistics.median(some), max(some)
        told = f"{least:.0f}, {middle:.0f}, {most:.0f} MB"
        print(f"  {f'least, median, most of {name} {len(some)}':<44}{told:>30}", flush=True)


def _variables(project: Project, api: LoopbackAPI | None) -> dict[str, str]:
    agents = {"AGENTS_DIR": str(project.folder / ".claude" / "agents")}
    if api is None:
        return project.environment(**agents)
    cli = shlex.join(ensure().argv)
    return project.environment(**environment(project.home, api.base_url, CLAUDE_CLI=cli), **agents)


def _spawn_s(project: Project, env: Mapping[str, str]) -> float:
    began = time.perf_counter()
    command = [*shlex.split(env.get("CLAUDE_CLI", REHEARSAL)), *FLAGS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=project.folder, env=env
    ) as process:
        assert process.stdin
        assert process.stdout
        request = {"subtype": "initialize", "systemPrompt": "You are BENCH."}
        line = {"type": "control_request", "request_id": "a", "request": request}
        process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        return time.perf_counter() - began


@asynccontextmanager
async def _pool(
    project: Project, env: Mapping[str, str], spares: int, max_tasks: int
) -> AsyncIterator[tuple[Pool, Events]]:
    project.write_config(CONFIG.format(spares, max_tasks))
    files = ConfigFiles.find(project.folder, env, Path(built_in()) / "config" / "pool.toml")
    folders = Folders.resolve(project.folder, env, project.home, Path(built_in()))
    events = Events()
    pool = Pool(project.folder, env, files, folders, events.tell, "benchmark")
    async with trio.open_nursery() as nursery:
        await nursery.start(Supervisor("root", SupervisorFlags(), pool.children).run)
        yield pool, events
        nursery.cancel_scope.cancel()


async def _replaced_s(project: Project, env: Mapping[str, str], spares: int, rounds: int) -> float:
    taken = []
    async with _pool(project, env, spares, 0) as (pool, events):
        if spares:
            await events.next(SpareReady, 0)
        seen = len(events)
        ready = await pool.warmup("bench")
        for _ in range(rounds):
            if spares:
                seen = await events.next(SpareReady, seen)
            seen = len(events)
            began = time.perf_counter()
            os.kill(ready.pid, signal.SIGKILL)
            await events.next(WorkerReady, seen)
            taken.append(time.perf_counter() - began)
            ready = await pool.warmup("bench")
    return statistics.median(taken)


async def _sizes(
    project: Project, env: Mapping[str, str], max_tasks: int, tasks: int
) -> list[float]:
    sizes = []
    async with _pool(project, env, 0, max_tasks) as (pool, _):
        for _ in range(tasks):
            task = await pool.submit("bench", HEAVY)
            await task.settled.wait()
            if not isinstance(task.outcome, TaskResult):
                raise SystemExit(f"a task failed: {task.outcome}")
            rows = await pool.agents()
            size = next(row["memory_bytes"] for row in rows if row["name"] == "bench")
            if size:
                sizes.append(size / 1e6)
    return sizes


if __name__ == "__main__":
    raise SystemExit(main())
