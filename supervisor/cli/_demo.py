"""`agent-pool demo`: the main job, shown and checked, over MCP as a client would do it.

With the rehearsal agent it needs no account; with `CLAUDE_CLI=claude` it runs the real one.
The tasks carry directives in double brackets, which the rehearsal agent follows; a real model
takes the words around them.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from supervisor.cli._client import ClientError, LineClient
from supervisor.place import TAG, settled_variables

REHEARSAL = f"{sys.executable} -P -m supervisor rehearsal"

RESTART_DEADLINE_S = 60.0

IN_THE_MIDDLE_S = 0.5
"""How long a task has run when its process is killed."""

AGENTS = {
    "scout": "You find things out. Answer in one short sentence.",
    "critic": "You judge what you are shown. Answer in one short sentence.",
}

SECRET = "4711"

GREEDY = "scout"
CONFIG = f"""\
[agents.{GREEDY}]
hard_ceiling = "600MiB"
soft_ceiling = "500MiB"
"""


class DemoError(Exception):
    """Something did not happen as it should."""


def demo(as_json: bool) -> int:
    """Show the main job; 0 only if all of it truly happened."""
    command = os.environ.get("CLAUDE_CLI")
    show = Show(as_json, sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    with tempfile.TemporaryDirectory(prefix="agent-pool-demo-") as made:
        folder = os.path.realpath(made)  # as the system tells a process's working directory
        try:
            environ = _environment(Path(folder), command or REHEARSAL)
            with _relay(Path(folder), environ) as client:
                _play(client, show, command or "the rehearsal agent: no account, no network")
                if command is None:
                    _grow(client, show)
            _end(Path(folder), environ, show)
        except (DemoError, ClientError, OSError) as error:
            show.failed(str(error))
            _stop(Path(folder), environ)
            return 1
        except KeyboardInterrupt:
            _stop(Path(folder), environ)
            raise
    show.done()
    return 0


class Show:
    """What a person reads, or one JSON object a step."""

    def __init__(self, as_json: bool, colour: bool) -> None:
        self._as_json = as_json
        self._colour = colour
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        self._print("step", f"\n{self._steps}. {title}", "1", title)

    def fact(self, text: str) -> None:
        """Something that was seen."""
        self._print("fact", f"     {text}", "", text)

    def check(self, holds: object, text: str) -> None:
        """Something that must hold.

        Raises:
            DemoError: it does not.
        """
        if not holds:
            raise DemoError(f"this does not hold: {text}")
        self._print("check", f"   ✓ {text}", "32", text)

    def failed(self, text: str) -> None:
        """The demo ends here."""
        self._print("failed", f"\n   ✗ {text}", "31", text)

    def done(self) -> None:
        """All of it happened."""
        text = "All of it happened: every ✓ above was checked, not assumed."
        self._print("done", f"\n{text}", "1", text)

    def _print(self, kind: str, text: str, code: str, plain: str) -> None:
        if self._as_json:
            wrong = {"error": plain, "code": "demo_failed"} if kind == "failed" else {}
            text = json.dumps({kind: plain, **wrong})
        elif self._colour and code:
            text = f"\033[{code}m{text}\033[0m"
        print(text, flush=True)


def _environment(folder: Path, command: str) -> dict[str, str]:
    """A pool of the demo's own: its state and its project lie in `folder`."""
    project = folder / "project"
    for name, prompt in AGENTS.items():
        file = project / ".claude" / "agents" / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        head = f"---\nname: {name}\ndescription: An agent of the demo.\ntools: []\n---\n"
        file.write_text(f"{head}{prompt}\n")
    (project / ".claude" / "pool.toml").write_text(CONFIG)
    own = {"CLAUDE_CLI": command, "XDG_STATE_HOME": str(folder / "state")}
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("AGENTS_DIR", "AGENT_POOL_CONFIG", "CLAUDE_PROJECT_DIR", TAG)
    }
    return (
        inherited | settled_variables(own, os.getcwd()) | {"XDG_STATE_HOME": own["XDG_STATE_HOME"]}
    )


def _agent_pool(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "agent_pool", *words]


