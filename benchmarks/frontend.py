"""How soon the front end answers, and what it takes: beside the smallest servers that there are.

    python -m benchmarks.frontend [--rounds 10] [--calls 1000] [--load 10] [--short] [--json]

Of the relay on a running pool, of a relay that has to start one, and of a server of one tool on the
same Python SDK and on the Node SDK (from npm; where that is missing a line says so), it prints: the
time from the start of the program to its answer to `initialize`, to `tools/list`, and to the first
call of a tool; the round trip of a cheap tool; resident memory. Ratios are to the server on the
Python SDK. Claude Code waits two seconds for what a server has; so the start of a pool is measured
with busy processes beside it, too: `--load` of them, 10 unless told otherwise.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import trio

from supervisor.cli._client import LineClient
from tests import npm
from tests.client import SERVE, Project

NODE_SDK = ("@modelcontextprotocol/sdk@1.32.2", "zod@3.25.76")

PYTHON_SERVER = """
import trio
from mcp.server import MCPServer
mcp = MCPServer("smallest", log_level="WARNING")
@mcp.tool(structured_output=False)
async def echo(agent: str) -> str:
    return agent
trio.run(mcp.run_stdio_async)
"""

NODE_SERVER = """
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";
const server = new McpServer({ name: "smallest", version: "0" });
server.registerTool("echo", { inputSchema: { agent: z.string() } },
  async ({ agent }) => ({ content: [{ type: "text", text: agent }] }));
await server.connect(new StdioServerTransport());
"""

CONFIG = '[pool]\nlinger = "10min"\n'
AGENT = "bench"
FLOOR = "a server on the Python SDK"

Row = dict[str, Any]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, help="starts of each program (default 10)")
    parser.add_argument("--calls", type=int, help="round trips of each (default 1000)")
    parser.add_argument("--load", type=int, help="busy processes (default 10)")
    parser.add_argument("--short", action="store_true", help="little of each")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    rounds = given.rounds or (1 if given.short else 10)
    calls = given.calls or (20 if given.short else 1000)
    rows = [measured(FLOOR, [sys.executable, "-c", PYTHON_SERVER], "echo", rounds, calls)]
    missing = None
    try:
        rows.append(_node(rounds, calls))
    except npm.Unavailable as reason:
        missing = f"no server on the Node SDK: {reason}"
    starts = 1 if given.short else max(2, rounds // 2)
    load = given.load if given.load is not None else (1 if given.short else 10)
    # What takes longest is started least; a relay on a pool that runs costs next to nothing.
    rows += [_joining(max(rounds, 3), calls), _cold(starts)]
    with _busy(load):
        rows.append(_cold(starts) | {"way": f"the same, {load} busy beside"})
    for row in rows:
        row["ratios"] = {
            key: row[key] / rows[0][key] for key in rows[0] if key != "way" and row.get(key)
        }
    if given.json:
        print(json.dumps({"rows": rows, "missing": missing}, indent=2))
    else:
        _print(rows, missing)
    return 0


def measured(
    way: str,
    command: Sequence[str],
    tool: str,
    rounds: int,
    calls: int,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Row:
    """Medians, in milliseconds and bytes, of a program that is started `rounds` times."""
    first, listed, called, spent, memory = [], [], [], [], []
    for number in range(rounds):
        with _started(command, cwd, env) as (process, client, began):
            client.initialize("benchmark")
            first.append(time.perf_counter() - began)
            client.request("tools/list", {})
            listed.append(time.perf_counter() - began)
            client.call(tool, {"agent": AGENT})
            called.append(time.perf_counter() - began)
            if number == rounds - 1:
                spent = [_timed(client, tool) for _ in range(calls)]
            memory.append(psutil.Process(process.pid).memory_info().rss)
    row: Row = {"way": way, "initialize_ms": _ms(first), "tools_list_ms": _ms(listed)}
    row["first_call_ms"] = _ms(called)
    if calls:
        row["call_ms"] = _ms(spent)
    return row | {"rss_bytes": statistics.median(memory)}


def _ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000


def _timed(client: LineClient, tool: str) -> float:
    began = time.perf_counter()
    found = client.call(tool, {"agent": AGENT})
    if found.get("isError"):
        raise SystemExit(f"a call failed: {found}")
    return time.perf_counter() - began


@contextmanager
def _started(
    command: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None
) -> "Iterator[tuple[subprocess.Popen[bytes], LineClient, float]]":
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, env=env
    ) as process:
        assert process.stdin
        assert process.stdout
        yield process, LineClient(process.stdout, process.stdin), began
        process.stdin.close()


def _node(rounds: int, calls: int) -> Row:
    modules = npm.ensure(*NODE_SDK)
    program = modules.parent / "smallest.mjs"
    program.write_text(NODE_SERVER)
    return measured("a server on the Node SDK", [npm.node(), str(program)], "echo", rounds, calls)


@contextmanager
def _project() -> Iterator[Project]:
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.write_agent(AGENT, "Answer.", "tools: []")
        project.write_config(CONFIG)
        try:
            yield project
        finally:
            trio.run(project.close)


def _joining(rounds: int, calls: int) -> Row:
    with _project() as project:
        cwd, env = project.folder, project.environment()
        with _started(SERVE, cwd, env) as (_, client, _began):
            client.initialize("benchmark")
            # `warmup` of an agent that is ready is the cheap tool: it has one argument, too.
            client.call("warmup", {"agent": AGENT})
            row = measured("relay, a pool runs", SERVE, "warmup", rounds, calls, cwd, env)
            pool = psutil.Process(project.pool_pid())
            row["pool_rss_bytes"] = pool.memory_info().rss
    return row


def _cold(rounds: int) -> Row:
    found = []
    for _ in range(rounds):
        with _project() as project:
            cwd, env = project.folder, project.environment()
            found.append(measured("relay, no pool runs", SERVE, "warmup", 1, 0, cwd, env))
    keys = [key for key in found[0] if key != "way"]
    return {"way": found[0]["way"]} | {
        key: statistics.median([one[key] for one in found]) for key in keys
    }


@contextmanager
def _busy(number: int) -> Iterator[None]:
    """So many processes that compute and do nothing else."""
    command = [sys.executable, "-c", "while True: pass"]
    # Each in a session of its own: the kernel shares out the processors by session.
    processes = [subprocess.Popen(command, start_new_session=True) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _print(rows: list[Row], missing: str | None) -> None:
    columns = (
        ("initialize_ms", "initialize"),
        ("tools_list_ms", "tools/list"),
        ("first_call_ms", "first call"),
        ("call_ms", "call"),
        ("rss_bytes", "memory"),
    )
    print(f"{'':<30}" + "".join(f"{title:>22}" for _, title in columns))
    for row in rows:
        cells = [_cell(row, key) for key, _ in columns]
        print(f"{row['way']:<30}" + "".join(f"{cell:>22}" for cell in cells))
        if "pool_rss_bytes" in row:
            print(f"  and the pool itself: {row['pool_rss_bytes'] / 1e6:.1f} MB, once for all")
    if missing:
        print(missing)


def _cell(row: Row, key: str) -> str:
    if key not in row:
        return "-"
    value = f"{row[key] / 1e6:.1f} MB" if key == "rss_bytes" else f"{row[key]:.2f} ms"
    return f"{value} ({row['ratios'][key]:.2f})"


if __name__ == "__main__":
    sys.exit(main())
