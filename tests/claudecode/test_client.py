"""Claude Code, set up as the README says, hands tasks to agents and is given their answers."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.claudecode.stage import BY_CONFIG, Claude, Stage, init_of, invoke

pytestmark = pytest.mark.xdist_group("claude as configured")


@pytest.fixture(scope="module")
def claude(shared: Stage) -> Iterator[Claude]:
    """The Claude Code that the tests share."""
    with shared.claude(*BY_CONFIG) as session:
        yield session


def test_claude_code_reports_the_server_as_connected(claude: Claude) -> None:
    claude.task("Are you connected?")

    assert init_of(claude)["mcp_servers"] == [{"name": "agent-pool", "status": "connected"}]


def test_the_model_is_sent_the_agents_answer_and_nothing_else(
    shared: Stage, claude: Claude
) -> None:
    task = invoke("worker", "[[say forty-two]]")

    result = claude.task(task)

    assert shared.seen(task) == ["forty-two"]
    assert result["result"] == "tool: forty-two"


def test_the_agent_that_answers_is_the_real_cli_in_its_own_role(
    shared: Stage, claude: Claude
) -> None:
    claude.task(invoke("worker", "who are you?"))

    request = shared.await_request("who are you?")
    assert request.system_text().endswith("You are the worker.")
    assert request.tool_names() == ["Bash"]
    assert request.headers["user-agent"].startswith("claude-cli/")


def test_the_agent_works_in_the_folder_in_which_claude_code_was_started(
    shared: Stage, claude: Claude
) -> None:
    task = invoke("worker", "[[bash pwd]]")

    claude.task(task)

    assert shared.seen(task) == [f"bash: {shared.project.folder.resolve()}"]


def test_the_agent_sees_nothing_of_the_conversation_that_it_was_called_from(
    shared: Stage, claude: Claude
) -> None:
    task = invoke("worker", "[[context]]")

    claude.task("A secret of the user's.")
    claude.task(task)

    assert shared.seen(task) == ["context: 0 user texts: []"]


def test_an_error_reaches_the_model_with_its_code_and_what_to_do(
    shared: Stage, claude: Claude
) -> None:
    task = invoke("wroker", "anything")

    claude.task(task)

    (said,) = shared.seen(task)
    assert said.startswith("unknown_agent")
    assert "Did you mean worker?" in said


def test_two_that_start_at_once_share_one_pool_and_each_is_given_its_own_answer(
    stage: Stage,
) -> None:
    stage.project.write_agent("other", "You are the other.")
    tasks = [invoke("worker", "[[sleep 1]][[say one]]"), invoke("other", "[[sleep 1]][[say two]]")]

    with ExitStack() as stack:
        both = [stack.enter_context(stage.claude(*BY_CONFIG)) for _ in tasks]
        for claude, task in zip(both, tasks, strict=True):
            claude.give(task)
        answers = [claude.result()["result"] for claude in both]

    assert answers == ["tool: one", "tool: two"]
    (started,) = stage.logged("pool_started")
    assert started["pid"] == stage.project.pool_pid()


def test_two_that_want_the_same_agent_are_served_one_after_the_other(shared: Stage) -> None:
    tasks = [invoke("worker", f"[[bash echo {name}]]") for name in ("left", "right")]

    with ExitStack() as stack:
        both = [stack.enter_context(shared.claude(*BY_CONFIG)) for _ in tasks]
        for claude, task in zip(both, tasks, strict=True):
            claude.give(task)
        answers = [claude.result()["result"] for claude in both]

    assert answers == ["tool: bash: left", "tool: bash: right"]


def test_a_pool_that_was_stopped_is_started_again_by_the_next_call(stage: Stage) -> None:
    with stage.claude(*BY_CONFIG) as claude:
        claude.task(invoke("worker", "[[say before]]"))
        (first,) = stage.logged("pool_started")
        stage.run("stop")
        result = claude.task(invoke("worker", "[[say after]]"))

    assert result["result"] == "tool: after"
    assert stage.logged("pool_started", 2)[1]["pid"] != first["pid"]
