"""What clients are told without having asked: that agents have changed, that a file is wrong.

A client of the handshake's era is told on its connection, once it has said that it is ready; one
of the era since 2026-07-28 by the streams that it has opened for it (`subscriptions/listen`).
"""

from dataclasses import dataclass, field

import mcp_types
import trio
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.message import SessionMessage

from supervisor.frontend._calls import CLIENT, Client
from supervisor.frontend._transport import LineWriter

_QUIET = ("critical", "alert", "emergency")
"""Levels of a client that wants to hear of no mere error."""


@dataclass
class _Listener:
    writer: LineWriter
    client: Client
    is_ready: bool = False


@dataclass
class Notices:
    """Tells all clients of one server."""

    server: "Server[object]"
    """Whose clients they are; what it can do is declared by this."""
    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    """For streams that clients have opened."""

    def __post_init__(self) -> None:
        self._listeners: dict[int, _Listener] = {}
        self.server.add_request_handler(
            "subscriptions/listen",
            mcp_types.SubscriptionsListenRequestParams,
            ListenHandler(self.bus),
        )
        self.server.add_request_handler(
            "logging/setLevel", mcp_types.SetLevelRequestParams, _set_level
        )

    def connected(self, number: int, writer: LineWriter, client: Client) -> None:
        """A connection begins."""
        self._listeners[number] = _Listener(writer, client)

    def gone(self, number: int) -> None:
        """A connection is over."""
        self._listeners.pop(number, None)

    def read(self, number: int, message: mcp_types.JSONRPCMessage) -> None:
        """A client has sent something: before it says so, it is told nothing."""
        is_ready = (
            isinstance(message, mcp_types.JSONRPCNotification)
            and message.method == "notifications/initialized"
        )
        if is_ready and number in self._listeners:
            self._listeners[number].is_ready = True

    async def tools_changed(self) -> None:
        """What the tools can be called with has changed."""
        method = "notifications/tools/list_changed"
        await self._send(mcp_types.JSONRPCNotification(jsonrpc="2.0", method=method))
        await self.bus.publish(ToolsListChanged())

    async def complain(self, text: str) -> None:
        """Something is wrong that a user has to mend."""
        params = {"level": "error", "logger": "agent-pool", "data": text}
        message = mcp_types.JSONRPCNotification(
            jsonrpc="2.0", method="notifications/message", params=params
        )
        await self._send(message, but=_QUIET)

    async def _send(
        self, message: mcp_types.JSONRPCNotification, but: tuple[str, ...] = ()
    ) -> None:
        # All at once: one that reads nothing keeps no other waiting.
        async with trio.open_nursery() as nursery:
            for listener in self._listeners.values():
                if listener.is_ready and listener.client.log_level not in but:
                    nursery.start_soon(listener.writer.send, SessionMessage(message))


async def _set_level(
    context: "ServerRequestContext[object]", params: mcp_types.SetLevelRequestParams
) -> mcp_types.EmptyResult:
    CLIENT.get().log_level = params.level
    return mcp_types.EmptyResult()
