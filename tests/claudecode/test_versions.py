"""Claude Code of other versions as the client of a pool whose agents are of that version too."""

import json
from collections.abc import Iterator

import pytest

from tests.claudecode.conftest import opened
from tests.claudecode.stage import BY_CONFIG, Claude, Stage, init_of, invoke, use
from tests.client import LIMIT_S
from tests.realcli.fixtures import require
from tests.realcli.install import VERSIONS, asked_for


@pytest.fixture(scope="module", params=asked_for(VERSIONS))
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
