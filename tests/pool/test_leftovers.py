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
        yield project


def sleepers(project: Project) -> list[psutil.Process]:
    return [process for process in project.processes() if process.name() == "sleep"]


async def test_an_idle_agent_is_rid_of_what_its_tasks_have_left(project: Project) -> None:
    async with project.connect() as client:
        left = await client.call("invoke", agent="coder", task="[[orphan 1000]]")
        await until(lambda: not sleepers(project), "the end of what was left")
        after = await client.call("invoke", agent="coder", task="well?")

        assert after["_meta"]["pid"] == left["_meta"]["pid"]
