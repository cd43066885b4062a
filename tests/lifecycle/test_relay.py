"""A relay's end harms nobody, and a pool's end is its relays' too."""

import os
import signal

import pytest

from supervisor.place import TAG
from tests.client import SERVE, ConnectionLost, Project, Refused, open_client, until
from tests.lifecycle.deaf import flood, unread
from tests.lifecycle.foreground import events, pools_started, until_logged


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_a_killed_relay_harms_neither_the_pool_nor_another_client(
    project: Project, number: signal.Signals
) -> None:
    project.write_agent("second")
    project.write_config('[pool]\ndisconnect_grace = "10ms"\n')
    async with project.connect() as other, project.connect() as doomed:
        _, answer = await other.start_call("invoke", agent="coder", task="[[sleep 1]] [[say ok]]")
        await doomed.start_call("invoke", agent="second", task="[[hang]]")
        await until(lambda: events(project).count("task_started") == 2, "both are in hand")
        doomed.process.send_signal(number)
        assert await doomed.wait_closed() == -number
        assert doomed.stderr == ""
        assert (await answer)["content"][0]["text"] == "ok"
        assert len(pools_started(project)) == 1


async def test_a_relay_ends_with_its_input(project: Project) -> None:
    async with project.connect() as client, project.connect() as other:
        client.close_input()
        assert await client.wait_closed() == 0
        assert client.stderr == ""
        assert not (await other.call("list"))["isError"]


async def test_a_pool_that_dies_makes_its_relays_exit_and_the_next_one_starts_a_new_pool(
    project: Project,
) -> None:
    async with project.connect() as one, project.connect() as two:
        _, answer = await one.start_call("invoke", agent="coder", task="[[hang]]")
        await until_logged(project, "task_started")
        first = project.pool_pid()
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with pytest.raises(ConnectionLost):
            await answer
        for relay in (one, two):
            assert await relay.wait_closed() == 1
            assert relay.stderr.count("\n") == 1
            assert "the pool has gone" in relay.stderr
    async with project.connect() as client:
        result = await client.call("invoke", agent="coder", task="[[say again]]")
        assert result["content"][0]["text"] == "again"
        assert project.pool_pid() != first


async def test_a_client_that_stops_reading_keeps_neither_others_nor_the_end_waiting(
    project: Project,
) -> None:
    async with project.connect() as reader, unread(project) as deaf:
        await flood(deaf)
        result = await reader.call("invoke", agent="coder", task="[[say served]]")
        assert result["content"][0]["text"] == "served"
        assert (await project.run("stop")).returncode == 0
        assert await reader.wait_closed() == 1


async def test_an_agent_may_not_join_the_pool_that_started_it(project: Project) -> None:
    async with project.connect(), project.connect_raw(**{TAG: "x.1"}) as client:
        with pytest.raises(Refused, match="an agent of a pool may not start or join a pool"):
            await client.initialize()
        assert await client.wait_closed() == 1
        assert TAG in client.stderr


async def test_a_state_folder_that_cannot_be_made_is_named(project: Project) -> None:
    async with project.connect_raw(XDG_STATE_HOME=os.devnull) as client:
        with pytest.raises(Refused, match="the state folder /dev/null/agent-pool"):
            await client.initialize()
        assert await client.wait_closed() == 1
        assert f"the state folder {os.devnull}/agent-pool" in client.stderr
        assert "XDG_STATE_HOME" in client.stderr
        assert "Traceback" not in client.stderr


async def test_run_names_a_state_folder_that_cannot_be_made(project: Project) -> None:
    run = await project.run("run", XDG_STATE_HOME=os.devnull)
    assert run.returncode == 1
    assert f"the state folder {os.devnull}/agent-pool" in run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
async def test_a_state_folder_of_somebody_else_is_not_used(project: Project) -> None:
    os.makedirs(project.place.folder)
    os.chown(project.place.folder, 12345, 12345)
    async with project.connect_raw() as client:
        with pytest.raises(Refused, match="does not belong to this user"):
            await client.initialize()
        assert await client.wait_closed() == 1
    run = await project.run("run")
    assert run.returncode == 1
    assert "does not belong to this user" in run.stderr


async def test_a_project_folder_that_is_not_there_is_named(project: Project) -> None:
    nowhere = str(project.folder / "nowhere")
    env = project.environment(CLAUDE_PROJECT_DIR=nowhere)
    async with open_client(SERVE, cwd=project.folder, env=env, initialize=False) as client:
        with pytest.raises(Refused, match="nowhere"):
            await client.initialize()
        assert await client.wait_closed() == 1
        assert "Traceback" not in client.stderr
