"""What OTP's rules say will happen: a plain, synchronous supervisor tree.

It starts nothing and awaits nothing. `predict` takes a tree and a list of operations, plays them
by the rules, and returns the same operations as `Deed`s: each with the names it came to mean, the
answer it gets, and the time, states and log that hold when all is quiet again. It is written from
the rules (a supervisor reads one queue, and handles its messages one at a time), not from
`supervisor.tree`, and knows none of its names.

Time is in seconds and passes only while something is waited for. Where the rules leave open what
happens (two supervisors have work at the same time, a child ends in the moment of its timeout)
the prediction stops there: `Prediction.open_end`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Literal

Reason = Literal["normal", "shutdown", "crash"]
Hold = Literal["start", "stop"]
Restart = Literal["permanent", "transient", "temporary"]
Trap = Literal["no", "trap", "shield"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]

ENDLESS = 100
"""Messages after which it is not worth to go on."""


class Brief:
    """Says only what is not as ever: a program that fails is to be read."""

    def __repr__(self) -> str:
        said = [
            f"{each.name}={getattr(self, each.name)!r}"
            for each in fields(self)  # type: ignore[arg-type]
            if getattr(self, each.name) != each.default
        ]
        return f"{type(self).__name__}({', '.join(said)})"


@dataclass(frozen=True, repr=False)
class Kid(Brief):
    """A child spec and how its child behaves."""

    id: str
    restart: Restart = "permanent"
    shutdown: float | Literal["brutal_kill", "infinity"] | None = None
    significant: bool = False
    starts: tuple[str, ...] = ("ok",)
    """By attempt, the last one for ever: ok, ignore, error, return, or `exit REASON`: up, and ended
    with that reason at once."""
    answer: str = "obey"
    """To the request to end: obey, ignore, `slow SECONDS`, or `exit REASON`."""
    trap: Trap = "no"
    """Whether it is asked before it is cancelled; shield: only its kill can end it then."""
    tree: Tree | None = None
    """It is a supervisor."""

    @property
    def timeout_s(self) -> float:
        if self.shutdown == "infinity" or (self.shutdown is None and self.tree is not None):
            return math.inf
        if self.shutdown is None:
            return 5
        return 0 if self.shutdown == "brutal_kill" else self.shutdown

    @property
    def takes_s(self) -> float:
        """How long it takes to end once asked."""
        if self.answer == "ignore":
            return math.inf
        return float(self.answer.split()[1]) if self.answer.startswith("slow") else 0


@dataclass(frozen=True, repr=False)
class Tree(Brief):
    """A supervisor; of simple_one_for_one the only kid is the template."""

    strategy: Strategy
    kids: tuple[Kid, ...] = ()
    intensity: int = 1
    period_s: float = 5
    auto_shutdown: AutoShutdown = "never"

    @property
    def simple(self) -> bool:
        return self.strategy == "simple_one_for_one"


@dataclass(frozen=True, repr=False)
class Op(Brief):
    """An operation as it is drawn. `sup` and `child` pick one of those that there are by then."""

    kind: str
    """exit, start_child, start_instance, terminate_child, restart_child, delete_child,
    get_childspec, which_children, count_children, stop, sleep; batch: the items come while the
    supervisor reads nothing; window: they come while it waits for one child to start or stop."""
    sup: int = 0
    child: int = 0
    reason: Reason = "crash"
    kid: Kid | None = None
    seconds: float = 0
    hold: Hold = "start"
    cause: Op | None = None
    """Of a window: what makes the supervisor start or stop the child."""
    items: tuple[Op, ...] = ()
    by_parent: int | None = None
    """After so many items of a batch, the parent terminates the supervisor."""
    abandoned: bool = False
    """The caller is cancelled while it waits."""


@dataclass(repr=False)
class Deed(Brief):
    """An operation with the names it came to mean, and what comes of it."""

    kind: str
    sup: str = ""
    id: str = ""
    """A child, or the name of an instance."""
    reason: Reason = "crash"
    kid: Kid | None = None
    introduction: int = 0
    abandoned: bool = False
    hold: Hold | None = None
    """Of a window; None: it does not come to that."""
    cause: Deed | None = None
    items: list[Deed] = field(default_factory=list)
    result: object = None
    held_at: float = 0
    until: float = 0
    """All is quiet again by then."""
    after: Snapshot | None = None
    """None: the rules leave it open."""


@dataclass
class Snapshot:
    """What holds when all is quiet, and what has happened since it was the last time."""

    supervisors: dict[str, tuple[list[list[object]], tuple[int, int, int, int]]]
    """which_children and count_children of each that runs."""
    workers: list[str]
    """Paths of those that run."""
    log: list[tuple[float, str, str]]
    """Time, supervisor, and +path: up; -path: ended; !path: did not start; ?path: ignored.

    The path is of the supervisor itself, or of a worker below it."""
    in_parallel: bool
    """Some supervisors worked at the same time: each has its order, they have none in common."""
    ended_together: bool
    """Some children were ended at once: they have no order either."""


@dataclass
class Prediction:
    deeds: list[Deed]
    """The first is the start of the tree."""
    open_end: bool = False
    ended: Reason | None = None
    """How the root ended, if it did."""


class Open(Exception):  # noqa: N818 - not an error
    """The rules do not say what happens."""


class KilledFromAbove(Exception):  # noqa: N818 - not an error
    """The timeout of a supervisor ends while something below it is still being stopped."""


class Scripts:
    """What the next start of a path does; a child that is added begins anew."""

    def __init__(self) -> None:
        self._attempts: dict[tuple[int, str], int] = {}

    def next(self, introduction: int, path: str, starts: tuple[str, ...]) -> str:
        attempt = self._attempts.get((introduction, path), 0)
        self._attempts[introduction, path] = attempt + 1
        return starts[min(attempt, len(starts) - 1)]


@dataclass(eq=False)
class Life:
    child: Child
    sub: Sup | None = None
    dead: bool = False
    reason: Reason = "normal"


@dataclass(eq=False)
class Child:
    kid: Kid
    path: str
    introduction: int
    life: Life | None = None
    last: Life | None = None
    restarting: bool = False

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def alive(self) -> bool:
        return self.life is not None and not self.life.dead

    @property
    def state(self) -> str:
        if self.life is not None:
            return "running"
        return "restarting" if self.restarting else "undefined"


@dataclass(eq=False)
class Exit:
    life: Life


@dataclass(eq=False)
class TryAgain:
    child: Child


@dataclass(eq=False)
class Stop:
    reason: Reason


@dataclass(eq=False)
class Call:
    deed: Deed
    ref: Life | None = None
    """What the name of an instance stood for when the call was made."""


@dataclass(eq=False)
class Sup:
    tree: Tree
    path: str
    introduction: int
    life: Life | None
    """Its own, below its parent."""
    parent: Sup | None
    children: list[Child] = field(default_factory=list)
    queue: deque[Exit | TryAgain | Stop | Call] = field(default_factory=deque)
    restarts: list[float] = field(default_factory=list)
    instances: list[Child] = field(default_factory=list)
    """All that ever were."""
    up: bool = False
    ending: Reason | None = None
    ended: bool = False


class Model:
    def __init__(self, tree: Tree) -> None:
        self.now: float = 0
        self.limit: float = math.inf
        """When a supervisor above what is being stopped loses patience."""
        self.scripts = Scripts()
        self.log: list[tuple[float, str, str]] = []
        self.in_parallel = self.ended_together = False
        self.busy: list[Sup] = []
        self.suspended: Sup | None = None
        self.rest: tuple[Deed, tuple[Op, ...]]
        """Of a batch: the items that come after the request of the parent."""
        self.held: Child | None = None
        """It has been asked to end already."""
        self.window: tuple[Deed, Op] | None = None
        self.introductions = 0
        self.handled = 0
        self.root = Sup(tree, "root", 0, None, None)

    # ---- supervisors, from the first start to the last stop

    def start_sup(self, sup: Sup) -> bool:
        if not sup.tree.simple:
            sup.children = [
                Child(kid, f"{sup.path}/{kid.id}", sup.introduction) for kid in sup.tree.kids
            ]
        with self.working(sup):
            for child in list(sup.children):
                outcome = self.start(sup, child)
                if outcome == "failed":
                    self.finish(sup, "crash")
                    return False
                if outcome == "ignored" and child.kid.restart == "temporary":
                    sup.children.remove(child)
        sup.up = True
        self.note(sup.path, f"+{sup.path}")
        if sup.queue:
            self.in_parallel = True  # it handles them while its parent starts the next
        return True

    def finish(self, sup: Sup, reason: Reason) -> None:
        sup.ending = reason
        for message in sup.queue:
            if isinstance(message, Call):
                message.deed.result = f"gone: {reason}"
        sup.queue = deque(message for message in sup.queue if isinstance(message, Exit))
        if sup.tree.simple:
            self.stop_instances(sup)
        else:
            for child in reversed(sup.children):
                self.stop(sup, child)
        self.over(sup)

    def over(self, sup: Sup) -> None:
        sup.ended = True
        sup.queue.clear()
        if sup.up:
            self.note(sup.path, f"-{sup.path}")
        if sup.life is not None and sup.parent is not None and sup.up:
            sup.life.dead = True
            sup.life.reason = sup.ending or "shutdown"
            sup.parent.queue.append(Exit(sup.life))

    def kill_sup(self, sup: Sup) -> None:
        """It takes all its children along."""
        idle = sup not in self.busy and sup is not self.suspended
        if idle and any(isinstance(message, Exit) for message in sup.queue):
            raise Open  # has it handled that by now?
        self.ended_together = self.in_parallel = True
        for message in sup.queue:
            if isinstance(message, Call):
                message.deed.result = None
        for child in sup.children:
            self.kill(sup, child)
        self.over(sup)

    def below(self, sup: Sup | None = None) -> Iterator[Sup]:
        """All supervisors that run."""
        sup = sup or self.root
        if sup.ended:
            return
        yield sup
        for child in sup.children:
            if child.life is not None and child.life.sub is not None:
                yield from self.below(child.life.sub)

    # ---- the queues

    @contextmanager
    def working(self, sup: Sup) -> Iterator[None]:
        self.busy.append(sup)
        try:
            yield
        finally:
            self.busy.remove(sup)

    def waiting(self) -> list[Sup]:
        """Supervisors that have something to do."""
        return [
            sup
            for sup in self.below()
            if sup.queue and sup.up and sup not in self.busy and sup is not self.suspended
        ]

    def advance(self, to: float) -> None:
        if to > self.now and self.waiting():
            raise Open
        self.now = max(to, self.now)

    def settle(self) -> None:
        """Until all is quiet."""
        while waiting := self.waiting():
            if len(waiting) > 1:
                raise Open
            self.handle(waiting[0])

    def handle(self, sup: Sup) -> None:
        self.handled += 1
        if self.handled > ENDLESS:
            raise Open  # its restarts take so long that they never are too many
        message = sup.queue.popleft()
        with self.working(sup):
            match message:
                case Exit(life):
                    if life.child.life is life:
                        self.on_exit(sup, life)
                case TryAgain(child):
                    if child.restarting and child in sup.children:
                        self.restart(sup, child)
                case Stop(reason):
                    sup.ending = reason
                case Call():
                    message.deed.result = self.answer(sup, message)
            if sup.ending is not None:
                self.finish(sup, sup.ending)

    def on_exit(self, sup: Sup, life: Life) -> None:
        child = life.child
        child.life = None
        restart = child.kid.restart
        if restart == "permanent" or (restart == "transient" and life.reason == "crash"):
            self.restart(sup, child)
            return
        self.settle_child(sup, child)
        if not child.kid.significant or sup.tree.auto_shutdown == "never":
            return
        others = [other for other in sup.children if other.kid.significant]
        if sup.tree.auto_shutdown == "any_significant" or all(
            other.state == "undefined" for other in others
        ):
            sup.ending = "shutdown"

    def settle_child(self, sup: Sup, child: Child) -> None:
        if (child.kid.restart == "temporary" or sup.tree.simple) and child in sup.children:
            sup.children.remove(child)

    # ---- restarts

    def restart(self, sup: Sup, child: Child) -> None:
        sup.restarts.append(self.now)
        recent = [then for then in sup.restarts if self.now - then <= sup.tree.period_s]
        if len(recent) > sup.tree.intensity:
            child.restarting = False
            sup.ending = "shutdown"
            return
        group = [child]
        if sup.tree.strategy == "one_for_all":
            group = list(sup.children)
        if sup.tree.strategy == "rest_for_one":
            group = sup.children[sup.children.index(child) :]
        for member in reversed(group):
            self.stop(sup, member)
            if member.kid.restart == "temporary":
                sup.children.remove(member)
        for member in group:
            if member not in sup.children:
                continue
            outcome = self.start(sup, member)
            if outcome == "failed":
                member.restarting = True
                sup.queue.append(TryAgain(member))
                return
            if outcome == "ignored" and sup.tree.simple:
                sup.children.remove(member)

    # ---- one child

    def start(self, sup: Sup, child: Child) -> Literal["up", "ignored", "failed"]:
        child.restarting = False
        assert child.life is None, "a second life"
        entry = self.scripts.next(child.introduction, child.path, child.kid.starts)
        self.hold(sup, child, "start")
        branch = sup.path if child.kid.tree is None else child.path
        if entry == "ignore":
            self.note(branch, f"?{child.path}")
            return "ignored"
        if entry in ("error", "return"):
            self.note(branch, f"!{child.path}")
            return "failed"
        life = Life(child)
        if child.kid.tree is not None:
            life.sub = Sup(child.kid.tree, child.path, child.introduction, life, sup)
            if not self.start_sup(life.sub):
                self.note(branch, f"!{child.path}")
                return "failed"
        else:
            self.note(sup.path, f"+{child.path}")
        child.life = child.last = life
        if entry.startswith("exit"):
            self.die(sup, life, _reason(entry))
        return "up"

    def die(self, sup: Sup, life: Life, reason: Reason) -> None:
        """A worker ends by itself."""
        life.dead, life.reason = True, reason
        self.note(sup.path, f"-{life.child.path}")
        sup.queue.append(Exit(life))

    def stop(self, sup: Sup, child: Child) -> None:
        child.restarting = False
        life = child.life
        if life is None:
            return
        if not life.dead:
            self.end(sup, child, life, self.now + child.kid.timeout_s)
        self.absorb(sup, life)

    def absorb(self, sup: Sup, life: Life) -> None:
        life.child.life = None
        sup.queue = deque(
            message
            for message in sup.queue
            if not (isinstance(message, Exit) and message.life is life)
        )

    def end(self, sup: Sup, child: Child, life: Life, deadline: float) -> None:
        """Ask it, and kill it at the deadline."""
        if child.kid.timeout_s == 0:
            self.kill(sup, child)
            return
        above, self.limit = self.limit, min(self.limit, deadline)
        try:
            if deadline == above and deadline < math.inf:
                raise Open
            self.ask(sup, child, life)
        except KilledFromAbove:
            if above <= deadline:
                raise
            self.kill(sup, child)
        finally:
            self.limit = above

    def ask(self, sup: Sup, child: Child, life: Life) -> None:
        if life.sub is not None:
            if life.sub.queue and life.sub is not self.suspended:
                raise Open  # how much of it is done by now?
            # Its turn comes after what is in its queue.
            life.sub.queue.append(Stop("shutdown"))
            if life.sub is self.suspended:
                deed, items = self.rest
                self.put_all(life.sub, deed, items)
                self.suspended = None
            while not life.sub.ended:
                if [other for other in self.waiting() if other is not life.sub]:
                    raise Open
                self.handle(life.sub)
            return
        self.hold(sup, child, "stop")
        ends_at = self.now + child.kid.takes_s
        if ends_at == self.limit:
            raise Open
        self.advance(min(ends_at, self.limit))
        if ends_at > self.limit:
            raise KilledFromAbove
        life.dead = True
        self.note(sup.path, f"-{child.path}")

    def kill(self, sup: Sup, child: Child) -> None:
        life = child.life
        if life is None or life.dead:
            return
        if life.sub is not None:
            self.kill_sup(life.sub)
        else:
            life.dead = True
            self.note(sup.path, f"-{child.path}")

    def stop_instances(self, sup: Sup) -> None:
        """All are asked at once; then all that are left are killed."""
        self.ended_together = self.in_parallel = True
        window, self.window = self.window, None
        began = until = self.now
        living = [child for child in sup.children if child.alive]
        for child in living:
            self.now = began
            assert child.life is not None
            self.end(sup, child, child.life, began + child.kid.timeout_s)
            until = max(until, self.now)
        self.window = window
        for child in sup.children:
            child.life, child.restarting = None, False
        self.now = until

    def note(self, branch: str, what: str) -> None:
        self.log.append((self.now, branch, what))

    # ---- calls

    def answer(self, sup: Sup, call: Call) -> object:
        deed = call.deed
        child = next((child for child in sup.children if child.id == deed.id), None)
        match deed.kind:
            case "which_children":
                return self.which(sup)
            case "count_children":
                return self.count(sup)
            case "start_child":
                return self.answer_start_child(sup, deed, child)
            case "start_instance":
                if not sup.tree.simple:
                    return "simple_one_for_one"
                child = Child(sup.tree.kids[0], f"{sup.path}/{deed.id}", deed.introduction)
                sup.instances.append(child)
                return self.add(sup, child)
        if sup.tree.simple:
            return self.answer_for_instance(sup, call)
        if child is None:
            return "not_found"
        if deed.kind == "get_childspec":
            return "ok"
        if deed.kind == "terminate_child":
            self.stop(sup, child)
            self.settle_child(sup, child)
            return "ok"
        if child.state != "undefined":
            return child.state
        if deed.kind == "delete_child":
            sup.children.remove(child)
            return "ok"
        return {"up": "ok", "ignored": "ignored", "failed": "start_failed"}[self.start(sup, child)]

    def answer_start_child(self, sup: Sup, deed: Deed, known: Child | None) -> str:
        assert deed.kid is not None
        if sup.tree.simple:
            return "simple_one_for_one"
        if deed.kid.significant and (
            sup.tree.auto_shutdown == "never" or deed.kid.restart == "permanent"
        ):
            return "bad_combination"
        if known is not None:
            return "already_started" if known.state == "running" else "already_present"
        return self.add(sup, Child(deed.kid, f"{sup.path}/{deed.id}", deed.introduction))

    def add(self, sup: Sup, child: Child) -> str:
        sup.children.append(child)
        outcome = self.start(sup, child)
        if outcome == "failed":
            sup.children.remove(child)
            return "start_failed"
        if outcome == "ignored":
            self.settle_child(sup, child)
            return "ignored"
        return "ok"

    def answer_for_instance(self, sup: Sup, call: Call) -> str:
        deed, ref = call.deed, call.ref
        if ref is None:  # by id
            return "ok" if deed.kind == "get_childspec" else "simple_one_for_one"
        if deed.kind == "get_childspec":
            return "ok"
        child = ref.child
        if child in sup.children and child.last is ref:
            self.stop(sup, child)
            sup.children.remove(child)
        return "ok"  # also for one that is dead

    def which(self, sup: Sup) -> list[list[object]]:
        if not sup.tree.simple:
            return [[child.id, child.state] for child in sup.children]
        names = [child.id if child.state == "running" else "?" for child in sup.children]
        states = [child.state for child in sup.children]
        return sorted([name, state] for name, state in zip(names, states, strict=True))

    def count(self, sup: Sup) -> tuple[int, int, int, int]:
        is_sup = [child.kid.tree is not None for child in sup.children]
        active = sum(child.alive for child in sup.children)
        if sup.tree.simple:
            active = sum(child.state == "running" for child in sup.children)
        specs = 1 if sup.tree.simple else len(is_sup)
        return (specs, active, sum(is_sup), len(is_sup) - sum(is_sup))

    # ---- operations

    def hold(self, sup: Sup, child: Child, what: Hold) -> None:
        """The supervisor waits for this child to start or stop: the items come in."""
        if self.window is None or not sup.up:
            return
        deed, op = self.window
        if (deed.sup, deed.id, op.hold) != (sup.path, child.id, what):
            return
        self.window = None
        deed.hold, deed.held_at = what, self.now
        self.held = child if what == "stop" else None
        self.put_all(sup, deed, op.items)
        self.held = None

    def put_all(self, sup: Sup, deed: Deed, items: tuple[Op, ...]) -> None:
        for item in items:
            began = self.now
            made = self.put(sup, item)
            if made is not None:
                made.until = self.now
                deed.items.append(made)
            if self.now != began and (self.limit < math.inf or self.waiting()):
                raise Open

    def put(self, sup: Sup, op: Op) -> Deed | None:
        """Do it, or put it into the queue of a supervisor; None: it cannot be done."""
        if sup.tree.simple and op.child % 4 != 3 and op.kind not in ("stop", "which_children"):
            living = sum(child.alive for child in sup.children)
            if op.kind == "start_child" or living < op.child % 3:
                op = Op("start_instance", abandoned=op.abandoned)  # nothing to do else
        deed = Deed(op.kind, sup.path, reason=op.reason, kid=op.kid, abandoned=op.abandoned)
        if op.kind == "exit":
            return self.put_exit(sup, deed, op.child)
        if op.kind == "stop":
            deed.result = "ok"
            if sup.ending is None:
                sup.queue.append(Stop(op.reason))
            return deed
        ref = None
        if op.kind in ("start_child", "start_instance"):
            self.introductions += 1
            deed.introduction = self.introductions
            deed.id = op.kid.id if op.kid is not None else f"i{deed.introduction}"
        elif op.kind in ("terminate_child", "restart_child", "delete_child", "get_childspec"):
            if sup.tree.simple:
                ref = self.instance(sup, op)
                if ref is not None and op.kind in ("restart_child", "delete_child"):
                    return None  # these take ids
                deed.id = sup.tree.kids[0].id if ref is None else ref.child.id
            else:
                deed.id = self.pick_id(sup, op)
        if sup.ending is not None:
            deed.result = f"gone: {sup.ending}"
        else:
            sup.queue.append(Call(deed, ref))
        return deed

    def pick_id(self, sup: Sup, op: Op) -> str:
        """Rather one that the call is for."""
        if op.child == 7:
            return "unknown"
        if self.window is not None and op.child % 2:
            return self.window[0].id
        idle = op.kind in ("restart_child", "delete_child")
        fit = [child.id for child in sup.children if (child.state != "running") == idle]
        ids = fit or [child.id for child in sup.children] or ["unknown"]
        return ids[op.child % len(ids)]

    def instance(self, sup: Sup, op: Op) -> Life | None:
        """Of an instance that is or was: what its name stands for now. None: use the id."""
        lives = [child.last for child in sup.instances if child.last is not None]
        return None if not lives or op.child % 4 == 3 else lives[op.child % len(lives)]

    def put_exit(self, sup: Sup, deed: Deed, which: int) -> Deed | None:
        living = [child for child in sup.children if child.alive]
        if not living:
            return None
        child = living[which % len(living)]
        if self.window is not None and which % 2:
            child = next((one for one in living if one.id == self.window[0].id), child)
        if child is self.held:
            return None
        deed.id = child.id
        deed.result = "ok"
        assert child.life is not None
        sub = child.life.sub
        if sub is None:
            self.die(sup, child.life, deed.reason)
            return deed
        if sub.queue or sub in self.busy:
            raise Open
        deed.kind, deed.sup, deed.id = "stop", sub.path, ""
        sub.queue.append(Stop(deed.reason))
        while not sub.ended:
            self.handle(sub)
        return deed

    def do(self, op: Op) -> Deed | None:
        sups = list(self.below())
        if not sups:
            return None
        if op.kind == "sleep":
            self.advance(self.now + op.seconds)
            return Deed("sleep")
        cause = op.cause or op
        match cause.kind:
            case "exit" | "terminate_child" | "batch":
                fit = [sup for sup in sups if any(child.alive for child in sup.children)]
            case "start_instance":
                fit = [sup for sup in sups if sup.tree.simple]
            case "start_child" | "restart_child" | "delete_child":
                fit = [sup for sup in sups if not sup.tree.simple]
            case "stop":
                fit = sups[1:]
            case _:
                fit = sups
        if not fit or op.child == 7:
            fit = sups
        sup = fit[op.sup % len(fit)]
        if op.kind == "batch":
            return self.do_batch(sup, op)
        if op.kind == "window":
            return self.do_window(sup, op)
        deed = self.put(sup, op)
        if deed is not None:
            self.settle()
        return deed

    def do_batch(self, sup: Sup, op: Op) -> Deed:
        deed = Deed("batch", sup.path)
        self.suspended = sup
        before = op.items[: op.by_parent]
        self.put_all(sup, deed, before)
        if op.by_parent is not None and sup.parent is not None and sup.life is not None:
            self.rest = (deed, op.items[len(before) :])
            call = Deed("terminate_child", sup.parent.path, sup.life.child.id, until=self.now)
            deed.items.append(call)
            sup.parent.queue.append(Call(call, sup.life if sup.parent.tree.simple else None))
            self.handle(sup.parent)
        self.suspended = None
        self.settle()
        return deed

    def do_window(self, sup: Sup, op: Op) -> Deed | None:
        if not sup.children or op.cause is None:
            return None
        child = sup.children[op.child % len(sup.children)]
        deed = Deed("window", sup.path, child.id)
        self.window = (deed, op)
        try:
            deed.cause = self.put(sup, op.cause)
            if deed.cause is None:
                return None
            self.settle()
        finally:
            self.window = None
        return deed

    def snapshot(self) -> Snapshot:
        sups = list(self.below())
        snapshot = Snapshot(
            {sup.path: (self.which(sup), self.count(sup)) for sup in sups},
            sorted(
                child.path
                for sup in sups
                for child in sup.children
                if child.alive and child.kid.tree is None
            ),
            self.log,
            self.in_parallel,
            self.ended_together,
        )
        self.log = []
        self.handled = 0
        self.in_parallel = self.ended_together = False
        return snapshot


def predict(tree: Tree, ops: tuple[Op, ...]) -> Prediction:
    """Play it by the rules."""
    model = Model(tree)
    prediction = Prediction([])
    try:
        if not model.start_sup(model.root):
            model.note("root", "!root")
        model.settle()
        prediction.deeds.append(Deed("start", until=model.now, after=model.snapshot()))
        for op in ops:
            deed = model.do(op)
            if deed is not None:
                deed.until, deed.after = model.now, model.snapshot()
                prediction.deeds.append(deed)
    except Open:
        prediction.open_end = True
        return prediction
    prediction.ended = model.root.ending
    return prediction


def _reason(entry: str) -> Reason:
    words: dict[str, Reason] = {"normal": "normal", "shutdown": "shutdown", "crash": "crash"}
    return words[entry.split()[1]]
