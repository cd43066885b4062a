"""That a task begins with a fresh context on the same process, and with the same prompt."""

import json
import os
import signal
import uuid
from functools import partial

import pytest
import trio

from tests.client import Client, Message
from tests.product.stage import Jobs, Stage, gone, pid_of, text_of

FRESH = "context: 0 user texts: []"
SDK_LINE = "You are a Claude agent, built on Anthropic's Claude Agent SDK."
"""What the CLI puts before every system prompt."""


async def test_two_tasks_back_to_back_have_one_process_and_nothing_in_common(
    client: Client, steady: str, shared: Stage
) -> None:
    first = await client.call("invoke", agent=steady, task=f"remember xyzzy-{steady}")
    second = await client.call("invoke", agent=steady, task=f"[[context]] [[say {steady}]]")

    assert text_of(first) == f"echo: remember xyzzy-{steady}"
    assert text_of(second).startswith(FRESH)
    assert pid_of(first) == pid_of(second)
    sent = await shared.request_for(f"[[context]] [[say {steady}]]")
    assert "xyzzy" not in json.dumps(sent.body)


@pytest.mark.parametrize(
    "before",
    ["[[bash echo {}]]", "[[error 400]] {}", "[[empty]] {}", "[[size 20000]] {}", "/clear {}"],
)
async def test_nothing_is_left_of_a_task_however_it_went(
    client: Client, steady: str, shared: Stage, before: str
) -> None:
    secret = uuid.uuid4().hex
    await client.call("invoke", agent=steady, task=before.format(secret))
    following = uuid.uuid4().hex
    await client.call("invoke", agent=steady, task=following)

    assert secret not in json.dumps((await shared.request_for(following)).body)


async def test_tasks_at_once_of_one_agent_get_each_their_own_answer(
    client: Client, steady: str
) -> None:
    results: dict[int, Message] = {}

    async def invoke(number: int) -> None:
        task = f"[[bash sleep 0.{number}]] [[context]] [[say n{number}]]"
        results[number] = await client.call("invoke", agent=steady, task=task)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(invoke, number)

    for number, result in results.items():
        assert text_of(result).endswith(f"{FRESH}\nn{number}")
    assert len({pid_of(result) for result in results.values()}) == 1


async def test_two_agents_work_side_by_side(client: Client, agent: str, shared: Stage) -> None:
    shared.write_agent(f"{agent}-b")
    number, hanging = await client.start_call("invoke", agent=agent, task=f"[[hang]] {agent}")
    await shared.request_for(f"[[hang]] {agent}")

    other = await client.call("invoke", agent=f"{agent}-b", task="hello")

    assert text_of(other) == "echo: hello"
    assert not hanging.come
    await client.cancel(number)
    await client.call("reset", agent=f"{agent}-b")


async def test_the_system_prompt_is_the_definitions(
    client: Client, agent: str, shared: Stage
) -> None:
    body = f"You are the {agent}.\n\n  Indented.\n\n- “quotes” and 世界"
    shared.write_agent(agent, body=body)

    await client.call("invoke", agent=agent, task=f"who {agent}")

    assert (await shared.request_for(f"who {agent}")).system_text() == f"{SDK_LINE}\n\n{body}"


@pytest.mark.parametrize(
    ("listed", "offered"),
    [
        ("Bash", ["Bash"]),
        ("Read, Edit, Write", ["Edit", "Read", "Write"]),
        ("[Read, 'Bash(git log:*)']", ["Bash", "Read"]),
    ],
)
async def test_exactly_the_listed_tools_are_offered_to_the_model(
    client: Client, agent: str, shared: Stage, listed: str, offered: list[str]
) -> None:
    shared.write_agent(agent, f"tools: {listed}")

    await client.call("invoke", agent=agent, task=f"tools {agent}")

    assert sorted((await shared.request_for(f"tools {agent}")).tool_names()) == offered


async def test_an_agent_without_a_list_may_read_and_edit_but_has_no_bash(
    client: Client, agent: str, shared: Stage
) -> None:
    shared.project.write_agent(agent)

    await client.call("invoke", agent=agent, task=f"tools {agent}")

    offered = set((await shared.request_for(f"tools {agent}")).tool_names())
    assert {"Read", "Edit", "Write"} <= offered
    assert "Bash" not in offered


async def test_the_prompts_first_part_stays_the_same_bytes_whatever_happens_between(
    client: Client, agent: str, shared: Stage
) -> None:
    pids = []

    async def prefix(step: str) -> str:
        pids.append(pid_of(await client.call("invoke", agent=agent, task=f"{step} {agent}")))
        sent = await shared.request_for(f"{step} {agent}")
        return json.dumps([sent.body["tools"], sent.body["system"]])

    first = await prefix("first")
    assert await prefix("after a reset of the context") == first
    shared.write_agent(agent, body="Somebody else.")
    assert await prefix("with another definition") != first
    shared.write_agent(agent)
    assert await prefix("after a recycle") == first
    await client.call("reset", agent=agent)
    assert await prefix("after the tool reset") == first
    os.kill(pids[-1], signal.SIGKILL)
    await gone(pids[-1])
    assert await prefix("after a restart") == first
    assert len(set(pids)) == 5


async def test_a_definition_edited_in_mid_task_takes_effect_at_the_next_one(
    client: Client, agent: str, shared: Stage
) -> None:
    invoke = partial(client.call, "invoke", agent=agent)
    _, first = await client.start_call(
        "invoke",
        agent=agent,
        task=f"[[bash until [ -e {agent}.go ]; do sleep 0.05; done]][[system]]",
    )
    await shared.request(lambda request: f"{agent}.go" in request.last_user_text())
    shared.write_agent(agent, "tools: Read", body="You are new.")
    (shared.project.folder / f"{agent}.go").touch()
    before = await first
    after = await invoke(task=f"[[system]] {agent}")

    assert f"You are {agent}" in text_of(before)
    assert "You are new." in text_of(after)
    assert (await shared.request_for(f"[[system]] {agent}")).tool_names() == ["Read"]
    assert pid_of(before) != pid_of(after)


async def test_a_definition_that_is_broken_and_mended_is_told_and_served_as_before(
    client: Client, agent: str, shared: Stage
) -> None:
    before = await client.call("invoke", agent=agent, task="hello")
    path = shared.write_agent(agent, "tools: [Bash")
    broken = await client.call("invoke", agent=agent, task="hello")
    (warning,) = (await client.agent(agent))["warnings"]
    shared.write_agent(agent)
    mended = await client.call("invoke", agent=agent, task="hello")

    assert [text_of(one) for one in (before, broken, mended)] == ["echo: hello"] * 3
    assert pid_of(before) == pid_of(broken) == pid_of(mended)
    assert str(path.resolve()) in warning


async def test_what_a_task_left_running_does_not_live_into_the_next(
    client: Client, agent: str
) -> None:
    jobs = Jobs()
    first = await client.call("invoke", agent=agent, task=f"[[bash {jobs.in_background()}]]")
    second = await client.call("invoke", agent=agent, task="[[context]]")

    text_of(second)
    assert pid_of(second) == pid_of(first)
    assert jobs.left() == []
