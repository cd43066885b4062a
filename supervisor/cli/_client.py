"""A small MCP client for the command line: JSON-RPC over lines, one call at a time.

The SDK's client takes half a second to import, which is longer than most calls here last.
"""

import json
import threading
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


class Asker(Protocol):
    """Shows the server's questions to a person."""

    def put(
        self, name: object, params: dict[str, Any], reply: Callable[[dict[str, Any]], None]
    ) -> None:
        """Ask, without waiting for the answer; it goes to `reply`, from any thread."""
        ...

    def withdraw(self, name: object) -> None:
        """The server no longer wants an answer to that one."""
        ...


class ClientError(Exception):
    """The other side refused a request, or closed the connection."""


class LineClient:
    """Speaks MCP over a pair of binary line streams."""

    def __init__(self, lines_in: LinesIn, lines_out: LinesOut, asker: Asker | None = None) -> None:
        """`lines_in` is read from, `lines_out` written to; hello must have been said.

        `asker` can show questions; None: nobody here can.
        """
        self._in = lines_in
        self._out = lines_out
        self._asker = asker
        self._writing = threading.Lock()
        self._number = 0

    def initialize(self, name: str) -> dict[str, Any]:
        """Begin the session as the client `name`; returns what the server says of itself.

        Raises:
            ClientError: it refuses.
        """
        info = {"name": name, "version": __version__}
        able: dict[str, Any] = {} if self._asker is None else {"elicitation": {}}
        params = {"protocolVersion": PROTOCOL, "capabilities": able, "clientInfo": info}
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
            if self._asker is not None:
                self._hear(message, self._asker)
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

    def _hear(self, message: dict[str, Any], asker: Asker) -> None:
        """The server asks, or takes a question back."""
        name, params = message.get("id"), message.get("params") or {}
        if message.get("method") == "notifications/cancelled":
            asker.withdraw(params.get("requestId"))
        elif message.get("method") == "elicitation/create":
            asker.put(
                name, params, lambda it: self._send({"jsonrpc": "2.0", "id": name, "result": it})
            )

    def _send(self, message: dict[str, Any]) -> None:
        with self._writing:
            self._out.write(json.dumps(message).encode() + b"\n")
            self._out.flush()


def _result(message: dict[str, Any]) -> dict[str, Any]:
    if "error" in message:
        raise ClientError(str(message["error"].get("message")))
    result: dict[str, Any] = message["result"]
    return result
