"""A project in which Claude Code is started, the pool that it finds there, and the one model.

The model is the same loopback API for both: for Claude Code, whose conversation the tests
hold, and for the agents of the pool. A task's text tells whose request it is.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil
import trio

from tests.client import LIMIT_S, Project, until
from tests.loopback import LoopbackAPI, Request
from tests.realcli.install import environment
from tests.realcli.session import STREAM_JSON, Session

ROOT: Final = Path(__file__).resolve().parents[2]
PLUGIN: Final = ROOT / "plugin"

SERVER: Final = {"command": "agent-pool", "args": ["serve"], "alwaysLoad": True}
"""What the README has a user write into `.mcp.json`."""

BY_CONFIG: Final = (
    "--mcp-config",
    json.dumps({"mcpServers": {"agent-pool": SERVER}}),
    "--strict-mcp-config",
    "--allowedTools",
    "mcp__agent-pool",
)
BY_PLUGIN: Final = (
    "--plugin-dir",
    str(PLUGIN),
    "--allowedTools",
    "Agent,mcp__plugin_agent-pool_agent-pool",
)

INVOKE_BY_PLUGIN: Final = "mcp__plugin_agent-pool_agent-pool__invoke"
"""`invoke`, as Claude Code calls it where the plugin brings it."""

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, limit_s: float = LIMIT_S) -> T:
    """`until`, for a test that is not async."""

    async def wait() -> T:
        return await until(look, what, limit_s)

    return trio.run(wait)


def use(tool: str, **arguments: object) -> str:
    """A task whose model uses that tool, then repeats the tool's result after `tool: `."""
    return f"[[tool {tool} {json.dumps(arguments)}]]"


def invoke(agent: str, task: str) -> str:
    """A task whose model hands `task` to an agent of the pool."""
    return use("mcp__agent-pool__invoke", agent=agent, task=task)


def native(sub_agent: str, prompt: str, tool: str = "Agent") -> str:
    """A task whose model uses Claude Code's own tool for sub-agents, once called `Task`."""
    return use(tool, description="a sub-agent", subagent_type=sub_agent, prompt=prompt)


class Claude(Session):
    """A running Claude Code; every wait for it is as long as the machine may be busy."""

    _is_settled = False

    def servers(self) -> list[dict[str, Any]]:
        """What it knows of its MCP servers, once each has connected or failed."""

        def look() -> tuple[list[dict[str, Any]]] | None:
            found = self.ask("mcp_status")["response"]["mcpServers"]
            return None if any(one["status"] == "pending" for one in found) else (found,)

        (found,) = eventually(look, "the state of the servers")
        self._is_settled = True
        return found

    def give(self, text: str) -> str:
        """Send a task, the first one when it has its tools: it waits only seconds by itself."""
        if not self._is_settled:
            self.servers()
        return super().give(text)

    def read_until(
        self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = LIMIT_S
    ) -> dict[str, Any]:
        return super().read_until(wanted, max(timeout_s, LIMIT_S))


@dataclass(frozen=True)
class Stage:
    """One project, one pool, one model; any number of Claude Codes."""

    project: Project
    """Where they work."""
    api: LoopbackAPI
    """What they think with."""
    cli: Sequence[str]
    """How Claude Code, and an agent's CLI, is started."""
    bin: Path
    """The first folder on the PATH: holds `agent-pool`."""

    def __post_init__(self) -> None:
        self.bin.mkdir()
        self.write_command(f'exec {shlex.quote(sys.executable)} -P -m agent_pool "$@"')

    def write_command(self, line: str) -> None:
        """Make `agent-pool` a shell script of that line."""
        command = self.bin / "agent-pool"
        command.write_text(f"#!/bin/sh\n{line}\n")
        command.chmod(0o755)

    def environment(self, **extra: str) -> dict[str, str]:
        """The whole environment of Claude Code, which the pool inherits."""
        own = environment(
            self.project.home,
            self.api.base_url,
            CLAUDE_CLI=shlex.join(self.cli),
            # On a busy machine the pool may take longer to start than Claude Code waits.
            MCP_TIMEOUT=str(int(LIMIT_S * 1000)),
        )
        own["PATH"] = f"{self.bin}:{own['PATH']}"
        return self.project.environment(**{**own, **extra})

    def claude(self, *flags: str, **extra: str) -> "Claude":
        """A Claude Code that waits for tasks."""
        stderr = self.project.home / "stderr"
        argv = [*self.cli, *STREAM_JSON, *flags]
        return Claude(argv, self.environment(**extra), self.project.folder, stderr)

    def plugin(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `claude plugin …` to its end."""
        return subprocess.run(
            [*self.cli, "plugin", *arguments],
            env=self.environment(),
            cwd=self.project.folder,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def install_plugin(self) -> None:
        """What a user does to have it."""
        for words in (("marketplace", "add", str(ROOT)), ("install", "agent-pool@agent-pool")):
            done = self.plugin(*words)
            assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run an `agent-pool` command to its end."""
        return trio.run(self.project.run, *arguments)

    def commands(self) -> list[str]:
        """The command lines of the project's living processes, an agent's Bash included."""
        found = []
        for process in self.project.processes():
            with suppress(psutil.Error):
                found.append(shlex.join(process.cmdline()))
        return found

    def seen(self, task: str) -> list[str]:
        """The tool results that the model has been sent in the conversation with that task."""
        return [r for r in self.api.tasks if r.last_user_text() == task][-1].tool_results()

    def await_request(self, task: str) -> Request:
        """The first request with that task, as soon as it has reached the model."""
        return self.api.wait_for_request(
            lambda r: r.is_task and r.last_user_text() == task, LIMIT_S
        )

    def logged(self, event: str, count: int = 1, **fields: str) -> list[dict[str, Any]]:
        """That many events of one kind, and with those fields, as soon as the pool has logged
        them."""

        def look() -> list[dict[str, Any]]:
            wanted = {"event": event, **fields}.items()
            found = [line for line in self.project.log_lines() if wanted <= line.items()]
            return found if len(found) >= count else []

        return eventually(look, f"{count} of {event} in the log")


def init_of(session: Session) -> dict[str, Any]:
    """The last `init` line: what Claude Code has loaded."""
    lines = [json.loads(line.text) for line in session.lines if line.direction == "<<<"]
    found: dict[str, Any] = [line for line in lines if line.get("subtype") == "init"][-1]
    return found


def lives(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
