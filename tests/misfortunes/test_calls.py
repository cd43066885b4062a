"""Odd calls, and calls at odd moments."""

import pytest
import trio

from tests.client import Message, until
from tests.misfortunes.stage import Stage, code_of, exists, lives, text_of


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "words"),
    [
        ("invoke", {"agent": "code-reviewr", "task": "x"}, "unknown_agent", "code-reviewer"),
        ("invoke", {"agent": "../x", "task": "x"}, "unknown_agent", "../x"),
        ("invoke", {"agent": "/etc/passwd", "task": "x"}, "unknown_agent", "/etc/passwd"),
        ("invoke", {"agent": "debugger\0", "task": "x"}, "unknown_agent", "no agent"),
        ("invoke", {"agent": "x" * 1_000_000, "task": "x"}, "unknown_agent", "no agent"),
        ("invoke", {"agent": "", "task": "x"}, "invalid_arguments", "agent"),
        ("invoke", {"agent": None, "task": "x"}, "invalid_arguments", "agent"),
        ("invoke", {"agent": "debugger"}, "invalid_arguments", "task: it is missing"),
        ("invoke", {"agent": "debugger", "task": ""}, "invalid_arguments", "task"),
        ("invoke", {"agent": "debugger", "task": " \n\t"}, "task_empty", "empty"),
        ("invoke", {"agent": "debugger", "task": 7}, "invalid_arguments", "task"),
        ("invoke", {"agent": "debugger", "task": ["x"]}, "invalid_arguments", "task"),
        ("invoke", {"agent": "debugger", "task": "é" * 5_500_000}, "task_too_large", "11000000"),
        ("invoke", {"agent": "debugger", "tsk": "x"}, "invalid_arguments", "tsk: there is no such"),
        ("invoke", {"agent": "debugger", "task": "x", "timeout_s": 0}, "invalid_arguments", "0"),
        ("invoke", {"agent": "debugger", "task": "x", "timeout_s": -1}, "invalid_arguments", "-1"),
        (
            "invoke",
            {"agent": "debugger", "task": "x", "timeout_s": "soon"},
            "invalid_arguments",
            "soon",
        ),
        (
            "invoke",
            {"agent": "debugger", "task": "x", "timeout_s": "nan"},
            "invalid_arguments",
            "nan",
        ),
        ("warmup", {"agent": "nobody"}, "unknown_agent", "nobody"),
        ("reset", {"agent": "nobody"}, "unknown_agent", "nobody"),
        ("reset", {}, "invalid_arguments", "agent: it is missing"),
        ("list", {"verbose": True}, "invalid_arguments", "verbose"),
        ("invok", {"agent": "debugger", "task": "x"}, "unknown_tool", "invoke"),
    ],
)
async def test_a_call_that_cannot_be_served_is_refused_in_words(
    stage: Stage, tool: str, arguments: Message, code: str, words: str
) -> None:
    with trio.fail_after(20):
        _, answer = await stage.client.start("tools/call", {"name": tool, "arguments": arguments})
        result = await answer
    assert code_of(result) == code
    assert words in text_of(result)
    assert len(text_of(result)) < 5000
    assert (await stage.rows())["debugger"]["state"] == "stopped"


@pytest.mark.parametrize("timeout_s", [1e300, 86400, 10**30])
async def test_a_huge_timeout_is_one(stage: Stage, timeout_s: float) -> None:
    agent = stage.agent()
    assert code_of(await agent.invoke("x", timeout_s=timeout_s)) is None


# definitions


async def test_a_broken_definition_stops_that_agent_alone(stage: Stage) -> None:
    agent, other = stage.agent(), stage.agent()
    path = agent.write("Do it.")
    path.unlink()
    await other.answers_right()  # it is noticed that the agent is gone
    path.write_text("---\nname: [unclosed\n---\nDo it.\n")
    for result in (await agent.invoke("x"), await agent.warmup()):
        assert code_of(result) == "agent_broken"
        assert path.name in text_of(result)
    row = await agent.row()
    assert row["state"] == "broken"
    assert path.name in row["error"]
    await other.answers_right()
    agent.write("Do it.")
    await agent.answers_right()


