"""A client that closes its end, and reads on, has an answer to all that it has asked."""

import pytest

from tests.client import Message, Refused
from tests.greeting.record import of_version
from tests.transports.stage import Served

NEWEST = "2026-07-28"

LIST: Message = {"name": "list", "arguments": {}}
LONG: Message = {"name": "invoke", "arguments": {"agent": "coder", "task": "[[hang]]"}}


async def test_what_is_answered_soon_it_still_gets(shared: Served) -> None:
    async with shared.project.connect() as client:
        asked = [await client.start("tools/call", LIST) for _ in range(3)]
        asked.append(await client.start("tools/list"))
        client.close_input()

        for _, answer in asked:
            assert "error" not in await answer.message()
        assert await client.wait_closed() == 0


async def test_what_takes_longer_is_answered_as_closed(hasty: Served) -> None:
    async with hasty.project.connect() as client:
        _, answer = await client.start("tools/call", LONG)
        client.close_input()

        with pytest.raises(Refused, match="Connection closed"):
            await answer


async def test_so_it_is_in_the_era_without_a_session(hasty: Served) -> None:
    said = of_version(NEWEST)
    async with hasty.project.connect_raw() as client:
        _, soon = await client.start("tools/call", LIST | said)
        _, late = await client.start("tools/call", LONG | said)
        client.close_input()

        assert not (await soon)["isError"]
        with pytest.raises(Refused, match="Connection closed"):
            await late


async def test_who_only_listens_is_not_waited_for(shared: Served) -> None:
    wanted = {"notifications": {"toolsListChanged": True}, **of_version(NEWEST)}
    async with shared.project.connect_raw() as client:
        await client.start("subscriptions/listen", wanted)
        await client.request("server/discover", of_version(NEWEST))
        client.close_input()

        assert await client.wait_closed() == 0
