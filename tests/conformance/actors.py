"""The children that a scenario asks for, and the one list in which all of them write.

Each start looks up in the script how it has to go. A worker then waits until it is told to exit,
or asked to shut down, and does what its behaviour says. A supervisor is a real one, built anew at
each start; it writes in the list what its events say.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import trio

from supervisor.tree import (
    AutoShutdown,
    BadFlags,
    BadSpec,
    ChildRef,
    ChildSpec,
    ChildStarted,
    ChildStatus,
    Event,
    Ignore,
    IntensityExceeded,
    Shutdown,
    StartFailed,
    Supervisor,
    SupervisorEnded,
    SupervisorFlags,
    SupervisorStarted,
)
from tests.conformance.scenario import Json, variant

Introduction: TypeAlias = Counter[str]
"""How far the script of each path has come since a step (or the first start) introduced it."""


MOST_EVENTS: Final = 20_000
"""Of a scenario. They have hundreds."""


class Endless(BaseException):
    """Restarts without an end. No supervisor can take it for a child's."""


class Crash(Exception):  # noqa: N818 - OTP's exit reason
    """An abnormal end."""


class Killed(Exception):  # noqa: N818 - OTP's exit reason
    """Killed, and not by its supervisor."""


class StartError(Exception):
    """A start function answers that it has failed."""


def ending(reason: str) -> Exception | None:
    """What a child raises to end with this reason; None: it returns."""
    word, _, information = reason.partition(":")
    match word:
        case "normal":
            return None
        case "shutdown":
            return Shutdown(information)
        case "killed":
            return Killed()
        case _:
            return Crash()


def reason_of(cause: BaseException | None) -> str:
    """The reason that this stands for: `ending`, backwards."""
    match cause:
        case None:
            return "normal"
        case IntensityExceeded() | AutoShutdown():
            return "shutdown"
        case Shutdown():
            return f"shutdown:{cause.reason}" if cause.reason else "shutdown"
        case Killed():
            return "killed"
        case Crash():
            return "crash"
        case _:
            return f"crash, unforeseen: {cause!r}"


def failure_of(cause: BaseException | None) -> Json:
    """Why a start failed, in the words of the corpus."""
    match cause:
        case StartFailed():
            return {"failed_to_start_child": cause.child_id, "reason": failure_of(cause.cause)}
        case StartError():
            return str(cause)
        case Crash():
            return "exception"
        case BadSpec():
            return {"bad_spec": cause.code}
        case BadFlags():
            return {"bad_flags": cause.code}
        case RuntimeError():  # of the tree itself: the child has returned before it was up
            return "bad_return"
        case _:
            return f"unforeseen: {cause!r}"


@dataclass(frozen=True, slots=True)
class Part:
    """What a child has to play, in all its lives."""

    path: str
    child: dict[str, Json]
    introduction: Introduction

    def next_entry(self) -> Json:
        """What the script says about the attempt that begins now."""
        script = self.child.get("start", ["ok"])
        position = self.introduction[self.path]
        self.introduction[self.path] += 1
        return script[min(position, len(script) - 1)]


class Hold:
    """A point at which somebody stops, until it is let go."""

    def __init__(self, at: Literal["start", "stop"], path: str) -> None:
        self.at = at
        self.path = path
        self.reached = trio.Event()
        self.released = trio.Event()


@dataclass(eq=False)
class Worker:
    """One life of a worker."""

    path: str
    n: int
    behaviour: Json
    cast: Cast
    extra: Json = None
    gone: trio.Event = field(default_factory=trio.Event)
    _stirred: trio.Event = field(default_factory=trio.Event)
    _told: str | None = None
    _asked: bool = False

    def exit(self, reason: str) -> None:
        """Have it end by itself."""
        self._told = reason
        self._stirred.set()

    def ask(self) -> None:
        """What its supervisor calls to have it shut down."""
        self._asked = True
        if self.behaviour != "ignore" or self.cast.dismissed:
            self._stirred.set()

    def dismiss(self) -> None:
        """It is over: it may end even though it ignores that it was asked."""
        if self._asked:
            self._stirred.set()

    async def live(self) -> None:
        """Wait for the end, write it down, and end so."""
        reason = "killed"
        try:
            if not self._stirred.is_set():  # else not even a checkpoint comes between
                await self._stirred.wait()
            reason = self._told or await self._shut_down()
        finally:
            self.end(reason)
        cause = ending(reason)
        if cause is not None:
            raise cause

    async def _shut_down(self) -> str:
        match self.behaviour:
            case {"slow": ms}:
                await trio.sleep(ms / 1000)
            case {"exit": reason}:
                return str(reason)
            case "hold":
                await self.cast.pause("stop", self.path)
        return "shutdown"

    def end(self, reason: str) -> None:
        """From now on it is dead."""
        del self.cast.workers[self.path]
        self.cast.record("stop", self.path, self.n, reason=reason)
        self.gone.set()