async def test_a_definition_that_becomes_broken_leaves_its_agent_as_it_was(stage: Stage) -> None:
    agent = stage.agent()
    path = agent.write("Do it.")
    pid = await agent.answers_right()
    path.write_text("---\nname: [unclosed\n---\nDo it.\n")
    assert await agent.answers_right() == pid
    (warning,) = (await agent.row())["warnings"]
    assert path.name in warning


async def test_two_definitions_of_one_name_stop_that_agent_alone(stage: Stage) -> None:
    agent, other = stage.agent(), stage.agent()
    path = agent.write("Do it.")
    path.unlink()
    await other.answers_right()  # it is noticed that the agent is gone
    twin = agent.write("Do it.").with_name("twin.md")
    twin.write_text(path.read_text())
    result = await agent.invoke("x")
    assert code_of(result) == "agent_broken"
    assert "twin.md" in text_of(result)
    await other.answers_right()
    twin.unlink()
    await agent.answers_right()


@pytest.mark.parametrize("how", ["folder", "dangling link", "loop"])
async def test_a_definition_that_cannot_be_read_stops_no_other(stage: Stage, how: str) -> None:
    agent, other = stage.agent(), stage.agent()
    path = agent.write("Do it.")
    path.unlink()
    await other.answers_right()  # it is noticed that the agent is gone
    if how == "folder":
        path.mkdir()
    else:
        path.symlink_to(path if how == "loop" else "/nowhere/at/all")
    assert code_of(await agent.invoke("x")) in ("agent_broken", "unknown_agent")
    await other.answers_right()
    path.rmdir() if how == "folder" else path.unlink()
    agent.write("Do it.")
    await agent.answers_right()


async def test_a_definition_that_is_deleted_lets_all_tasks_of_its_agent_finish(
    stage: Stage,
) -> None:
    agent = stage.agent()
    path = agent.write("Do it.")
    _, running = await agent.start("@wait first")
    _, waiting = await agent.start("second")
    await agent.has_task("@wait")
    path.unlink()
    assert code_of(await agent.invoke("third")) == "unknown_agent"
    agent.go()
    assert text_of(await running) == "done 1: @wait first"
    assert text_of(await waiting) == "done 1: second"
    assert code_of(await agent.invoke("third")) == "unknown_agent"
    await until(lambda: not any(map(exists, agent.starts())), "its process has gone")


async def test_a_definition_edited_while_it_runs_counts_from_the_next_task(stage: Stage) -> None:
    agent = stage.agent()
    pid = await agent.answers_right()
    assert await agent.answers_right() == pid
    agent.write("Do it otherwise.")
    assert await agent.answers_right() != pid
    row = await agent.row()
    assert (row["restarts"], row["recycles"], row["tasks_done"]) == (0, 1, 3)
    assert not lives(pid)


# reset


async def test_a_reset_ends_the_task_in_hand_and_keeps_those_that_wait(stage: Stage) -> None:
    agent = stage.agent(ignore_term=True)
    _, running = await agent.start("@daemon @sleep=60 first")
    waiting = [await agent.start(f"{n}") for n in range(5)]
    pid = await agent.has_task("@daemon @sleep=60 first")
    await until(lambda: agent.descendants(), "the daemon")
    assert await agent.reset() == {"agent": agent.name, "was": "busy", "pid": pid}
    assert not exists(pid)
    assert not any(map(exists, agent.descendants()))
    assert code_of(await running) == "agent_reset"
    for n, (_, answer) in enumerate(waiting):
        assert text_of(await answer) == f"done 1: {n}"
    row = await agent.row()
    assert (row["restarts"], row["tasks_done"], row["tasks_failed"]) == (0, 5, 1)


