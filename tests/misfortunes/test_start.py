"""Processes that do not come up."""

from typing import Any

import pytest

from tests.client import until
from tests.misfortunes.stage import Stage, code_of, text_of


@pytest.mark.parametrize(
    ("ways", "words"),
    [
        ({"exit": 0}, "exited with status 0 before it was ready"),
        ({"exit": 1, "stderr": "no licence"}, "no licence"),
        ({"refuse_initialize": "not today"}, "not today"),
    ],
)
@pytest.mark.parametrize("call", ["invoke", "warmup"])
async def test_a_process_that_does_not_come_up_is_told_at_once(
    stage: Stage, ways: dict[str, Any], words: str, call: str
) -> None:
    agent = stage.agent(**ways)
    result = await (agent.invoke("hello") if call == "invoke" else agent.warmup())
    assert code_of(result) == "agent_start_failed"
    assert words in text_of(result)
    agent.behave()
    await agent.answers_right()
    assert agent.log("worker_restarted")


@pytest.mark.parametrize(
    "ways", [{"silent_initialize": True}, {"deaf_from_start": True}, {"close_stdin": True}]
)
async def test_a_process_that_never_gets_ready_is_killed(
    stage: Stage, ways: dict[str, Any]
) -> None:
    agent = stage.agent("silent", **ways)
    result = await agent.invoke("hello")
    assert code_of(result) == "agent_start_failed"
    agent.behave()
    await agent.answers_right()
    await stage.clear()
    agent.stage.ways.joinpath("silent.journal").unlink()


async def test_a_process_that_ends_once_it_is_ready_loses_no_task(stage: Stage) -> None:
    agent = stage.agent(exit_when_ready=7)
    _, answer = await agent.start("hello")
    await until(lambda: agent.starts()[2:], "a third process")
    agent.behave()
    result = await answer
    # Whether the end came before or after the whole line is a matter of luck.
    assert code_of(result) in (None, "agent_crashed", "agent_start_failed")
    await agent.answers_right()


async def test_an_agent_that_never_starts_is_down_and_revives_by_reset(
    strict_stage: Stage,
) -> None:
    agent = strict_stage.agent(exit=1, stderr="no licence")
    codes = [code_of(await agent.invoke("hello")) for _ in range(3)]
    assert codes[0] == "agent_start_failed"
    await until(lambda: agent.log("agent_down"), "that it is down")
    result = await agent.invoke("hello")
    assert code_of(result) == "agent_down"
    assert "no licence" in text_of(result)
    assert code_of(await agent.warmup()) == "agent_down"
    agent.behave()
    await agent.reset()
    await agent.answers_right()


async def test_control_requests_that_are_never_acknowledged_do_no_harm(stage: Stage) -> None:
    agent = stage.agent(silent_controls=True)
    pid = await agent.answers_right()
    assert await agent.answers_right() == pid
