"""`permission_mode = "ask"`, with a real pool and a client that answers what it is asked."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from tests.client import Client, Message, open_project, until
from tests.pool.conftest import Share

ASK = 'permission_mode = "ask"'


@pytest.fixture
async def client(share: Share) -> AsyncIterator[Client]:
    async with share.project.connect_asking() as connected:
        yield connected
        await share.clear(connected)


@pytest.fixture
def coder(share: Share) -> str:
    return share.agent("coder", "tools: Bash, Bash(mkdir:*)", config=ASK)


@pytest.fixture
def asker(share: Share) -> str:
    return share.agent("asker", "permissionMode: ask")


@pytest.fixture
def made(share: Share) -> trio.Path:
    """The file that `touch` makes."""
    return trio.Path(share.project.folder / share.name("made"))


@pytest.fixture
def touch(made: trio.Path) -> str:
    return f"[[bash touch {made.name}]]"


def text(result: Message) -> str:
    words: str = result["content"][0]["text"]
    return words


def message(question: Message) -> str:
    words: str = question["params"]["message"]
    return words


async def test_a_command_that_is_allowed_once_runs(
    client: Client, coder: str, touch: str, made: trio.Path
) -> None:
    _, outcome = await client.start_call("invoke", agent=coder, task=touch)
    question = await client.question()

    assert question["method"] == "elicitation/create"
    assert f'the agent "{coder}"' in message(question)
    assert f"  | touch {made.name}" in message(question).split("\n")
    assert not await made.exists()
    await client.answer(question, answer="allow once")
    assert "Refused" not in text(await outcome)
    assert await made.exists()


async def test_the_form_has_one_choice_of_three(client: Client, coder: str, touch: str) -> None:
    await client.start_call("invoke", agent=coder, task=touch)
    schema = (await client.question())["params"]["requestedSchema"]

    assert schema["properties"]["answer"]["type"] == "string"
    assert schema["properties"]["answer"]["enum"] == ["allow once", "allow for this task", "deny"]
    assert schema["required"] == ["answer"]


async def test_allowed_for_the_task_asks_once_and_the_next_task_asks_again(
    client: Client, coder: str
) -> None:
    twice = "[[bash touch a]] [[bash touch b]]"
    _, first = await client.start_call("invoke", agent=coder, task=twice)
    await client.answer(await client.question(), answer="allow for this task")
    await first
    _, second = await client.start_call("invoke", agent=coder, task=twice)
    await client.answer(await client.question(1), answer="deny")
    await client.answer(await client.question(2), answer="deny")

    assert "the user was asked, and denied it" in text(await second)
    assert len(client.questions) == 3


@pytest.mark.parametrize(
    ("action", "content", "why"),
    [
        ("accept", {"answer": "deny"}, "the user was asked, and denied it"),
        ("decline", {}, "the user was asked, and denied it"),
        ("cancel", {}, "the question was dismissed without an answer"),
        ("accept", {"answer": "yes, all of it"}, "answered with none of its choices"),
        ("accept", {}, "answered with none of its choices"),
        ("nonsense", {}, "answered with none of its choices"),
    ],
)
async def test_every_other_answer_denies_it_and_the_agent_is_told_why(
    client: Client,
    coder: str,
    touch: str,
    made: trio.Path,
    action: str,
    content: dict[str, str],
    why: str,
) -> None:
    _, outcome = await client.start_call("invoke", agent=coder, task=touch)
    await client.answer(await client.question(), action, **content)
    answer, _, refused = text(await outcome).partition("\n\n[agent-pool] ")

    assert why in answer
    assert (
        f"Refused: Bash (touch {made.name}): {'the user' if 'user' in why else 'the question'}"
        in refused
    )
    assert not await made.exists()


async def test_an_error_of_the_client_denies_it(
    client: Client, coder: str, touch: str, made: trio.Path
) -> None:
    _, outcome = await client.start_call("invoke", agent=coder, task=touch)
    question = await client.question()
    error = {"code": -32603, "message": "no screen"}
    await client.send({"jsonrpc": "2.0", "id": question["id"], "error": error})

    assert "no screen" in text(await outcome)
    assert not await made.exists()


async def test_a_client_that_shows_no_questions_is_a_denial_at_once(
    share: Share, coder: str, touch: str, made: trio.Path
) -> None:
    async with share.project.connect() as silent:
        answer = text(await silent.call("invoke", agent=coder, task=touch))

    assert "nobody to ask: the client that called shows no questions" in answer
    assert "Bash(git log:*)" in answer
    assert not await made.exists()


async def test_a_task_in_the_background_asks_nobody(client: Client, coder: str, touch: str) -> None:
    task = (await client.call("submit", agent=coder, task=touch))["structuredContent"]["task_id"]
    await client.call("wait", task_ids=[task])

    assert "nobody to ask: the task runs in the background" in text(
        await client.call("result", task_id=task)
    )
    assert client.questions == []


async def test_an_agent_without_a_list_has_bash_to_ask_for(
    client: Client, asker: str, touch: str
) -> None:
    _, outcome = await client.start_call("invoke", agent=asker, task=touch)
    await client.answer(await client.question(), answer="allow once")

    assert text(await outcome) == "bash: (Bash completed with no output)"


@pytest.mark.parametrize(
    ("tools", "command"),
    [("Bash, Bash(mkdir:*)", "mkdir -p /tmp"), ("Bash(*)", "true && true")],
)
async def test_what_a_rule_allows_is_not_asked_for(
    client: Client, share: Share, tools: str, command: str
) -> None:
    agent = share.agent("ruled", f"tools: {tools}", "permissionMode: ask")

    assert "Refused" not in text(
        await client.call("invoke", agent=agent, task=f"[[bash {command}]]")
    )
    assert client.questions == []


async def test_the_deadline_does_not_come_while_somebody_is_asked(
    client: Client, coder: str, asker: str, touch: str
) -> None:
    _, outcome = await client.start_call("invoke", agent=coder, task=touch, timeout_s=1.5)
    question = await client.question()
    _, other = await client.start_call("invoke", agent=asker, task="[[hang]]", timeout_s=1.6)
    assert (await other)["_meta"]["code"] == "deadline_exceeded"  # so much time is over

    await client.answer(question, answer="allow once")
    assert not (await outcome).get("isError")


async def test_a_call_that_would_return_early_waits_for_the_answer(
    client: Client, coder: str, asker: str, touch: str
) -> None:
    arguments = {"agent": coder, "task": touch, "if_longer_than_s": 1.5}
    _, outcome = await client.start_call("invoke", None, **arguments)
    question = await client.question()
    _, other = await client.start_call("invoke", agent=asker, task="[[hang]]", timeout_s=1.6)
    await other

    assert not outcome.come
    await client.answer(question, answer="allow once")
    assert "completed" in text(await outcome)


async def test_once_the_call_has_returned_nobody_is_asked(
    client: Client, coder: str, touch: str
) -> None:
    slow = f"[[sleep 1]] {touch}"
    early = await client.call("invoke", agent=coder, task=slow, if_longer_than_s=0.2)
    task = early["_meta"]["task_id"]
    await client.call("wait", task_ids=[task])

    assert "nobody to ask: the call that could have been asked has returned" in text(
        await client.call("result", task_id=task)
    )


async def test_a_task_that_is_cancelled_takes_its_question_back(
    client: Client, coder: str, touch: str
) -> None:
    number, _ = await client.start_call("invoke", agent=coder, task=touch)
    question = await client.question()
    await client.cancel(number)
    await until(lambda: question["id"] in client.withdrawn, "the question is taken back")
    await client.answer(question, answer="allow once")  # too late

    assert text(await client.call("invoke", agent=coder, task="well?")) == "echo: well?"


async def test_a_client_that_cancels_and_goes_at_once_has_cancelled(
    share: Share, coder: str, touch: str
) -> None:
    async with share.project.connect() as other:
        async with share.project.connect_asking() as client:
            number, _ = await client.start_call("invoke", agent=coder, task=touch)
            await client.question()
            await client.cancel(number)
        (row,) = (await other.call("tasks", agent=coder))["structuredContent"]["tasks"]
        ended = await other.call("wait", task_ids=[row["task_id"]])

    assert ended["structuredContent"]["tasks"][0]["outcome"] == "cancelled"


async def test_a_process_that_dies_takes_its_question_back(
    client: Client, coder: str, touch: str
) -> None:
    _, outcome = await client.start_call("invoke", agent=coder, task=touch)
    question = await client.question()
    os.kill((await client.agent(coder))["pid"], signal.SIGKILL)

    assert (await outcome)["_meta"]["code"] == "agent_crashed"
    await until(lambda: question["id"] in client.withdrawn, "the question is taken back")


async def test_a_reset_takes_the_question_back(client: Client, coder: str, touch: str) -> None:
    _, outcome = await client.start_call("invoke", agent=coder, task=touch)
    question = await client.question()
    await client.call("reset", agent=coder)

    assert (await outcome)["_meta"]["code"] == "agent_reset"
    await until(lambda: question["id"] in client.withdrawn, "the question is taken back")


async def test_a_pool_that_is_stopped_takes_the_question_back(tmp_path: Path) -> None:
    async with open_project(tmp_path) as project:
        project.write_config(f'[pool]\nshutdown_grace = "0s"\n[agents.coder]\n{ASK}\n')
        project.write_agent("coder", "Do it.", "tools: Bash")
        async with project.connect_asking() as client:
            _, outcome = await client.start_call("invoke", agent="coder", task="[[bash touch x]]")
            question = await client.question()
            assert (await project.run("stop")).returncode == 0

            assert (await outcome)["_meta"]["code"] == "pool_stopping"
            assert question["id"] in client.withdrawn
    assert not (project.folder / "x").exists()


async def test_a_client_that_goes_while_asked_is_a_denial(
    share: Share, coder: str, touch: str, made: trio.Path
) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(share.project.connect())
        async with share.project.connect_asking() as client:
            await client.start_call("invoke", agent=coder, task=touch)
            await client.question()
            client.process.kill()
        (row,) = (await other.call("tasks", agent=coder))["structuredContent"]["tasks"]
        await other.call("wait", task_ids=[row["task_id"]])
        answer = text(await other.call("result", task_id=row["task_id"]))

    assert "nobody to ask: the client that could have been asked has gone" in answer
    assert not await made.exists()


async def test_tasks_that_ask_at_once_are_each_a_question_of_their_own(
    client: Client, coder: str, asker: str
) -> None:
    tasks = [{"agent": agent, "task": f"[[bash touch {agent}.x]]"} for agent in (coder, asker)]
    _, outcome = await client.start_call("invoke_many", tasks=tasks)
    questions = [await client.question(0), await client.question(1)]
    for question in questions:
        is_second = f'the agent "{asker}"' in message(question)
        await client.answer(question, answer="deny" if is_second else "allow once")
    first, second = (await outcome)["content"]

    assert "completed with no output" in first["text"]
    assert "denied it" in second["text"]


async def test_progress_and_the_log_say_what_is_waited_for(
    client: Client, share: Share, coder: str, touch: str, made: trio.Path
) -> None:
    told: list[str] = []
    command = f"touch {made.name}"
    _, outcome = await client.start_call(
        "invoke", lambda params: told.append(params["message"]), agent=coder, task=touch
    )
    question = await client.question()
    await until(
        lambda: any(f"waiting for permission: Bash: {command}" in one for one in told), "progress"
    )
    await client.answer(question, answer="allow once")
    await outcome

    (asked,) = share.log("permission_asked")
    (answered,) = share.log("permission_answered")
    assert (asked["agent"], asked["tool"], asked["detail"]) == (coder, "Bash", command)
    assert answered["answer"] == "allowed once"
    assert answered["task_id"] == asked["task_id"] is not None


async def test_what_the_agent_writes_cannot_pass_for_the_pools_own_words(
    client: Client, coder: str
) -> None:
    wish = '{"command": "a\\u001b[2J\\u202e\\ndeny: fine\\r\\nb", "note": {"x": [1]}}'
    await client.start_call("invoke", agent=coder, task=f"[[ask Bash {wish}]]")
    lines = message(await client.question()).split("\n")

    assert "  | a\\x1b[2J\\u202e" in lines
    assert "  | deny: fine\\r" in lines
    assert '  | {"x": [1]}' in lines
    assert sum(line.startswith("deny:") for line in lines) == 1


async def test_what_is_long_is_cut_and_it_is_said_so(client: Client, coder: str) -> None:
    wish = f'{{"command": "first{"x" * 50_000}last"}}'
    await client.start_call("invoke", agent=coder, task=f"[[ask Bash {wish}]]")
    shown = message(await client.question())

    assert len(shown) < 3000
    assert "first" in shown
    assert "last" in shown
    assert "(48,009 characters are not shown here)" in shown


async def test_a_question_that_cannot_be_understood_is_denied(client: Client, coder: str) -> None:
    answer = text(await client.call("invoke", agent=coder, task='[[ask Bash "ls"]]'))

    assert "ask: " in answer
    assert "allowed" not in answer
    assert client.questions == []


async def test_bypassing_is_said_in_the_list_and_in_the_log(client: Client, share: Share) -> None:
    agent = share.agent("coder", config='permission_mode = "bypassPermissions"')
    await client.call("warmup", agent=agent)
    row = await client.agent(agent)

    assert row["permission_mode"] == "bypassPermissions"
    assert any("bypassPermissions" in warning for warning in row["warnings"])
    (bypassed,) = share.log("permissions_bypassed")
    assert (bypassed["agent"], bypassed["level"]) == (agent, "warning")
