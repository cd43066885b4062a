"""Memory ceilings, with real processes that grow at a word."""

from typing import Any

import pytest
import trio

from tests.client import LIMIT_S, Client, until
from tests.pool.conftest import Share


@pytest.fixture
def small(share: Share) -> str:
    return share.agent("small", config='soft_ceiling = "150MiB"\nhard_ceiling = "150MiB"')


@pytest.fixture
def soft(share: Share) -> str:
    return share.agent("soft", config='soft_ceiling = "120MiB"')


@pytest.fixture
def tiny(share: Share) -> str:
    return share.agent("tiny", config='soft_ceiling = "1MiB"')


async def recycled(client: Client, name: str) -> dict[str, Any]:
    """The agent's row, once its process has been replaced and the new one is ready."""
    with trio.fail_after(LIMIT_S):
        while not ((found := await client.agent(name))["recycles"] and found["pid"]):
            pass  # each look is a call, which takes its time
    return found


async def test_past_the_hard_ceiling_the_task_ends_with_the_figures(
    client: Client, small: str
) -> None:
    result = await client.call("invoke", agent=small, task="[[grow 400]] [[sleep 600]]")

    assert result["isError"]
    meta = result["_meta"]
    assert meta["code"] == "memory_ceiling"
    assert meta["limit_bytes"] == 150 * 2**20
    assert meta["size_bytes"] > meta["limit_bytes"]
    assert meta["biggest"][0]["pid"] == meta["pid"]
    assert meta["biggest"][0]["own_bytes"] > 100 * 2**20


async def test_a_task_that_grew_counts_as_no_crash_and_the_next_one_works(
    client: Client, small: str
) -> None:
    grown = await client.call("invoke", agent=small, task="[[grow 400]] [[sleep 600]]")
    after = await client.call("invoke", agent=small, task="well?")

    assert after["content"][0]["text"] == "echo: well?"
    assert after["_meta"]["pid"] != grown["_meta"]["pid"]
    assert (await client.agent(small))["restarts"] == 0


async def test_past_the_soft_ceiling_the_task_in_hand_is_finished_first(
    client: Client, soft: str
) -> None:
    grown = await client.call("invoke", agent=soft, task="fat [[grow 200]]")
    after = await recycled(client, soft)

    assert grown["content"][0]["text"] == "echo: fat"
    assert after["pid"] != grown["_meta"]["pid"]
    assert (after["restarts"], after["tasks_done"]) == (0, 1)


async def test_a_process_that_starts_above_the_soft_ceiling_serves_a_task_before_it_is_recycled(
    client: Client, share: Share, tiny: str
) -> None:
    ready = (await client.call("warmup", agent=tiny))["structuredContent"]
    await until(lambda: share.log("ceiling_crossed"), "the crossing of the soft ceiling")
    answer = await client.call("invoke", agent=tiny, task="one")

    assert answer["_meta"]["pid"] == ready["pid"]
    assert (await recycled(client, tiny))["pid"] != ready["pid"]
