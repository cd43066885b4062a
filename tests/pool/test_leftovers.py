"""What an agent's process leaves running in other sessions does not live for long."""

from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.client import Project, open_project, until


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        project.write_agent("coder")
        project.write_agent("keeper")
        project.write_config("[agents.keeper]\nkeep_background = true\n")
        yield project


def sleepers(project: Project) -> list[psutil.Process]:
    return [process for process in project.processes() if process.name() == "sleep"]


async def test_an_idle_agent_is_rid_of_what_its_tasks_have_left(project: Project) -> None:
    async with project.connect() as client:
        left = await client.call("invoke", agent="coder", task="[[orphan 1000]]")
        await until(lambda: not sleepers(project), "the end of what was left")
        after = await client.call("invoke", agent="coder", task="well?")

        assert after["_meta"]["pid"] == left["_meta"]["pid"]


async def test_an_agent_that_keeps_what_its_tasks_have_left_has_it_until_its_process_ends(
    project: Project,
) -> None:
    async with project.connect() as client:
        first = await client.call("invoke", agent="keeper", task="[[orphan 1000]]")
        second = await client.call("invoke", agent="keeper", task="[[orphan 1000]]")
        assert first["_meta"]["pid"] == second["_meta"]["pid"]
        assert len(sleepers(project)) == 2
        await client.call("reset", agent="keeper")

        assert sleepers(project) == []
