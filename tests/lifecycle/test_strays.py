"""What a killed pool has left, and what is none of the pool's."""

import os
import signal
import subprocess
import sys
from datetime import datetime

import psutil
import pytest
import trio

from tests.client import LIMIT_S, Client, Project, until
from tests.lifecycle.foreground import events, foreground, serves, until_logged

HANG = "[[hang]]"


async def hang(client: Client, project: Project) -> psutil.Process:
    """Have the agent hang in a task; its process."""
    ready = (await client.call("warmup", agent="coder"))["structuredContent"]
    await client.start_call("invoke", agent="coder", task=HANG)
    await until_logged(project, "task_started")
    return psutil.Process(ready["pid"])


async def left_by_a_killed_pool(project: Project) -> psutil.Process:
    """The process of an agent that hangs in a task, whose pool has been killed."""
    async with project.connect() as client:
        agent = await hang(client, project)
        pid = project.pool_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await client.wait_closed()
    assert lives(agent)
    return agent


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


async def test_the_next_pool_ends_what_a_killed_one_has_left(project: Project) -> None:
    agent = await left_by_a_killed_pool(project)
    async with project.connect() as client:
        await client.call("list")
        assert not lives(agent)
        strays = [line for line in project.log_lines() if line["event"] == "strays_ended"]
        assert [line["pids"] for line in strays] == [[agent.pid]]


async def test_stop_ends_what_a_killed_pool_has_left_and_says_so(project: Project) -> None:
    agent = await left_by_a_killed_pool(project)
    done = await project.run("stop")
    assert done.returncode == 0
    assert not lives(agent)
    assert f"ended what a killed one had left: {agent.pid}" in done.stdout


async def test_a_pool_leaves_the_processes_of_another_project_alone(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Project(tmp_path_factory.mktemp("other"))
    other.write_agent("coder")
    try:
        async with other.connect() as theirs:
            agent = await hang(theirs, other)
            async with project.connect() as client:
                await client.call("list")
            await project.run("stop")
            assert lives(agent)
    finally:
        await other.close()


async def test_children_that_a_pool_inherits_by_exec_outlive_it(project: Project) -> None:
    script = f"sleep 1000 & echo $!; exec {sys.executable} -P -m agent_pool run"
    shell = await trio.lowlevel.open_process(
        ["sh", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=project.folder,
        env=project.environment(),
    )
    assert shell.stdout
    with trio.fail_after(LIMIT_S):
        sleeper = psutil.Process(int(await shell.stdout.receive_some()))
    try:
        await until(lambda: serves(project), "the pool listens")
        shell.send_signal(signal.SIGTERM)
        with trio.fail_after(LIMIT_S):
            assert await shell.wait() == 0
        assert lives(sleeper)
    finally:
        sleeper.kill()


async def test_an_impatient_stop_is_still_an_orderly_one(project: Project) -> None:
    async with foreground(project) as pool, project.connect() as client:
        await client.call("warmup", agent="coder")
        pool.process.send_signal(signal.SIGTERM)

        def ended() -> bool:
            if pool.process.poll() is None:
                pool.process.send_signal(signal.SIGTERM)
            return pool.process.poll() is not None

        await until(ended, "the pool ends")
        assert await pool.exit_status() == 0
    assert events(project)[-1] == "pool_ended"


async def test_stopped_agents_are_ended_together(project: Project) -> None:
    names = [f"a{number}" for number in range(4)]
    for name in names:
        project.write_agent(name)
    async with foreground(project) as pool, project.connect() as client:
        for name in names:
            ready = (await client.call("warmup", agent=name))["structuredContent"]
            os.kill(ready["pid"], signal.SIGSTOP)
        pool.process.send_signal(signal.SIGTERM)
        assert await pool.exit_status() == 0
    ends = [line for line in project.log_lines() if line["event"] == "worker_exited"]
    assert sorted(line["agent"] for line in ends) == names
    # Each has 5 s to end; one after the other they would take 20.
    times = sorted(line["timestamp"] for line in ends)
    assert seconds(times[-1]) - seconds(times[0]) < 5


def seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
