"""Several calls in one message of the model: those that only look run side by side."""

import json
from collections.abc import Iterator

import pytest

from tests.claudecode.conftest import opened
from tests.claudecode.stage import BY_CONFIG, Claude, Stage
from tests.realcli.fixtures import require
from tests.realcli.install import VERSIONS

pytestmark = pytest.mark.xdist_group("consultations")

READERS = ("reader", "watcher")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A pool with two agents that cannot change anything; the newest version."""
    told = '[frontend]\ntools = ["invoke", "consult"]\n'
    for stage in opened(tmp_path_factory.mktemp("q"), require(VERSIONS[-1]), told):
        for name in READERS:
            stage.project.write_agent(name, f"You are the {name}.", "tools: Read")
        yield stage


@pytest.fixture(scope="module")
def claude(stage: Stage) -> Iterator[Claude]:
    with stage.claude(*BY_CONFIG) as session:
        yield session


def one_message(tool: str, *tasks: str) -> str:
    """A task whose model hands one piece to each reader, all in one message."""
    calls = [
        f"mcp__agent-pool__{tool} {json.dumps({'agent': agent, 'task': task})}"
        for agent, task in zip(READERS, tasks, strict=True)
    ]
    return f"[[tool {' '.join(calls)}]]"


def test_two_consultations_are_with_their_agents_at_the_same_time(
    stage: Stage, claude: Claude
) -> None:
    claude.give(one_message("consult", "[[hang]] one", "[[hang]] two"))
    both = [stage.await_request(task) for task in ("[[hang]] one", "[[hang]] two")]
    unanswered = [not (request.answered or request.disconnected) for request in both]
    claude.ask("interrupt")
    claude.result()

    assert unanswered == [True, True]


def test_each_consultation_is_given_its_own_answer(stage: Stage, claude: Claude) -> None:
    task = one_message("consult", "[[sleep 0.2]][[say one]]", "[[say two]]")

    claude.task(task)

    assert stage.seen(task) == ["one", "two"]


def test_the_second_of_two_invocations_begins_when_the_first_has_ended(
    stage: Stage, claude: Claude
) -> None:
    task = one_message("invoke", "[[sleep 0.2]][[say first]]", "[[say second]]")

    claude.task(task)

    assert stage.seen(task) == ["first", "second"]
    begun = [line["agent"] for line in stage.logged("task_started")][-2:]
    assert begun == list(READERS)
    events = [(line["event"], line.get("agent")) for line in stage.project.log_lines()]
    ended = len(events) - 1 - events[::-1].index(("task_ended", "reader"))
    started = len(events) - 1 - events[::-1].index(("task_started", "watcher"))
    assert ended < started
