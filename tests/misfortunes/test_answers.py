"""What a process may print: each task gets its own answer, or an error that says what came."""

from typing import Any

import pytest

from tests.misfortunes.stage import Stage, code_of, text_of


@pytest.mark.parametrize(
    "task",
    [
        "@twice",
        "@crlf",
        "@split é € 😀 \u2028 \x00",
        "@nonsense",
        "@wrong_types",
        "@flood_stdout=100000",
        "@flood_garbage=20000",
        "@flood_stderr=100000",
        "@daemon",
        "plain",
        "/clear",
        "/compact now",
        "\u2028\u2029\x85\x00\ufeff",
        '{"type":"result"}\n{"type":"result"}',
        "e\u0301\U0001f600" * 1000,
    ],
)
async def test_an_odd_task_or_odd_output_still_gets_its_own_answer(stage: Stage, task: str) -> None:
    agent = stage.agent()
    result = await agent.invoke(task)
    # What looks like a command is given a space, so that the CLI takes it for a text.
    sent = f" {task}" if task.startswith("/") else task
    assert (code_of(result), text_of(result)) == (None, f"done 1: {sent}")
    await agent.answers_right()
    assert (await agent.row())["restarts"] == 0


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("@no_result", ""),
        ("@odd_result=null", ""),
        ("@odd_result=7", ""),
        ("@odd_result=[]", ""),
        ('@odd_result=""', ""),
        ("@ask", "deny"),
    ],
)
async def test_a_result_without_a_text_is_an_empty_answer(
    stage: Stage, task: str, text: str
) -> None:
    agent = stage.agent()
    result = await agent.invoke(task)
    assert (code_of(result), text_of(result)) == (None, text)
    await agent.answers_right()


async def test_an_answer_of_ten_megabytes_comes_whole(stage: Stage) -> None:
    agent = stage.agent()
    assert text_of(await agent.invoke("@big=5000000")) == "é" * 5_000_000
    await agent.answers_right()


async def test_a_task_of_nine_megabytes_goes_whole(stage: Stage) -> None:
    agent = stage.agent()
    task = "é" * 4_500_000
    assert text_of(await agent.invoke(task)) == f"done 1: {task}"
    await agent.answers_right()


async def test_a_failure_that_the_cli_reports_is_an_api_error(stage: Stage) -> None:
    agent = stage.agent()
    result = await agent.invoke("@failed")
    assert code_of(result) == "api_error"
    assert "the API said no" in text_of(result)
    pid = await agent.answers_right()
    assert pid == result["_meta"]["pid"]


async def test_a_result_between_two_tasks_answers_neither(stage: Stage) -> None:
    agent = stage.agent()
    assert text_of(await agent.invoke("@afterwards")) == "done 1: @afterwards"
    for n in range(20):
        await agent.answers_right(f"task {n}")


async def test_a_lone_surrogate_in_a_task_is_served(stage: Stage) -> None:
    agent = stage.agent()
    assert text_of(await agent.invoke("half \ud83d of it")) == "done 1: half ? of it"


@pytest.mark.parametrize(
    "ways", [{"babble": "Welcome!\n\nLoading…\n"}, {"babble_bytes": 5_000_000}]
)
async def test_garbage_before_the_first_answer_is_passed_over(
    stage: Stage, ways: dict[str, Any]
) -> None:
    agent = stage.agent(**ways)
    await agent.answers_right()
    assert (await agent.row())["restarts"] == 0
    assert agent.log("dropped")


async def test_a_flood_of_garbage_does_not_flood_the_log(stage: Stage) -> None:
    agent = stage.agent()
    await agent.invoke("@flood_garbage=20000")
    await agent.answers_right()
    assert 0 < len(agent.log("dropped")) < 1000


async def test_a_flood_on_stderr_does_not_flood_the_log(stage: Stage) -> None:
    agent = stage.agent()
    await agent.invoke("@flood_stderr=100000")
    await agent.answers_right()
    assert 0 < len(agent.log("stderr_line")) < 10_000
