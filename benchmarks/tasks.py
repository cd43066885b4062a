"""What a task costs: through the pool, on a bare pipe, by the worker alone; and how many at once.

    python -m benchmarks.tasks [--tasks 1000] [--short] [--real] [--json]

Prints, all from the same run: the round trip of `invoke` over MCP stdio, as a ratio to the same
exchange on a bare pipe, with the ledger and without it; tasks a second with 1, 8 and 64 agents;
background tasks, submitted and collected; the supervisor's memory after many tasks. With the
rehearsal agent; with `--real` the round trips alone, with the real CLI against the tests' stand-in
of its API on the loopback interface. `--short` does little of each.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import trio

from supervisor.agents import Folders
from supervisor.cli._client import LineClient
from supervisor.place import built_in
from supervisor.pool import Pool, TaskResult
from supervisor.pool.config import ConfigFiles
from supervisor.tree import Supervisor, SupervisorFlags
from tests.client import REHEARSAL, SERVE, Project
from tests.loopback import LoopbackAPI
from tests.realcli.install import ensure, environment

FLAGS = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
TASK = "say one word"
CONFIG = '[pool]\nlinger = "10min"\n[defaults.agent]\nqueue_limit = 2000\n[ledger]\nenabled = {}\n'
IN_FLIGHT = 2
"""Tasks an agent, where it is to be kept at work."""
WAIT_FOR = 100
"""Tasks that one call of `wait` takes."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much is measured."""

    tasks: int
    """Round trips of each way."""
    fresh: int
    """Processes of their own."""
    agents: tuple[int, ...]
    """At once, each number for itself."""
    throughput: int
    """Tasks for each number of agents."""
    background: int
    many: int
    """Tasks after which the supervisor's memory is looked at."""


FULL = Amounts(1_000, 10, (1, 8, 64), 1_024, 1_000, 10_000)
SHORT = Amounts(20, 1, (1, 2), 20, 10, 20)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, help=f"round trips a way (default {FULL.tasks})")
    parser.add_argument("--short", action="store_true", help="little of each")
    parser.add_argument("--real", action="store_true", help="the real CLI, on the loopback API")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    amounts = SHORT if given.short else FULL
    count = given.tasks or amounts.tasks
    # As many definitions with the ledger as without it, so that the ledger alone differs.
    agents = 1 if given.real else max(amounts.agents)
    with LoopbackAPI() if given.real else nullcontext() as api:
        trips = {
            "bare pipe, task and /clear": _piped(api, count),
            "worker alone, in this process": _alone(api, count),
        }
        with _pool(agents, api, ledger=False) as relay:
            trips["invoke over MCP, no ledger"] = _invoked(relay, count)
        with _pool(agents, api) as relay:
            trips["invoke over MCP"] = _invoked(relay, count)
            more = {} if given.real else _at_work(relay, amounts)
        trips["a process of its own a task"] = _fresh(api, amounts.fresh)
    found = {"round_trips": _beside_the_first(trips), **more}
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 0


