"""That nothing is left running: after a reset, after the pool's end, in whatever way it comes.

Processes are found by marks of the test's own: a variable that agents are handed, their folder,
and a number on their command line, which also stays with what has dropped its environment.
"""

import signal

import pytest

from tests.client import Client, until
from tests.product.stage import Jobs, Stage, code_of, lives, pid_of, text_of


@pytest.fixture
def jobs() -> Jobs:
    """Commands that no other test has."""
    return Jobs()


async def test_reset_answers_when_the_whole_tree_is_gone(
    client: Client, agent: str, shared: Stage, jobs: Jobs
) -> None:
    _, answer = await client.start_call(
        "invoke",
        agent=agent,
        task=f"[[bash {jobs.in_background()}\necho $$ > {agent}.pid; {jobs.sleep()}]]",
    )
    command = await shared.pid(f"{agent}.pid")
    await jobs.all_run(6)

    record = (await client.call("reset", agent=agent))["structuredContent"]

    assert jobs.left() == []
    assert not lives(command)
    assert not lives(record["pid"])
    assert (record["agent"], record["was"]) == (agent, "busy")
    failed = await answer
    assert code_of(failed) == "agent_reset"
    assert pid_of(failed) == record["pid"]


async def test_the_next_task_after_a_reset_has_a_new_process(client: Client, agent: str) -> None:
    before = await client.call("invoke", agent=agent, task="hello")
    await client.call("reset", agent=agent)
    after = await client.call("invoke", agent=agent, task="[[context]]")

    assert text_of(after) == "context: 0 user texts: []"
    assert pid_of(after) != pid_of(before)


async def test_a_task_that_waits_outlives_a_reset(
    client: Client, agent: str, shared: Stage
) -> None:
    _, first = await client.start_call("invoke", agent=agent, task=f"[[hang]] {agent}")
    await shared.request_for(f"[[hang]] {agent}")
    _, second = await client.start_call("invoke", agent=agent, task="hello")
    await client.call("reset", agent=agent)

    assert code_of(await first) == "agent_reset"
    assert text_of(await second) == "echo: hello"


async def test_reset_of_an_agent_that_does_not_run_is_no_error(client: Client, agent: str) -> None:
    record = (await client.call("reset", agent=agent))["structuredContent"]

    assert record == {"agent": agent, "was": "stopped", "pid": None}


async def test_nothing_is_left_when_the_pool_is_stopped_in_mid_task(
    stage: Stage, jobs: Jobs
) -> None:
    stage.configure('[pool]\nshutdown_grace = "100ms"\n')
    async with stage.connect() as client:
        commands = f"{jobs.naked()}\n{jobs.in_background()}\n{jobs.sleep()}"
        _, answer = await client.start_call("invoke", agent="worker", task=f"[[bash {commands}]]")
        await jobs.all_run(7)
        stopped = await stage.project.run("stop", **stage.variables())
        left = jobs.left()
        await client.wait_closed()

    assert (stopped.returncode, left) == (0, [])
    assert stage.project.processes() == []
    assert code_of(await answer) == "pool_stopping"


async def test_nothing_is_left_of_jobs_whose_task_is_long_done(stage: Stage, jobs: Jobs) -> None:
    async with stage.connect() as client:
        task = f"[[bash {jobs.naked()}\n{jobs.in_background()}]]"
        await client.call("invoke", agent="worker", task=task)
        await client.call("invoke", agent="worker", task="hello")
    await stage.project.stop(signal.SIGINT)

    assert stage.project.processes() == []
    assert jobs.left() == []


async def test_nothing_is_left_when_nobody_has_used_the_pool_for_a_while(
    stage: Stage, jobs: Jobs
) -> None:
    stage.configure('[pool]\nlinger = "300ms"\n')
    async with stage.connect() as client:
        await client.call("invoke", agent="worker", task=f"[[bash {jobs.in_background()}]]")
    await until(lambda: stage.project.place.holder() is None, "the end of the pool")
    await until(lambda: not stage.project.processes(), "the end of the pool's own process", 5)

    assert jobs.left() == []
    assert stage.project.log_lines()[-1]["event"] == "pool_ended"
