"""The core of the product on older and newer versions of the real CLI.

How a context is reset, as measured: up to about 2.1.130 nothing in the CLI can, so every task has
a process of its own; then `/clear` does; from 2.1.197 on a rewind.
"""

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from tests.client import Client
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


async def reset_by(client: Client) -> str:
    agents = (await client.call("list"))["structuredContent"]["agents"]
    (found,) = [row["reset_by"] for row in agents if row["name"] == "worker"]
    return str(found)


async def test_a_task_is_told_nothing_of_the_one_before(
    client: Client, shared: Stage, version: str
) -> None:
    secret, following = uuid.uuid4().hex, uuid.uuid4().hex
    first = await client.call("invoke", agent="worker", task=f"[[bash echo {secret}]]")
    second = await client.call("invoke", agent="worker", task=f"[[context]] [[say {following}]]")

    assert text_of(first) == f"bash: {secret}"
    assert text_of(second) == f"context: 0 user texts: []\n{following}"
    sent = await shared.request(lambda request: following in request.last_user_text())
    assert secret not in json.dumps(sent.body)
    assert is_as_promised(version, pid_of(first), pid_of(second))


async def test_the_agent_has_its_prompt_and_its_tools(client: Client, shared: Stage) -> None:
    task = uuid.uuid4().hex
    await client.call("invoke", agent="worker", task=task)

    sent = await shared.request_for(task)
    assert sent.system_text().endswith("You are worker, and you do what you are told.")
    # 2.1.330 adds a placeholder that is never shown to the model.
    shown = [tool["name"] for tool in sent.body["tools"] if not tool.get("defer_loading")]
    assert shown == ["Bash"]


async def test_equal_tasks_cost_the_same_and_list_knows_then_how_the_context_is_reset(
    client: Client, version: str
) -> None:
    results = [await client.call("invoke", agent="worker", task="[[size 400]]") for _ in range(3)]

    costs = [result["_meta"]["cost_usd"] for result in results]
    assert costs[0] > 0
    assert costs == pytest.approx([costs[0]] * 3)
    assert await reset_by(client) == RESET_BY[version]


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
