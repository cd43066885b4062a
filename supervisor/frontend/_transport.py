"""MCP's line transport over a Trio stream, and what is known of the client behind it."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import anyio
import mcp_types
import trio
from mcp.shared.message import SessionMessage

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one message; a client that sends more is cut off."""

CHUNK = 1 << 16


class _Borrowed:
    """What the SDK asks of both its streams: a scope, at whose end nothing is closed here."""

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


class LineReader(_Borrowed):
    """The messages that a client sends: the read stream of an MCP session.

    Cancellable, unlike the SDK's own stdio, which reads in a thread.
    """

    def __init__(
        self,
        stream: trio.abc.ReceiveStream,
        on_end: Callable[[], None],
        on_message: Callable[[mcp_types.JSONRPCMessage], None] = lambda _: None,
        before_end: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
    ) -> None:
        """The session learns of a message, or that the client has gone, after these were called.

        Its end ends whatever it has in hand: `before_end` may wait for some of that.
        """
        self.on_malformed: Callable[[bytes], Awaitable[None]] | None = None
        """Takes a line that is no message; None: the session gets the error."""
        self._stream = stream
        self._on_end = on_end
        self._on_message = on_message
        self._before_end = before_end
        self._buffer = bytearray()
        self._searched = 0

    async def receive(self) -> SessionMessage | Exception:
        """The next message, or why a line was none.

        Raises:
            anyio.EndOfStream: the client has gone.
        """
        while True:
            line = await self.line(LINE_LIMIT)
            if line is None:
                await self._before_end()
                raise anyio.EndOfStream
            if not line.strip():
                continue
            try:
                message = _message(line)
            except ValueError as error:
                if self.on_malformed is None:
                    return error
                await self.on_malformed(line)
                continue
            self._on_message(message)
            return SessionMessage(message)

    async def line(self, limit: int) -> bytes | None:
        """The next line, without its end; None: the client has gone, or sends more than `limit`.

        Cancelling it loses nothing: what has been read waits for the next call.
        """
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            try:
                data = await self._stream.receive_some(CHUNK)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data or len(self._buffer) > limit:
                self._on_end()
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


def _message(line: bytes) -> mcp_types.JSONRPCMessage:
    parse = mcp_types.jsonrpc_message_adapter.validate_json
    try:
        return parse(line, by_name=False)
    except ValueError:
        # Half of a surrogate pair, as a client sends it that cut an emoji in two, is legal JSON
        # but no Unicode text: it becomes a question mark, and the call is served.
        if b"\\u" not in line:
            raise
        try:
            whole = json.dumps(json.loads(line), ensure_ascii=False)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        return parse(whole.encode("utf-8", "replace"), by_name=False)


class LineWriter(_Borrowed):
    """The messages to a client: the write stream of an MCP session.

    A call that is cancelled may be cancelled in the middle of a message of its own, a report of
    progress for example; half a line would spoil all that follow. So a write that has begun goes
    on whatever becomes of its sender, and only the end of the connection cuts it off, see
    `abandon_when_cancelled`. What cannot be delivered, because the client has gone, is dropped: the
    reader reports that.
    """

    def __init__(
        self,
        stream: trio.abc.SendStream,
        on_written: Callable[[mcp_types.JSONRPCMessage], None] = lambda _: None,
    ) -> None:
        """`on_written` is called with each message that has been written whole."""
        self._stream = stream
        self._on_written = on_written
        self._turn = trio.Lock()
        self._torn = False
        self._gone = False
        self._write = trio.CancelScope()

    async def abandon_when_cancelled(self) -> None:
        """Wait for ever; cancelled, give up the write under way and all later ones."""
        try:
            await trio.sleep_forever()
        finally:
            self._gone = True
            self._write.cancel()

    async def send(self, item: SessionMessage, /) -> None:
        """Write one message, after those that are being written."""
        message = item.message
        line = message.model_dump_json(by_alias=True, exclude_unset=True) + "\n"
        # An answer is written though its handler is cancelled now: the SDK gives no other.
        is_answer = isinstance(message, mcp_types.JSONRPCResponse | mcp_types.JSONRPCError)
        with trio.CancelScope(shield=is_answer):
            await self._write_line(line, message)

    async def refuse(self, line: bytes) -> None:
        """Answer a line that is no message: the session, which never sees it, would say nothing."""
        answer = _refusal(line)
        if answer is not None:
            await self._write_line(json.dumps(answer) + "\n", None)

    async def _write_line(self, line: str, message: mcp_types.JSONRPCMessage | None) -> None:
        async with self._turn:
            if self._torn or self._gone:
                return
            self._torn = True
            with (
                trio.CancelScope(shield=True) as self._write,
                contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError),
            ):
                await self._stream.send_all(line.encode("utf-8", "surrogatepass"))
                self._torn = False
                if message is not None:
                    self._on_written(message)


def _refusal(line: bytes) -> dict[str, object] | None:
    """JSON-RPC's answer to what is no message; None: what was to be an answer gets none."""
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        return _error(mcp_types.PARSE_ERROR, "a line that is no JSON", None)
    found = given if isinstance(given, dict) else {}
    if "method" not in found and ("result" in found or "error" in found):
        return None
    number = found.get("id")
    known = isinstance(number, str | int) and not isinstance(number, bool)
    why = "a line that is no JSON-RPC 2.0 request, notification or response"
    return _error(mcp_types.INVALID_REQUEST, why, number if known else None)


def _error(code: int, what: str, number: object) -> dict[str, object]:
    error = {"code": code, "message": f"agent-pool: there came {what}; one message a line"}
    return {"jsonrpc": "2.0", "id": number, "error": error}
