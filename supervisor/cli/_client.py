"""A small MCP client for the command line: JSON-RPC over lines, one call at a time.

The SDK's client takes half a second to import, which is longer than most calls here last.
"""

import json
from collections.abc import Callable
from typing import Any, Protocol

from supervisor import __version__

PROTOCOL = "2025-11-25"


class LinesIn(Protocol):
    """What lines are read from: a binary file, for example."""

    def readline(self) -> bytes:
        """The next line; empty at the end."""
        ...


class LinesOut(Protocol):
    """What lines are written to: a binary file, for example."""

    def write(self, data: bytes, /) -> object:
        """Write all of it."""
        ...

    def flush(self) -> object:
        """Send it."""
        ...


class ClientError(Exception):
    """The other side refused a request, or closed the connection."""


class LineClient:
    """Speaks MCP over a pair of binary line streams."""

    def __init__(self, lines_in: LinesIn, lines_out: LinesOut) -> None:
        """`lines_in` is read from, `lines_out` written to; hello must have been said."""
        self._in = lines_in
        self._out = lines_out
        self._number = 0

    def initialize(self, name: str) -> dict[str, Any]:
        """Begin the session as the client `name`; returns what the server says of itself.

        Raises:
            ClientError: it refuses.
        """
        info = {"name": name, "version": __version__}
        params = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": info}
        answer = self.request("initialize", params)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call(
        self,
        tool: str,
        arguments: dict[str, Any] | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Call a tool; returns its result, which may be an error result.

        Raises:
            ClientError: there is no result.
        """
        params: dict[str, Any] = {"name": tool, "arguments": arguments or {}}
        if on_progress is not None:
            params["_meta"] = {"progressToken": self._number + 1}
        return self.request("tools/call", params, on_progress)

    def request(
        self,
        method: str,
        params: dict[str, Any],
        on_progress: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """One request and its answer.

        Raises:
            ClientError: it was refused, or the connection closed.
        """
        self._number += 1
        number = self._number
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while line := self._in.readline():
            message = json.loads(line)
            if message.get("method") == "notifications/progress" and on_progress is not None:
                on_progress(str(message["params"].get("message")))
            if message.get("id") == number and "method" not in message:
                return _result(message)
        raise ClientError("it closed the connection")

    def withdraw(self) -> None:
        """Cancel the last request, whose wait was cut short; returns once the server knows.

        It sends no answer to what was cancelled, so it is asked for another one, after which the
        connection may be closed without being taken for a lost one.

        Raises:
            ClientError: the connection closed.
        """
        params = {"requestId": self._number, "reason": "cancelled by the user"}
        self._send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        self.request("ping", {})

    def _send(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps(message).encode() + b"\n")
        self._out.flush()


def _result(message: dict[str, Any]) -> dict[str, Any]:
    if "error" in message:
        raise ClientError(str(message["error"].get("message")))
    result: dict[str, Any] = message["result"]
    return result