async def test_a_reset_of_an_idle_agent_leaves_it_stopped(stage: Stage) -> None:
    agent = stage.agent()
    pid = await agent.pid()
    assert await agent.reset() == {"agent": agent.name, "was": "idle", "pid": pid}
    assert not exists(pid)
    row = await agent.row()
    assert (row["state"], row["pid"], row["restarts"], row["uptime_s"]) == (
        "stopped", None, 0, None,
    )  # fmt: skip
    assert await agent.answers_right() != pid


async def test_a_reset_of_an_agent_that_does_not_run_is_no_error(stage: Stage) -> None:
    agent = stage.agent()
    nothing = {"agent": agent.name, "was": "stopped", "pid": None}
    assert await agent.reset() == nothing
    await agent.answers_right()
    await agent.reset()
    assert await agent.reset() == nothing


async def test_a_reset_during_the_start_begins_again(stage: Stage) -> None:
    agent = stage.agent(silent_initialize=True)
    _, answer = await agent.start("hello")
    await until(agent.starts, "a process")
    agent.behave()
    assert (await agent.reset())["was"] == "starting"
    assert not exists(agent.starts()[0])
    assert text_of(await answer) == "done 1: hello"


async def test_a_reset_during_the_backoff_begins_at_once(strict_stage: Stage) -> None:
    agent = strict_stage.agent(exit=1)
    await agent.invoke("x")
    _, answer = await agent.start("hello")
    agent.behave()
    await agent.reset()
    result = await answer
    assert code_of(result) in (None, "agent_start_failed")
    await agent.answers_right()


async def test_resets_and_invokes_all_at_once_come_to_an_end(stage: Stage) -> None:
    agent = stage.agent()
    await agent.pid()
    answers = []
    for n in range(10):
        _, answer = await agent.start(f"@sleep=0.01 {n}")
        _, reset = await stage.client.start_call("reset", agent=agent.name)
        _, again = await stage.client.start_call("reset", agent=agent.name)
        answers.append((answer, reset, again))
    for n, (answer, reset, again) in enumerate(answers):
        result = await answer
        assert code_of(result) in (None, "agent_reset")
        if code_of(result) is None:
            assert text_of(result) == f"done 1: @sleep=0.01 {n}"
        assert code_of(await reset) is None
        assert code_of(await again) is None
    await agent.answers_right()
    assert (await agent.row())["restarts"] == 0


# warmup


async def test_ten_warmups_at_once_start_one_process(stage: Stage) -> None:
    agent = stage.agent()
    answers = [await stage.client.start_call("warmup", agent=agent.name) for _ in range(10)]
    pids = {(await answer)["structuredContent"]["pid"] for _, answer in answers}
    assert pids == set(agent.starts())
    assert len(pids) == 1


async def test_a_warmup_of_a_busy_agent_answers_at_once(stage: Stage) -> None:
    agent = stage.agent()
    _, running = await agent.start("@wait")
    pid = await agent.has_task("@wait")
    assert await agent.pid() == pid
    assert not running.come
    agent.go()
    assert code_of(await running) is None


# deadlines and cancellation


@pytest.mark.parametrize("task", ["@stop", "@sleep=60", "@hang"])
async def test_a_task_past_its_deadline_ends_and_never_answers_the_next(
    stage: Stage, task: str
) -> None:
    agent = stage.agent(ignore_interrupt=task == "@sleep=60", ignore_term=True)
    pid = await agent.pid()
    result = await agent.invoke(f"{task} late", timeout_s=0.3)
    assert code_of(result) == "deadline_exceeded"
    next_pid = await agent.answers_right()
    assert (next_pid == pid) == (task == "@hang")  # it obeys the interrupt
    assert exists(pid) == (task == "@hang")
    row = await agent.row()
    assert (row["restarts"], row["tasks_done"], row["tasks_failed"]) == (0, 1, 1)


