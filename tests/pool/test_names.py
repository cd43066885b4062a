"""One name that can be written in two ways is one agent."""

from tests.client import Client
from tests.pool.conftest import Share

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


async def test_an_agent_is_one_however_the_accents_of_its_name_are_written(
    client: Client, share: Share
) -> None:
    composed, decomposed = share.agent(COMPOSED), share.name(DECOMPOSED)
    first = await client.call("invoke", agent=composed, task="well?")
    other = await client.call("invoke", agent=decomposed, task="well?")
    warm = await client.call("warmup", agent=decomposed)
    assert other["_meta"]["pid"] == first["_meta"]["pid"]
    assert warm["structuredContent"]["pid"] == first["_meta"]["pid"]
    reset = await client.call("reset", agent=decomposed)
    assert reset["structuredContent"]["pid"] == first["_meta"]["pid"]
