"""What clients are told unasked: that a resource or the list of tools changed, and warnings.

Events of the pool come in by `take`, which waits for nothing. What they change is collected for
`GAP_S`, so that a flood of events is a few notices; then it is put to each client that asked for
it, by its own task: one that does not read keeps nobody waiting, and of what it has not read yet
it is told once.

Up to 2025-11-25 a client subscribes to resources one by one and is told on its connection; from
2026-07-28 on it asks for a stream (`subscriptions/listen`), which the SDK serves from the bus, and
for log messages with each request (`io.modelcontextprotocol/logLevel` in its `_meta`).
"""

import warnings
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import mcp_types
import trio
from mcp import MCPDeprecationWarning
from mcp.server.connection import Connection, allowed_log_levels
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import event_to_notification
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from supervisor.frontend._answers import cleaned
from supervisor.frontend._calls import Context
from supervisor.frontend._resources import TREE, Address, existing
from supervisor.logs import redact
from supervisor.pool import ConfigurationRefused, PoolEvent

GAP_S = 0.25
"""Seconds for which changes are collected before anybody is told."""

SUBSCRIPTIONS = 1_000
"""Resources that one client may subscribe to."""

MESSAGES = 100
"""Log messages that wait for one client; older ones are dropped, and it is told how many."""

_RANKS: dict[str, int] = {one: rank for rank, one in enumerate(get_args(mcp_types.LoggingLevel))}
_LOGGER = "agent-pool"


class Notices:
    """Knows who wants to be told what, and tells them while `run` runs."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self._bus)
        """Serves `subscriptions/listen`."""
        self._outboxes: dict[Connection, _Outbox] = {}
        self._requests: set[_Outbox] = set()
        self._changed: dict[ServerEvent, None] = {}
        self._wake = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell clients until cancelled."""
        try:
            async with trio.open_nursery() as self._nursery:
                for outbox in self._outboxes.values():
                    self._nursery.start_soon(outbox.run)
                task_status.started(self)
                while True:
                    await self._wake.wait()
                    await trio.sleep(GAP_S)
                    self._wake = trio.Event()
                    changed, self._changed = self._changed, {}
                    for one in changed:
                        await self._bus.publish(one)
        finally:
            self._nursery = None

    def take(self, event: PoolEvent) -> None:
        """Something has happened in the pool."""
        self.tell(map(ResourceUpdated, _touched(event)))
        for outbox in (*self._outboxes.values(), *self._requests):
            outbox.log(event)

    def tell(self, changed: Iterable[ServerEvent]) -> None:
        """These have changed; whoever asked for them is told soon."""
        self._changed |= dict.fromkeys(changed)
        self._wake.set()

    # what clients ask for

    @asynccontextmanager
    async def logged(self, context: Context) -> AsyncIterator[None]:
        """While it lasts, the request's own stream has the log messages that it asks for.

        Only from 2026-07-28 on: before, they are of the connection. What has happened when it
        ends is written before the request is answered.
        """
        version = context.protocol_version
        levels = allowed_log_levels(version, context.meta)
        if version not in MODERN_PROTOCOL_VERSIONS or not levels:
            yield
            return

        async def write(method: str, params: dict[str, Any] | None) -> None:
            assert params is not None
            with warnings.catch_warnings():  # the protocol has it, and no other way to it
                warnings.simplefilter("ignore", MCPDeprecationWarning)
                sending = context.session.send_log_message(**params)
            await sending

        outbox = _Outbox(write, min(_RANKS[level] for level in levels))
        self._requests.add(outbox)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(outbox.run)
                yield
                self._requests.discard(outbox)
                outbox.finish()
        finally:
            self._requests.discard(outbox)

    async def greet(self, context: Context, params: mcp_types.NotificationParams) -> None:
        """A client has begun its session: from now on it is told of the lists that change."""
        self._outbox(context)

    async def subscribe(
        self, context: Context, params: mcp_types.SubscribeRequestParams
    ) -> mcp_types.EmptyResult:
        """Tell the client when this resource changes.

        Raises:
            MCPError: there can be no such resource, or it has subscribed to too many.
        """
        uris = self._outbox(context).uris
        if len(uris) >= SUBSCRIPTIONS:
            raise MCPError(
                mcp_types.INVALID_REQUEST,
                f"no more than {SUBSCRIPTIONS:,} subscriptions at once; unsubscribe from some",
            )
        # By its one spelling; the client is told by its own.
        uris[existing(params.uri, context).uri] = params.uri
        return mcp_types.EmptyResult()

    async def unsubscribe(
        self, context: Context, params: mcp_types.UnsubscribeRequestParams
    ) -> mcp_types.EmptyResult:
        """Tell it no longer."""
        address = Address.of(params.uri)
        if address is not None:
            self._outbox(context).uris.pop(address.uri, None)
        return mcp_types.EmptyResult()

    async def set_level(
        self, context: Context, params: mcp_types.SetLevelRequestParams
    ) -> mcp_types.EmptyResult:
        """Send the client what happens to agents, from this level on; before, it is sent none."""
        self._outbox(context).least = _RANKS[params.level]
        return mcp_types.EmptyResult()

    def _outbox(self, context: Context) -> "_Outbox":
        connection = connection_of(context)
        outbox = self._outboxes.get(connection)
        if outbox is None:
            outbox = self._outboxes[connection] = _Outbox(connection.notify)
            unsubscribe = self._bus.subscribe(outbox.offer)
            connection.exit_stack.callback(self._forget, connection)
            connection.exit_stack.callback(unsubscribe)
            if self._nursery is not None:
                self._nursery.start_soon(outbox.run)
        return outbox

    def _forget(self, connection: Connection) -> None:
        self._outboxes.pop(connection).close()