@contextmanager
def _relay(folder: Path, environ: dict[str, str]) -> Iterator[LineClient]:
    relay = subprocess.Popen(
        _agent_pool("serve"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder / "project",
        env=environ,
    )
    assert relay.stdin
    assert relay.stdout
    with relay:
        client = LineClient(relay.stdout, relay.stdin)
        client.initialize("agent-pool demo")
        yield client


def _play(client: LineClient, show: Show, command: str) -> None:
    show.step("A client connects; the pool starts with two agents")
    show.fact(f"agent CLI: {command}")
    rows = {row["name"]: row for row in _agents(client)}
    show.check(set(AGENTS) <= set(rows), f"defined: {', '.join(AGENTS)}")
    show.check(not any(row["pid"] for row in rows.values()), "no process runs yet")

    show.step("Each agent gets a task")
    first = _invoke(client, show, "scout", f"Remember the number {SECRET}, and answer: done.")
    other = _invoke(client, show, "critic", "Answer with one word: is a lost process good or bad?")
    show.check(first != other, "each has a process of its own")

    show.step("The next task of the scout: same process, fresh context")
    question = "Which number were you told before? If you know of none, answer: none. [[context]]"
    again = _invoke(client, show, "scout", question, must_not_say=SECRET)
    show.check(again == first, f"the process was kept between the tasks (pid {again})")
    show.check(True, f"the context was reset: the answer does not know {SECRET}")

    show.step("The scout's process is killed in the middle of a task")
    _kill_in_task(client, show, "scout", first)

    show.step("The supervisor brings it back")
    row = _await_restart(client, "scout", first)
    show.check(row["restarts"] == 1, f"restarted once, now pid {row['pid']}, state {row['state']}")
    after = _invoke(client, show, "scout", "Answer with one word: are you well?")
    show.check(after != first, "the next task succeeded, on the new process")
    rows = {row["name"]: row for row in _agents(client)}
    show.check(rows["critic"]["pid"] == other, f"the critic never noticed (pid {other})")


def _grow(client: LineClient, show: Show) -> None:
    """A task that eats memory; only the rehearsal agent does so at a word."""
    show.step("The scout grows past its memory ceiling of 600 MiB in a task")
    result = client.call("invoke", {"agent": GREEDY, "task": "Grow. [[grow 800]] [[sleep 60]]"})
    show.check(result["_meta"].get("code") == "memory_ceiling", _short(_text(result)))
    data = result["_meta"]
    show.fact(f"killed at {data['size_bytes'] / 2**20:.0f} MiB, with all that it had started")
    _invoke(client, show, GREEDY, "Answer with one word: are you well?")
    show.check(True, "the next task succeeded, on a new process")


def _agents(client: LineClient) -> list[dict[str, Any]]:
    result = client.call("list")
    if result.get("isError"):
        raise DemoError(_text(result))
    rows: list[dict[str, Any]] = result["structuredContent"]["agents"]
    return rows


def _text(result: dict[str, Any]) -> str:
    return "\n".join(block.get("text", "") for block in result["content"])


def _invoke(
    client: LineClient, show: Show, agent: str, task: str, must_not_say: str | None = None
) -> int:
    """Give a task and show the answer; returns the pid of the process that did it."""
    result = client.call("invoke", {"agent": agent, "task": task})
    answer, meta = _text(result), result["_meta"]
    if result.get("isError"):
        raise DemoError(f"{agent} failed: {answer}")
    show.fact(f"{agent} (pid {meta['pid']}, {meta['duration_s']:.2f} s): {_short(answer)}")
    if must_not_say is not None and must_not_say in answer:
        raise DemoError(f"{agent} still knows of the task before: {_short(answer)}")
    pid: int = meta["pid"]
    return pid


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"


def _kill_in_task(client: LineClient, show: Show, agent: str, pid: int) -> None:
    killed: list[str] = []

    def kill(message: str) -> None:
        if killed or "waiting" in message:
            return
        # Not at once: a task that the agent does not have whole yet would just be sent again.
        time.sleep(IN_THE_MIDDLE_S)
        killed.append(message)
        os.kill(pid, signal.SIGKILL)
        show.fact(f"progress: {message}")
        show.fact(f"kill -9 {pid}")

    task = "Write a story of 2,000 words about a supervisor and its children. [[sleep 60]]"
    result = client.call("invoke", {"agent": agent, "task": task}, kill)
    show.check(killed and result.get("isError"), "the caller got an error, at once")
    show.check(result["_meta"].get("code") == "agent_crashed", _short(_text(result)))


def _await_restart(client: LineClient, agent: str, pid: int) -> dict[str, Any]:
    deadline = time.monotonic() + RESTART_DEADLINE_S
    while time.monotonic() < deadline:
        row = next(row for row in _agents(client) if row["name"] == agent)
        if row["pid"] not in (None, pid) and row["state"] == "idle":
            return row
        time.sleep(0.02)
    raise DemoError(f"{agent} was not back within {RESTART_DEADLINE_S:.0f} s")


def _end(folder: Path, environ: dict[str, str], show: Show) -> None:
    show.step("The pool is stopped")
    ended = _stop(folder, environ)
    said = ended.stdout.strip()
    show.check(ended.returncode == 0 and said.startswith("stopped"), f"agent-pool stop: {said}")
    left = _left(folder)
    show.check(
        not left,
        "no process is left: neither the pool, nor an agent, nor anything that one started",
    )


def _stop(folder: Path, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _agent_pool("stop"),
        cwd=folder / "project",
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def _left(folder: Path) -> list[int]:
    """Processes that still run in the demo's folder: the pool, its agents, what they started."""
    found = []
    for process in psutil.process_iter():
        try:
            inside = Path(process.cwd()).is_relative_to(folder)
        except (psutil.Error, OSError):
            continue
        if inside:
            found.append(process.pid)
    return found
