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

import contextlib
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

FILE_LIMIT = 1 << 22
"""Bytes of a file of answers; there is no such pool with more."""

HANDSHAKE = "handshake"
"""The era, up to 2025-11-25, in which a session begins with `initialize`. Later there is none, each
request says its version, and that is the name of its era."""

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Those that a session may have; who asks for another is offered the last one."""

INITIALIZE, DISCOVER, TOOLS = "initialize", "server/discover", "tools/list"

ALIKE = {
    INITIALIZE: "serverInfo",
    DISCOVER: "supportedVersions",
    TOOLS: "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
"""The methods that every client is answered alike; what their results are known by."""

LISTEN = "subscriptions/listen"
"""A request of the later era, which is acknowledged at once, and answered when all ends."""

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
PREFIX = "io.modelcontextprotocol/"
SUBSCRIPTION = f"{PREFIX}subscriptionId"

TASK = "pool://tasks/"
"""How the addresses of tasks begin, which are in the ledger, and are not to be anywhere else."""

SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "greeting.json")
"""The results of the pool of an empty project, by era and method."""

CHUNK = 1 << 16

PIECE = 1 << 12
"""Bytes that a pipe takes whole where it is ready to take any."""


class ClientGoneError(Exception):
    """The client has closed its end, or no longer reads, and waits for nothing."""


class GreetingRefusedError(Exception):
    """The pool does not serve a client that has been greeted; the message is the pool's word."""


class Answers:
    """What the pool of one place answers to every client alike."""

    def __init__(self, where: place.Place, environ: "Mapping[str, str]") -> None:
        """Read what is known; `environ` has the variables that configure the pool."""
        self._file = where.greeting
        self._root = where.root
        self._environ = environ
        self._of, may_choose_tools = self._deciding()
        self._by_era = _results(_object_in(SHIPPED))
        if may_choose_tools:
            for results in self._by_era.values():
                results.pop(TOOLS, None)
        kept = _object_in(self._file)
        if kept.get("of") == self._of:
            for era, results in _results(_table(kept.get("results"))).items():
                self._by_era.setdefault(era, {}).update(results)
        self._is_news = False

    def find(self, era: str, method: str) -> "dict[str, Any] | None":
        """The result of `method` in that era; None: it is not known."""
        return self._by_era.get(era, {}).get(method)

    def speaks(self, era: str) -> bool:
        """Whether that era's answers are known at all."""
        return era in self._by_era

    def learn(self, era: str, method: str, result: object) -> None:
        """The pool says so."""
        found = _results({era: {method: result}}).get(era, {}).get(method)
        if found is None or not self.speaks(era):
            return
        if "resources" in found:
            lasting = [one for one in found["resources"] if not one["uri"].startswith(TASK)]
            found = {**found, "resources": lasting}
        self._is_news |= self._by_era[era].get(method) != found
        self._by_era[era][method] = found

    def save(self) -> None:
        """Keep it for the next start, where there is news, and what decides it is as it was."""
        if not self._is_news or self._deciding()[0] != self._of:
            return
        part = f"{self._file}.{os.getpid()}"
        try:
            with open(part, "w", encoding="utf-8", opener=_private) as file:
                json.dump({"of": self._of, "results": self._by_era}, file)
            os.replace(part, self._file)
        except OSError:  # the next start knows less
            with contextlib.suppress(OSError):
                os.unlink(part)

    def _deciding(self) -> "tuple[str, bool]":
        """A digest of all that decides the answers; whether it may say which tools are listed."""
        digest, may_choose_tools = hashlib.sha256(__version__.encode()), False
        trusted = place.trust_list(self._environ)
        for path in (SHIPPED, trusted, *place.config_files(self._root, self._environ)):
            try:
                with open(path, "rb") as file:
                    data = file.read()
            except OSError:
                data = b""
            digest.update(b"%s\0%d\0%s" % (os.fsencode(path), len(data), data))
            if path not in (SHIPPED, trusted):
                # A letter of the word may be written as a number.
                may_choose_tools |= b"frontend" in data or b"\\u" in data.lower()
        return digest.hexdigest(), may_choose_tools


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _results(by_era: "dict[str, Any]") -> "dict[str, dict[str, dict[str, Any]]]":
    """What of it can be results."""
    return {
        era: {
            method: result
            for method, result in _table(results).items()
            if isinstance(result, dict) and ALIKE.get(method) in result
        }
        for era, results in by_era.items()
    }


def _object_in(path: str) -> "dict[str, Any]":
    try:
        with open(path, "rb") as file:
            return _object(file.read(FILE_LIMIT))
    except OSError:
        return {}


