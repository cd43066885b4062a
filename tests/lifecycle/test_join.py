"""A relay joins the pool of its project, or starts it."""

import os
import signal
import stat
import sys
from pathlib import Path

import psutil
import pytest
import trio

from supervisor.place import SOCKET_PATH_LIMIT
from tests.client import Client, Project, open_client, until
from tests.lifecycle.foreground import foreground, has_socket, pools_started, until_logged


async def names(client: Client) -> set[str]:
    listed = await client.call("list")
    return {row["name"] for row in listed["structuredContent"]["agents"]}


async def kill_pool(project: Project) -> int:
    pid = project.pool_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: project.place.holder() is None, "the pool's end")
    return pid


async def test_a_relay_starts_the_pool_where_none_runs(project: Project) -> None:
    async with project.connect() as client:
        listed = await client.request("tools/list")
        tools = {tool["name"] for tool in listed["result"]["tools"]}
        assert tools >= {"invoke", "warmup", "list", "reset"}
        assert pools_started(project) == [project.pool_pid()]


async def test_two_relays_at_the_same_instant_start_one_pool_and_share_its_agents(
    project: Project,
) -> None:
    async with project.connect_raw() as first, project.connect_raw() as second:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.initialize)
            nursery.start_soon(second.initialize)
        warmed = await first.call("warmup", agent="coder")
        again = await second.call("warmup", agent="coder")
        assert warmed["structuredContent"]["pid"] == again["structuredContent"]["pid"]
    assert len(pools_started(project)) == 1


async def test_a_project_is_found_from_its_subfolders_and_by_the_variable_from_anywhere(
    project: Project,
) -> None:
    deep = project.folder / "src" / "deep"
    deep.mkdir(parents=True)
    env = project.environment()
    told = project.environment(CLAUDE_PROJECT_DIR=str(project.folder))
    async with (
        project.connect(),
        open_client(cwd=deep, env=env) as below,
        open_client(cwd=project.home, env=told) as elsewhere,
    ):
        assert "coder" in await names(below)
        assert "coder" in await names(elsewhere)
    assert len(pools_started(project)) == 1


async def test_a_relative_folder_means_what_it_means_where_the_client_runs(
    project: Project,
) -> None:
    mine = project.folder / "src" / "mine"
    mine.mkdir(parents=True)
    (mine / "own.md").write_text("---\nname: own\ndescription: x\n---\nDo it.\n")
    relative = project.environment(AGENTS_DIR="mine")
    absolute = project.environment(AGENTS_DIR=str(mine))
    async with (
        open_client(cwd=mine.parent, env=relative) as first,
        open_client(cwd=project.folder, env=absolute) as second,
    ):
        assert "own" in await names(first)
        assert "own" in await names(second)


async def test_what_a_pool_keeps_is_its_users_alone(project: Project) -> None:
    mask = os.umask(0)
    try:
        async with project.connect():
            place = project.place
            assert stat.S_IMODE(os.stat(place.folder).st_mode) == 0o700
            for path in (place.socket, place.lock, place.start_lock, place.errors, place.log):
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    finally:
        os.umask(mask)


async def test_a_socket_whose_path_would_be_too_long_moves_and_is_linked(project: Project) -> None:
    project.state = project.state / ("x" * SOCKET_PATH_LIMIT)
    place = project.place
    async with project.connect() as client:
        assert os.readlink(place.link) == place.socket
        assert len(place.socket) < SOCKET_PATH_LIMIT
        assert stat.S_IMODE(os.stat(os.path.dirname(place.socket)).st_mode) == 0o700
        assert "coder" in await names(client)
    await project.stop()
    assert not has_socket(project)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_pool_has_its_own_session_and_no_descriptor_of_its_starter(
    project: Project,
) -> None:
    with (project.home / "held").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        async with project.connect():
            pid = project.pool_pid()
            assert pid is not None
            assert os.getsid(pid) == psutil.Process(pid).ppid() != os.getsid(0)
            folder = Path(f"/proc/{pid}/fd")
            there = {fd: os.readlink(folder / fd) for fd in os.listdir(folder)}
    assert there["0"] == os.devnull
    assert there["1"] == there["2"] == project.place.errors
    assert not {held.name, project.place.start_lock} & set(there.values())


async def test_what_a_killed_pool_leaves_is_no_obstacle_to_the_next_relay(
    project: Project,
) -> None:
    async with project.connect():
        first = await kill_pool(project)
    assert has_socket(project), "it has left its own behind"
    async with project.connect() as client:
        assert "coder" in await names(client)
        assert project.pool_pid() != first


async def test_what_a_killed_pool_leaves_is_no_obstacle_to_run(project: Project) -> None:
    async with foreground(project):
        await kill_pool(project)
    async with foreground(project), project.connect() as client:
        assert "coder" in await names(client)


async def test_relays_that_come_while_the_pool_is_ending_share_a_new_one(
    project: Project,
) -> None:
    project.write_config('[pool]\nshutdown_grace = "1s"\n')
    async with project.connect() as client:
        _, answer = await client.start_call("invoke", agent="coder", task="[[hang]]")
        await until_logged(project, "task_started")
        first = project.pool_pid()
        assert first is not None
        os.kill(first, signal.SIGTERM)
        await until_logged(project, "pool_stopping")
        assert not answer.come, "the pool is still ending"
        async with project.connect_raw() as one, project.connect_raw() as two:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(one.initialize)
                nursery.start_soon(two.initialize)
            assert "coder" in await names(one)
            assert "coder" in await names(two)
    assert len(pools_started(project)) == 2
