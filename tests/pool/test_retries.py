"""A task whose process dies is tried again only where its agent is declared to bear that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client, Project, open_project

CONFIG = """\
[supervisors.couple]
strategy = "one_for_all"
[defaults.supervisor]
intensity = 1
[agents.patient]
retries = 3
[agents.sibling]
supervisor = "couple"
retries = 1
[agents.crasher]
supervisor = "couple"
[agents.big]
retries = 1
soft_ceiling = "150MiB"
hard_ceiling = "150MiB"
"""


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        for name in ("patient", "strict", "sibling", "crasher", "big"):
            project.write_agent(name, "Do it.", "tools: Bash")
        project.write_config(CONFIG)
        yield project


async def until_state(client: Client, agent: str, wanted: str) -> None:
    with trio.fail_after(LIMIT_S):
        while True:
            if (await client.agent(agent))["state"] == wanted:
                return
            await trio.sleep(POLL_S)


def once(project: Project, then: str) -> str:
    """A task that does `then` the first time, and is done the second."""
    mark = project.folder / "was-here"
    return f"[[bash test -e {mark} && echo second || {{ touch {mark}; {then}; }}]]"


async def test_without_retries_there_is_one_attempt(project: Project) -> None:
    async with project.connect() as client:
        answer = await client.call("invoke", agent="strict", task="[[crash 3]]")

        assert (answer["_meta"]["code"], answer["_meta"]["attempts"]) == ("agent_crashed", 1)


async def test_a_task_is_tried_again_until_it_succeeds(project: Project) -> None:
    async with project.connect() as client:
        answer = await client.call("invoke", agent="patient", task=once(project, "kill -9 $PPID"))

        assert "second" in answer["content"][0]["text"]
        assert answer["_meta"]["attempts"] == 2


async def test_a_poison_task_ends_after_its_attempts_and_does_not_take_its_agent_down(
    project: Project,
) -> None:
    async with project.connect() as client:
        poison = await client.start_call("invoke", agent="patient", task="[[crash 3]]")
        behind = await client.start_call("invoke", agent="patient", task="[[say served]]")
        answer = await poison[1]

        assert (answer["_meta"]["code"], answer["_meta"]["attempts"]) == ("agent_crashed", 4)
        assert "attempt 4" in answer["content"][0]["text"]
        assert (await behind[1])["content"][0]["text"] == "served"
        assert (await client.agent("patient"))["restarts"] == 4


async def test_a_task_is_tried_again_whose_sibling_took_it_along(project: Project) -> None:
    async with project.connect() as client:
        waiting = await client.start_call("invoke", agent="sibling", task=once(project, "sleep 60"))
        await until_state(client, "sibling", "busy")
        await client.call("invoke", agent="crasher", task="[[crash 3]]")
        answer = await waiting[1]

        assert "second" in answer["content"][0]["text"]
        assert answer["_meta"]["attempts"] == 2


async def test_a_task_that_outgrows_its_ceiling_each_time_ends_with_that(project: Project) -> None:
    async with project.connect() as client:
        answer = await client.call("invoke", agent="big", task="[[grow 300]] [[sleep 30]]")

        assert (answer["_meta"]["code"], answer["_meta"]["attempts"]) == ("memory_ceiling", 2)
        after = await client.call("invoke", agent="big", task="[[say well]]")
        assert after["content"][0]["text"] == "well"
