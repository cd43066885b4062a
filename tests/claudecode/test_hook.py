"""`agent-pool hook` by itself: which calls it denies, and that nothing else makes it say a word."""

import json
import os
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import trio

from tests.client import LIMIT_S, Project

HOOK: Final = (sys.executable, "-P", "-m", "agent_pool", "hook")

# At its first crash an agent is down, and stays so.
CONFIG: Final = """
[pool]
linger = "10min"
shutdown_grace = "250ms"

[defaults.supervisor]
intensity = 0
cool_down = "10min"
"""


@dataclass(frozen=True)
class Hook:
    """A project, whose pool may run, and the hook in it."""

    project: Project

    def run(self, event: object, cwd: Path | None = None, **extra: str) -> str:
        """What the hook prints on that event; bytes are given as they are."""
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        done = subprocess.run(
            HOOK,
            input=raw,
            cwd=cwd or self.project.folder,
            env=self.project.environment(**extra),
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == b""
        return done.stdout.decode()

    def event(self, sub_agent: str, tool: str = "Agent", **arguments: object) -> dict[str, Any]:
        """What Claude Code tells a PreToolUse hook, as far as it matters."""
        given = {"description": "d", "prompt": "p", "subagent_type": sub_agent, **arguments}
        event = {"hook_event_name": "PreToolUse", "cwd": str(self.project.folder)}
        return {**event, "tool_name": tool, "tool_input": given}


def reason_in(printed: str) -> str:
    """Why the call was denied."""
    said = json.loads(printed)["hookSpecificOutput"]
    assert said["hookEventName"] == "PreToolUse"
    assert said["permissionDecision"] == "deny"
    reason: str = said["permissionDecisionReason"]
    return reason


async def start_pool(project: Project) -> None:
    """Start the pool, and let the agent `fragile` crash."""
    async with project.connect() as client:
        crashed = await client.call("invoke", agent="fragile", task="[[crash 3]]")
        assert crashed["isError"]


pytestmark = pytest.mark.xdist_group("hook")


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hook]:
    """The pool runs. Its agents: one of the project, one of the user, a broken and a down one."""
    project = Project(tmp_path_factory.mktemp("k"))
    project.write_config(CONFIG)
    project.write_agent("custom")
    project.write_agent("fragile")
    project.write_agent("broken", "Do it.", "tools: {}")
    user = project.home / ".claude" / "agents" / "résumé writer.md"
    user.parent.mkdir(parents=True)
    user.write_text("---\ndescription: Writes.\n---\nWrite.\n")
    try:
        trio.run(start_pool, project)
        yield Hook(project)
    finally:
        trio.run(project.close)


@pytest.mark.parametrize("tool", ["Agent", "Task"])
def test_a_sub_agent_that_the_project_defines_is_denied_by_both_names_of_the_tool(
    hook: Hook, tool: str
) -> None:
    reason = reason_in(hook.run(hook.event("custom", tool)))

    assert 'agent "custom"' in reason
    assert "invoke tool of agent-pool" in reason


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_sub_agent_that_the_user_defines_is_denied_however_its_name_is_encoded(
    hook: Hook, form: Literal["NFC", "NFD"]
) -> None:
    name = unicodedata.normalize(form, "résumé writer")

    assert unicodedata.normalize("NFC", name) in reason_in(hook.run(hook.event(name)))


def test_the_project_is_the_one_in_which_claude_code_was_started(
    hook: Hook, tmp_path: Path
) -> None:
    event = {**hook.event("custom"), "cwd": str(tmp_path)}

    assert hook.run(event, tmp_path) == ""
    assert reason_in(hook.run(event, tmp_path, CLAUDE_PROJECT_DIR=str(hook.project.folder)))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("general-purpose", id="built into Claude Code"),
        pytest.param("Explore", id="also built into it"),
        pytest.param("some-plugin:reviewer", id="a plugin's"),
        pytest.param("nobody", id="nobody's"),
        pytest.param("", id="without a name"),
        pytest.param("debugger", id="built into the pool"),
        pytest.param("broken", id="broken"),
        pytest.param("fragile", id="down"),
    ],
)
def test_a_sub_agent_that_is_not_custom_or_that_the_pool_cannot_run_passes(
    hook: Hook, name: str
) -> None:
    assert hook.run(hook.event(name)) == ""


def test_a_call_that_asks_for_isolation_passes_since_the_pool_has_none(hook: Hook) -> None:
    assert hook.run(hook.event("custom", isolation="worktree")) == ""


def test_another_tool_passes_whatever_its_input_is_called(hook: Hook) -> None:
    assert hook.run(hook.event("custom", "Bash")) == ""


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no", "false"])
def test_it_can_be_switched_off(hook: Hook, word: str) -> None:
    assert hook.run(hook.event("custom"), AGENT_POOL_HOOK=word) == ""


@pytest.mark.parametrize("word", ["on", "1"])
def test_another_word_leaves_it_on(hook: Hook, word: str) -> None:
    assert reason_in(hook.run(hook.event("custom"), AGENT_POOL_HOOK=word))


def test_a_call_of_one_of_the_pools_own_agents_passes(hook: Hook) -> None:
    assert hook.run(hook.event("custom"), AGENT_POOL_TAG="a-tag") == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"Agent"',
        b"{}",
        b'{"tool_name": "Agent"}',
        b'{"tool_name": "Agent", "tool_input": null}',
        b'{"tool_name": "Agent", "tool_input": {"prompt": "no type"}, "cwd": "/"}',
        b'{"tool_name": "Agent", "tool_input": {"subagent_type": 7}, "cwd": "/"}',
        b'{"tool_name": "Agent", "tool_input": {"subagent_type": "custom"}}',
        b'{"tool_name": ["Agent"], "tool_input": {"subagent_type": "custom"}, "cwd": "/"}',
        b"[" * 100_000,
    ],
    ids=range(14),
)
def test_what_is_no_call_of_the_tool_passes_in_silence(hook: Hook, raw: bytes) -> None:
    assert hook.run(raw) == ""


def test_without_a_pool_everything_passes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write_agent("custom")

    assert Hook(project).run(Hook(project).event("custom")) == ""
    assert not any(project.state.iterdir()), "it left something in the state folder"


def test_a_pool_with_a_mistake_in_its_configuration_lets_everything_pass(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write_agent("custom")
    project.write_config("[pool]\nno_such_key = 1\n")

    async def play() -> str:
        hook = Hook(project)
        async with project.connect():
            return await trio.to_thread.run_sync(hook.run, hook.event("custom"))

    try:
        assert trio.run(play) == ""
    finally:
        trio.run(project.close)


def test_a_pool_that_does_not_answer_holds_nothing_up(hook: Hook) -> None:
    pid = hook.project.pool_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        assert hook.run(hook.event("custom")) == ""
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_stdin_that_never_ends_holds_nothing_up(hook: Hook) -> None:
    reader, writer = os.pipe()
    try:
        done = subprocess.run(
            HOOK,
            stdin=reader,
            env=hook.project.environment(),
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    finally:
        os.close(reader)
        os.close(writer)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_it_starts_neither_the_sdk_nor_trio() -> None:
    code = "import sys, supervisor.cli._hook; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"mcp", "trio", "pydantic", "yaml", "asyncio"} & set(loaded)
