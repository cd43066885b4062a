"""What Claude Code makes of the server's other sides: long answers, prompts, resources."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.claudecode.stage import BY_CONFIG, Claude, Stage, init_of, use

pytestmark = pytest.mark.xdist_group("claude as configured")


@pytest.fixture(scope="module")
def claude(shared: Stage) -> Iterator[Claude]:
    """The Claude Code that the tests share."""
    with shared.claude(*BY_CONFIG) as session:
        yield session


def invoked(shared: Stage, claude: Claude, **asked: Any) -> str:
    """What the model is sent as the result of `invoke`."""
    task = use("mcp__agent-pool__invoke", agent="worker", **asked)
    claude.task(task)
    (seen,) = shared.seen(task)
    return seen


def test_a_long_answer_that_is_wanted_whole_reaches_the_model_whole(
    shared: Stage, claude: Claude
) -> None:
    assert len(invoked(shared, claude, task="[[size 300000]]", reply="full")) == 300_000


def test_of_one_beyond_its_limit_the_model_is_told_how_to_read_it(
    shared: Stage, claude: Claude
) -> None:
    seen = invoked(shared, claude, task="[[size 510000]]", reply="full")

    assert len(seen) < 10_000
    assert "[agent-pool] This answer has 510,000 characters" in seen
    assert "part=1 to 17" in seen


def test_the_prompts_are_commands(claude: Claude) -> None:
    claude.task("hello")

    assert {f"mcp__agent-pool__{name}" for name in ("status", "failures", "delegate")} <= set(
        init_of(claude)["slash_commands"]
    )


def test_a_prompt_is_put_to_the_model_with_what_the_pool_knows(
    shared: Stage, claude: Claude
) -> None:
    claude.task("/mcp__agent-pool__delegate worker")

    asked = [request.last_user_text() for request in shared.api.tasks]
    assert any("to the agent worker (The agent worker.)" in text for text in asked)


def test_the_model_can_read_a_resource(shared: Stage, claude: Claude) -> None:
    task = use("ReadMcpResourceTool", server="agent-pool", uri="pool://agents/worker")
    claude.task(task)

    (seen,) = shared.seen(task)
    (content,) = json.loads(seen)["contents"]
    assert json.loads(content["text"])["name"] == "worker"
