"""`permission_mode = "ask"` with the real CLI: what it asks for is put to who called."""

import json

import pytest

from tests.client import Client
from tests.product.stage import Stage, text_of


@pytest.fixture
def asker(agent: str, shared: Stage) -> str:
    """An agent in the shared pool that asks, and that no other test has."""
    shared.write_agent(agent, "permissionMode: ask")
    return agent


async def test_bash_is_asked_for_allowed_once_and_denied_the_next_time(
    shared: Stage, asker: str
) -> None:
    allowed, denied = (f"{asker}-{number}" for number in (1, 2))
    async with shared.project.connect_asking(**shared.variables()) as client:
        _, first = await client.start_call("invoke", agent=asker, task=f"[[bash touch {allowed}]]")
        question = await client.question()
        assert f"  | touch {allowed}" in question["params"]["message"].split("\n")
        await client.answer(question, answer="allow once")
        assert "Refused" not in text_of(await first)
        assert (shared.project.folder / allowed).exists()

        _, second = await client.start_call("invoke", agent=asker, task=f"[[bash touch {denied}]]")
        await client.answer(await client.question(1), answer="deny")
        last = text_of(await second).splitlines()[-1]
        assert f"Refused: Bash (touch {denied}): the user was asked, and denied it" in last
        assert not (shared.project.folder / denied).exists()


async def test_what_is_allowed_for_one_task_is_asked_for_in_the_next(
    shared: Stage, asker: str
) -> None:
    twice = "[[bash touch {0}-{1}-a]] [[bash touch {0}-{1}-b]]"
    async with shared.project.connect_asking(**shared.variables()) as client:
        _, first = await client.start_call("invoke", agent=asker, task=twice.format(asker, 1))
        await client.answer(await client.question(), answer="allow for this task")
        text_of(await first)
        _, second = await client.start_call("invoke", agent=asker, task=twice.format(asker, 2))
        await client.answer(await client.question(1), answer="allow for this task")
        text_of(await second)

    assert len(client.questions) == 2
    made = {path.name for path in shared.project.folder.glob(f"{asker}-*")}
    assert made == {f"{asker}-{which}" for which in ("1-a", "1-b", "2-a", "2-b")}


async def test_a_task_that_is_cancelled_while_it_asks_leaves_an_agent_that_works(
    shared: Stage, asker: str
) -> None:
    async with shared.project.connect_asking(**shared.variables()) as client:
        number, _ = await client.start_call("invoke", agent=asker, task=f"[[bash touch {asker}]]")
        await client.question()
        pid = (await client.agent(asker))["pid"]
        await client.cancel(number)

        assert text_of(await client.call("invoke", agent=asker, task="[[context]]")) == (
            "context: 0 user texts: []"
        )
        assert (await client.agent(asker))["pid"] == pid
    assert not (shared.project.folder / asker).exists()


async def test_a_rule_is_not_asked_for_and_nobody_to_ask_is_a_denial(
    client: Client, shared: Stage, agent: str
) -> None:
    shared.write_agent(agent, "permissionMode: ask", "tools: Write(*), Bash")
    write = json.dumps({"file_path": f"{agent}-written", "content": "x"})
    text_of(await client.call("invoke", agent=agent, task=f"[[tool Write {write}]]"))
    denied = text_of(await client.call("invoke", agent=agent, task=f"[[bash touch {agent}-made]]"))

    assert (shared.project.folder / f"{agent}-written").exists()
    assert "nobody to ask: the client that called shows no questions" in denied
