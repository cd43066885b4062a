"""What a task's answer is: the agent's own text, and a record of this task beside it."""

import json
import shlex
from pathlib import Path

import pytest
import trio

from tests.client import Client, Message, until
from tests.product.stage import Stage, pid_of, text_of


async def test_the_answer_is_the_agents_text_and_nothing_else(client: Client, steady: str) -> None:
    result = await client.call("invoke", agent=steady, task="hello")

    assert result["content"] == [{"type": "text", "text": "echo: hello"}]
    assert "structuredContent" not in result
    assert not result.get("isError")


async def test_the_record_tells_of_this_task_and_its_process(client: Client, steady: str) -> None:
    warm = await client.call("warmup", agent=steady)
    result = await client.call("invoke", agent=steady, task="12345678")

    record = result["_meta"]
    assert record["task_id"]
    assert record["session_id"]
    assert (record["agent"], record["attempts"]) == (steady, 1)
    assert record["pid"] == warm["structuredContent"]["pid"]
    assert 0 < record["duration_s"] < 60
    assert record["usage"]["input_tokens"] == 2
    assert record["usage"]["output_tokens"] == 4
    assert record["cost_usd"] > 0


async def test_no_two_tasks_have_the_same_id(client: Client, steady: str) -> None:
    results = [await client.call("invoke", agent=steady, task="hello") for _ in range(2)]

    assert len({result["_meta"]["task_id"] for result in results}) == 2


async def test_costs_of_three_tasks_are_their_own_and_add_up_to_the_clis_total(
    stage: Stage, tmp_path: Path
) -> None:
    heard = tmp_path / "heard.jsonl"
    listening = tmp_path / "listening"
    listening.write_text(
        f'#!/bin/bash\nexec {shlex.join(stage.cli)} "$@" > >(exec tee -a {shlex.quote(str(heard))})'
    )
    listening.chmod(0o755)
    async with stage.connect(CLAUDE_CLI=str(listening)) as client:
        results = [
            await client.call("invoke", agent="worker", task=task)
            for task in ("[[size 400]]", "[[size 4000]]", "[[size 400]]")
        ]

    costs = [result["_meta"]["cost_usd"] for result in results]

    def told() -> list[float]:
        """The CLI's totals so far: `tee` hands a line on before it writes it down."""
        whole = (line for line in heard.read_bytes().splitlines(True) if line.endswith(b"\n"))
        heard_of = [json.loads(line) for line in whole]
        return [line["total_cost_usd"] for line in heard_of if line["type"] == "result"]

    assert len({pid_of(result) for result in results}) == 1
    await until(lambda: told()[-1:] == [pytest.approx(sum(costs))], "the same total")
    assert costs[2] == pytest.approx(costs[0])
    assert costs[1] > 5 * costs[0]


async def test_an_empty_answer_is_an_empty_text(client: Client, steady: str) -> None:
    assert text_of(await client.call("invoke", agent=steady, task="[[empty]]")) == ""


async def test_an_answer_of_20_kb_comes_whole(client: Client, steady: str) -> None:
    assert (
        text_of(await client.call("invoke", agent=steady, task="[[size 20000]]", reply="full"))
        == "x" * 20000
    )


async def test_an_answer_keeps_every_character(client: Client, steady: str) -> None:
    said = 'Grüße, 世界, 👩‍🚀 \u2028 \u0085 שלום \\n "quoted"\n\tnext'

    assert text_of(await client.call("invoke", agent=steady, task=f"[[say {said}]]")) == said


@pytest.mark.parametrize("task", ["/clear", "/compact now", "/usr/bin/env", "/", "/help"])
async def test_a_task_that_begins_with_a_slash_reaches_the_model(
    client: Client, steady: str, shared: Stage, task: str
) -> None:
    written = f"{task} {steady}"

    assert text_of(await client.call("invoke", agent=steady, task=written)).endswith(written)
    assert (await shared.request_for(written)).task_texts() == [f" {written}"]


async def test_a_refused_use_of_a_tool_is_named_with_the_setting_that_would_allow_it(
    client: Client, agent: str, shared: Stage
) -> None:
    definition = shared.write_agent(agent, "tools: Bash(git log:*)")
    result = await client.call("invoke", agent=agent, task="[[bash python3 -c 1]] done")

    *_, last = text_of(result).splitlines()
    assert "echo: done" in text_of(result)
    assert "Refused for lack of permission: Bash (python3 -c 1)." in last
    assert f"list Bash under `tools:` in {definition.resolve()}" in last


async def test_who_follows_that_advice_gets_the_permission(
    client: Client, agent: str, shared: Stage
) -> None:
    outside = shared.project.home / f"{agent}.txt"
    write = json.dumps({"file_path": str(outside), "content": "written"})
    task = f"[[tool Write {write}]]"

    shared.write_agent(agent, "tools: Read")
    shared.project.write_agent(agent)  # without a list: editing within the project alone
    refused = text_of(await client.call("invoke", agent=agent, task=task))
    assert "list Write under `tools:`" in refused
    assert not outside.exists()
    shared.write_agent(agent, "tools: Write")
    allowed = text_of(await client.call("invoke", agent=agent, task=task))

    assert "Refused" not in allowed
    assert outside.read_text() == "written"


async def test_an_answer_without_refusals_has_no_such_line(client: Client, steady: str) -> None:
    assert text_of(await client.call("invoke", agent=steady, task="[[bash echo x]]")) == "bash: x"


async def test_progress_names_what_the_agent_does(
    client: Client, steady: str, shared: Stage
) -> None:
    told: list[Message] = []
    command = f"until [ -e {steady}.go ]; do sleep 0.05; done"
    _, answer = await client.start_call(
        "invoke", told.append, agent=steady, task=f"[[bash {command}]]"
    )

    doing = f"{steady}: Bash: {command}"
    await until(lambda: any(doing in one["message"] for one in told), f"progress: {doing}")
    (shared.project.folder / f"{steady}.go").touch()
    await answer

    elapsed = [one["progress"] for one in told]
    assert elapsed == sorted(elapsed)


async def test_no_progress_is_sent_to_who_did_not_ask(client: Client, steady: str) -> None:
    await client.call("invoke", agent=steady, task="[[bash sleep 1]]")

    assert not [n for n in client.notifications if n["method"] == "notifications/progress"]


async def test_warmup_answers_when_the_process_is_ready(client: Client, agent: str) -> None:
    record = (await client.call("warmup", agent=agent))["structuredContent"]

    assert record["agent"] == agent
    assert 0 < record["ready_s"] < 60
    assert pid_of(await client.call("invoke", agent=agent, task="hello")) == record["pid"]


async def test_a_second_warmup_gives_the_same_answer_without_a_new_process(
    client: Client, agent: str, shared: Stage
) -> None:
    first = await client.call("warmup", agent=agent)
    second = await client.call("warmup", agent=agent)

    assert second["structuredContent"] == first["structuredContent"]
    assert len(shared.logged("worker_started", agent)) == 1


async def test_warmups_at_once_start_one_process(client: Client, agent: str, shared: Stage) -> None:
    answers: list[Message] = []

    async def warm() -> None:
        answers.append((await client.call("warmup", agent=agent))["structuredContent"])

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(warm)

    assert answers == [answers[0]] * 4
    assert len(shared.logged("worker_started", agent)) == 1
