"""Planned replacements: by tasks, age and idle time; no task is dropped, none counts as failed."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.agents import Folders
from supervisor.place import built_in
from supervisor.pool import ConfigFiles, Pool, PoolEvent, TaskResult
from supervisor.pool.events import SpawnDelayed
from supervisor.process import Child, Command
from supervisor.tree import Supervisor, SupervisorFlags
from tests.client import LIMIT_S, POLL_S, Client, Project, open_project
from tests.pool.conftest import Share


@pytest.fixture
def counted(share: Share) -> str:
    return share.agent("counted", config="max_tasks = 2")


@pytest.fixture
def aged(share: Share) -> str:
    return share.agent("aged", config='max_age = "300ms"')


@pytest.fixture
def idler(share: Share) -> str:
    return share.agent("idler", config='idle_timeout = "300ms"')


@pytest.fixture
def grower(share: Share) -> str:
    return share.agent("grower", config='max_growth = "50MiB"')


async def say(client: Client, agent: str, text: str) -> int:
    answer = await client.call("invoke", agent=agent, task=f"[[say {text}]]")
    assert answer["content"][0]["text"] == text
    pid: int = answer["_meta"]["pid"]
    return pid


async def until_row(client: Client, agent: str, holds: Callable[[dict[str, Any]], object]) -> None:
    with trio.fail_after(LIMIT_S):
        while True:
            if holds(await client.agent(agent)):
                return
            await trio.sleep(POLL_S)


async def test_after_so_many_tasks_the_next_has_a_new_process(client: Client, counted: str) -> None:
    pids = [await say(client, counted, f"n{number}") for number in range(5)]

    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
    found = await client.agent(counted)
    assert (found["tasks_done"], found["tasks_failed"], found["restarts"]) == (5, 0, 0)


async def test_tasks_that_wait_do_not_notice(client: Client, counted: str) -> None:
    calls = [
        await client.start_call("invoke", agent=counted, task=f"[[say n{number}]]")
        for number in range(8)
    ]
    texts = [(await answer)["content"][0]["text"] for _, answer in calls]

    assert texts == [f"n{number}" for number in range(8)]


async def test_an_old_process_is_replaced_once_it_is_idle(client: Client, aged: str) -> None:
    first = await client.call("invoke", agent=aged, task="[[sleep 1]] [[say done]]")
    assert first["content"][0]["text"] == "done"
    await until_row(client, aged, lambda found: found["recycles"])
    assert await say(client, aged, "more") != first["_meta"]["pid"]


async def test_a_process_without_work_is_ended_and_started_again_for_the_next_task(
    client: Client, idler: str
) -> None:
    pid = await say(client, idler, "one")
    await until_row(client, idler, lambda found: found["state"] == "stopped")
    assert (await client.agent(idler))["pid"] is None
    assert await say(client, idler, "two") != pid
    assert (await client.agent(idler))["restarts"] == 0


async def test_a_process_that_has_grown_is_replaced_after_its_task(
    client: Client, grower: str
) -> None:
    pids = {await say(client, grower, "one")}
    with trio.fail_after(LIMIT_S):
        while not (await client.agent(grower))["recycles"]:
            answer = await client.call("invoke", agent=grower, task="[[grow 20]] [[say big]]")
            assert answer["content"][0]["text"] == "big"
            pids.add(answer["_meta"]["pid"])
    assert len(pids | {await say(client, grower, "two")}) > 1
    assert (await client.agent(grower))["tasks_failed"] == 0


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    """For a pool within the test's own process."""
    async with open_project(tmp_path) as project:
        project.write_agent("counted")
        yield project


async def test_a_machine_without_room_is_waited_for_and_is_no_crash(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = project.environment()
    files = ConfigFiles.find(project.folder, environ, Path(built_in()) / "config" / "pool.toml")
    folders = Folders.resolve(project.folder, environ, project.home, Path(built_in()))
    told: list[PoolEvent] = []
    pool = Pool(project.folder, environ, files, folders, told.append, "mark")
    start = Child.start
    errors = [OSError(24, "Too many open files"), BlockingIOError(11, "try again")]

    async def crowded(command: Command) -> Child:
        if errors:
            raise errors.pop(0)
        return await start(command)

    monkeypatch.setattr(Child, "start", crowded)
    async with trio.open_nursery() as nursery:
        await nursery.start(Supervisor("root", SupervisorFlags(), pool.children).run)
        task = await pool.submit("counted", "[[say served]]")
        with trio.fail_after(LIMIT_S):
            await task.settled.wait()
        nursery.cancel_scope.cancel()

    assert isinstance(task.outcome, TaskResult)
    assert len([event for event in told if isinstance(event, SpawnDelayed)]) == 2
