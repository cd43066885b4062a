"""A task whose process dies is tried again only where its agent is declared to bear that."""

from collections.abc import Callable

import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client
from tests.pool.conftest import Share


@pytest.fixture(autouse=True)
def intensity(share: Share) -> None:
    """Less than the attempts that a task may have."""
    share.configure("[defaults.supervisor]\nintensity = 1\n")


@pytest.fixture
def patient(share: Share) -> str:
    return share.agent("patient", "tools: Bash", config="retries = 3")


@pytest.fixture
def once(share: Share) -> Callable[[str], str]:
    """A task that does what it is given the first time, and is done the second."""
    mark = share.project.folder / share.name("was-here")
    return lambda then: f"[[bash test -e {mark} && echo second || {{ touch {mark}; {then}; }}]]"


async def until_state(client: Client, agent: str, wanted: str) -> None:
    with trio.fail_after(LIMIT_S):
        while True:
            if (await client.agent(agent))["state"] == wanted:
                return
            await trio.sleep(POLL_S)


async def test_without_retries_there_is_one_attempt(client: Client, share: Share) -> None:
    answer = await client.call("invoke", agent=share.agent("strict"), task="[[crash 3]]")

    assert (answer["_meta"]["code"], answer["_meta"]["attempts"]) == ("agent_crashed", 1)


async def test_a_task_is_tried_again_until_it_succeeds(
    client: Client, patient: str, once: Callable[[str], str]
) -> None:
    answer = await client.call("invoke", agent=patient, task=once("kill -9 $PPID"))

    assert "second" in answer["content"][0]["text"]
    assert answer["_meta"]["attempts"] == 2


async def test_a_poison_task_ends_after_its_attempts_and_does_not_take_its_agent_down(
    client: Client, patient: str
) -> None:
    poison = await client.start_call("invoke", agent=patient, task="[[crash 3]]")
    behind = await client.start_call("invoke", agent=patient, task="[[say served]]")
    answer = await poison[1]

    assert (answer["_meta"]["code"], answer["_meta"]["attempts"]) == ("agent_crashed", 4)
    assert "attempt 4" in answer["content"][0]["text"]
    assert (await behind[1])["content"][0]["text"] == "served"
    assert (await client.agent(patient))["restarts"] == 4


async def test_a_task_is_tried_again_whose_sibling_took_it_along(
    client: Client, share: Share, once: Callable[[str], str]
) -> None:
    couple = share.name("couple")
    share.configure(f'[supervisors.{couple}]\nstrategy = "one_for_all"\n')
    both = f'supervisor = "{couple}"'
    sibling = share.agent("sibling", "tools: Bash", config=f"{both}\nretries = 1")
    crasher = share.agent("crasher", config=both)
    waiting = await client.start_call("invoke", agent=sibling, task=once("sleep 60"))
    await until_state(client, sibling, "busy")
    await client.call("invoke", agent=crasher, task="[[crash 3]]")
    answer = await waiting[1]

    assert "second" in answer["content"][0]["text"]
    assert answer["_meta"]["attempts"] == 2


async def test_a_task_that_outgrows_its_ceiling_each_time_ends_with_that(
    client: Client, share: Share
) -> None:
    ceilings = 'soft_ceiling = "150MiB"\nhard_ceiling = "150MiB"'
    big = share.agent("big", config=f"retries = 1\n{ceilings}")
    answer = await client.call("invoke", agent=big, task="[[grow 300]] [[sleep 30]]")

    assert (answer["_meta"]["code"], answer["_meta"]["attempts"]) == ("memory_ceiling", 2)
    after = await client.call("invoke", agent=big, task="[[say well]]")
    assert after["content"][0]["text"] == "well"
