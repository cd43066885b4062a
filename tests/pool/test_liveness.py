"""Processes that hang, with real ones: they are found out, and slow or silent ones are not."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client, Project, open_project

CONFIG = """\
[defaults.agent]
liveness_timeout = "1s"
[agents.unwatched]
liveness_timeout = "0s"
"""


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        for name in ("coder", "unwatched"):
            project.write_agent(name)
        project.write_config(CONFIG)
        yield project


async def warm(client: Client, agent: str) -> int:
    pid: int = (await client.call("warmup", agent=agent))["structuredContent"]["pid"]
    return pid


async def until_asked(client: Client) -> None:
    """Until its binary is known to answer a ping: that is found out by the first one."""
    with trio.fail_after(LIMIT_S):
        while True:
            await client.call("invoke", agent="coder", task="[[say hello]]")
            if (await client.agent("coder"))["watched_by"] == "ping":
                return


@pytest.mark.parametrize("misbehaviour", ["[[stop]]", "[[deaf]] [[sleep 600]]"])
async def test_a_process_that_hangs_in_a_task_is_killed_and_the_next_task_succeeds(
    project: Project, misbehaviour: str
) -> None:
    async with project.connect() as client:
        pid = await warm(client, "coder")
        await until_asked(client)
        result = await client.call("invoke", agent="coder", task=misbehaviour)

        assert result["_meta"]["code"] == "agent_hung"
        assert result["_meta"]["pid"] == pid
        answer = await client.call("invoke", agent="coder", task="[[say back]]")
        assert answer["content"][0]["text"] == "back"
        assert answer["_meta"]["pid"] != pid
        assert (await client.agent("coder"))["restarts"] == 1
    assert not psutil.pid_exists(pid)


async def test_an_idle_process_that_is_stopped_is_replaced(project: Project) -> None:
    async with project.connect() as client:
        pid = await warm(client, "coder")
        os.kill(pid, signal.SIGSTOP)
        with trio.fail_after(LIMIT_S):
            while True:
                if (await client.agent("coder"))["pid"] not in (pid, None):
                    return
                await trio.sleep(POLL_S)


async def test_a_long_silent_task_is_no_hang(project: Project) -> None:
    async with project.connect() as client:
        answer = await client.call("invoke", agent="coder", task="[[sleep 4]] [[say done]]")

        assert answer["content"][0]["text"] == "done"
        found = await client.agent("coder")
        assert (found["restarts"], found["watched_by"]) == (0, "ping")


async def test_an_agent_that_is_not_to_be_watched_is_not(project: Project) -> None:
    async with project.connect() as client:
        answer = await client.call(
            "invoke", agent="unwatched", task="[[deaf]] [[sleep 3]] [[say done]]"
        )

        assert answer["content"][0]["text"] == "done"
