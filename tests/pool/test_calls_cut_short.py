"""Callers that go in the middle of a call leave an agent that still works."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from supervisor.agents import Folders
from supervisor.place import built_in
from supervisor.pool import ConfigFiles, Pool, TaskResult
from supervisor.tree import ChildRef, Supervisor, SupervisorFlags
from tests.client import LIMIT_S, Project, open_project, until

CONFIG = """\
[defaults.supervisor]
intensity = 0
"""


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        project.write_agent("coder")
        project.write_config(CONFIG)
        yield project


async def test_an_agent_that_is_down_stays_so_until_it_is_reset(project: Project) -> None:
    async with project.connect() as client:
        await client.call("invoke", agent="coder", task="[[crash 3]]")

        def is_down() -> bool:
            return any(line["event"] == "agent_down" for line in project.log_lines())

        await until(is_down, "the agent is down")
        refused = await client.call("invoke", agent="coder", task="well?")
        assert refused["_meta"]["code"] == "agent_down"
        await client.call("reset", agent="coder")
        answer = await client.call("invoke", agent="coder", task="well?")
        assert answer["content"][0]["text"] == "echo: well?"


async def test_a_reset_that_is_cancelled_half_way_leaves_an_agent_that_works(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = project.environment()
    files = ConfigFiles.find(project.folder, environ, Path(built_in()) / "config" / "pool.toml")
    folders = Folders.resolve(project.folder, environ, project.home, Path(built_in()))
    pool = Pool(project.folder, environ, files, folders, lambda event: None, "mark")
    async with trio.open_nursery() as nursery:
        await nursery.start(Supervisor("root", SupervisorFlags(), pool.children).run)
        crashed = await pool.submit("coder", "[[crash 3]]")
        with trio.fail_after(LIMIT_S):
            await crashed.settled.wait()
            while {row["name"]: row["state"] for row in await pool.agents()}["coder"] != "down":
                pass  # each look is a look at the machine, which takes its time

        restart = Supervisor.restart_child
        with trio.CancelScope() as call:

            async def cancel_and_restart(tree: Supervisor, child: str) -> ChildRef | None:
                call.cancel()
                return await restart(tree, child)

            monkeypatch.setattr(Supervisor, "restart_child", cancel_and_restart)
            await pool.reset("coder")
        monkeypatch.undo()

        with trio.fail_after(LIMIT_S):
            task = await pool.submit("coder", "well?")
            await task.settled.wait()
        assert isinstance(task.outcome, TaskResult)
        nursery.cancel_scope.cancel()
