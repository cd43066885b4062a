"""Lines in, lines out: what a client may do to them without harm."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import anyio
import mcp_types
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    memory_stream_one_way_pair,
)

from supervisor.frontend import _transport
from supervisor.frontend._transport import LineReader, LineWriter

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


class Incoming:
    """A reader, the client's end of its stream, and whether the end was told."""

    def __init__(self) -> None:
        self.ends: list[bool] = []
        self.client: MemorySendStream
        self.client, stream = memory_stream_one_way_pair()
        self.reader = LineReader(stream, lambda: self.ends.append(True))

    async def all(self) -> list[SessionMessage | Exception]:
        with trio.fail_after(60):
            return [message async for message in self.reader]


@pytest.mark.parametrize(
    ("line", "code", "number"),
    [
        (b"nonsense", -32700, None),
        (b"\xff", -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"[]", -32600, None),
        (b'{"jsonrpc": "2.0", "id": 7}', -32600, 7),
        (b'{"jsonrpc": "2.0", "id": "a", "method": 1}', -32600, "a"),
        (b'{"id": true, "method": "ping"}', -32600, None),
    ],
)
async def test_a_line_that_is_no_message_is_answered_and_the_next_one_is_served(
    line: bytes, code: int, number: object
) -> None:
    incoming = Incoming()
    stream, client = memory_stream_one_way_pair()
    incoming.reader.on_malformed = LineWriter(stream).refuse
    await incoming.client.send_all(line + b"\n" + PING)
    await incoming.client.aclose()

    (served,) = await incoming.all()
    answer = json.loads(await client.receive_some())
    assert method(served) == "ping"
    assert (answer["error"]["code"], answer["id"]) == (code, number)


async def test_what_was_to_be_an_answer_gets_none() -> None:
    incoming = Incoming()
    stream, client = memory_stream_one_way_pair()
    incoming.reader.on_malformed = LineWriter(stream).refuse
    await incoming.client.send_all(b'{"jsonrpc": "2.0", "id": [], "error": 1}\n')
    await incoming.client.aclose()
    await incoming.all()
    await stream.aclose()

    assert await client.receive_some() == b""


def method(message: SessionMessage | Exception) -> str:
    assert isinstance(message, SessionMessage)
    assert isinstance(message.message, mcp_types.JSONRPCRequest)
    return message.message.method


def params(message: SessionMessage | Exception) -> dict[str, Any]:
    assert isinstance(message, SessionMessage)
    assert isinstance(message.message, mcp_types.JSONRPCRequest)
    return message.message.params or {}


def request(number: int, text: str) -> bytes:
    call = {"jsonrpc": "2.0", "id": number, "method": "x/y", "params": {"text": text}}
    return json.dumps(call, ensure_ascii=False).encode() + b"\n"


def cut(data: bytes, at: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted({place % len(data) for place in at}), len(data)]
    return (data[a:b] for a, b in itertools.pairwise(edges) if a < b)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5),
    st.lists(st.integers(0), max_size=10),
    st.sampled_from([b"\n", b"\r\n", b"\n\n  \n"]),
)
def test_messages_may_be_cut_anywhere(texts: list[str], at: list[int], end: bytes) -> None:
    data = b"".join(request(n, text)[:-1] + end for n, text in enumerate(texts))

    async def received() -> list[str]:
        incoming = Incoming()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                for piece in cut(data, at):
                    await incoming.client.send_all(piece)
                    await trio.testing.wait_all_tasks_blocked()
                await incoming.client.aclose()

            messages = await incoming.all()
        return [params(message)["text"] for message in messages]

    assert trio.run(received) == texts


async def test_the_end_is_told_before_the_session_learns_of_it() -> None:
    incoming = Incoming()
    await incoming.client.aclose()

    with pytest.raises(anyio.EndOfStream):
        await incoming.reader.receive()

    assert incoming.ends == [True]


async def test_half_a_line_at_the_end_is_no_message() -> None:
    incoming = Incoming()
    await incoming.client.send_all(PING + PING[:-1])
    await incoming.client.aclose()

    assert [method(message) for message in await incoming.all()] == ["ping"]


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[]\n",
        b'{"jsonrpc":"1.0"}\n',
        b"\xff\xfe\n",
        b'"\\ud800"\n',
        b'\xff "\\ud800"\n',
        b"[" * 100_000 + b"\n",
        b'["\\u0041",' + b"[" * 100_000 + b"\n",
        b'["\\u0041",' + b"9" * 10_000 + b"]\n",
    ],
    ids=range(9),
)
async def test_a_line_that_is_no_message_is_told_and_the_next_is_served(line: bytes) -> None:
    incoming = Incoming()
    await incoming.client.send_all(line + PING)
    await incoming.client.aclose()

    wrong, right = await incoming.all()

    assert isinstance(wrong, Exception)
    assert method(right) == "ping"


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d", "?"),
        (r"a\udc00b", "a?b"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83d \ude00", "? ?"),
        (r"é\ud800", "é?"),
        (r"\u0000", "\0"),
        (r"\\ud83d", "\\ud83d"),
    ],
)
async def test_half_a_surrogate_pair_is_served_as_a_question_mark(escaped: str, text: str) -> None:
    incoming = Incoming()
    line = f'{{"jsonrpc":"2.0","id":1,"method":"x/y","params":{{"text":"{escaped}"}}}}\n'
    await incoming.client.send_all(line.encode())
    await incoming.client.aclose()

    (message,) = await incoming.all()

    assert params(message)["text"] == text


