"""The HTTP side: threads, sockets, a record of every request.

Threads, and not Trio, so that a Trio test, a synchronous test and a CLI in a subprocess can all
use the same server, and virtual time never stops it.
"""

import itertools
import json
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from tests.loopback.answers import (
    PARTS_OF_A_SLOW_ANSWER,
    Answer,
    answer_to,
    encode,
    error_body,
    events,
    message,
)
from tests.loopback.requests import Request

MAX_BODY_BYTES: Final = 96 * 1024 * 1024
MAX_CONNECTIONS: Final = 256
KEPT_HEADERS: Final = (
    "content-length",
    "user-agent",
    "anthropic-version",
    "anthropic-beta",
    "x-app",
    "x-claude-code-session-id",
    "x-stainless-retry-count",
)


class LoopbackAPI:
    """The stand-in of the Messages API on a free port of 127.0.0.1.

    with LoopbackAPI() as api:
        start_a_client(base_url=api.base_url)
        request = api.wait_for_request(lambda request: request.is_task, timeout_s=10)

    Leaving the block ends all connections and waits for all threads. It raises ExceptionGroup
    when the server itself had failed, unless another exception is on its way.
    """

    def __init__(self, think: Callable[[Request], Answer] = answer_to) -> None:
        """`think` is the model: asked in many threads; its ValueError is answered with 400."""
        self.think = think
        self._requests: list[Request] = []
        self._failures: list[Exception] = []
        self._changed = threading.Condition()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def base_url(self) -> str:
        """For `ANTHROPIC_BASE_URL`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far, in order of arrival."""
        with self._changed:
            return tuple(self._requests)

    @property
    def tasks(self) -> tuple[Request, ...]:
        """The requests that are turns of a conversation."""
        return tuple(request for request in self.requests if request.is_task)

    def wait_for_request(
        self, predicate: Callable[[Request], bool] = lambda _: True, timeout_s: float = 10.0
    ) -> Request:
        """Block until a request, an earlier one included, satisfies the predicate.

        The predicate is asked again whenever a request arrives, is answered or loses its client.

        Raises:
            TimeoutError: none did; the message tells what had come.
        """

        def first() -> Request | None:
            return next((request for request in self._requests if predicate(request)), None)

        with self._changed:
            found = self._changed.wait_for(first, timeout_s)
            if found is None:
                seen = [f"{r.method} {r.path} {r.last_user_text()[:60]!r}" for r in self._requests]
                raise TimeoutError(f"no such request within {timeout_s} s; came: {seen}")
            return found

    def forget(self) -> None:
        """Drop the requests so far: those of an hour would fill the memory."""
        with self._changed:
            self._requests.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.drop_connections()
        self._server.server_close()
        if self._failures and exc is None:
            raise ExceptionGroup("the loopback API failed", self._failures)

    def record(self, request: Request) -> None:
        """For the server's threads: a request has arrived."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def finish(self, request: Request, *, answered: bool) -> None:
        """For the server's threads: a request was answered, or its client has left."""
        with self._changed:
            request.answered = answered
            request.disconnected = not answered
            self._changed.notify_all()

    def fail(self, failure: Exception) -> None:
        """For the server's threads: this is a fault of the server."""
        with self._changed:
            self._failures.append(failure)


class _ClientGoneError(Exception):
    """The client has gone, or the server is closing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, api: LoopbackAPI) -> None:
        self.api = api
        self.numbers = itertools.count(1)
        self.closing, self._close = socket.socketpair()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            if len(self._connections) >= MAX_CONNECTIONS:
                return False
            self._connections.add(request)
            return True

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """Wake every thread that waits, and end every connection."""
        self._close.close()
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # it had ended by itself
                    continue

    def server_close(self) -> None:
        super().server_close()
        self.closing.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        failure = sys.exception()
        if isinstance(failure, Exception) and not isinstance(failure, ConnectionError):
            self.api.fail(failure)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence: tests read `LoopbackAPI.requests`."""

    def do_HEAD(self) -> None:
        request = self._received()
        self._send_head(200 if request.path == "/" else 404, {"Content-Length": "0"})
        self.server.api.finish(request, answered=True)

    def do_GET(self) -> None:
        self._answered(self._received(), self._not_found)

    def do_POST(self) -> None:
        request = self._received()
        respond = {
            "/v1/messages": self._messages,
            "/v1/messages/count_tokens": self._count_tokens,
        }.get(request.path, self._not_found)
        self._answered(request, respond)

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815 (the names are the standard library's)

    def _received(self) -> Request:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            raise ConnectionAbortedError(f"a body of {length} bytes")
        raw = self.rfile.read(length)
        request = Request(
            method=self.command,
            path=self.path.partition("?")[0],
            body=_json_object(raw),
            headers={name: self.headers[name] for name in KEPT_HEADERS if name in self.headers},
            at=time.monotonic(),
        )
        self.server.api.record(request)
        return request

    def _answered(self, request: Request, respond: Callable[[Request], None]) -> None:
        try:
            respond(request)
        except (_ClientGoneError, ConnectionError):
            self.close_connection = True
            self.server.api.finish(request, answered=False)
        else:
            self.server.api.finish(request, answered=True)

    def _not_found(self, request: Request) -> None:
        self._send_json(404, error_body(404, f"no such endpoint: {request.method} {request.path}"))

    def _count_tokens(self, request: Request) -> None:
        self._send_json(200, {"input_tokens": request.input_tokens()})

    def _messages(self, request: Request) -> None:
        try:
            answer = self.server.api.think(request)
        except ValueError as error:
            self._send_json(400, error_body(400, f"loopback: {error}"))
            return
        self._wait(None if answer.hangs else answer.delay_s)
        if answer.error_status:
            failure = error_body(answer.error_status, "the task asked for this error")
            self._send_json(answer.error_status, failure)
            return
        whole = message(answer, request, next(self.server.numbers))
        if request.body.get("stream"):
            self._stream(whole, answer)
        else:
            self._wait(answer.slow_s)
            self._send_json(200, whole)

    def _stream(self, whole: dict[str, Any], answer: Answer) -> None:
        parts = PARTS_OF_A_SLOW_ANSWER if answer.slow_s else 1
        head = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
        self._send_head(200, head)
        for event in events(whole, parts):
            if event[0] == "content_block_delta":
                self._wait(answer.slow_s / parts)
            self._send_chunk(encode(event))
        self._send_chunk(b"")

    def _wait(self, seconds: float | None) -> None:
        """Wait so long (None: for ever), unless the client leaves or the server closes.

        A readable connection is a client that left: nobody sends a second request before the
        first one is answered.
        """
        if seconds == 0:
            return
        readable, _, _ = select.select([self.connection, self.server.closing], [], [], seconds)
        if readable:
            raise _ClientGoneError

    def _send_json(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
        self._send_head(status, headers)
        self.wfile.write(raw)

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
