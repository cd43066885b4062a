"""Callers that go in the middle of a call leave an agent that still works."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from supervisor.agents import Folders
from supervisor.place import built_in
from supervisor.pool import ConfigFiles, Pool, TaskResult
from supervisor.pool.agent import Agent
from supervisor.pool.agent_tree import AgentTree
from supervisor.pool.conversations import forgettable
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


def pool_of(project: Project) -> Pool:
    environ = project.environment()
    files = ConfigFiles.find(project.folder, environ, Path(built_in()) / "config" / "pool.toml")
    folders = Folders.resolve(project.folder, environ, project.home, Path(built_in()))
    return Pool(project.folder, environ, files, folders, lambda event: None, "mark")


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
    pool = pool_of(project)
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


async def test_a_warmup_is_answered_though_its_agent_is_removed_meanwhile(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, add = pool_of(project), AgentTree.add

    async def remove_and_add(tree: AgentTree, agent: Agent) -> None:
        (project.folder / ".claude" / "agents" / "coder.md").unlink()
        await pool.reload("it is removed")
        await trio.testing.wait_all_tasks_blocked(0.01)
        await add(tree, agent)

    monkeypatch.setattr(AgentTree, "add", remove_and_add)
    async with trio.open_nursery() as nursery:
        await nursery.start(Supervisor("root", SupervisorFlags(), pool.children).run)
        with trio.fail_after(LIMIT_S):
            assert (await pool.warmup("coder")).pid > 0
        nursery.cancel_scope.cancel()


async def test_conversations_are_forgotten_once_each_where_calls_come_together(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = pool_of(project)
    monkeypatch.setattr("supervisor.pool.pool.forgettable", partial(forgettable, limit=1))
    async with trio.open_nursery() as nursery:
        await nursery.start(Supervisor("root", SupervisorFlags(), pool.children).run)
        with trio.fail_after(LIMIT_S):
            for name in "ab":
                await (await pool.submit("coder", "well?", conversation=name)).settled.wait()
            for name in "ab":
                await pool.reset("coder", name)

            async def ask(name: str) -> None:
                task = await pool.submit("coder", "well?", conversation=name)
                await task.settled.wait()
                assert isinstance(task.outcome, TaskResult)

            async with trio.open_nursery() as calls:
                calls.start_soon(ask, "c")
                calls.start_soon(ask, "d")
        nursery.cancel_scope.cancel()