def _object(text: bytes) -> "dict[str, Any]":
    """The JSON object that `text` is; empty: it is none."""
    try:
        return _table(json.loads(text.decode()))
    except (ValueError, RecursionError):
        return {}


def _table(value: object) -> "dict[str, Any]":
    return value if isinstance(value, dict) else {}


class Greeter:
    """Stands in for a pool that is not up yet, towards one client on stdin and stdout."""

    def __init__(self) -> None:
        self.kept = b""
        """What the client has sent, and the pool is to have."""
        self.unsent = b""
        """What the client is to have, and has not taken yet."""
        self.closed = False
        """The client has closed its end."""
        self._answers: Answers | None = None
        self._answers_at = time.monotonic() + PATIENCE_S
        self._parsed = 0  # bytes of `kept`: whole lines
        self._requests: dict[str | int, _Request] = {}
        self._has_session: bool | None = None  # None: no request has come yet
        self._listening: list[_Request] = []
        self._rest = b""  # of the pool's output, while it is looked at: no whole line yet

    def begin(self, answers: Answers) -> None:
        """A pool is being started; these are its answers."""
        self._answers = answers

    def attend(self, seconds: float) -> None:
        """See to the client for that long, or until it does something.

        Raises:
            ClientGoneError: there is nobody to start a pool for.
        """
        self._exchange(seconds)
        if time.monotonic() >= self._answers_at:
            for request in self._requests.values():
                self._answer(request)
        if self.closed and not self.unsent and not self._is_awaited():
            raise ClientGoneError

    def turn_away(self, why: str) -> None:
        """There will be no pool: tell it all who wait for an answer, or else who asks next.

        Raises:
            ClientGoneError: nobody is there to be told.
        """
        while not self.closed and not self._is_awaited():
            self._exchange(None)
        error = {"code": -32000, "message": why}
        for request in self._requests.values():
            if not request.is_answered:
                self._say({"id": request.id, "error": error})
        while self.unsent:
            self._send()

    def hand_over(self) -> bytes:
        """The pool is up: returns what it is to be sent first."""
        # Whatever else was asked is between those two alone.
        self._requests = {
            one.id: one for one in self._requests.values() if one.is_answered or one.is_alike
        }
        kept, self.kept = self.kept, b""
        return kept

    def pass_on(self, chunk: bytes) -> bytes:
        """What of the pool's output is for the client: all but what it has had.

        Raises:
            GreetingRefusedError: the client is none that the pool serves.
        """
        if not self._requests:
            return chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        passed = b"".join([self._passed(line + b"\n") for line in lines])
        if not self._requests:
            passed, self._rest = passed + self._rest, b""
            if self._answers is not None:
                self._answers.save()
        return passed

    # the client

    def _exchange(self, within_s: "float | None") -> None:
        # Who is turned away is heard out first: there is no pool to keep it for.
        reads = not self.closed and (within_s is None or len(self.kept) <= KEPT_LIMIT)
        try:
            readable, writable, _ = select.select(
                [0] if reads else [], [1] if self.unsent else [], [], within_s
            )
        except OSError:
            readable, writable = [0], []  # it is closed, as reading it tells
        if readable:
            self._read()
        if writable:
            self._send()

    def _read(self) -> None:
        try:
            chunk = os.read(0, CHUNK)
        except OSError:
            chunk = b""
        self.closed = not chunk
        self.kept += chunk
        end = self.kept.rfind(b"\n") + 1
        for line in self.kept[self._parsed : end].split(b"\n"):
            self._take(_object(line))
        self._parsed = max(self._parsed, end)

    def _take(self, message: "dict[str, Any]") -> None:
        number, method = message.get("id"), message.get("method")
        if message.get("jsonrpc") != "2.0":
            return
        if method == "notifications/cancelled":
            self._take_back(_table(message.get("params")).get("requestId"))
        elif isinstance(number, str | int) and not isinstance(number, bool) and method:
            request = _Request(number, message)
            if self._has_session is None:  # the first request settles the era of all
                self._has_session = request.has_session
            is_right = number not in self._requests and request.has_session is self._has_session
            if not is_right or (self._has_session and not self._is_begun(request)):
                request.era = ""
            self._requests[number] = request

    def _take_back(self, number: object) -> None:
        for request in [*self._requests.values()]:
            if request.id == number and not request.is_answered:
                del self._requests[request.id]

    def _is_begun(self, request: "_Request") -> bool:
        """Whether there is a session, for that request or by it."""
        return any(one.begins_session for one in (request, *self._requests.values()))

    def _is_awaited(self) -> bool:
        return not all(one.is_answered for one in self._requests.values())

    def _answer(self, request: "_Request") -> None:
        if request.is_answered or self._answers is None or not self._answers.speaks(request.era):
            return
        if request.listens:
            request.is_answered = True
            self._listening.append(request)
            self._say(request.notice(ACKNOWLEDGED, {"notifications": request.wants}))
        elif request.is_alike:
            result = self._answers.find(request.era, request.method)
            if result is None:
                return
            if request.method == INITIALIZE:
                result = {**result, "protocolVersion": request.session_version}
            request.is_answered, request.result = True, result
            self._say({"id": request.id, "result": result})

    def _say(self, message: "dict[str, Any]") -> None:
        self.unsent += _line(message)

    def _send(self) -> None:
        try:
            self.unsent = self.unsent[os.write(1, self.unsent[:PIECE]) :]
        except OSError:
            raise ClientGoneError from None

    # the pool

    def _passed(self, line: bytes) -> bytes:
        """What the client gets for that line of the pool's."""
        message = _object(line)
        if message.get("method") == ACKNOWLEDGED:
            listening = _table(_table(message.get("params")).get("_meta")).get(SUBSCRIPTION, "")
            return line if self._requests.pop(listening, None) is None else b""
        if "method" in message:
            return line
        request = self._requests.pop(message.get("id", ""), None)
        if request is None or request.listens:
            return line
        result = message.get("result")
        if self._answers is not None:
            self._answers.learn(request.era, request.method, result)
        if not request.is_answered:
            return line
        if result is None and request.method in (INITIALIZE, DISCOVER):
            raise GreetingRefusedError(str(_table(message.get("error")).get("message")))
        return b"" if result in (None, request.result) else self._changed(request)

    def _changed(self, request: "_Request") -> bytes:
        """What the client is told who has had another answer to that request."""
        kind, _, rest = request.method.partition("/")
        if not rest.endswith("list"):
            return b""  # there is no word for that
        notice = f"notifications/{kind}/list_changed"
        if self._has_session:
            return _line({"method": notice})
        told = [one for one in self._listening if one.wants.get(f"{kind}ListChanged")]
        return b"".join([_line(one.notice(notice, {})) for one in told])


