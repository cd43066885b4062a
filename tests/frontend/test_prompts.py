"""Prompts, and what their arguments and those of resources may be completed to."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.client import LIMIT_S
from tests.frontend.stage import HANDSHAKE_VERSIONS, MODERN_VERSION, Raw, Stage, serving

VERSIONS = [*HANDSHAKE_VERSIONS, MODERN_VERSION]
PROMPT = "ref/prompt"
RESOURCE = "ref/resource"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with serving(tmp_path, coder="", Coda="", tester="") as stage:
        yield stage


async def prompt(client: Raw, name: str, **arguments: str) -> str:
    found = await client.result("prompts/get", name=name, arguments=arguments)
    (message,) = found["messages"]
    assert (message["role"], message["content"]["type"]) == ("user", "text")
    text: str = message["content"]["text"]
    return text


@pytest.mark.parametrize("version", VERSIONS)
async def test_there_are_three_prompts_whose_arguments_may_be_left_out(
    stage: Stage, version: str
) -> None:
    async with stage.raw(version) as client:
        listed = (await client.result("prompts/list"))["prompts"]

        assert [one["name"] for one in listed] == ["status", "failures", "delegate"]
        assert [one["name"] for one in listed[2]["arguments"]] == ["agent", "work"]
        for one in listed:
            assert one["description"]
            assert not any(argument.get("required") for argument in one.get("arguments", []))
            assert await prompt(client, one["name"])


async def test_the_status_has_what_the_pool_knows(stage: Stage) -> None:
    await stage.pool.warmup("coder")
    async with stage.raw() as client:
        text = await prompt(client, "status")

        assert '{"name": "coder", "state": "idle"' in text
        assert "tester" in next(line for line in text.splitlines() if line.startswith("Not st"))


async def test_the_failures_are_the_newest_with_their_errors_and_the_log(stage: Stage) -> None:
    for number in range(7):
        task = await stage.pool.submit("coder", f"[[hang]] number {number}")
        stage.pool.cancel(task)
    done = await stage.pool.submit("tester", "[[say fine]] all is well")
    with trio.fail_after(LIMIT_S):
        await stage.pool.recorded(done)
    stage.log(agent="coder", level="error", event="agent_down")
    stage.log(agent="coder", level="info", event="of_no_interest")
    async with stage.raw() as client:
        text = await prompt(client, "failures")

        assert text.count("cancelled: the task was cancelled") == 5
        assert "number 6" in text
        assert "number 1" not in text
        assert "all is well" not in text
        assert "error coder agent_down" in text
        assert "of_no_interest" not in text


async def test_the_failures_of_one_agent_are_its_own(stage: Stage) -> None:
    for agent in ("coder", "tester"):
        stage.pool.cancel(await stage.pool.submit(agent, f"[[hang]] for {agent}"))
    async with stage.raw() as client:
        text = await prompt(client, "failures", agent="tester")

        assert "for tester" in text
        assert "for coder" not in text


async def test_to_delegate_names_the_agent_and_the_work(stage: Stage) -> None:
    async with stage.raw() as client:
        text = await prompt(client, "delegate", agent="coder", work="Mend the parser.")

        assert "to the agent coder (The agent coder.)" in text
        assert "this work: Mend the parser." in text


async def test_to_delegate_without_an_agent_lists_those_there_are(stage: Stage) -> None:
    async with stage.raw() as client:
        text = await prompt(client, "delegate", agent="  ")

        assert "- coder: The agent coder." in text
        assert "- tester: The agent tester." in text


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("delegat", {}, "there are: status, failures, delegate"),
        ("status", {"agent": "coder"}, 'has no argument "agent"; it has: none'),
        ("failures", {"agent": "codr"}, 'there is no agent "codr"'),
        ("delegate", {"agent": "codr"}, 'there is no agent "codr"'),
    ],
)
async def test_a_wrong_prompt_is_an_error_that_says_what_there_is(
    stage: Stage, name: str, arguments: dict[str, str], said: str
) -> None:
    async with stage.raw() as client:
        answer = await client.request("prompts/get", name=name, arguments=arguments)

        assert answer["error"]["code"] == -32602
        assert said in answer["error"]["message"]


# completion


async def complete(client: Raw, ref: dict[str, str], name: str, value: str) -> list[str]:
    argument = {"name": name, "value": value}
    found = await client.result("completion/complete", ref=ref, argument=argument)
    values: list[str] = found["completion"]["values"]
    return values


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ({"type": PROMPT, "name": "delegate"}, "agent"),
        ({"type": PROMPT, "name": "failures"}, "agent"),
        ({"type": RESOURCE, "uri": "pool://agents/{name}"}, "name"),
        ({"type": RESOURCE, "uri": "pool://logs/{agent}"}, "agent"),
    ],
)
async def test_agents_names_are_completed(
    stage: Stage, version: str, ref: dict[str, str], name: str
) -> None:
    async with stage.raw(version) as client:
        assert await complete(client, ref, name, "cod") == [
            "Coda", "code-explorer", "code-reviewer", "coder",
        ]  # fmt: skip


async def test_ids_of_tasks_are_completed_the_newest_first(stage: Stage) -> None:
    tasks = [await stage.pool.submit("coder", "[[hang]]") for _ in range(3)]
    ref = {"type": RESOURCE, "uri": "pool://tasks/{id}"}
    async with stage.raw() as client:
        assert await complete(client, ref, "id", "t-") == [task.id for task in tasks[::-1]]
        assert await complete(client, ref, "id", tasks[1].id) == [tasks[1].id]


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ({"type": PROMPT, "name": "delegate"}, "work"),
        ({"type": PROMPT, "name": "nothing"}, "agent"),
        ({"type": RESOURCE, "uri": "pool://agents/{name}"}, "agent"),
        ({"type": RESOURCE, "uri": "pool://else/{name}"}, "name"),
    ],
)
async def test_what_has_no_known_values_is_completed_to_none(
    stage: Stage, ref: dict[str, str], name: str
) -> None:
    async with stage.raw() as client:
        assert await complete(client, ref, name, "") == []


async def test_no_more_than_a_hundred_values_come_at_once(stage: Stage) -> None:
    for number in range(120):
        stage.project.write_agent(f"zz-{number:03}")
    ref: dict[str, Any] = {"type": PROMPT, "name": "delegate"}
    async with stage.raw() as client:
        argument = {"name": "agent", "value": "zz-"}
        found = await client.result("completion/complete", ref=ref, argument=argument)

        completion = found["completion"]
        assert len(completion["values"]) == 100
        assert (completion["total"], completion["hasMore"]) == (120, True)


async def test_the_client_of_the_sdk_completes_and_gets_prompts(stage: Stage) -> None:
    for mode in ("legacy", "auto"):
        async with stage.client(mode) as client:
            found = await client.get_prompt("delegate", {"agent": "coder"})
            assert "coder" in str(found.messages[0].content)
