"""A budget for all processes together, with real ones."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.client import LIMIT_S, Message, Project, open_project, until

CONFIG = """\
[pool]
budget = "1MiB"
"""


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        for name in ("one", "two", "three"):
            project.write_agent(name)
        project.write_config(CONFIG)
        yield project


async def test_an_idle_process_makes_room_for_another_agent(project: Project) -> None:
    async with project.connect() as client:
        for round_ in range(2):
            for agent in ("one", "two"):
                answer = await client.call("invoke", agent=agent, task=f"[[say {round_}]]")
                assert answer["content"][0]["text"] == str(round_)
        found = await client.agents()

    assert found["one"]["pid"] is None  # the other one may have been ended since, being idle
    assert all(found[name]["tasks_failed"] == found[name]["restarts"] == 0 for name in found)


async def test_the_least_recently_used_one_goes_first(project: Project) -> None:
    project.write_config("")
    async with project.connect() as client:
        for agent in ("one", "two", "one"):
            await client.call("invoke", agent=agent, task="[[say hello]]")
        sizes: list[int] = []
        with trio.fail_after(LIMIT_S):
            while len(sizes) < 2:  # until both have been measured; each look takes its time
                rows = (await client.agents()).values()
                sizes = [row["memory_bytes"] for row in rows if row["memory_bytes"]]
        await project.run("stop")
    # Room for two and a half.
    project.write_config(f'[pool]\nbudget = "{int(sum(sizes) * 1.25)}B"\n')
    async with project.connect() as client:
        for agent in ("one", "two", "one"):
            await client.call("invoke", agent=agent, task="[[say hello]]")
        await client.call("invoke", agent="three", task="[[say hello]]")
        found = await client.agents()

    assert found["two"]["pid"] is None
    assert found["three"]["pid"] is not None


async def test_who_finds_no_room_waits_and_is_told_for_what(project: Project) -> None:
    told: list[str] = []

    def progress(params: Message) -> None:
        told.append(params["message"])

    async with project.connect() as client:
        _, busy = await client.start_call("invoke", agent="one", task="[[hang]]")
        with trio.fail_after(LIMIT_S):
            while (await client.agents())["one"]["state"] != "busy":
                pass  # each look is a call, which takes its time
        _, waits = await client.start_call("invoke", progress, agent="two", task="[[say my turn]]")
        await until(lambda: [text for text in told if "waiting for room" in text], "that it waits")
        assert any("of the budget of 1 MiB are taken by one" in text for text in told)
        await client.call("reset", agent="one")

        assert (await busy)["_meta"]["code"] == "agent_reset"
        assert (await waits)["content"][0]["text"] == "my turn"
    assert any(line["event"] == "admission_waits" for line in project.log_lines())


async def test_a_machine_that_is_short_lets_nothing_in(project: Project) -> None:
    project.write_config('[pool]\nmin_available = "1000000GiB"\n')
    async with project.connect() as client:
        refused = await client.call("invoke", agent="one", task="hello", timeout_s=1)

    assert refused["_meta"]["code"] == "deadline_exceeded"
    assert "the machine has" in refused["content"][0]["text"]
