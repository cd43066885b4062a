"""What a task costs: through the pool, on a bare pipe, and with a process of its own.

    python -m benchmarks.tasks [--tasks 200] [--real]

Prints medians and their ratios, all from the same run: with the rehearsal agent, or, with `--real`,
with the real CLI against the tests' stand-in of its API on the loopback interface.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from supervisor.cli._client import LineClient
from tests.loopback import LoopbackAPI
from tests.realcli.install import ensure, environment

REHEARSAL = f"{sys.executable} -P -m supervisor rehearsal"
AGENT = "---\nname: bench\ndescription: Measures.\ntools: []\n---\nAnswer in one word.\n"
FLAGS = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
TASK = "say one word"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=200, help="tasks a way (default 200)")
    parser.add_argument("--fresh", type=int, default=10, help="processes of their own (default 10)")
    parser.add_argument("--real", action="store_true", help="the real CLI, on the loopback API")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _agent_cli(given.real, Path(folder)) as cli:
        rows = {
            "bare pipe, task and /clear": _piped(cli, given.tasks, folder),
            "invoke through the pool": _pooled(cli, given.tasks, folder),
            "a process of its own a task": _fresh(cli, given.fresh, folder),
        }
    floor = rows["bare pipe, task and /clear"][0]
    print(f"{'way':<30}{'median ms':>12}{'p99 ms':>10}{'ratio':>10}")
    for name, (median, p99) in rows.items():
        print(f"{name:<30}{median * 1000:>12.2f}{p99 * 1000:>10.2f}{median / floor:>10.1f}")
    return 0


@contextmanager
def _agent_cli(real: bool, folder: Path) -> Iterator[str]:
    """The command line of the agent CLI; for the real one, the environment that it needs is set."""
    if not real:
        yield REHEARSAL
        return
    with LoopbackAPI() as api:
        home = folder / "home"
        home.mkdir()
        os.environ.update(environment(home, api.base_url))
        yield shlex.join(ensure().argv)


def _timed(count: int, once: Callable[[], object]) -> tuple[float, float]:
    """Median and 99th percentile, in seconds, of `count` calls."""
    spent = []
    for _ in range(count):
        began = time.perf_counter()
        once()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent), sorted(spent)[int(len(spent) * 0.99)]


@contextmanager
def _process(cli: str, folder: str) -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(
        [*shlex.split(cli), *FLAGS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
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


def _piped(cli: str, count: int, folder: str) -> tuple[float, float]:
    with _process(cli, folder) as process:

        def once() -> None:
            _say(process, TASK)
            _say(process, "/clear")

        once()
        return _timed(count, once)


def _fresh(cli: str, count: int, folder: str) -> tuple[float, float]:
    def once() -> None:
        with _process(cli, folder) as process:
            _say(process, TASK)

    return _timed(count, once)


def _pooled(cli: str, count: int, folder: str) -> tuple[float, float]:
    agents = Path(folder) / ".claude" / "agents"
    agents.mkdir(parents=True)
    (agents / "bench.md").write_text(AGENT)
    environ = os.environ | {
        "CLAUDE_CLI": cli,
        "CLAUDE_PROJECT_DIR": folder,
        "XDG_STATE_HOME": f"{folder}/state",
    }
    command = [sys.executable, "-P", "-m", "agent_pool"]
    with subprocess.Popen(
        [*command, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    ) as relay:
        assert relay.stdin
        assert relay.stdout
        client = LineClient(relay.stdout, relay.stdin)
        client.initialize("benchmark")

        def once() -> None:
            if client.call("invoke", {"agent": "bench", "task": TASK}).get("isError"):
                raise SystemExit("a task failed")

        once()
        figures = _timed(count, once)
    subprocess.run([*command, "stop"], env=environ, check=True, stdout=subprocess.DEVNULL)
    return figures


if __name__ == "__main__":
    sys.exit(main())
