"""What an agent's process leaves running in other sessions does not live for long."""

import psutil
import pytest

from tests.client import Client, Project, until
from tests.pool.conftest import Share


@pytest.fixture
def coder(share: Share) -> str:
    return share.agent("coder")


@pytest.fixture
def keeper(share: Share) -> str:
    return share.agent("keeper", config="keep_background = true")


def sleepers(project: Project) -> list[psutil.Process]:
    return [process for process in project.processes() if process.name() == "sleep"]


async def test_an_idle_agent_is_rid_of_what_its_tasks_have_left(
    client: Client, share: Share, coder: str
) -> None:
    left = await client.call("invoke", agent=coder, task="[[orphan 1000]]")
    await until(lambda: not sleepers(share.project), "the end of what was left")
    after = await client.call("invoke", agent=coder, task="well?")

    assert after["_meta"]["pid"] == left["_meta"]["pid"]


async def test_an_agent_that_keeps_what_its_tasks_have_left_has_it_until_its_process_ends(
    client: Client, share: Share, keeper: str
) -> None:
    first = await client.call("invoke", agent=keeper, task="[[orphan 1000]]")
    second = await client.call("invoke", agent=keeper, task="[[orphan 1000]]")
    assert first["_meta"]["pid"] == second["_meta"]["pid"]
    assert len(sleepers(share.project)) == 2
    await client.call("reset", agent=keeper)

    assert sleepers(share.project) == []
