"""The ASGI server, spoken to in bytes."""

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio

from supervisor.frontend import _asgi
from supervisor.frontend._asgi import App, Receive, Scope, Send, serve

Bytes = tuple[bytes, bytes]


async def whole(receive: Receive) -> bytes:
    """The body of a request."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def say(send: Send, *parts: bytes, headers: tuple[Bytes, ...] = ()) -> None:
    """An answer in so many parts."""
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await say(send, scope["method"].encode(), b" ", await whole(receive))


@asynccontextmanager
async def served(
    app: App, on_fault: Callable[[Exception], None] | None = None
) -> AsyncIterator[trio.SocketStream]:
    """A connection to a server of that app."""

    def fail(fault: Exception) -> None:
        raise fault

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery, listener:
        nursery.start_soon(serve, app, listener, on_fault or fail)
        client = await trio.open_tcp_stream(*listener.socket.getsockname()[:2])
        async with client:
            with trio.fail_after(60):
                yield client
        nursery.cancel_scope.cancel()


async def rest(client: trio.SocketStream) -> bytes:
    """All that comes until the server closes."""
    return b"".join([bytes(chunk) async for chunk in client])


async def up_to(client: trio.SocketStream, end: bytes) -> bytes:
    data = b""
    while end not in data:
        chunk = await client.receive_some()
        assert chunk, data
        data += chunk
    return data


def request(body: bytes = b"", *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} /x?q=1 HTTP/1.1", "host: h", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


CLOSE = "connection: close"


async def test_what_is_asked_reaches_the_app_as_asgi_has_it() -> None:
    scopes: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await say(send)

    async with served(app) as client:
        await client.send_all(request(b"", "X-Y: z", CLOSE))
        await rest(client)

    (scope,) = scopes
    assert (scope["type"], scope["method"], scope["path"]) == ("http", "POST", "/x")
    assert (scope["query_string"], scope["http_version"]) == (b"q=1", "1.1")
    assert (b"x-y", b"z") in scope["headers"]
    assert scope["client"][0] == "127.0.0.1"


async def test_requests_follow_each_other_on_one_connection() -> None:
    async with served(echo) as client:
        await client.send_all(request(b"one"))
        first = await up_to(client, b"0\r\n\r\n")
        await client.send_all(request(b"two", CLOSE))
        second = await rest(client)

    assert b"one" in first
    assert b"two" in second


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    async with served(echo) as client:
        await client.send_all(request(b"one") + request(b"two") + request(b"three", CLOSE))
        answers = await rest(client)

    assert [answers.index(word) for word in (b"one", b"two", b"three")] == sorted(
        answers.index(word) for word in (b"one", b"two", b"three")
    )


async def test_a_body_in_chunks_is_one_body() -> None:
    head = "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    async with served(echo) as client:
        for piece in (head.encode(), b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"):
            await client.send_all(piece)
        answer = await rest(client)

    assert b"abcde" in answer


async def test_who_waits_for_leave_to_send_a_body_is_given_it() -> None:
    async with served(echo) as client:
        sent = request(b"body", "expect: 100-continue", CLOSE)
        await client.send_all(sent[: -len(b"body")])
        assert (await up_to(client, b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        await client.send_all(b"body")

        assert b"body" in await rest(client)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"y" * (1 << 17), b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    ],
    ids=["nonsense", "no host", "too long", "TLS"],
)
async def test_what_is_no_request_is_refused(sent: bytes, status: bytes) -> None:
    async with served(echo) as client:
        await client.send_all(sent)

        assert (await rest(client)).split()[1] == status


async def test_an_answer_given_early_arrives_though_the_client_still_sends() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await say(send, b"enough")

    async with served(app) as client, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def flood() -> None:
            with suppress(trio.BrokenResourceError):
                await client.send_all(request(b"x" * (1 << 24)))

        assert b"enough" in await rest(client)
        nursery.cancel_scope.cancel()


async def test_the_answer_to_head_has_no_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await say(send, b"body", headers=((b"content-length", b"4"),))

    async with served(app) as client:
        await client.send_all(request(b"", CLOSE, method="HEAD"))

        assert (await rest(client)).endswith(b"\r\n\r\n")


async def test_an_app_that_fails_is_a_500_and_is_told() -> None:
    faults: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("a fault")

    async with served(app, faults.append) as client:
        await client.send_all(request())
        answer = await rest(client)

    assert answer.split()[1] == b"500"
    assert "LookupError" in repr(faults)


async def test_an_app_that_fails_in_an_answer_cuts_it_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": ()})
        raise LookupError("a fault")

    async with served(app, lambda _: None) as client:
        await client.send_all(request())

        assert not (await rest(client)).endswith(b"0\r\n\r\n")


async def test_that_the_client_has_gone_is_told_while_the_answer_is_made() -> None:
    told = trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await whole(receive)
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    async with served(app) as client:
        await client.send_all(request(b"body"))
        await client.aclose()

        await told.wait()


async def test_what_is_sent_to_a_client_that_has_gone_is_dropped() -> None:
    ended = trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await whole(receive)
        await receive()
        await say(send, *[b"x" * (1 << 16)] * 100)
        ended.set()

    async with served(app) as client:
        await client.send_all(request())
        await client.aclose()

        await ended.wait()


async def test_a_client_that_reads_nothing_counts_as_gone_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_asgi, "WRITE_S", 0.05)
    told = trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await whole(receive)
        await say(send, *[b"x" * (1 << 20)] * 64)
        await receive()
        told.set()

    async with served(app) as client:
        await client.send_all(request())

        await told.wait()


async def test_a_request_that_is_never_finished_ends_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_asgi, "READ_S", 0.05)
    async with served(echo) as client:
        await client.send_all(b"POST / HT")

        assert await rest(client) == b""


async def test_cancelled_it_cuts_off_a_client_that_reads_nothing() -> None:
    writing = trio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        writing.set()
        await say(send, *[b"x" * (1 << 20)] * 64)

    with trio.fail_after(60):
        async with served(app) as client:
            await client.send_all(request())
            await writing.wait()


async def test_a_client_that_resets_its_connection_at_once_is_no_fault() -> None:
    faults: list[Exception] = []
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:
        reset(listener)
        nursery.start_soon(serve, echo, listener, faults.append)
        client = await trio.open_tcp_stream(*listener.socket.getsockname()[:2])
        async with client:
            await client.send_all(request(b"", CLOSE))
            await rest(client)
        nursery.cancel_scope.cancel()

    assert faults == []


def reset(listener: trio.SocketListener) -> None:
    """A client asks, and is gone, before anybody looks."""
    with socket.create_connection(listener.socket.getsockname()[:2]) as client:
        client.sendall(request())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_no_more_than_so_many_are_connected_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_asgi, "CONNECTIONS", 2)
    async with served(echo) as first:
        await first.send_all(request(b"one"))
        await up_to(first, b"one")
        address = first.socket.getpeername()[:2]
        second, third = [await trio.open_tcp_stream(*address) for _ in range(2)]
        async with second, third:
            await second.send_all(request(b"two"))
            await up_to(second, b"two")
            await third.send_all(request(b"three", CLOSE))
            with trio.move_on_after(0.1) as waiting:
                await third.receive_some()
            assert waiting.cancelled_caught
            await first.aclose()

            assert b"three" in await rest(third)
