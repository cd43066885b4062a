"""What becomes of HTTP's clients that go, hang or never finish, and of the pool that had them."""

import json
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio

from tests.client import LIMIT_S, POLL_S, until
from tests.transports.conftest import AT_ONCE, Serve
from tests.transports.stage import Era, Served, answer_of, call, modern

pytestmark = pytest.mark.xdist_group("http")

PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


async def until_outcome(served: Served, wanted: str) -> None:
    """Wait until the newest task, as another client sees it, has come to that."""
    async with served.project.connect() as client:
        with trio.fail_after(LIMIT_S):
            while True:
                (row,) = (await client.call("tasks", limit=1))["structuredContent"]["tasks"]
                if row["outcome"] is not None:
                    assert row["outcome"] == wanted
                    return
                await trio.sleep(POLL_S)


def send(served: Served, request: dict[str, Any], era: Era, session: str = "") -> socket.socket:
    """A bare connection on which that request was sent."""
    headers = {"mcp_session_id": session}
    if era == "auto":
        request, headers = modern(request)
    body = json.dumps(request).encode()
    client = served.connect()
    client.sendall(served.head(len(body), **headers) + body)
    return client


async def begin(served: Served, task: str, era: Era, session: str = "") -> socket.socket:
    """The same with a call, once the agent is at work."""
    client = send(served, call("invoke", agent="coder", task=task), era, session)
    async with served.project.connect() as other:
        with trio.fail_after(LIMIT_S):
            while (await other.agent("coder"))["state"] != "busy":  # noqa: ASYNC110 - elsewhere
                await trio.sleep(POLL_S)
    return client


async def test_until_2025_a_dropped_connection_cancels_nothing(
    hasty: Served, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    waiting = f"[[bash while [ ! -e {gate} ]; do sleep 0.02; done]]"
    client = await begin(hasty, waiting, "legacy", hasty.session())

    client.close()
    gate.touch()

    await until_outcome(hasty, "result")


async def test_from_2026_on_it_ends_the_task_after_the_grace(hasty: Served) -> None:
    client = await begin(hasty, "[[bash sleep 1000]]", "auto")

    client.close()

    await until_outcome(hasty, "cancelled")


async def test_a_client_that_is_killed_loses_nothing_within_the_grace(
    shared: Served, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    waiting = f"[[bash while [ ! -e {gate} ]; do sleep 0.02; done]]"
    client = await begin(shared, waiting, "auto")

    client.close()
    gate.touch()

    await until_outcome(shared, "result")


async def test_the_end_of_its_session_ends_the_task_after_the_grace(hasty: Served) -> None:
    session = hasty.session()
    with await begin(hasty, "[[bash sleep 1000]]", "legacy", session):
        httpx2.delete(hasty.url, headers=hasty.headers(mcp_session_id=session))

        await until_outcome(hasty, "cancelled")


async def test_a_cancelled_request_cancels_its_task_at_once(shared: Served) -> None:
    session = shared.session()
    with await begin(shared, "[[bash sleep 1000]]", "legacy", session):
        params = {"requestId": 1}
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
        assert shared.post(cancel, mcp_session_id=session).status_code == 202

        with trio.fail_after(20):
            await until_outcome(shared, "cancelled")


def test_a_session_that_nobody_has_is_not_found(shared: Served) -> None:
    assert shared.post(PING, mcp_session_id="0" * 32).status_code == 404


async def test_a_session_ends_after_its_idle_time(serve: Serve) -> None:
    served = serve('[http]\nidle_timeout = "1ms"\n')
    session = served.session()

    await until(lambda: served.post(PING, mcp_session_id=session).status_code == 404, "its end")


async def test_who_reads_nothing_keeps_nobody_waiting_and_the_pool_ends_in_time(
    serve: Serve,
) -> None:
    served = serve(AT_ONCE)
    session = served.session()
    body = json.dumps(call("list")).encode()
    request = served.head(len(body), mcp_session_id=session) + body
    with served.connect() as stalled:
        stalled.settimeout(1)
        with suppress(TimeoutError):
            while True:
                stalled.sendall(request)

        others = answer_of(served.post(PING, mcp_session_id=session))
        began = time.monotonic()
        status = await trio.to_thread.run_sync(served.end)

    assert others["result"] == {}
    assert status == 0
    assert time.monotonic() - began < 15
    assert served.project.processes() == []


@pytest.mark.parametrize(
    "half", [b"", b"POST /mcp HT", b"POST /mcp HTTP/1.1\r\ncontent-length: 9\r\n\r\n{"]
)
def test_who_goes_in_the_middle_of_a_request_harms_nobody(shared: Served, half: bytes) -> None:
    with shared.connect() as client:
        client.sendall(half)

    assert shared.post().status_code == 200


async def test_open_streams_do_not_hold_up_the_end(serve: Serve) -> None:
    served = serve(AT_ONCE)
    session = served.session()
    headers = served.headers(mcp_session_id=session)
    with (
        httpx2.Client(timeout=LIMIT_S) as http,
        http.stream("GET", served.url, headers=headers) as stream,
        await begin(served, "[[bash sleep 1000]]", "legacy", session),
    ):
        assert stream.status_code == 200
        began = time.monotonic()
        status = await trio.to_thread.run_sync(served.end)

    assert status == 0
    assert time.monotonic() - began < 15
    assert served.project.processes() == []


async def test_the_end_of_the_pool_is_the_answer_to_what_still_runs(serve: Serve) -> None:
    served = serve(AT_ONCE)
    client = await begin(served, "[[bash sleep 1000]]", "legacy", served.session())

    await trio.to_thread.run_sync(served.end)

    with client, client.makefile("rb") as answer:
        assert b"pool_stopping" in answer.read()
