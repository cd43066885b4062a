"""MCP's line transport over a Trio stream, and what is known of the client behind it."""

import contextlib
import json
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio
import mcp_types
import trio
from mcp.shared.message import SessionMessage

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one message; a client that sends more is cut off."""

CHUNK = 1 << 16


class LineReader:
    """The messages that a client sends: the read stream of an MCP session.

    Cancellable, unlike the SDK's own stdio, which reads in a thread.
    """

    def __init__(self, stream: trio.abc.ReceiveStream, on_end: Callable[[], None]) -> None:
        """`on_end` is called before the session learns that the client has gone."""
        self._stream = stream
        self._on_end = on_end
        self._buffer = bytearray()
        self._searched = 0

    async def receive(self) -> SessionMessage | Exception:
        """The next message, or why a line was none.

        Raises:
            anyio.EndOfStream: the client has gone.
        """
        while True:
            line = await self._line()
            if not line.strip():
                continue
            try:
                return SessionMessage(_message(line))
            except ValueError as error:
                return error

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            try:
                data = await self._stream.receive_some(CHUNK)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data or len(self._buffer) > LINE_LIMIT:
                self._on_end()
                raise anyio.EndOfStream
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    async def aclose(self) -> None:
        """Nothing: the stream is closed by who opened it."""
        await trio.lowlevel.checkpoint()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        await self.aclose()
        return None


def _message(line: bytes) -> mcp_types.JSONRPCMessage:
    parse = mcp_types.jsonrpc_message_adapter.validate_json
    try:
        return parse(line, by_name=False)
    except ValueError:
        # Half of a surrogate pair, as a client sends it that cut an emoji in two, is legal JSON
        # but no Unicode text: it becomes a question mark, and the call is served.
        if b"\\u" not in line:
            raise
        whole = json.dumps(json.loads(line), ensure_ascii=False)
        return parse(whole.encode("utf-8", "replace"), by_name=False)


class LineWriter:
    """The messages to a client: the write stream of an MCP session.

    What cannot be delivered, because the client has gone, is dropped: the reader reports it.
    """

    def __init__(self, stream: trio.abc.SendStream) -> None:
        self._stream = stream
        self._turn = trio.Lock()
        self._torn = False

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message, after those that are being written."""
        line = item.message.model_dump_json(by_alias=True, exclude_unset=True) + "\n"
        async with self._turn:
            if self._torn:
                return
            # A cancelled write leaves half a line: nothing can follow it.
            self._torn = True
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._stream.send_all(line.encode("utf-8", "surrogatepass"))
                self._torn = False

    async def aclose(self) -> None:
        """Nothing: the stream is closed by who opened it."""
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        await self.aclose()
        return None
