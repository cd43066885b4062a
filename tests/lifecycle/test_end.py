"""How a pool ends: told to, or because nobody needs it any more."""

import signal
from typing import Any

import psutil
import pytest

from tests.client import Project, until
from tests.lifecycle.foreground import (
    events,
    foreground,
    has_socket,
    pools_started,
    until_logged,
)

HURRY = '[pool]\nshutdown_grace = "200ms"\n[defaults.agent]\nshutdown = "500ms"\n'
BUSY = "[[bash sleep 300 & setsid sleep 300]]"
"""A task that leaves two processes behind, one of them in a session of its own."""


def agents_processes(project: Project) -> list[psutil.Process]:
    pool = psutil.Process(project.pool_pid())
    return [process for process in pool.children(recursive=True) if process.is_running()]


async def until_busy(project: Project) -> list[psutil.Process]:
    """All processes below the pool, once the agent's Bash command has started its own."""

    def look() -> list[psutil.Process]:
        found = agents_processes(project)
        sleeping = [p for p in found if "sleep" in p.name()]
        return found if len(sleeping) == 2 else []

    return await until(look, "the agent's command runs")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_the_pool_in_order_and_everything_that_it_started(
    project: Project, number: signal.Signals
) -> None:
    project.write_config(HURRY)
    async with foreground(project) as pool, project.connect() as client:
        _, answer = await client.start_call("invoke", agent="coder", task=BUSY)
        below = await until_busy(project)
        pool.process.send_signal(number)
        assert await pool.exit_status() == 0
        assert not [p for p in below if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        result = await answer
        assert result["isError"]
        assert result["_meta"]["code"] == "pool_stopping"
        assert await client.wait_closed() == 1
    assert "Traceback" not in pool.output
    assert project.log_lines()[-1]["event"] == "pool_ended"
    assert project.log_lines()[-1]["why"] == number.name
    assert not has_socket(project)


async def test_stop_ends_a_pool_that_a_relay_started_and_waits_until_it_has_gone(
    project: Project,
) -> None:
    project.write_config(HURRY)
    async with project.connect() as one, project.connect() as two:
        calls = [
            await client.start_call("invoke", agent="coder", task="[[ignore-term]] [[hang]]")
            for client in (one, two)
            for _ in range(40)
        ]
        await one.call("list")
        await two.call("list")
        pid = project.pool_pid()
        stopped = await project.run("stop")
        assert stopped.returncode == 0
        assert f"pid {pid}" in stopped.stdout
        assert project.place.holder() is None
        assert not psutil.pid_exists(pid or 0) or psutil.Process(pid).status() == "zombie"
        codes = [(await answer)["_meta"]["code"] for _, answer in calls]
        assert codes == ["pool_stopping"] * 80, "in hand and waiting"
    assert open_text(project.place.errors) == ""


async def test_a_deaf_agent_does_not_keep_the_pool_from_ending(project: Project) -> None:
    project.write_config(HURRY)
    async with project.connect() as client:
        task = "[[deaf]] [[ignore-term]] [[hang]]"
        _, answer = await client.start_call("invoke", agent="coder", task=task)
        await until_logged(project, "task_started")
        assert (await project.run("stop")).returncode == 0
        assert (await answer)["_meta"]["code"] == "pool_stopping"
    assert not project.processes()


async def test_a_task_that_ends_within_the_grace_is_answered(project: Project) -> None:
    project.write_config('[pool]\nshutdown_grace = "30s"\n')
    async with project.connect() as client:
        task = "[[sleep 1]] [[say done]]"
        _, answer = await client.start_call("invoke", agent="coder", task=task)
        await until_logged(project, "task_started")
        assert (await project.run("stop")).returncode == 0
        assert (await answer)["content"][0]["text"] == "done"


async def test_without_a_pool_stop_is_content_and_status_says_so(project: Project) -> None:
    stopped = await project.run("stop")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert "no pool" in stopped.stdout
    status = await project.run("status")
    assert (status.returncode, status.stderr) == (3, "")
    assert "no pool" in status.stdout


async def test_status_names_the_pool_and_its_agents(project: Project) -> None:
    async with project.connect() as client:
        await client.call("warmup", agent="coder")
        status = await project.run("status")
        assert (status.returncode, status.stderr) == (0, "")
        assert f"pool {project.pool_pid()} " in status.stdout
        assert "coder" in status.stdout


async def test_a_second_run_says_that_one_runs_already(project: Project) -> None:
    async with foreground(project):
        second = await project.run("run")
        assert second.returncode == 1
        assert str(project.place.root) in second.stderr
        assert "agent-pool stop" in second.stderr
        assert len(second.stderr.splitlines()) == 1


async def test_a_pool_in_the_foreground_does_not_end_with_its_last_client(
    project: Project,
) -> None:
    project.write_config('[pool]\nlinger = "0s"\n')
    async with foreground(project) as pool:
        async with project.connect() as client:
            await client.call("list")
        assert (await project.run("status")).returncode == 0
        assert pool.process.returncode is None
        assert pools_started(project) == [project.pool_pid()]


async def test_a_pool_that_a_relay_started_goes_after_its_last_client(project: Project) -> None:
    project.write_config('[pool]\nlinger = "100ms"\n')
    async with project.connect() as first:
        async with project.connect() as second:
            await second.call("warmup", agent="coder")
        # Far longer than the linger, with one client that says nothing.
        assert (await project.run("status")).returncode == 0
        assert not (await first.call("list"))["isError"]
    await until(lambda: not project.processes(), "the pool and its agent have gone")
    assert project.log_lines()[-1]["event"] == "pool_ended"
    assert not has_socket(project)
    assert open_text(project.place.errors) == ""


async def test_a_pool_goes_only_after_its_last_task(project: Project) -> None:
    project.write_config('[pool]\nlinger = "10ms"\n')
    async with project.connect() as client:
        task = "[[sleep 1]] [[say done]]"
        await client.start_call("invoke", agent="coder", task=task)
        await until_logged(project, "task_started")
        client.process.kill()
        await client.wait_closed()
    await until_logged(project, "pool_ended")
    order = [name for name in events(project) if name in ("task_ended", "pool_stopping")]
    assert order == ["task_ended", "pool_stopping"]
    assert outcome(project) == "result"


async def test_a_pool_without_any_linger_serves_the_client_that_started_it(
    project: Project,
) -> None:
    project.write_config('[pool]\nlinger = "0s"\n')
    async with project.connect() as client:
        assert not (await client.call("list"))["isError"]
    await until_logged(project, "pool_ended")
    assert len(pools_started(project)) == 1


def outcome(project: Project) -> Any:
    return next(line["outcome"] for line in project.log_lines() if line["event"] == "task_ended")


def open_text(path: str) -> str:
    with open(path) as file:
        return file.read()