class _Request:
    """One of the client's."""

    def __init__(self, number: "str | int", message: "dict[str, Any]") -> None:
        given = message.get("params", {})
        params = _table(given)
        meta = _table(params.get("_meta"))
        self.id = number
        self.method = str(message["method"])
        self.begins_session = self.method == INITIALIZE and _greets(params)
        asked = params.get("protocolVersion")
        self.session_version = asked if asked in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1]
        """The version of the session that it begins."""
        version = meta.get(f"{PREFIX}protocolVersion") if self.method != INITIALIZE else None
        self.has_session = version is None
        """Whether it is of the era in which there is one."""
        self.era = HANDSHAKE if version is None else _era(version, meta)
        """Empty: the pool will say what is wrong with it."""
        self.is_alike = (self.method in ALIKE and params.keys() <= {"_meta"}) or self.begins_session
        """Whether every client is answered alike."""
        wants = _wanted(params.get("notifications"))
        self.listens = self.method == LISTEN and version is not None and wants is not None
        self.wants = wants or {}
        """What a client that listens is told of."""
        self.is_answered = False
        self.result: dict[str, Any] | None = None
        """What the client has had."""
        if given is not params or (self.method == INITIALIZE and not self.begins_session):
            self.era = ""

    def notice(self, method: str, params: "dict[str, Any]") -> "dict[str, Any]":
        """A notification to the client that listens by this request."""
        return {"method": method, "params": {**params, "_meta": {SUBSCRIPTION: self.id}}}


def _greets(params: "dict[str, Any]") -> bool:
    """Whether those of `initialize` are complete."""
    client = _table(params.get("clientInfo"))
    texts = (params.get("protocolVersion"), client.get("name"), client.get("version"))
    return isinstance(params.get("capabilities"), dict) and all(isinstance(t, str) for t in texts)


def _era(version: object, meta: "dict[str, Any]") -> str:
    is_whole = isinstance(meta.get(f"{PREFIX}clientCapabilities"), dict)
    return str(version) if is_whole and version != HANDSHAKE else ""


def _wanted(value: object) -> "dict[str, Any] | None":
    """What a client that says so is told of; None: it does not say it rightly."""
    if not isinstance(value, dict):
        return None
    found: dict[str, Any] = {}
    for kind in ("tools", "prompts", "resources"):
        flag = value.get(f"{kind}ListChanged")
        if not isinstance(flag, bool | None):
            return None
        if flag:
            found[f"{kind}ListChanged"] = True
    addresses = value.get("resourceSubscriptions") or []
    if not isinstance(addresses, list) or not all(isinstance(one, str) for one in addresses):
        return None
    return {**found, "resourceSubscriptions": addresses} if addresses else found


def _line(message: "dict[str, Any]") -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
