"""What a relay answers by itself while the pool that it has started is not up yet.

Claude Code counts a server as there once `tools/list`, `prompts/list` and `resources/list` are
answered, and waits about two seconds for that, while a pool on a busy machine takes longer to
start. What they are answered is known before: it comes with this program, and what a pool has said
is kept in its state folder. So a client that has waited for `PATIENCE_S` is answered from there.

All that it has sent goes to the pool even so, in its order, once that is up. Of the pool's answers
those are dropped that the client has had; where one of them is another list, the client is told
that the list has changed. A list of tools is only given where it is certain: what may say which
tools there are must be as it was when a pool said it.

The relay imports this module, so it uses the standard library alone, and little of it.
"""

import hashlib
import json
import os
import select
import time

from supervisor import __version__, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PATIENCE_S = 0.7
"""Seconds for which only the pool answers: the rest of two seconds is for a busy machine."""

KEPT_LIMIT = 1 << 20
"""Bytes that are kept for the pool; a client that sends more is not read before it is up."""

HANDSHAKE = "handshake"
"""The era, up to 2025-11-25, in which a session begins with `initialize`; later, there is none,
and each request says its version."""

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Those that a session may have; who asks for another is offered the last one."""

INITIALIZE, TOOLS, LISTEN = "initialize", "tools/list", "subscriptions/listen"

KNOWN = (
    INITIALIZE,
    "server/discover",
    TOOLS,
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)
"""The methods whose answers do not depend on who asks."""

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
"""What comes at once upon `LISTEN`, a request that is answered only when the listening ends."""

PREFIX = "io.modelcontextprotocol/"
SUBSCRIPTION = f"{PREFIX}subscriptionId"

SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "greeting.json")
"""The results of the pool of an empty project, by era and method."""

CHUNK = 1 << 16


class ClientGoneError(Exception):
    """The client has closed its end, or no longer reads, and waits for nothing."""


class Answers:
    """What the pool of one place answers to questions that it answers to each client alike."""

    def __init__(self, where: place.Place, environ: "Mapping[str, str]") -> None:
        """Read what is known; `environ` has the variables that configure the pool."""
        self._file = where.greeting
        digest, may_choose_tools = _digest(place.deciding_files(where.root, environ))
        self._of = [__version__, digest]
        self._by_era: dict[str, dict[str, dict[str, Any]]] = _object_in(SHIPPED)
        kept = _object_in(self._file)
        is_as_then = kept.get("of") == self._of
        if may_choose_tools and not is_as_then:
            for results in self._by_era.values():
                results.pop(TOOLS, None)
        if is_as_then:
            for era, results in _table(kept.get("results")).items():
                self._by_era.setdefault(era, {}).update(_table(results))
        self._is_news = False

    def find(self, era: str, method: str) -> "dict[str, Any] | None":
        """The result of `method` in that era; None: it is not known."""
        return self._by_era.get(era, {}).get(method)

    def speaks(self, era: str) -> bool:
        """Whether that era's answers are known at all."""
        return era in self._by_era

    def learn(self, era: str, method: str, result: "dict[str, Any]") -> None:
        """The pool says so."""
        results = self._by_era.setdefault(era, {})
        self._is_news |= results.get(method) != result
        results[method] = result

    def save(self) -> None:
        """Keep it for the next start, if there is news."""
        if not self._is_news:
            return
        part = f"{self._file}.{os.getpid()}"
        try:
            with open(part, "w", encoding="utf-8", opener=_private) as file:
                json.dump({"of": self._of, "results": self._by_era}, file)
            os.replace(part, self._file)
        except OSError:
            return  # the next start knows less


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _digest(files: "list[str]") -> "tuple[str, bool]":
    """One of all that they hold, and whether any of it may say which tools are listed."""
    digest, may_choose_tools = hashlib.sha256(), False
    for path in files:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            data = b""
        digest.update(os.fsencode(path) + b"\0%d\0" % len(data) + data)
        may_choose_tools |= b"frontend" in data
    return digest.hexdigest(), may_choose_tools


def _object_in(path: str) -> "dict[str, Any]":
    try:
        with open(path, "rb") as file:
            return _object(file.read())
    except OSError:
        return {}