class ActingSupervisor(Supervisor):
    """One life of a supervisor."""

    def __init__(self, part: Part, n: int, cast: Cast) -> None:
        self.part = part
        self.path = part.path
        self.n = n
        self.cast = cast
        self.reason: str | None = None
        """Why it has ended."""
        self.gone = trio.Event()
        self.up = False
        self.ended: SupervisorEnded | None = None
        tree = part.child["tree"]
        keys = {
            "strategy": "strategy",
            "intensity": "intensity",
            "period": "period_s",
            "auto_shutdown": "auto_shutdown",
        }
        given = {ours: tree[key] for key, ours in keys.items() if key in tree}
        flags = SupervisorFlags(**given)
        children = tree.get("children", [])
        self.template: Json = children[0] if len(children) == 1 else None
        specs = [cast.spec(part, child) for child in children]
        super().__init__(part.path, flags, specs, on_event=self._on_event)

    def instance(self, name: str, overrides: dict[str, Json]) -> Part:
        """What an instance of the template has to play."""
        child = {**(self.template or {}), **overrides}
        return Part(f"{self.path}/{name}", child, Counter())

    @property
    def simple(self) -> bool:
        """Whether its children are instances of one spec."""
        return self.flags.strategy == "simple_one_for_one"

    def end(self, reason: str) -> None:
        """From now on it is dead."""
        del self.cast.supervisors[self.path]
        self.reason = reason
        if self.up:
            self.cast.record("stop", self.path, self.n, reason=reason)
        else:
            self.cast.record("sup_started", self.path, self.n, result="error")
        self.gone.set()

    def _on_event(self, event: Event) -> None:
        match event:
            case SupervisorStarted():
                self.up = True
                self.cast.record("sup_started", self.path, self.n, result="ok")
            case ChildStarted(ref=ref) if self.simple and ref is not None:
                self.cast.instances[ref.value.path] = ref
            case SupervisorEnded():
                self.ended = event


class Cast:
    """All that act, and what has happened."""

    def __init__(self) -> None:
        self.events: list[dict[str, Json]] = []
        self.workers: dict[str, Worker] = {}
        """Those that live, by path."""
        self.supervisors: dict[str, ActingSupervisor] = {}
        """The same."""
        self.instances: dict[str, ChildRef] = {}
        """Of simple_one_for_one: the latest life that was up, by path."""
        self.hold: Hold | None = None
        self.dismissed = False
        self._attempts: Counter[str] = Counter()

    def record(self, ev: str, path: str, n: int, **more: str) -> None:
        """Write down what has happened just now."""
        if len(self.events) == MOST_EVENTS:
            raise Endless(f"{MOST_EVENTS} events, and no end")
        self.events.append({"ev": ev, "path": path, "n": n, **more})

    async def pause(self, at: Literal["start", "stop"], path: str) -> None:
        """Stop here if it was armed, once, until it is let go."""
        hold = self.hold
        if hold is None or (hold.at, hold.path) != (at, path) or hold.reached.is_set():
            return
        hold.reached.set()
        await hold.released.wait()

    def dismiss(self) -> None:
        """Nobody looks any more: all may end."""
        self.dismissed = True
        if self.hold is not None:
            self.hold.released.set()
        for worker in self.workers.values():
            worker.dismiss()

    def spec(self, parent: Part, child: Json) -> Any:
        """The child spec of what stands there; what is not even an object, as it is."""
        if not isinstance(child, dict):
            return child
        given = {key: child[key] for key in ("restart", "type", "significant") if key in child}
        if "shutdown" in child:
            given["shutdown"] = _seconds(child["shutdown"])
        child_id: Any = child.get("id")
        if parent.child["tree"].get("strategy") == "simple_one_for_one":
            start: Any = self.play
        else:
            part = Part(f"{parent.path}/{child_id}", child, parent.introduction)
            start = partial(self.play, part)
        if child.get("start", ...) is None:
            start = None
        return ChildSpec(child_id, start, **given)

    async def play(self, part: Part, *, task_status: ChildStatus) -> None:
        """The start function of all children."""
        self._attempts[part.path] += 1
        n = self._attempts[part.path]
        entry = part.next_entry()
        if "tree" in part.child:
            await self._supervise(part, n, entry, task_status)
        else:
            await self._work(part, n, entry, task_status)

    async def _work(self, part: Part, n: int, entry: Json, task_status: ChildStatus) -> None:
        await self.pause("start", part.path)
        if not variant(entry).startswith("ok"):
            self.record("start", part.path, n, result=_result(entry))
            _fail(entry)
            return
        worker = Worker(part.path, n, part.child.get("on_shutdown", "obey"), self)
        self.workers[part.path] = worker
        self.record("start", part.path, n, result="ok")
        task_status.trap_shutdown(worker.ask)
        match entry:
            case {"ok_extra": extra}:
                worker.extra = extra
            case {"ok_then_exit": reason}:
                worker.exit(reason)
        task_status.started(worker)
        await worker.live()

    async def _supervise(self, part: Part, n: int, entry: Json, task_status: ChildStatus) -> None:
        self.record("sup_start", part.path, n)
        await self.pause("start", part.path)
        if entry != "ok":
            self.record("sup_started", part.path, n, result=_result(entry))
            _fail(entry)
            return
        try:
            supervisor = ActingSupervisor(part, n, self)
        except (BadSpec, BadFlags):
            self.record("sup_started", part.path, n, result="error")
            raise
        self.supervisors[part.path] = supervisor
        reason = "killed"
        try:
            await supervisor.run(task_status=task_status)
            assert supervisor.ended is not None
            reason = supervisor.ended.reason
        except Exception as exc:
            reason = reason_of(exc)
            raise
        finally:
            supervisor.end(reason)


def _result(entry: Json) -> str:
    """What comes of an attempt that leads to no process."""
    return "ignore" if entry == "ignore" else "error"


def _fail(entry: Json) -> None:
    """End such an attempt; *bad_return*: by returning."""
    match entry:
        case "ignore":
            raise Ignore
        case "error":
            raise StartError("start_error")
        case {"error": reason}:
            raise StartError(reason)
        case "crash":
            raise Crash


def _seconds(ms: Json) -> Json:
    """A timeout; a word as it is."""
    is_number = isinstance(ms, int | float) and not isinstance(ms, bool)
    return ms / 1000 if is_number else ms