async def test_an_answer_after_the_deadline_is_nobodys(stage: Stage) -> None:
    agent = stage.agent()
    for n in range(3):
        result = await agent.invoke(f"@sleep=0.3 late {n}", timeout_s=0.1)
        assert code_of(result) == "deadline_exceeded"
        await agent.answers_right(f"after {n}")


async def test_a_process_that_never_acknowledges_an_interrupt_is_kept_if_its_task_ends(
    stage: Stage,
) -> None:
    agent = stage.agent(silent_interrupt=True)
    pid = await agent.pid()
    assert code_of(await agent.invoke("@hang", timeout_s=0.2)) == "deadline_exceeded"
    assert await agent.answers_right() == pid


async def test_a_deadline_passes_in_the_queue_too(stage: Stage) -> None:
    agent = stage.agent()
    _, running = await agent.start("@wait")
    result = await agent.invoke("waits", timeout_s=0.2)
    assert code_of(result) == "deadline_exceeded"
    agent.go()
    assert code_of(await running) is None
    await agent.answers_right()
    assert "waits" not in agent.tasks()


async def test_a_large_task_that_is_not_read_ends_at_its_deadline(stage: Stage) -> None:
    agent = stage.agent(stop_reading=True)
    pid = await agent.pid()
    agent.behave()
    assert code_of(await agent.invoke("x" * 9_000_000, timeout_s=1)) == "deadline_exceeded"
    assert await agent.answers_right() != pid


async def test_a_cancelled_task_that_waits_never_reaches_the_process(stage: Stage) -> None:
    agent = stage.agent()
    _, running = await agent.start("@wait")
    number, _ = await agent.start("unwanted")
    await agent.has_task("@wait")
    await stage.client.cancel(number)
    await until(lambda: agent.log("task_ended"), "the end of the unwanted task")
    agent.go()
    assert code_of(await running) is None
    await agent.answers_right()
    assert "unwanted" not in agent.tasks()
    assert (await agent.row())["queue_length"] == 0


async def test_a_cancelled_task_that_will_not_be_interrupted_costs_the_process(
    stage: Stage,
) -> None:
    agent = stage.agent(ignore_interrupt=True, ignore_term=True)
    number, _ = await agent.start("@hang for ever")
    pid = await agent.has_task("@hang")
    await stage.client.cancel(number)
    assert await agent.answers_right() != pid
    assert not exists(pid)
    row = await agent.row()
    assert (row["restarts"], row["recycles"], row["tasks_failed"]) == (0, 1, 1)


async def test_tasks_of_a_client_that_disconnects_end_after_the_grace(stage: Stage) -> None:
    agent = stage.agent(ignore_interrupt=True)
    async with stage.project.connect(**stage.variables) as other:
        await other.start_call("invoke", agent=agent.name, task="@hang for ever")
        await other.start_call("invoke", agent=agent.name, task="waits")
        await agent.has_task("@hang")
        other.process.kill()
        await other.process.wait()
    await agent.answers_right()
    assert "waits" not in agent.tasks()
    assert (await agent.row())["tasks_failed"] == 2


async def test_more_tasks_than_may_wait_are_refused_and_the_others_done(stage: Stage) -> None:
    agent = stage.agent()
    await agent.pid()
    _, running = await agent.start("@hang")
    await agent.has_task("@hang")
    answers = [await agent.start(f"{n}") for n in range(150)]
    for n, (_, answer) in enumerate(answers[100:]):
        result = await answer
        assert code_of(result) == "queue_full", n
        assert result["_meta"]["queue_length"] == 100
    assert (await agent.row())["queue_length"] == 100
    await agent.reset()
    assert code_of(await running) == "agent_reset"
    for n, (_, answer) in enumerate(answers[:100]):
        assert text_of(await answer) == f"done 1: {n}"
