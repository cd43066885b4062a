"""An ASGI server on Trio, for the front end: HTTP/1.1 by h11, as much of it as MCP needs.

It keeps what servers at large do not. Nothing shields a write, so a client that stops reading
neither holds up the end of the pool nor stays for ever; that a client has gone is told to the app
(`http.disconnect`) as it happens; an app that fails ends its own connection, and no other. There
is no lifespan, no websocket, no TLS.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

import h11
import trio

from supervisor.frontend._accept import accept_each

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEAD_LIMIT = 64 * 1024
"""Bytes of a request's head, and of what a client sends ahead of an answer."""

READ_S = 60.0
"""Seconds that a client may leave a request unfinished, or a connection unused."""

WRITE_S = 60.0
"""Seconds that a client may take to read some of an answer, before it counts as gone."""

DRAIN_S = 2.0
"""Seconds for which the rest of a request is read and dropped that was answered before its end:
to close at once would destroy the answer on its way."""

CONNECTIONS = 1000
"""Clients at once, whether they may come in or not. The next ones wait: who opens connections, and
says nothing, is not to take the descriptors that the pool needs for its processes."""

CHUNK = 1 << 16


async def serve(
    app: App, listener: trio.SocketListener, on_fault: Callable[[Exception], None]
) -> None:
    """Serve until cancelled, which cuts every connection off.

    Args:
        app: called with each request; takes part in nothing else of ASGI.
        listener: stays open.
        on_fault: told of what an app should never raise.
    """

    async def connection(stream: trio.SocketStream) -> None:
        try:
            await _Connection(app, stream, on_fault).run()
        except Exception as fault:
            on_fault(fault)  # it ends this connection, and no other

    await accept_each(listener, connection, CONNECTIONS)


class _Connection:
    """One client, and its requests one after the other."""

    def __init__(
        self, app: App, stream: trio.SocketStream, on_fault: Callable[[Exception], None]
    ) -> None:
        self._app = app
        self._stream = stream
        self._on_fault = on_fault
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._gone = trio.Event()
        """Nothing more can come from the client."""
        self._whole = trio.Event()
        """The request has been read to its end."""
        self._method = b""
        self._client: tuple[str, int] | None = None

    async def run(self) -> None:
        """Serve until either side closes."""
        try:
            name = self._stream.socket.getpeername()
        except OSError:
            name = None  # it has reset the connection already; what it sent may be there
        self._client = (name[0], name[1]) if isinstance(name, tuple) else None
        try:
            while await self._serve_one():
                self._http.start_next_cycle()
            await self._drain()
        except h11.RemoteProtocolError as error:
            await self._refuse(error)
        except (trio.BrokenResourceError, trio.TooSlowError):
            pass
        finally:
            await trio.aclose_forcefully(self._stream)

    async def _serve_one(self) -> bool:
        """One request and its answer; whether another may follow."""
        request = await self._event()
        if not isinstance(request, h11.Request):
            return False
        self._whole = trio.Event()
        self._method = request.method
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch)
                await self._app(self._scope(request), self._receive, self._send)
                nursery.cancel_scope.cancel()
        except Exception as fault:
            self._on_fault(fault)
        if self._http.our_state is h11.SEND_RESPONSE:
            await self._answer(500)
        return (self._http.our_state, self._http.their_state) == (h11.DONE, h11.DONE)

    async def _event(self) -> object:
        with trio.fail_after(READ_S):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self._write(h11.InformationalResponse(status_code=100, headers=[]))
                await self._read_some()
        return event

    async def _read_some(self) -> int:
        data = await self._stream.receive_some(CHUNK)
        if not data:
            self._gone.set()
        self._http.receive_data(bytes(data))
        return len(data)

    async def _watch(self) -> None:
        """See the client go while its answer is made."""
        await self._whole.wait()
        ahead = 0
        try:
            while not self._gone.is_set() and ahead < HEAD_LIMIT:
                ahead += await self._read_some()
        except trio.BrokenResourceError:
            self._gone.set()

    async def _receive(self) -> Message:
        if not self._whole.is_set() and not self._gone.is_set():
            try:
                event = await self._event()
            except (h11.RemoteProtocolError, trio.BrokenResourceError, trio.TooSlowError):
                self._gone.set()
            else:
                if isinstance(event, h11.Data):
                    return {"type": "http.request", "body": bytes(event.data), "more_body": True}
                self._whole.set()
                return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            date = (b"date", formatdate(usegmt=True).encode())
            headers = [date, *message.get("headers", ())]
            await self._write(h11.Response(status_code=message["status"], headers=headers))
            return
        body = message.get("body", b"")
        if body and self._method != b"HEAD":
            await self._write(h11.Data(data=body))
        if not message.get("more_body", False):
            await self._write(h11.EndOfMessage())

    async def _write(self, event: Any) -> None:
        """What is for a client that has gone is dropped, as ASGI has it."""
        if self._http.our_state in (h11.CLOSED, h11.ERROR):
            await trio.lowlevel.checkpoint()
            return
        data = self._http.send(event) or b""
        try:
            with trio.fail_after(WRITE_S):
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.TooSlowError):
            self._http.send_failed()
            self._gone.set()

    async def _answer(self, status: int) -> None:
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self._write(h11.Response(status_code=status, headers=headers))
        await self._write(h11.EndOfMessage())

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._answer(error.error_status_hint)
            await self._drain()

    async def _drain(self) -> None:
        if self._gone.is_set() or self._http.their_state in (h11.DONE, h11.CLOSED):
            return
        try:
            with trio.move_on_after(DRAIN_S):
                await self._stream.send_eof()
                while await self._stream.receive_some(CHUNK):
                    pass
        except trio.BrokenResourceError:
            pass

    def _scope(self, request: h11.Request) -> Scope:
        path, _, query = request.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": request.http_version.decode(),
            "method": request.method.decode("ascii"),
            "scheme": "http",
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(request.headers),
            "client": self._client,
            "server": None,
        }