def _object(text: bytes) -> "dict[str, Any]":
    """The JSON object that `text` is; empty: it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


class Greeter:
    """Stands in for a pool that is not up yet, towards one client on stdin and stdout."""

    def __init__(self) -> None:
        self.kept = b""
        """What the client has sent, and the pool is to have."""
        self.closed = False
        """The client has closed its end."""
        self._answers: Answers | None = None
        self._answers_at = time.monotonic() + PATIENCE_S
        self._judged = 0  # bytes of `kept`: whole lines
        self._requests: dict[str | int, _Request] = {}
        self._listening: list[_Request] = []
        self._rest = b""  # of the pool's output, while it is looked at: no whole line yet

    def begin(self, answers: Answers) -> None:
        """A pool is being started; these are its answers."""
        self._answers = answers

    def pause(self, seconds: float) -> None:
        """Let that time pass, less where the client sends something, and answer what can be.

        Raises:
            ClientGoneError: there is nobody to start a pool for.
        """
        if self.closed or len(self.kept) > KEPT_LIMIT:
            time.sleep(seconds)
        else:
            self._read(seconds)
        try:
            if time.monotonic() >= self._answers_at:
                for request in self._requests.values():
                    self._answer(request)
        except OSError:
            raise ClientGoneError from None
        if self.closed and not self._is_awaited():
            raise ClientGoneError

    def refuse(self, message: str) -> None:
        """There will be no pool: tell it all who wait for an answer, or else who asks next.

        Raises:
            OSError: the client has gone.
        """
        while not self.closed and not self._is_awaited():
            self._read()
        error = {"code": -32000, "message": message}
        for request in self._requests.values():
            if not request.is_answered:
                write_all(_line({"id": request.id, "error": error}))

    def hand_over(self) -> bytes:
        """The pool is up: returns what it is to be sent first."""
        # Whatever else was asked is between those two alone.
        self._requests = {
            one.id: one for one in self._requests.values() if one.is_answered or one.is_known
        }
        kept, self.kept = self.kept, b""
        return kept

    def pass_on(self, chunk: bytes) -> bytes:
        """What of the pool's output is for the client: all but what it has had."""
        if not self._requests:
            return chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        passed = b"".join([self._passed(line + b"\n") for line in lines])
        if not self._requests:
            passed, self._rest = passed + self._rest, b""
            if self._answers is not None:
                self._answers.save()
        return passed

    def _read(self, within_s: "float | None" = None) -> None:
        try:
            if not select.select([0], [], [], within_s)[0]:
                return
            chunk = os.read(0, CHUNK)
        except OSError:
            chunk = b""  # as good as closed
        self.closed = not chunk
        self.kept += chunk
        end = self.kept.rfind(b"\n") + 1
        for line in self.kept[self._judged : end].split(b"\n"):
            message = _object(line)
            if isinstance(message.get("id"), str | int) and "method" in message:
                request = _Request(message, self._has_session())
                self._requests[request.id] = request
        self._judged = max(self._judged, end)

    def _is_awaited(self) -> bool:
        return not all(one.is_answered for one in self._requests.values())

    def _has_session(self) -> bool:
        return any(one.method == INITIALIZE and one.era for one in self._requests.values())

    def _answer(self, request: "_Request") -> None:
        if request.is_answered or self._answers is None or not self._answers.speaks(request.era):
            return
        if request.method == LISTEN and request.era != HANDSHAKE:
            request.is_answered = True
            self._listening.append(request)
            write_all(_line(request.notice(ACKNOWLEDGED, {"notifications": request.wants})))
        elif request.is_known:
            result = self._answers.find(request.era, request.method)
            if result is None:
                return
            if request.method == INITIALIZE:
                result = {**result, "protocolVersion": request.version}
            request.is_answered, request.result = True, result
            write_all(_line({"id": request.id, "result": result}))

    def _passed(self, line: bytes) -> bytes:
        """What the client gets for that line of the pool's."""
        message = _object(line)
        if message.get("method") == ACKNOWLEDGED:
            listening = _table(_table(message.get("params")).get("_meta")).get(SUBSCRIPTION, "")
            return line if self._requests.pop(listening, None) is None else b""
        if "method" in message:
            return line
        request = self._requests.pop(message.get("id", ""), None)
        if request is None or request.method == LISTEN:
            return line
        result = message.get("result")
        if result is not None and self._answers is not None:
            self._answers.learn(request.era, request.method, result)
        if not request.is_answered:
            return line
        return b"" if result == request.result else self._changed(request)

    def _changed(self, request: "_Request") -> bytes:
        """What the client is told who has had another answer to that request."""
        kind, _, rest = request.method.partition("/")
        if not rest.endswith("list"):
            return b""  # there is no word for that
        notice = f"notifications/{kind}/list_changed"
        if request.era == HANDSHAKE:
            return _line({"method": notice})
        told = [one for one in self._listening if one.wants.get(f"{kind}ListChanged")]
        return b"".join([_line(one.notice(notice, {})) for one in told])


class _Request:
    """One of the client's."""

    def __init__(self, message: "dict[str, Any]", has_session: bool) -> None:
        params = _table(message.get("params"))
        meta = _table(params.get("_meta"))
        wants = _table(params.get("notifications"))
        self.id: str | int = message["id"]
        self.method = message["method"]
        self.version = params.get("protocolVersion")
        self.is_known = self.method in KNOWN and params.keys() <= {"_meta"}
        """Whether it asks for what is the same for each client."""
        self.wants = {key: value for key, value in wants.items() if value}
        """What a client that listens is to be told of."""
        self.is_answered = False
        self.result: dict[str, Any] | None = None
        """What the client has had."""
        self.era = HANDSHAKE if has_session else ""
        """Empty: it has none, and the pool will say what is wrong with it."""
        if isinstance(meta.get(f"{PREFIX}clientCapabilities"), dict):
            self.era = str(meta.get(f"{PREFIX}protocolVersion"))
        elif self.method == INITIALIZE and _greets(params):
            self.era, self.is_known = HANDSHAKE, True
            if self.version not in HANDSHAKE_VERSIONS:
                self.version = HANDSHAKE_VERSIONS[-1]

    def notice(self, method: str, params: "dict[str, Any]") -> "dict[str, Any]":
        """A notification to the client that listens by this request."""
        return {"method": method, "params": {**params, "_meta": {SUBSCRIPTION: self.id}}}


def _greets(params: "dict[str, Any]") -> bool:
    """Whether those of `initialize` are complete; where not, the pool tells what is missing."""
    client = _table(params.get("clientInfo"))
    texts = (params.get("protocolVersion"), client.get("name"), client.get("version"))
    return isinstance(params.get("capabilities"), dict) and all(isinstance(t, str) for t in texts)


def _table(value: object) -> "dict[str, Any]":
    return value if isinstance(value, dict) else {}


def _line(message: "dict[str, Any]") -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


def write_all(data: bytes) -> None:
    """Write to the client, however much it takes at once.

    Raises:
        OSError: it has gone.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
