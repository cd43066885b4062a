"""`permission_mode = "ask"`, with a real pool and a client that answers what it is asked."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.client import Client, Message, Project, open_project, until

CONFIG = """\
[pool]
disconnect_grace = "60s"
shutdown_grace = "0s"
[agents.coder]
permission_mode = "ask"
"""

TOUCH = "[[bash touch made]]"


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        project.write_config(CONFIG)
        project.write_agent("coder", "Do it.", "tools: Bash, Bash(mkdir:*)")
        project.write_agent("asker", "Do it.", "permissionMode: ask")
        project.write_agent("wild", "Do it.", "tools: Bash(*)", "permissionMode: ask")
        yield project


@pytest.fixture
async def client(project: Project) -> AsyncIterator[Client]:
    async with project.connect_asking() as connected:
        yield connected


def text(result: Message) -> str:
    words: str = result["content"][0]["text"]
    return words


def message(question: Message) -> str:
    words: str = question["params"]["message"]
    return words


def made(project: Project) -> bool:
    return (project.folder / "made").exists()


def logged(project: Project, event: str) -> list[Message]:
    return [line for line in project.log_lines() if line["event"] == event]


async def test_a_command_that_is_allowed_once_runs(client: Client, project: Project) -> None:
    _, outcome = await client.start_call("invoke", agent="coder", task=TOUCH)
    question = await client.question()

    assert question["method"] == "elicitation/create"
    assert 'the agent "coder"' in message(question)
    assert "  | touch made" in message(question).split("\n")
    assert not made(project)
    await client.answer(question, answer="allow once")
    assert "Refused" not in text(await outcome)
    assert made(project)


async def test_the_form_has_one_choice_of_three(client: Client) -> None:
    await client.start_call("invoke", agent="coder", task=TOUCH)
    schema = (await client.question())["params"]["requestedSchema"]

    assert schema["properties"]["answer"]["type"] == "string"
    assert schema["properties"]["answer"]["enum"] == ["allow once", "allow for this task", "deny"]
    assert schema["required"] == ["answer"]


async def test_allowed_for_the_task_asks_once_and_the_next_task_asks_again(
    client: Client,
) -> None:
    twice = "[[bash touch a]] [[bash touch b]]"
    _, first = await client.start_call("invoke", agent="coder", task=twice)
    await client.answer(await client.question(), answer="allow for this task")
    await first
    _, second = await client.start_call("invoke", agent="coder", task=twice)
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
    client: Client, project: Project, action: str, content: dict[str, str], why: str
) -> None:
    _, outcome = await client.start_call("invoke", agent="coder", task=TOUCH)
    await client.answer(await client.question(), action, **content)
    answer, _, refused = text(await outcome).partition("\n\n[agent-pool] ")

    assert why in answer
    assert (
        f"Refused: Bash (touch made): {'the user' if 'user' in why else 'the question'}" in refused
    )
    assert not made(project)


async def test_an_error_of_the_client_denies_it(client: Client, project: Project) -> None:
    _, outcome = await client.start_call("invoke", agent="coder", task=TOUCH)
    question = await client.question()
    error = {"code": -32603, "message": "no screen"}
    await client.send({"jsonrpc": "2.0", "id": question["id"], "error": error})

    assert "no screen" in text(await outcome)
    assert not made(project)


async def test_a_client_that_shows_no_questions_is_a_denial_at_once(project: Project) -> None:
    async with project.connect() as silent:
        answer = text(await silent.call("invoke", agent="coder", task=TOUCH))

    assert "nobody to ask: the client that called shows no questions" in answer
    assert "Bash(git log:*)" in answer
    assert not made(project)


async def test_a_task_in_the_background_asks_nobody(client: Client, project: Project) -> None:
    task = (await client.call("submit", agent="coder", task=TOUCH))["structuredContent"]["task_id"]
    await client.call("wait", task_ids=[task])

    assert "nobody to ask: the task runs in the background" in text(
        await client.call("result", task_id=task)
    )
    assert client.questions == []


async def test_an_agent_without_a_list_has_bash_to_ask_for(client: Client) -> None:
    _, outcome = await client.start_call("invoke", agent="asker", task=TOUCH)
    await client.answer(await client.question(), answer="allow once")

    assert text(await outcome) == "bash: (Bash completed with no output)"


@pytest.mark.parametrize(
    ("agent", "command"), [("coder", "mkdir -p /tmp"), ("wild", "true && true")]
)
async def test_what_a_rule_allows_is_not_asked_for(
    client: Client, agent: str, command: str
) -> None:
    assert "Refused" not in text(
        await client.call("invoke", agent=agent, task=f"[[bash {command}]]")
    )
    assert client.questions == []


async def test_the_deadline_does_not_come_while_somebody_is_asked(client: Client) -> None:
    _, outcome = await client.start_call("invoke", agent="coder", task=TOUCH, timeout_s=1.5)
    question = await client.question()
    _, other = await client.start_call("invoke", agent="asker", task="[[hang]]", timeout_s=1.6)
    assert (await other)["_meta"]["code"] == "deadline_exceeded"  # so much time is over

    await client.answer(question, answer="allow once")
    assert not (await outcome).get("isError")


async def test_a_call_that_would_return_early_waits_for_the_answer(client: Client) -> None:
    arguments = {"agent": "coder", "task": TOUCH, "if_longer_than_s": 1.5}
    _, outcome = await client.start_call("invoke", None, **arguments)
    question = await client.question()
    _, other = await client.start_call("invoke", agent="asker", task="[[hang]]", timeout_s=1.6)
    await other

    assert not outcome.come
    await client.answer(question, answer="allow once")
    assert "completed" in text(await outcome)


async def test_once_the_call_has_returned_nobody_is_asked(client: Client) -> None:
    slow = f"[[sleep 1]] {TOUCH}"
    early = await client.call("invoke", agent="coder", task=slow, if_longer_than_s=0.2)
    task = early["_meta"]["task_id"]
    await client.call("wait", task_ids=[task])

    assert "nobody to ask: the call that could have been asked has returned" in text(
        await client.call("result", task_id=task)
    )


async def test_a_task_that_is_cancelled_takes_its_question_back(client: Client) -> None:
    number, _ = await client.start_call("invoke", agent="coder", task=TOUCH)
    question = await client.question()
    await client.cancel(number)
    await until(lambda: question["id"] in client.withdrawn, "the question is taken back")
    await client.answer(question, answer="allow once")  # too late

    assert text(await client.call("invoke", agent="coder", task="well?")) == "echo: well?"


async def test_a_client_that_cancels_and_goes_at_once_has_cancelled(project: Project) -> None:
    async with project.connect() as other:
        async with project.connect_asking() as client:
            number, _ = await client.start_call("invoke", agent="coder", task=TOUCH)
            await client.question()
            await client.cancel(number)
        (row,) = (await other.call("tasks", agent="coder"))["structuredContent"]["tasks"]
        ended = await other.call("wait", task_ids=[row["task_id"]])

    assert ended["structuredContent"]["tasks"][0]["outcome"] == "cancelled"


async def test_a_process_that_dies_takes_its_question_back(client: Client) -> None:
    _, outcome = await client.start_call("invoke", agent="coder", task=TOUCH)
    question = await client.question()
    os.kill((await client.agent("coder"))["pid"], signal.SIGKILL)

    assert (await outcome)["_meta"]["code"] == "agent_crashed"
    await until(lambda: question["id"] in client.withdrawn, "the question is taken back")


async def test_a_reset_takes_the_question_back(client: Client) -> None:
    _, outcome = await client.start_call("invoke", agent="coder", task=TOUCH)
    question = await client.question()
    await client.call("reset", agent="coder")

    assert (await outcome)["_meta"]["code"] == "agent_reset"
    await until(lambda: question["id"] in client.withdrawn, "the question is taken back")


async def test_a_pool_that_is_stopped_takes_the_question_back(
    client: Client, project: Project
) -> None:
    _, outcome = await client.start_call("invoke", agent="coder", task=TOUCH)
    question = await client.question()
    assert (await project.run("stop")).returncode == 0

    assert (await outcome)["_meta"]["code"] == "pool_stopping"
    assert question["id"] in client.withdrawn
    assert not made(project)


async def test_a_client_that_goes_while_asked_is_a_denial(project: Project) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(project.connect())
        async with project.connect_asking() as client:
            await client.start_call("invoke", agent="coder", task=TOUCH)
            await client.question()
            client.process.kill()
        (row,) = (await other.call("tasks", agent="coder"))["structuredContent"]["tasks"]
        await other.call("wait", task_ids=[row["task_id"]])
        answer = text(await other.call("result", task_id=row["task_id"]))

    assert "nobody to ask: the client that could have been asked has gone" in answer
    assert not made(project)


async def test_tasks_that_ask_at_once_are_each_a_question_of_their_own(client: Client) -> None:
    tasks = [{"agent": agent, "task": f"[[bash touch {agent}.x]]"} for agent in ("coder", "asker")]
    _, outcome = await client.start_call("invoke_many", tasks=tasks)
    questions = [await client.question(0), await client.question(1)]
    for question in questions:
        asker = 'the agent "asker"' in message(question)
        await client.answer(question, answer="deny" if asker else "allow once")
    first, second = (await outcome)["content"]

    assert "completed with no output" in first["text"]
    assert "denied it" in second["text"]


async def test_progress_and_the_log_say_what_is_waited_for(
    client: Client, project: Project
) -> None:
    told: list[str] = []
    _, outcome = await client.start_call(
        "invoke", lambda params: told.append(params["message"]), agent="coder", task=TOUCH
    )
    question = await client.question()
    await until(
        lambda: any("waiting for permission: Bash: touch made" in one for one in told), "progress"
    )
    await client.answer(question, answer="allow once")
    await outcome

    (asked,) = logged(project, "permission_asked")
    (answered,) = logged(project, "permission_answered")
    assert (asked["agent"], asked["tool"], asked["detail"]) == ("coder", "Bash", "touch made")
    assert answered["answer"] == "allowed once"
    assert answered["task_id"] == asked["task_id"] is not None


async def test_what_the_agent_writes_cannot_pass_for_the_pools_own_words(client: Client) -> None:
    wish = '{"command": "a\\u001b[2J\\u202e\\ndeny: fine\\r\\nb", "note": {"x": [1]}}'
    await client.start_call("invoke", agent="coder", task=f"[[ask Bash {wish}]]")
    lines = message(await client.question()).split("\n")

    assert "  | a\\x1b[2J\\u202e" in lines
    assert "  | deny: fine\\r" in lines
    assert '  | {"x": [1]}' in lines
    assert sum(line.startswith("deny:") for line in lines) == 1


async def test_what_is_long_is_cut_and_it_is_said_so(client: Client) -> None:
    wish = f'{{"command": "first{"x" * 50_000}last"}}'
    await client.start_call("invoke", agent="coder", task=f"[[ask Bash {wish}]]")
    shown = message(await client.question())

    assert len(shown) < 3000
    assert "first" in shown
    assert "last" in shown
    assert "(48,009 characters are not shown here)" in shown


async def test_a_question_that_cannot_be_understood_is_denied(client: Client) -> None:
    answer = text(await client.call("invoke", agent="coder", task='[[ask Bash "ls"]]'))

    assert "ask: " in answer
    assert "allowed" not in answer
    assert client.questions == []


async def test_bypassing_is_said_in_the_list_and_in_the_log(project: Project) -> None:
    project.write_config('[agents.coder]\npermission_mode = "bypassPermissions"\n')
    async with project.connect() as client:
        await client.call("warmup", agent="coder")
        row = await client.agent("coder")

    assert row["permission_mode"] == "bypassPermissions"
    assert any("bypassPermissions" in warning for warning in row["warnings"])
    (bypassed,) = logged(project, "permissions_bypassed")
    assert (bypassed["agent"], bypassed["level"]) == ("coder", "warning")
