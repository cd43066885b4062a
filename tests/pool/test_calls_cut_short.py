"""Callers that go in the middle of a call leave an agent that still works."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client import Project, open_project, until

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


async def test_a_cancelled_reset_of_a_down_agent_leaves_one_that_works(project: Project) -> None:
    async with project.connect() as client:
        crashed = await client.call("invoke", agent="coder", task="[[crash 3]]")
        assert crashed["_meta"]["code"] == "agent_crashed"
        for _ in range(5):
            request, _answer = await client.start_call("reset", agent="coder")
            await client.cancel(request)
        await client.call("reset", agent="coder")
        answer = await client.call("invoke", agent="coder", task="well?")
        assert answer["content"][0]["text"] == "echo: well?"


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
