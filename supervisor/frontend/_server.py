"""The MCP server on the pool's local socket: one session a connection, one server for all."""

import contextlib
import json
import os
import select
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import mcp_types
import trio
from mcp.server.subscriptions import ResourceUpdated

from supervisor import __version__
from supervisor.frontend._accept import accept_each
from supervisor.frontend._calls import CLIENT, Client
from supervisor.frontend._mcp import PoolServer
from supervisor.frontend._notices import Notices, lists_changed
from supervisor.frontend._resources import Address
from supervisor.frontend._rounds import Rounds
from supervisor.frontend._transport import LineReader, LineWriter
from supervisor.place import HELLO_LIMIT, Place, differences, parse_hello
from supervisor.pool import ConfigurationReloaded, Pool, PoolEvent

HELLO_DEADLINE_S = 10.0
"""Seconds that a new connection has to say hello."""

FLUSH_S = 2.0
"""Seconds that the last answers have to go out when the pool stops."""

LAST_ANSWERS_S = 1.0
"""Seconds that those have which a client that has closed its end, and yet reads, waits for."""


@dataclass
class FrontEnd:
    """Serves a pool on a listening socket, and knows who is connected."""

    pool: Pool
    """What the calls are put to."""
    place: Place
    """Where the socket is."""
    variables: dict[str, str]
    """What whoever started the pool settled; clients that differ are refused."""
    on_fault: Callable[[Exception], None]
    """Called with what should never happen."""
    clients: int = 0
    """Connections that have said hello."""
    http: dict[str, str] = field(default_factory=dict)
    """What `hello` says of HTTP: `url` and `token_file`, or the `problem`; empty: not served."""
    ending: bool = False
    """The pool is about to go: who says hello from now on is sent away without an answer."""
    changed: trio.Event = field(default_factory=trio.Event)
    """Set, and replaced, when `clients` changes or a request is answered."""

    def __post_init__(self) -> None:
        self._unanswered: set[tuple[int, object]] = set()
        self._listening: set[tuple[int, object]] = set()
        self._numbers = count()
        self.notices = Notices()
        """What clients are told unasked; its `run` is to be running."""
        self._server = PoolServer(self.pool, self.notices, self.on_fault)

    def told(self, event: PoolEvent) -> None:
        """Something has happened in the pool: clients that asked for it are told soon."""
        self.notices.take(event)
        if isinstance(event, ConfigurationReloaded) and (
            event.agents_changed or any(one.startswith("frontend.") for one in event.changed)
        ):
            self._tell_lists_changed()

    def _tell_lists_changed(self) -> None:
        # Those of tools and resources, and what clients have subscribed to of them.
        agents = [Address("agents", name).uri for name in self.pool.agent_names]
        self.notices.tell([*lists_changed(), *map(ResourceUpdated, agents)])

    @property
    def server(self) -> PoolServer:
        """The one MCP server, which other transports serve, too."""
        return self._server

    async def run(
        self,
        listener: trio.SocketListener,
        *,
        task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; no connection's trouble is another's."""
        task_status.started(self)
        await accept_each(listener, self._serve_safely)

    async def flush(self) -> None:
        """Wait until the answers under way have been written, but not for long."""
        self.notices.listen.close()
        with trio.move_on_after(FLUSH_S):
            while self._unanswered:
                await self.changed.wait()

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve a client that needs no hello, over lines, until it closes its end."""
        number, reader = self._meet(stream)
        with self.counted(number):
            await self._session(number, reader, stream)

    @contextlib.contextmanager
    def counted(self, number: int | None = None, *, awaits_answer: bool = False) -> Iterator[None]:
        """There is one more client for as long as it lasts.

        `awaits_answer`: an answer is on its way to it meanwhile, for which `flush` waits.
        """
        number = next(self._numbers) if number is None else number
        self.clients += 1
        if awaits_answer:
            self._unanswered.add((number, ""))
        self._change()
        try:
            yield
        finally:
            self.clients -= 1
            self._unanswered = {one for one in self._unanswered if one[0] != number}
            self._listening &= self._unanswered
            self._change()

    async def _serve_safely(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await self._serve(stream)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # this client has gone in the middle of something
            except* Exception as faults:
                # It ends this connection, and no other.
                for fault in faults.exceptions:
                    self.on_fault(fault)

    async def _serve(self, stream: trio.SocketStream) -> None:
        if not _same_user(stream.socket):
            return
        number, reader = self._meet(stream)
        hello = None
        with trio.move_on_after(HELLO_DEADLINE_S):
            hello = await reader.line(HELLO_LIMIT)
        if hello is None or self.ending:
            return
        answer: dict[str, object] = {"agent-pool": 1, "version": __version__, "pid": os.getpid()}
        answer |= {"name": self.pool.name, "http": self.http}
        refusal = self._refusal(hello)
        if refusal is not None:
            with trio.move_on_after(HELLO_DEADLINE_S):
                await stream.send_all(_json_line(answer | {"error": refusal}))
            return
        # Counted before it is answered: a pool that has answered does not linger away.
        with self.counted(number):
            await stream.send_all(_json_line(answer))
            await self._session(number, reader, stream)

    def _meet(self, stream: trio.abc.Stream) -> tuple[int, LineReader]:
        """The number of a new connection, and what it sends; calls of it come by its `Client`."""
        number = next(self._numbers)
        client = Client(f"client {number}")
        CLIENT.set(client)

        def lost() -> None:
            client.lost = True

        def read(message: mcp_types.JSONRPCMessage) -> None:
            cancelled = _cancelled_by(message)
            if cancelled is not None:
                client.cancelled.append(cancelled)
            self._read(number, message)

        async def finish() -> None:
            if not _is_closed(stream):
                with trio.move_on_after(LAST_ANSWERS_S):
                    await self._until_answered(number)

        return number, LineReader(stream, lost, read, finish)

    async def _until_answered(self, connection: int) -> None:
        """Wait until it has every answer; those to who listens come when all ends."""
        while any(one[0] == connection for one in self._unanswered - self._listening):
            await self.changed.wait()

    async def _session(self, number: int, reader: LineReader, stream: trio.abc.Stream) -> None:
        writer = LineWriter(stream, lambda message: self._written(number, message))
        reader.on_malformed = writer.refuse
        async with trio.open_nursery() as nursery:
            CLIENT.get().rounds = Rounds(nursery)
            nursery.start_soon(writer.abandon_when_cancelled)
            options = self._server.create_initialization_options()
            await self._server.run(reader, writer, options)
            nursery.cancel_scope.cancel()

    def _refusal(self, hello: bytes) -> str | None:
        try:
            found = differences(self.variables, parse_hello(hello), __version__)
        except ValueError as error:
            return f"what came on the pool's socket is no hello: {error}"
        if not found:
            return None
        return (
            f"the pool of {self.place.root} runs with other settings; {'; '.join(found)}. "
            "Run `agent-pool stop` there, and connect again: the next pool takes yours."
        )

    def _read(self, connection: int, message: mcp_types.JSONRPCMessage) -> None:
        if isinstance(message, mcp_types.JSONRPCRequest):
            self._unanswered.add((connection, message.id))
            if message.method == "subscriptions/listen":
                self._listening.add((connection, message.id))
        elif (cancelled := _cancelled_by(message)) is not None:
            # What its caller cancels is not answered.
            self._settle(connection, cancelled)

    def _written(self, connection: int, message: mcp_types.JSONRPCMessage) -> None:
        if isinstance(message, mcp_types.JSONRPCResponse | mcp_types.JSONRPCError):
            self._settle(connection, message.id)

    def _settle(self, connection: int, request: int | str | None) -> None:
        self._unanswered.discard((connection, request))
        self._change()

    def _change(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


def _cancelled_by(message: mcp_types.JSONRPCMessage) -> int | str | None:
    """The request that a client takes back with it, if it does."""
    if not isinstance(message, mcp_types.JSONRPCNotification):
        return None
    if message.method != "notifications/cancelled":
        return None
    request = (message.params or {}).get("requestId")
    return request if isinstance(request, int | str) else None


def listen(place: Place) -> trio.SocketListener:
    """The pool's listening socket, mode 0600, in place of one that a dead pool left.

    For the holder of the pool's lock alone.

    Raises:
        OSError: it cannot be made there.
    """
    close(place)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        server.bind(place.socket)
    finally:
        os.umask(before)
    server.listen(256)
    if place.socket != place.link:
        os.symlink(place.socket, place.link)
    return trio.SocketListener(trio.socket.from_stdlib_socket(server))


def close(place: Place) -> None:
    """Take the socket away: from now on a client that comes finds none."""
    for path in (place.socket, place.link):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _is_closed(stream: trio.abc.Stream) -> bool:
    """Whether who has closed its end of it no longer reads either, as far as that can be told."""
    if not isinstance(stream, trio.SocketStream):
        return False
    poll = select.poll()
    poll.register(stream.socket, 0)  # it tells of a hang-up unasked
    return bool(poll.poll(0))


def _same_user(connection: trio.socket.SocketType) -> bool:
    """Whether the other end is this user; the folder's mode sees to it where nothing tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    facts = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(facts[4:8], "little") in (os.getuid(), 0)


def _json_line(value: dict[str, object]) -> bytes:
    return json.dumps(value).encode() + b"\n"
