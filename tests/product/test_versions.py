"""The core of the product on older and newer versions of the real CLI.

How a context is reset, as measured: up to about 2.1.130 nothing in the CLI can, so every task has
a process of its own; then `/clear` does; from 2.1.197 on a rewind.
"""

import itertools
import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import trio

from tests.client import Client, Message
from tests.product.stage import Jobs, Stage, code_of, commands_with, pid_of, staged, text_of
from tests.realcli.fixtures import require
from tests.realcli.install import VERSIONS, asked_for

RESET_BY: Final = dict(
    zip(VERSIONS, ("new process", "new process", "/clear", "rewind"), strict=True)
)
TOO_OLD: Final = "2.0.37"


def on_one_worker(version: str) -> Any:
    """All that use one version's pool run where it is."""
    return pytest.param(version, marks=pytest.mark.xdist_group(f"version {version}"))


@pytest.fixture(scope="module", params=map(on_one_worker, asked_for(VERSIONS)))
def version(request: pytest.FixtureRequest) -> str:
    """A version of the real CLI; all of them where AGENT_POOL_TEST_ALL_VERSIONS=1 asks for it."""
    given: str = request.param
    return given


@pytest.fixture(scope="module")
def shared(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A pool of that version, for all tests of this module."""
    with staged(tmp_path_factory.mktemp("version"), require(version).argv) as stage:
        stage.configure('[pool]\nshutdown_grace = "100ms"\n')
        stage.write_agent("worker")
        yield stage


@pytest.fixture
async def client(shared: Stage) -> AsyncIterator[Client]:
    """A client of that pool."""
    async with shared.connect() as connected:
        yield connected


def is_as_promised(version: str, before: int, after: int) -> bool:
    """Whether two tasks of one agent had the processes that the version allows."""
    return (before != after) if RESET_BY[version] == "new process" else (before == after)


@dataclass(frozen=True)
class Served:
    """Four tasks of one agent, one after the other: in some versions each costs a process."""

    secret: str
    """In the first task, which has it said by a command."""
    texts: tuple[str, ...]
    """Of all tasks; from the second one on they differ in a word alone, and are as long."""
    answers: tuple[Message, ...]
    reset_by: str
    """What `list` says then of how the agent's context is reset."""


async def serve(stage: Stage) -> Served:
    secret, *words = (uuid.uuid4().hex for _ in range(4))
    texts = (f"[[bash echo {secret}]]", *(f"[[context]] [[say {word}]]" for word in words))
    async with stage.connect() as client:
        answers = [await client.call("invoke", agent="worker", task=text) for text in texts]
        reset_by = (await client.agent("worker"))["reset_by"]
    return Served(secret, texts, tuple(answers), reset_by)


@pytest.fixture(scope="module")
def served(shared: Stage) -> Served:
    """What several tests look at, each at something else."""
    return trio.run(serve, shared)


async def test_a_task_is_told_nothing_of_the_one_before(
    served: Served, shared: Stage, version: str
) -> None:
    first, *following = served.answers

    assert text_of(first) == f"bash: {served.secret}"
    for text, answer in zip(served.texts[1:], following, strict=True):
        word = text.removeprefix("[[context]] [[say ").removesuffix("]]")
        assert text_of(answer) == f"context: 0 user texts: []\n{word}"
        assert served.secret not in json.dumps((await shared.request_for(text)).body)
    for before, after in itertools.pairwise(map(pid_of, served.answers)):
        assert is_as_promised(version, before, after)


async def test_the_agent_has_its_prompt_and_its_tools(served: Served, shared: Stage) -> None:
    sent = await shared.request_for(served.texts[-1])
    assert sent.system_text().endswith("You are worker, and you do what you are told.")
    # 2.1.330 adds a placeholder that is never shown to the model.
    shown = [tool["name"] for tool in sent.body["tools"] if not tool.get("defer_loading")]
    assert shown == ["Bash"]


def test_equal_tasks_cost_the_same(served: Served) -> None:
    costs = [answer["_meta"]["cost_usd"] for answer in served.answers[1:]]

    assert costs[0] > 0
    assert costs == pytest.approx([costs[0]] * 3)


def test_after_a_task_list_knows_how_the_context_is_reset(served: Served, version: str) -> None:
    assert served.reset_by == RESET_BY[version]


async def test_a_cancelled_task_is_interrupted_and_forgotten(
    client: Client, shared: Stage, version: str
) -> None:
    warm = (await client.call("warmup", agent="worker"))["structuredContent"]
    hang = f"[[hang]] {uuid.uuid4().hex}"
    number, _ = await client.start_call("invoke", agent="worker", task=hang)
    hanging = await shared.request_for(hang)
    await client.cancel(number)
    await shared.request(lambda request: request is hanging and request.disconnected)
    following = await client.call("invoke", agent="worker", task="[[context]]")

    assert text_of(following) == "context: 0 user texts: []"
    assert is_as_promised(version, warm["pid"], pid_of(following))


async def test_nothing_is_left_when_the_pool_is_stopped_in_mid_task(
    client: Client, shared: Stage
) -> None:
    jobs = Jobs()
    task = f"[[bash {jobs.in_background()}\n{jobs.sleep()}]]"
    _, answer = await client.start_call("invoke", agent="worker", task=task)
    await jobs.all_run(6)
    await shared.project.stop()
    left = jobs.left()
    await client.wait_closed()

    assert left == []
    assert shared.project.processes() == []
    assert code_of(await answer) == "pool_stopping"


async def test_doctor_says_beforehand_how_the_context_will_be_reset(
    shared: Stage, version: str
) -> None:
    done = await shared.project.run("doctor", "--json", **shared.variables())
    found = json.loads(done.stdout)["findings"]
    words = "\n".join(one["message"] for one in found if one["key"] == "CLI")

    assert f"Claude Code {version}" in words
    assert ("each task costs a new process" in words) == (RESET_BY[version] == "new process")
    assert ("by /clear instead" in words) == (RESET_BY[version] == "/clear")


async def test_a_version_that_would_ignore_the_prompt_is_refused_and_not_started(
    stage: Stage,
) -> None:
    old = require(TOO_OLD)
    stage.extra["CLAUDE_CLI"] = " ".join(old.argv)
    async with stage.connect() as client:
        refused = await client.call("invoke", agent="worker", task="hello")
        warmup = await client.call("warmup", agent="worker")

        assert (code_of(refused), code_of(warmup)) == ("cli_too_old", "cli_too_old")
        words = refused["content"][0]["text"]
        assert TOO_OLD in words
        assert re.search(r"agents need 2\.0\.60 or newer", words)
        assert commands_with(str(old.path)) == []
    assert stage.logged("worker_started", "worker") == []
    assert stage.api.requests == ()
