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
from tests.lifecycle.foreground import events, foreground, kill_both, lives, serves, sleepers

LEAVE = "[[bash setsid sleep 1000]]"
"""A task in which the agent hangs, and that leaves a process in a session of its own."""


async def leave(client: Client, project: Project) -> psutil.Process:
    """Have the agent's command start a process; that one."""
    await client.start_call("invoke", agent="coder", task=LEAVE)
    return (await until(lambda: sleepers(project), "it runs"))[0]


async def left_by_a_killed_pool(project: Project) -> psutil.Process:
    """What an agent has started whose pool was killed, together with the pool's reaper."""
    async with project.connect() as client:
        process = await leave(client, project)
        await kill_both(project)
        await client.wait_closed()
    assert lives(process)
    return process


async def test_the_next_pool_ends_what_a_killed_one_has_left(project: Project) -> None:
    left = await left_by_a_killed_pool(project)
    async with project.connect() as client:
        await client.call("list")
        assert not lives(left)
        strays = [line for line in project.log_lines() if line["event"] == "strays_ended"]
        assert len(strays) == 1
        assert left.pid in strays[0]["pids"]


async def test_stop_ends_what_a_killed_pool_has_left_and_says_so(project: Project) -> None:
    left = await left_by_a_killed_pool(project)
    done = await project.run("stop")
    assert done.returncode == 0
    assert not lives(left)
    said = done.stdout.partition("ended what a killed one had left: ")[2]
    assert str(left.pid) in said.split(";")[0].split(", ")


async def test_a_pool_leaves_the_processes_of_another_project_alone(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Project(tmp_path_factory.mktemp("other"))
    other.write_agent("coder", "Do it.", "tools: Bash")
    try:
        async with other.connect() as theirs:
            theirs_runs = await leave(theirs, other)
            async with project.connect() as client:
                await client.call("list")
            await project.run("stop")
            assert lives(theirs_runs)
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
