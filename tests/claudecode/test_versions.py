"""Claude Code of other versions as the client of a pool whose agents are of that version too."""

import json
from collections.abc import Iterator

import pytest

from tests.claudecode.conftest import opened
from tests.claudecode.stage import (
    BY_CONFIG,
    INVOKE_BY_PLUGIN,
    Claude,
    Stage,
    init_of,
    invoke,
    native,
    use,
)
from tests.client import LIMIT_S
from tests.realcli.fixtures import require
from tests.realcli.install import DEFAULT_VERSION, VERSIONS, asked_for

TRIED = asked_for((*VERSIONS[:-1], DEFAULT_VERSION, VERSIONS[-1]))


@pytest.fixture(
    scope="module",
    params=[pytest.param(one, marks=pytest.mark.xdist_group(f"claude {one}")) for one in TRIED],
)
def version(request: pytest.FixtureRequest) -> str:
    """A version; all of them where AGENT_POOL_TEST_ALL_VERSIONS=1 asks for it."""
    given: str = request.param
    return given


@pytest.fixture(scope="module")
def stage(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A pool of that version, for all tests of this module."""
    yield from opened(tmp_path_factory.mktemp("v"), require(version))


@pytest.fixture(scope="module")
def claude(stage: Stage, version: str) -> Iterator[Claude]:
    """Claude Code of that version."""
    with stage.claude(*BY_CONFIG) as session:
        yield session


def tools(name: str) -> str:
    return f"mcp__agent-pool__{name}"


def test_it_connects_and_lists_the_tools(claude: Claude, version: str) -> None:
    claude.task("Are you connected?")

    loaded = init_of(claude)
    # The oldest ones do not say what they are.
    assert loaded.get("claude_code_version", version) == version
    (server,) = loaded["mcp_servers"]
    assert (server["name"], server["status"]) == ("agent-pool", "connected")
    eight = ("invoke", "invoke_many", "submit", "wait", "result", "list", "warmup", "reset")
    assert {*map(tools, eight)} <= set(loaded["tools"])


def test_the_text_of_an_answer_reaches_the_model_and_nothing_else(
    stage: Stage, claude: Claude
) -> None:
    task = invoke("worker", "[[say forty-two]]")

    result = claude.task(task)

    assert stage.seen(task) == ["forty-two"]
    assert result["result"] == "tool: forty-two"


def test_a_record_reaches_the_model(stage: Stage, claude: Claude) -> None:
    task = use(tools("list"))

    claude.task(task)

    (said,) = stage.seen(task)
    assert "worker" in {agent["name"] for agent in json.loads(said)["agents"]}


def test_an_error_reaches_the_model_with_what_to_do(stage: Stage, claude: Claude) -> None:
    task = invoke("wroker", "anything")

    claude.task(task)

    (said,) = stage.seen(task)
    assert "unknown_agent" in said
    assert "Did you mean worker?" in said


def test_an_interrupt_cancels_the_task_and_the_next_one_is_answered(
    stage: Stage, claude: Claude
) -> None:
    task = "[[hang]] until it is interrupted"

    claude.give(invoke("worker", task))
    stage.await_request(task)
    claude.ask("interrupt")
    interrupted = claude.result()
    stage.api.wait_for_request(lambda r: r.last_user_text() == task and r.disconnected, LIMIT_S)
    following = claude.task(invoke("worker", "[[context]]"))

    assert interrupted["subtype"] == "error_during_execution"
    assert stage.logged("task_ended", outcome="cancelled")
    assert following["result"] == "tool: context: 0 user texts: []"


@pytest.fixture(scope="module")
def plugged(stage: Stage, version: str) -> Iterator[Claude]:
    """Claude Code of that version into which the plugin has been installed.

    The agents of the pool load it as well. They cannot ask the pool, though they can find it where
    the state folder is the user's usual one, as here.
    """
    usual = stage.project.home / ".local" / "state"
    usual.parent.mkdir()
    usual.symlink_to(stage.project.state)
    stage.install_plugin()
    # Its tool for sub-agents has had two names.
    allowed = ("--allowedTools", f"Agent,Task,{INVOKE_BY_PLUGIN}")
    with stage.claude(*allowed, XDG_STATE_HOME=str(usual)) as session:
        yield session


def tool_for_sub_agents(claude: Claude) -> str:
    claude.task("What have you?")
    return "Agent" if "Agent" in init_of(claude)["tools"] else "Task"


def test_the_plugin_that_is_installed_brings_its_tools_and_commands(plugged: Claude) -> None:
    plugged.task("What have you?")

    loaded = init_of(plugged)
    commands = ("delegate", "pool-failures", "pool-status", "review-change")
    assert INVOKE_BY_PLUGIN in loaded["tools"]
    assert {f"agent-pool:{command}" for command in commands} <= set(loaded["slash_commands"])


@pytest.mark.parametrize("command", ["pool-status", "pool-failures"])
def test_a_command_of_the_plugin_tells_the_model_how_the_agents_do(
    stage: Stage, plugged: Claude, command: str
) -> None:
    result = plugged.task(f"/agent-pool:{command}")["result"]

    assert f"pool {stage.project.pool_pid()} " in result


@pytest.mark.parametrize("command", ["delegate", "review-change"])
def test_a_command_of_the_plugin_has_the_model_use_the_pool(plugged: Claude, command: str) -> None:
    order = use(INVOKE_BY_PLUGIN, agent="worker", task="[[say delegated]]")

    result = plugged.task(f"/agent-pool:{command} {order}")["result"]

    assert result.startswith("tool: delegated\n")


def test_the_plugin_sends_a_custom_sub_agent_to_the_pool(stage: Stage, plugged: Claude) -> None:
    task = native("worker", "never said", tool_for_sub_agents(plugged))

    plugged.task(task)

    (said,) = stage.seen(task)
    assert "the invoke tool of agent-pool" in said


def test_the_plugin_leaves_the_pools_own_agents_alone(stage: Stage, plugged: Claude) -> None:
    stage.project.write_agent("leader", "You lead.", "tools: Agent, Bash")
    order = native("worker", "[[bash echo at work]]", tool_for_sub_agents(plugged))

    result = plugged.task(use(INVOKE_BY_PLUGIN, agent="leader", task=order))["result"]

    assert "bash: at work" in result
