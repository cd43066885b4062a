"""A process that ends when it should not: in a task, between tasks, while it is written to."""

import os
import signal
from contextlib import suppress

import pytest
import trio

from tests.client import until
from tests.misfortunes.stage import Actor, Stage, code_of, exists, lives, text_of


@pytest.mark.parametrize(
    ("task", "status", "words"),
    [
        ("@exit=0", 0, "exited with status 0"),
        ("@exit=1", 1, "exited with status 1"),
        ("@last_words", 3, "these are my last words"),
        ("@kill", -signal.SIGKILL, "was killed by SIGKILL"),
        ("@orphan=5", 5, "exited with status 5"),
        ("@daemon @exit=6", 6, "exited with status 6"),
    ],
)
async def test_a_process_that_ends_in_a_task_is_told_and_replaced(
    stage: Stage, task: str, status: int, words: str
) -> None:
    agent = stage.agent()
    result = await agent.invoke(task)
    assert code_of(result) == "agent_crashed"
    assert words in text_of(result)
    assert result["_meta"]["exit_status"] == status
    assert await agent.answers_right() != result["_meta"]["pid"]
    assert not any(map(lives, agent.descendants()))
    assert len(agent.log("worker_restarted")) == 1
    row = await agent.row()
    assert (row["state"], row["restarts"], row["tasks_done"], row["tasks_failed"]) == (
        "idle", 1, 1, 1,
    )  # fmt: skip


async def test_a_process_that_closes_its_stdout_is_replaced(stage: Stage) -> None:
    agent = stage.agent()
    result = await agent.invoke("@close_stdout")
    assert code_of(result) == "agent_crashed"
    assert await agent.answers_right() != result["_meta"]["pid"]


async def test_an_answer_without_a_newline_and_the_end_is_a_crash_or_the_answer(
    stage: Stage,
) -> None:
    agent = stage.agent()
    result = await agent.invoke("@no_newline")
    assert code_of(result) == "agent_crashed" or text_of(result) == "done 1: @no_newline"
    await agent.answers_right()


async def test_an_answer_before_the_end_of_the_process_counts(stage: Stage) -> None:
    agent = stage.agent()
    for _ in range(10):
        assert text_of(await agent.invoke("@answer_and_exit=1")) == "done 1: @answer_and_exit=1"
    await agent.answers_right()


async def test_a_process_killed_in_idle_comes_back_by_itself(stage: Stage) -> None:
    agent = stage.agent()
    pid = await agent.pid()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: agent.starts()[1:], "a second process")
    assert await agent.answers_right() == agent.starts()[1]
    row = await agent.row()
    assert (row["restarts"], row["tasks_done"], row["tasks_failed"]) == (1, 1, 0)
    (line,) = agent.log("worker_restarted")
    assert "SIGKILL" in line["reason"]
    assert "idle" in line["reason"]


async def test_a_kill_at_the_moment_of_an_invoke_loses_no_answer_and_mixes_none(
    stage: Stage,
) -> None:
    agent = stage.agent()
    pid = await agent.pid()
    for round_ in range(15):
        _, answer = await agent.start(f"round {round_}")
        os.kill(pid, signal.SIGKILL)
        result = await answer
        if code_of(result) is None:
            assert text_of(result) == f"done 1: round {round_}"
        else:
            assert code_of(result) == "agent_crashed"
        pid = await agent.answers_right(f"after round {round_}")


async def test_a_kill_before_an_invoke_loses_no_task(stage: Stage) -> None:
    agent = stage.agent()
    pid = await agent.pid()
    for round_ in range(15):
        os.kill(pid, signal.SIGKILL)
        pid = await agent.answers_right(f"round {round_}")


async def test_sixteen_invokes_with_kills_between_get_their_own_answers_or_a_crash(
    stage: Stage,
) -> None:
    agent = stage.agent()
    await agent.pid()
    codes = []
    for round_ in range(6):
        answers = [await agent.start(f"@sleep=0.01 {round_}/{n}") for n in range(16)]
        for _ in range(3):
            with suppress(ProcessLookupError):  # the kill before has ended it meanwhile
                os.kill(await agent.pid(), signal.SIGKILL)
        for n, (_, answer) in enumerate(answers):
            result = await answer
            codes.append(code_of(result))
            if codes[-1] is None:
                assert text_of(result) == f"done 1: @sleep=0.01 {round_}/{n}"
    assert set(codes) <= {None, "agent_crashed"}
    assert codes.count("agent_crashed") <= 18
    await agent.answers_right()


async def test_a_process_that_ends_while_a_large_task_is_written_gets_it_again(
    stage: Stage,
) -> None:
    agent = stage.agent(stop_reading=True)
    pid = await agent.pid()
    agent.behave()
    task = "x" * 9_000_000
    _, answer = await agent.start(task)
    await until(lambda: _is_blocked_in(agent, answer.come), "the task at the process")
    os.kill(pid, signal.SIGKILL)
    # No process had all of it, so it is safe to hand it to the next one.
    assert text_of(await answer) == f"done 1: {task}"
    await agent.answers_right()


def _is_blocked_in(agent: Actor, come: bool) -> bool:
    assert not come
    return bool(agent.log("task_started"))


async def test_a_process_that_closes_its_stdin_does_not_hold_a_task_up(stage: Stage) -> None:
    agent = stage.agent(close_stdin_when_ready=True)
    await agent.pid()
    agent.behave()
    with trio.fail_after(20):
        await agent.answers_right("x" * 200_000)


async def test_an_agent_that_ends_at_each_task_is_down_in_the_end_and_others_are_not(
    strict_stage: Stage,
) -> None:
    agent, other = strict_stage.agent(exit_on_task=9), strict_stage.agent()
    for _ in range(3):
        result = await agent.invoke("try")
        assert code_of(result) == "agent_crashed"
        assert result["_meta"]["stderr"] == ["it is more than I can take"]
    await until(lambda: agent.log("agent_down"), "that it is down")
    result = await agent.invoke("once more")
    assert code_of(result) == "agent_down"
    assert "3 times within 60 s" in text_of(result)
    row = await agent.row()
    assert (row["state"], row["pid"], row["restarts"]) == ("down", None, 2)
    assert row["error"]
    await other.answers_right()
    # Reset brings it back.
    agent.behave()
    assert (await agent.reset())["was"] == "down"
    await agent.answers_right()


async def test_tasks_that_wait_when_the_agent_goes_down_are_told_so(strict_stage: Stage) -> None:
    agent = strict_stage.agent(exit_on_task=9)
    answers = [await agent.start(f"{n}") for n in range(8)]
    codes = [code_of(await answer) for _, answer in answers]
    assert codes == ["agent_crashed"] * 3 + ["agent_down"] * 5
    assert len(agent.tasks()) == 3


async def test_what_a_dead_process_left_running_is_removed(stage: Stage) -> None:
    agent = stage.agent()
    await agent.invoke("@orphan")
    await agent.invoke("@daemon")
    assert len(agent.descendants()) == 2
    await agent.reset()
    assert not any(map(exists, [*agent.starts(), *agent.descendants()]))