async def test_a_line_that_is_too_long_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_transport, "LINE_LIMIT", 1000)
    monkeypatch.setattr(_transport, "CHUNK", 100)
    incoming = Incoming()
    await incoming.client.send_all(PING + b"x" * 2000 + b"\n" + PING)

    assert [method(message) for message in await incoming.all()] == ["ping"]
    assert incoming.ends == [True]


async def test_a_long_line_within_the_limit_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "CHUNK", 100)
    incoming = Incoming()
    await incoming.client.send_all(request(1, "é" * 10_000))
    await incoming.client.aclose()

    (message,) = await incoming.all()

    assert params(message)["text"] == "é" * 10_000


async def test_a_cancelled_read_loses_nothing() -> None:
    incoming = Incoming()
    await incoming.client.send_all(PING[:10])
    with trio.move_on_after(0) as scope:
        await incoming.reader.receive()
    assert scope.cancelled_caught

    await incoming.client.send_all(PING[10:])

    with trio.fail_after(60):
        assert method(await incoming.reader.receive()) == "ping"


# writing


def answer(number: int, text: str = "") -> SessionMessage:
    return SessionMessage(
        mcp_types.JSONRPCResponse(jsonrpc="2.0", id=number, result={"text": text})
    )


async def lines_of(stream: MemoryReceiveStream) -> list[dict[str, Any]]:
    data = b""
    with trio.fail_after(60):
        while piece := await stream.receive_some():
            data += piece
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


async def test_each_message_is_one_line() -> None:
    stream, client = memory_stream_one_way_pair()
    writer = LineWriter(stream)
    await writer.send(answer(1, "a\nb\u2028c"))
    await writer.send(answer(2, "é"))
    await stream.aclose()

    texts = [line["result"]["text"] for line in await lines_of(client)]

    assert texts == ["a\nb\u2028c", "é"]


async def test_messages_sent_at_once_are_not_mixed() -> None:
    stream, client = memory_stream_one_way_pair()
    writer = LineWriter(stream)
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(writer.send, answer(number, "x" * 1000))
    await stream.aclose()

    assert sorted(line["id"] for line in await lines_of(client)) == list(range(50))


@pytest.mark.parametrize("error", [trio.BrokenResourceError, trio.ClosedResourceError])
async def test_what_is_for_a_client_that_has_gone_is_dropped(error: type[Exception]) -> None:
    class Broken(trio.abc.SendStream):
        writes = 0

        async def send_all(self, data: object) -> None:
            await trio.lowlevel.checkpoint()
            self.writes += 1
            raise error

        async def wait_send_all_might_not_block(self) -> None:
            await trio.lowlevel.checkpoint()

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    stream = Broken()
    writer = LineWriter(stream)

    await writer.send(answer(1))
    await writer.send(answer(2))

    assert stream.writes == 1


async def test_a_message_is_written_whole_though_its_sender_is_cancelled() -> None:
    stream, client = memory_stream_one_way_pair()
    begun, go_on = trio.Event(), trio.Event()

    deliver = stream.send_all_hook
    assert deliver is not None

    async def stall() -> None:
        begun.set()
        await go_on.wait()
        await deliver()

    stream.send_all_hook = stall
    writer = LineWriter(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.send, answer(1))
        with trio.fail_after(60):
            await begun.wait()
        nursery.cancel_scope.cancel()
        go_on.set()
    stream.send_all_hook = deliver

    await writer.send(answer(2))
    await stream.aclose()

    assert [line["id"] for line in await lines_of(client)] == [1, 2]


async def test_the_end_of_the_connection_gives_up_a_stalled_write_and_all_later_ones() -> None:
    stream, _ = memory_stream_one_way_pair()
    halfway = trio.Event()

    async def stall() -> None:
        halfway.set()
        await trio.sleep_forever()

    stream.send_all_hook = stall
    writer = LineWriter(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.abandon_when_cancelled)
        nursery.start_soon(writer.send, answer(1))
        with trio.fail_after(60):
            await halfway.wait()
        nursery.cancel_scope.cancel()
    stream.send_all_hook = None
    stream.get_data_nowait()

    with trio.fail_after(60):
        await writer.send(answer(2))

    with pytest.raises(trio.WouldBlock):
        stream.get_data_nowait()


async def test_after_the_end_of_the_connection_nothing_is_written() -> None:
    stream, _ = memory_stream_one_way_pair()
    stream.send_all_hook = trio.sleep_forever
    writer = LineWriter(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.abandon_when_cancelled)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    with trio.fail_after(60):
        await writer.send(answer(1))

    with pytest.raises(trio.WouldBlock):
        stream.get_data_nowait()
