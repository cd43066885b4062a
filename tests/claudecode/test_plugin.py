"""The plugin: it is valid, Claude Code loads it, its hook sends custom sub-agents to the pool."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor import __version__
from tests.claudecode.stage import (
    BY_PLUGIN,
    INVOKE_BY_PLUGIN,
    PLUGIN,
    ROOT,
    SERVER,
    Claude,
    Stage,
    init_of,
    native,
    use,
)

COMMANDS = {
    f"agent-pool:{name}" for name in ("delegate", "pool-failures", "pool-status", "review-change")
}
PROMPTS = {
    f"mcp__plugin_agent-pool_agent-pool__{name}" for name in ("delegate", "failures", "status")
}
"""Claude Code makes a command of each."""


pytestmark = pytest.mark.xdist_group("claude with the plugin")


@pytest.fixture(scope="module")
def claude(shared: Stage) -> Iterator[Claude]:
    """The Claude Code that the gentle tests share; it has the plugin."""
    with shared.claude(*BY_PLUGIN) as session:
        yield session


def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PLUGIN / ".claude-plugin" / "plugin.json").read_text())
    return found


def test_the_plugin_has_the_version_of_the_package() -> None:
    assert manifest()["version"] == __version__


def test_the_plugin_starts_the_relay_and_has_claude_code_wait_for_it() -> None:
    assert manifest()["mcpServers"] == {"agent-pool": SERVER}


@pytest.mark.parametrize("path", [PLUGIN, ROOT], ids=["plugin", "marketplace"])
def test_claude_code_finds_it_strictly_valid(shared: Stage, path: Path) -> None:
    done = shared.plugin("validate", "--strict", str(path))

    assert done.returncode == 0, done.stdout + done.stderr


def test_claude_code_loads_the_tools_the_commands_the_prompts_and_nothing_else(
    shared: Stage, claude: Claude
) -> None:
    claude.task("With it.")
    with shared.claude() as bare:
        bare.task("Without it.")

    loaded, without = init_of(claude), init_of(bare)
    assert loaded["mcp_servers"] == [
        {"name": "plugin:agent-pool:agent-pool", "status": "connected"}
    ]
    assert INVOKE_BY_PLUGIN in loaded["tools"]
    added = {kind: set(loaded[kind]) - set(without[kind]) for kind in ("slash_commands", "agents")}
    assert added == {"slash_commands": COMMANDS | PROMPTS, "agents": set()}


def test_pool_status_tells_the_model_how_the_agents_do(
    shared: Stage, claude: Claude, agent: str
) -> None:
    result = claude.task("/agent-pool:pool-status")["result"]

    assert f"pool {shared.project.pool_pid()} " in result
    assert agent in result


def test_delegate_shows_the_model_the_agents_and_lets_it_use_the_pool_unasked(
    shared: Stage, agent: str
) -> None:
    order = use(INVOKE_BY_PLUGIN, agent=agent, task="[[say delegated]]")

    with shared.claude("--plugin-dir", str(PLUGIN)) as asked:
        result = asked.task(f"/agent-pool:delegate {order}")["result"]

    assert result.startswith("tool: delegated\n")
    (told,) = [r for r in shared.api.tasks if order in r.last_user_text() and not r.tool_results()]
    assert "Delegate this work to agents of the pool" in told.last_user_text()
    assert f"\n{agent} " in told.last_user_text()


def test_pool_failures_tells_the_model_which_tasks_failed_and_what_the_log_says(
    shared: Stage, claude: Claude, agent: str
) -> None:
    claude.task(use(INVOKE_BY_PLUGIN, agent=agent, task="[[bash kill -9 $PPID]]"))

    result = claude.task("/agent-pool:pool-failures")["result"]

    (row,) = [line for line in result.splitlines() if line.startswith("t-") and agent in line]
    assert "agent_crashed" in row
    assert re.search(rf"(warning|error) +{agent} ", result)


def test_pool_failures_needs_no_pool(stage: Stage) -> None:
    with stage.claude("--plugin-dir", str(PLUGIN), "--strict-mcp-config") as claude:
        result = claude.task("/agent-pool:pool-failures")["result"]

    assert "no pool of" in result
    assert "what failed, the gravest first" in result


def test_review_change_tells_the_model_what_has_changed_and_lets_it_use_the_pool_unasked(
    stage: Stage,
) -> None:
    folder = stage.project.folder
    (folder / "changed.py").write_text("x = 1\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    order = use(INVOKE_BY_PLUGIN, agent="worker", task="[[say reviewed]]")

    with stage.claude("--plugin-dir", str(PLUGIN)) as claude:
        result = claude.task(f"/agent-pool:review-change {order}")["result"]

    assert result.startswith("tool: reviewed\n")
    (told,) = [r for r in stage.api.tasks if order in r.last_user_text() and not r.tool_results()]
    assert "?? changed.py" in told.last_user_text()
    assert "security-reviewer" in told.last_user_text()


def test_a_custom_sub_agent_is_denied_and_the_model_is_told_of_a_tool_that_it_has(
    shared: Stage, claude: Claude, agent: str
) -> None:
    task = native(agent, f"never said to {agent}")

    claude.task(task)

    (reason,) = shared.seen(task)
    assert "the invoke tool of agent-pool" in reason
    assert f'agent "{agent}"' in reason
    assert INVOKE_BY_PLUGIN in shared.await_request(task).tool_names()
    assert not any(r.last_user_text() == f"never said to {agent}" for r in shared.api.tasks)


def test_a_built_in_sub_agent_passes(shared: Stage, claude: Claude) -> None:
    task = native("general-purpose", "[[say built in]]")

    claude.task(task)

    assert shared.seen(task)[0].startswith("built in")


def test_a_custom_sub_agent_passes_where_the_hook_is_switched_off(
    shared: Stage, agent: str
) -> None:
    task = native(agent, f"[[say as {agent}]]")

    with shared.claude(*BY_PLUGIN, AGENT_POOL_HOOK="off") as claude:
        claude.task(task)

    assert shared.seen(task)[0].startswith(f"as {agent}")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("exit 127", id="it cannot be started"),
        # As of one that does not know the command yet; to Claude Code, 2 means: deny.
        pytest.param("echo usage >&2; exit 2", id="it refuses the command"),
    ],
)
def test_a_custom_sub_agent_passes_where_agent_pool_does_not_work(stage: Stage, line: str) -> None:
    stage.write_command(line)
    task = native("worker", "[[say native]]")

    with stage.claude(*BY_PLUGIN) as claude:
        claude.task(task)

    assert stage.seen(task)[0].startswith("native")
