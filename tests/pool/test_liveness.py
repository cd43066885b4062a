"""Processes that hang, with real ones: they are found out, and slow or silent ones are not."""

import os
import signal

import psutil
import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client
from tests.pool.conftest import Share

QUICK = '[defaults.agent]\nliveness_timeout = "1s"\n'


@pytest.fixture
def coder(share: Share) -> str:
    share.configure(QUICK)
    return share.agent("coder")


@pytest.fixture
def unwatched(share: Share) -> str:
    share.configure(QUICK)
    return share.agent("unwatched", config='liveness_timeout = "0s"')


async def warm(client: Client, agent: str) -> int:
    pid: int = (await client.call("warmup", agent=agent))["structuredContent"]["pid"]
    return pid


async def until_asked(client: Client, agent: str) -> None:
    """Until its binary is known to answer a ping: that is found out by the first one."""
    with trio.fail_after(LIMIT_S):
        while True:
            await client.call("invoke", agent=agent, task="[[say hello]]")
            if (await client.agent(agent))["watched_by"] == "ping":
                return


@pytest.mark.parametrize("misbehaviour", ["[[stop]]", "[[deaf]] [[sleep 600]]"])
async def test_a_process_that_hangs_in_a_task_is_killed_and_the_next_task_succeeds(
    client: Client, misbehaviour: str, coder: str
) -> None:
    pid = await warm(client, coder)
    await until_asked(client, coder)
    result = await client.call("invoke", agent=coder, task=misbehaviour)

    assert result["_meta"]["code"] == "agent_hung"
    assert result["_meta"]["pid"] == pid
    answer = await client.call("invoke", agent=coder, task="[[say back]]")
    assert answer["content"][0]["text"] == "back"
    assert answer["_meta"]["pid"] != pid
    assert (await client.agent(coder))["restarts"] == 1
    assert not psutil.pid_exists(pid)


async def test_an_idle_process_that_is_stopped_is_replaced(client: Client, coder: str) -> None:
    pid = await warm(client, coder)
    os.kill(pid, signal.SIGSTOP)
    with trio.fail_after(LIMIT_S):
        while True:
            if (await client.agent(coder))["pid"] not in (pid, None):
                return
            await trio.sleep(POLL_S)


async def test_a_long_silent_task_is_no_hang(client: Client, coder: str) -> None:
    answer = await client.call("invoke", agent=coder, task="[[sleep 4]] [[say done]]")

    assert answer["content"][0]["text"] == "done"
    found = await client.agent(coder)
    assert (found["restarts"], found["watched_by"]) == (0, "ping")


async def test_an_agent_that_is_not_to_be_watched_is_not(client: Client, unwatched: str) -> None:
    answer = await client.call("invoke", agent=unwatched, task="[[deaf]] [[sleep 3]] [[say done]]")

    assert answer["content"][0]["text"] == "done"