def _beside_the_first(trips: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Times in milliseconds, and the ratio of each median to that of the first."""
    floor = next(iter(trips.values()))[0]
    return [
        {"way": way, "median_ms": median * 1000, "p99_ms": p99 * 1000, "ratio": median / floor}
        for way, (median, p99) in trips.items()
    ]


def _at_work(relay: "Relay", amounts: Amounts) -> dict[str, Any]:
    """What one pool does, the most agents last, since their processes stay."""
    *few, most = amounts.agents
    throughput = [_throughput(relay, agents, amounts.throughput) for agents in few]
    background = _background(relay, few[-1], amounts.background)
    memory = _memory(relay, few[-1], amounts.many)
    throughput.append(_throughput(relay, most, amounts.throughput))
    return {"throughput": throughput, "background": background, "memory": memory}


def _throughput(relay: "Relay", agents: int, tasks: int) -> dict[str, float]:
    """Every agent has its process; a task in hand and the next one in line."""
    relay.keep_at_work(agents, agents)
    spent = relay.keep_at_work(agents, tasks)
    return {"agents": agents, "tasks": tasks, "tasks_per_s": tasks / spent}


def _background(relay: "Relay", agents: int, tasks: int) -> dict[str, float]:
    """By `submit`, `wait` and `result`, each a call of its own."""
    began = time.perf_counter()
    ids = [relay.submit(f"bench-{n % agents}") for n in range(tasks)]
    submitted = time.perf_counter()
    for at in range(0, tasks, WAIT_FOR):
        relay.await_all(ids[at : at + WAIT_FOR])
    ended = time.perf_counter()
    for task_id in ids:
        relay.call("result", task_id=task_id)
    collected = time.perf_counter()
    return {
        "agents": agents,
        "tasks": tasks,
        "submit_s": submitted - began,
        "wait_s": ended - submitted,
        "result_s": collected - ended,
    }


def _memory(relay: "Relay", agents: int, tasks: int) -> dict[str, float]:
    """Resident memory of the pool's program, in bytes, after a tenth of the tasks and after all."""
    start = relay.supervisor_bytes()
    relay.keep_at_work(agents, tasks // 10)
    tenth = relay.supervisor_bytes()
    relay.keep_at_work(agents, tasks - tasks // 10)
    end = relay.supervisor_bytes()
    return {"tasks": tasks, "start_bytes": start, "tenth_bytes": tenth, "end_bytes": end}


# The ways


def _timed(count: int, once: Callable[[], object]) -> tuple[float, float]:
    """Median and 99th percentile, in seconds, of `count` calls."""
    spent = []
    for _ in range(count):
        began = time.perf_counter()
        once()
        spent.append(time.perf_counter() - began)
    return _figures(spent)


def _figures(spent: list[float]) -> tuple[float, float]:
    return statistics.median(spent), sorted(spent)[int(len(spent) * 0.99)]


@contextmanager
def _project() -> Iterator[Project]:
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        try:
            yield project
        finally:
            trio.run(project.close)


def _variables(project: Project, api: LoopbackAPI | None) -> dict[str, str]:
    """The environment of whoever starts the agent CLI, `CLAUDE_CLI` included."""
    if api is None:
        return project.environment()
    cli = shlex.join(ensure().argv)
    return project.environment(**environment(project.home, api.base_url, CLAUDE_CLI=cli))


@contextmanager
def _process(project: Project, env: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    command = [*shlex.split(env.get("CLAUDE_CLI", REHEARSAL)), *FLAGS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=project.folder, env=env
    ) as process:
        yield process


def _say(process: "subprocess.Popen[bytes]", text: str) -> None:
    """Write one user line and read up to its result."""
    assert process.stdin
    assert process.stdout
    line = {"type": "user", "message": {"role": "user", "content": text}}
    process.stdin.write(json.dumps(line).encode() + b"\n")
    process.stdin.flush()
    for answer in process.stdout:
        if json.loads(answer).get("type") == "result":
            return
    raise SystemExit("the CLI ended before its result")


def _piped(api: LoopbackAPI | None, count: int) -> tuple[float, float]:
    with _project() as project, _process(project, _variables(project, api)) as process:

        def once() -> None:
            _say(process, TASK)
            _say(process, "/clear")

        once()
        return _timed(count, once)


def _fresh(api: LoopbackAPI | None, count: int) -> tuple[float, float]:
    with _project() as project:
        env = _variables(project, api)

        def once() -> None:
            with _process(project, env) as process:
                _say(process, TASK)

        return _timed(count, once)


def _alone(api: LoopbackAPI | None, count: int) -> tuple[float, float]:
    with _project() as project:
        project.write_agent("bench-0")
        return trio.run(_served, project, _variables(project, api), count)


async def _served(project: Project, env: Mapping[str, str], count: int) -> tuple[float, float]:
    """By a pool in this process: queue, worker and agent, but no socket, MCP or ledger file."""
    files = ConfigFiles.find(project.folder, env, Path(built_in()) / "config" / "pool.toml")
    folders = Folders.resolve(project.folder, env, project.home, Path(built_in()))
    pool = Pool(project.folder, env, files, folders, lambda _: None, "benchmark")
    spent = []
    async with trio.open_nursery() as nursery:
        await nursery.start(Supervisor("root", SupervisorFlags(), pool.children).run)
        for _ in range(count + 1):
            began = time.perf_counter()
            task = await pool.submit("bench-0", TASK)
            await task.settled.wait()
            spent.append(time.perf_counter() - began)
            if not isinstance(task.outcome, TaskResult):
                raise SystemExit(f"a task failed: {task.outcome}")
        nursery.cancel_scope.cancel()
    return _figures(spent[1:])


def _invoked(relay: "Relay", count: int) -> tuple[float, float]:
    def once() -> None:
        relay.call("invoke", agent="bench-0", task=TASK)

    once()
    return _timed(count, once)


class Relay:
    """A connection to a pool, as an MCP client over stdio has it."""

    def __init__(self, process: "subprocess.Popen[bytes]", project: Project) -> None:
        assert process.stdin
        assert process.stdout
        self._in = process.stdout
        self._out = process.stdin
        self._project = project
        self._client = LineClient(self._in, self._out)
        self._client.initialize("benchmark")

    def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool; an error ends the benchmark."""
        return _checked(self._client.call(tool, arguments))

    def submit(self, agent: str) -> str:
        """Hand over a task, for the background; its id."""
        answer = self.call("submit", agent=agent, task=TASK)
        return str(answer["structuredContent"]["task_id"])

    def await_all(self, ids: list[str]) -> None:
        """Wait until these tasks have ended."""
        while True:
            found = self.call("wait", task_ids=ids, mode="all")["structuredContent"]["tasks"]
            if all(row["state"] == "ended" for row in found):
                return

    def keep_at_work(self, agents: int, tasks: int) -> float:
        """`invoke` so often, side by side and in turn; the seconds that it took."""
        began = time.perf_counter()
        sent = min(tasks, agents * IN_FLIGHT)
        for number in range(sent):
            self._send(number, number % agents)
        for _ in range(tasks):
            answered = self._answered()
            if sent < tasks:
                # Whoever has become free gets the next one.
                self._send(sent, answered % agents)
                sent += 1
        return time.perf_counter() - began

    def supervisor_bytes(self) -> int:
        """Resident memory of the pool's program now."""
        return int(psutil.Process(self._project.pool_pid()).memory_info().rss)

    def _send(self, number: int, agent: int) -> None:
        # The id tells the agent, so that its answer does.
        call = {"name": "invoke", "arguments": {"agent": f"bench-{agent}", "task": TASK}}
        name = f"{number}:{agent}"
        line = {"jsonrpc": "2.0", "id": name, "method": "tools/call", "params": call}
        self._out.write(json.dumps(line).encode() + b"\n")
        self._out.flush()

    def _answered(self) -> int:
        for line in self._in:
            message = json.loads(line)
            if "result" in message:
                _checked(message["result"])
                return int(message["id"].partition(":")[2])
            if "error" in message:
                raise SystemExit(f"a call was refused: {message['error']}")
        raise SystemExit("the relay ended")


def _checked(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("isError"):
        raise SystemExit(f"a call failed: {result['content'][0]['text']}")
    return result


@contextmanager
def _pool(agents: int, api: LoopbackAPI | None = None, *, ledger: bool = True) -> Iterator[Relay]:
    with _project() as project:
        for number in range(agents):
            project.write_agent(f"bench-{number}", "Answer in one word.", "tools: []")
        project.write_config(CONFIG.format("true" if ledger else "false"))
        env = _variables(project, api)
        with subprocess.Popen(
            SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=project.folder
        ) as process:
            yield Relay(process, project)


def _print(found: dict[str, Any]) -> None:
    print(f"{'round trip':<32}{'median ms':>12}{'p99 ms':>10}{'ratio':>10}")
    for row in found["round_trips"]:
        print(
            f"{row['way']:<32}{row['median_ms']:>12.2f}{row['p99_ms']:>10.2f}{row['ratio']:>10.1f}"
        )
    for row in found.get("throughput", []):
        print(f"{row['agents']:>4} agents, {row['tasks']} tasks: {row['tasks_per_s']:.0f} a second")
    if "background" in found:
        row = found["background"]
        print(
            f"{row['tasks']} background tasks, {row['agents']} agents: "
            f"submitted in {row['submit_s']:.2f} s, "
            f"awaited {row['wait_s']:.2f} s more, results in {row['result_s']:.2f} s"
        )
    if "memory" in found:
        row = found["memory"]
        start, tenth, end = (row[f"{at}_bytes"] / 1e6 for at in ("start", "tenth", "end"))
        print(
            f"supervisor's memory: {start:.1f} MB at the start, {tenth:.1f} after "
            f"{row['tasks'] // 10} tasks, {end:.1f} after {row['tasks']}"
        )


if __name__ == "__main__":
    sys.exit(main())
