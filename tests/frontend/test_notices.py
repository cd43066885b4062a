"""What clients are told without having asked."""

from pathlib import Path
from typing import cast

import trio
from mcp import Client
from mcp.shared.subscriptions import ToolsListChanged

from supervisor.frontend import FrontEnd
from supervisor.place import Place
from supervisor.pool import ConfigurationReloaded, Pool
from tests.frontend.conftest import CannedPool


async def test_a_client_of_the_new_era_is_told_by_the_stream_that_it_has_opened(
    pool: CannedPool, faults: list[Exception], tmp_path: Path, nursery: trio.Nursery
) -> None:
    place = Place(str(tmp_path), {"HOME": str(tmp_path)})
    front_end = FrontEnd(cast(Pool, pool), place, {}, faults.append)
    front_end._nursery = nursery
    async with (
        Client(front_end._server, mode="auto") as client,
        client.listen(tools_list_changed=True) as stream,
    ):
        front_end.told(ConfigurationReloaded("", "a test", ("agent x: new",), (), True))
        with trio.fail_after(10):
            async for event in stream:
                assert isinstance(event, ToolsListChanged)
                break
    assert faults == []
