"""What is remembered of the calls that a client has taken back."""

import json
from pathlib import Path
from typing import cast

import trio
import trio.testing

from supervisor.frontend import FrontEnd
from supervisor.frontend._calls import CANCELLED_KEPT, CLIENT
from supervisor.place import Place
from supervisor.pool import Pool
from tests.frontend.conftest import CannedPool


async def test_of_a_client_that_cancels_for_ever_the_last_calls_are_known(
    pool: CannedPool, faults: list[Exception], tmp_path: Path
) -> None:
    place = Place(str(tmp_path), {"HOME": str(tmp_path)})
    front_end = FrontEnd(cast(Pool, pool), place, {}, faults.append)
    ours, theirs = trio.testing.memory_stream_pair()
    _, reader = front_end._meet(theirs)
    for number in range(CANCELLED_KEPT + 5):
        await ours.send_all(cancelling(number))
        await reader.receive()

    assert list(CLIENT.get().cancelled) == list(range(5, CANCELLED_KEPT + 5))


def cancelling(number: int) -> bytes:
    params = {"requestId": number}
    message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
    return json.dumps(message).encode() + b"\n"
