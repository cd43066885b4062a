"""MCP over streamable HTTP: who may come in, and what the SDK then serves, both eras of it.

Asked in this order, before anything of a request but its head is read: is the *Host* a name of
this server, is the *Origin* (which browsers send) one of them, is the path `/mcp`, is the token
right. The first two keep web pages out whose names lead here (DNS rebinding), the token everybody
else of this machine.

What becomes of tasks whose client goes away:

==================  ==============================================================================
until 2025-11-25    a request whose connection breaks is not cancelled, as that protocol has it: its
                    task goes on to its end, and its outcome is found by its id; when the session
                    is deleted, what it still waits for runs on for `disconnect_grace`
from 2026-07-28 on  a broken connection and a cancelled request are the same thing there, and nobody
                    can tell one from the other: the task runs on for `disconnect_grace`; a call
                    that was answered with a question has no connection, see `_rounds`
==================  ==============================================================================

Only a pool that serves HTTP imports this module.
"""

import errno
import hmac
import json
import os
import secrets
import socket
import stat
from collections.abc import Collection
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import trio
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from supervisor.frontend._asgi import Message, Receive, Scope, Send, serve
from supervisor.frontend._calls import CLIENT, Client
from supervisor.frontend._rounds import Rounds
from supervisor.frontend._server import FrontEnd
from supervisor.pool import HttpAddress

PATH = "/mcp"
"""Where MCP is served; there is nothing else."""

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of one request's body."""

SESSIONS = 1000
"""Sessions at once."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class HttpError(Exception):
    """MCP cannot be served over HTTP; the message says why, and what to do."""


def bind(address: HttpAddress, allow_remote: bool) -> trio.SocketListener:
    """Listen there.

    Raises:
        HttpError: other machines could reach it and `allow_remote` is not set, or it is not to be
            had, because somebody else listens there for example.
    """
    if not address.is_loopback and not allow_remote:
        raise HttpError(
            f"{address} can be reached from other machines, and what goes over it is not "
            "encrypted: use 127.0.0.1, or say that you mean it: --http-allow-remote, or "
            "allow_remote = true under [http] in pool.toml"
        )
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Who has just ended leaves connections behind; the next pool need not wait for them.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address.host, address.port))
        server.listen(256)
    except OSError as error:
        server.close()
        busy = error.errno == errno.EADDRINUSE
        why = "another program listens there" if busy else (error.strerror or str(error))
        hint = "stop that one, or take another port" if busy else "take another address"
        raise HttpError(
            f"MCP cannot be served at {address}: {why}; {hint} (port 0: any free one)"
        ) from None
    return trio.SocketListener(trio.socket.from_stdlib_socket(server))


def read_token(path: str) -> str:
    """The token in the file at `path`, which is made, mode 0600, where there is none.

    Raises:
        HttpError: others can read or write the file, or it holds no token.
        OSError: it cannot be read or made.
    """
    if not os.path.lexists(path):
        partial = f"{path}.{os.getpid()}"
        with open(partial, "x", opener=_private) as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
        os.replace(partial, path)
    with open(path, opener=_no_link) as file:
        facts = os.fstat(file.fileno())
        token = file.read(4096).strip()
    advice = "remove the file, and the next start makes another"
    if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        raise HttpError(f"{path}: others may have read this token: {advice}")
    if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
        raise HttpError(f"{path}: this is no token of 16 characters or more: {advice}")
    return token


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


class HttpServer:
    """Serves a front end at one address."""

    def __init__(
        self,
        front_end: FrontEnd,
        listener: trio.SocketListener,
        token: str,
        names: Collection[str],
        idle_timeout_s: float,
    ) -> None:
        """Args:
        front_end: what is served.
        listener: as `bind` gives it.
        token: what every request must bear.
        names: hosts, besides the address itself and loopback's names, by which it is called.
        idle_timeout_s: seconds without a request after which a session ends.
        """
        host, port = listener.socket.getsockname()[:2]
        self.address = HttpAddress(host, port)
        """Where it listens."""
        self._front_end = front_end
        self._listener = listener
        self._token = token.encode()
        self._names = {name.lower() for name in (*LOOPBACK_NAMES, self.address.name, *names)}
        self._idle_timeout_s = idle_timeout_s
        self._sessions: WeakValueDictionary[bytes, Client] = WeakValueDictionary()

    @property
    def url(self) -> str:
        """What a client is told to connect to."""
        return f"http://{self.address}{PATH}"

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; sessions end with it, and what they wait for does not."""
        manager = StreamableHTTPSessionManager(
            self._front_end.server,
            session_idle_timeout=self._idle_timeout_s or None,
            max_request_body_size=BODY_LIMIT,
            max_sessions=SESSIONS,
        )

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            refusal = self._refusal(scope)
            if refusal is not None:
                await _refuse(send, *refusal)
            else:
                await self._serve(manager, rounds, scope, receive, send)

        async with trio.open_nursery() as held, manager.run():
            rounds = Rounds(held)
            task_status.started(self)
            await serve(app, self._listener, self._front_end.on_fault)

    def close(self) -> None:
        """Let nobody else in; those that are connected are served on."""
        self._listener.socket.close()

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        host = _header(scope, b"host")
        if not self._is_ours(host):
            return 421, (
                f"this server is not called {host!r}; where it is, add the name to allowed_hosts "
                "under [http] in pool.toml"
            )
        origin = _header(scope, b"origin")
        if origin and not self._is_ours(_host_of(origin)):
            return 403, f"pages of {origin!r} may not use this server"
        if scope["path"] != PATH:
            return 404, f"there is nothing but {PATH}"
        given = _header(scope, b"authorization")
        scheme, _, token = given.partition(" ")
        # The name of a scheme is case-insensitive (RFC 9110, 11.1).
        is_bearer = scheme.lower() == "bearer"
        if not hmac.compare_digest(token.strip().encode("latin-1"), self._token) or not is_bearer:
            return 401, (
                ("this is not the token of this pool" if given else "a header is needed")
                + ": Authorization: Bearer <token>; agent-pool status says which file holds it"
            )
        return None

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        if not port.isdigit():
            name = host
        return name.lower() in self._names

    async def _serve(
        self,
        manager: StreamableHTTPSessionManager,
        rounds: Rounds,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        session = _header(scope, b"mcp-session-id").encode("latin-1")
        client = self._sessions.get(session) or Client(_name(scope))
        if scope["method"] == "DELETE":
            client.lost = True  # it goes, and takes back nothing
        if _header(scope, b"mcp-protocol-version") not in ("", *HANDSHAKE_PROTOCOL_VERSIONS):
            client = Client(client.name, lost=True, rounds=rounds)

        async def sent(message: Message) -> None:
            for name, value in message.get("headers", ()):
                if name.lower() == b"mcp-session-id":
                    self._sessions[value] = client
            await send(message)

        # The SDK runs what a request asks for in this context.
        CLIENT.set(client)
        listens = scope["method"] == "GET" or _header(scope, b"mcp-method").startswith("subscr")
        with self._front_end.counted(awaits_answer=not listens):
            await manager.handle_request(scope, receive, sent)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""  # it is no URL, so nobody's


def _name(scope: Scope) -> str:
    return f"http {':'.join(map(str, scope['client'] or ()))}"


async def _refuse(send: Send, status: int, why: str) -> None:
    error = {"code": -32600, "message": f"agent-pool: {why}"}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