class _Outbox:
    """What one client, or from 2026-07-28 on one request, is to be told until it is written."""

    def __init__(
        self,
        write: Callable[[str, dict[str, Any] | None], Awaitable[None]],
        least: int | None = None,
    ) -> None:
        self.uris: dict[str, str] = {}
        """The resources that it subscribed to: their one spelling, and its own."""
        self.least = least
        """The level of what is sent to its log, as a rank; None: nothing is."""
        self._write = write
        self._running = trio.CancelScope()
        self._is_closed = False
        self._changed: dict[ServerEvent, None] = {}
        self._messages: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._wake = trio.Event()

    async def run(self) -> None:
        """Write what is to be told; waits for as long as the client does not read."""
        with trio.CancelScope() as self._running:
            while not self._is_closed:
                await self._wake.wait()
                self._wake = trio.Event()
                for method, params in self._due():
                    await self._write(method, params)

    def finish(self) -> None:
        """Nothing comes any more: `run` ends when all is written."""
        self._is_closed = True
        self._wake.set()

    def close(self) -> None:
        """The client has gone."""
        self._is_closed = True
        self._running.cancel()

    def offer(self, changed: ServerEvent) -> None:
        """This has changed; it is told if it wants to know."""
        if isinstance(changed, ResourceUpdated):
            if changed.uri not in self.uris:
                return
            changed = ResourceUpdated(self.uris[changed.uri])
        self._changed[changed] = None
        self._wake.set()

    def log(self, event: PoolEvent) -> None:
        """This has happened; it is told if it wants to know."""
        if self.least is None:
            # What a user has to mend is told unasked; MCP leaves that to the server.
            if not isinstance(event, ConfigurationRefused):
                return
        elif _RANKS[event.level] < self.least:
            return
        if len(self._messages) == MESSAGES:
            self._messages.popleft()
            self._lost += 1
        self._messages.append(_message(event.level, {"event": event.kind, **event.fields()}))
        self._wake.set()

    def _due(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """One after the other, each as it is when its turn comes."""
        while self._changed or self._messages:
            while self._changed:
                changed = next(iter(self._changed))
                del self._changed[changed]
                told = event_to_notification(changed, {}).model_dump(
                    by_alias=True, mode="json", exclude_none=True
                )
                yield told["method"], {k: v for k, v in told["params"].items() if k != "_meta"}
            if self._lost:
                lost, self._lost = self._lost, 0
                yield "notifications/message", _message("warning", {"messages_lost": lost})
            if self._messages:
                yield "notifications/message", self._messages.popleft()


def connection_of(context: Context) -> Connection:
    """The connection that a request came in by; from 2026-07-28 on, a new one each request."""
    # The SDK hands it to handlers by no public name yet.
    return context.session._connection


def lists_changed() -> list[ServerEvent]:
    """What changes with the configuration: which tools there are, which agents, the tree."""
    return [ToolsListChanged(), ResourcesListChanged(), ResourceUpdated(TREE)]


def _touched(event: PoolEvent) -> Iterator[str]:
    """The resources that an event may have changed."""
    yield TREE
    if event.agent:
        yield Address("agents", event.defined_as).uri
        yield Address("logs", event.defined_as).uri
    if event.task_id is not None:
        yield Address("tasks", event.task_id).uri


def _message(level: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"level": level, "logger": _LOGGER, "data": cleaned(redact(data))}
