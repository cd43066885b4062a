"""What holds for every tree, whatever happens to it.

`model.predict` says what OTP's rules make of a random tree and random operations; the first test
does the same to real supervisors, in virtual time, and compares the answers, the states and the
log after each. The others ask for less, and allow more to happen at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor.tree import (
    Backoff,
    BadSpec,
    ChildError,
    ChildExited,
    ChildInfo,
    ChildRef,
    ChildRestarting,
    ChildSpec,
    ChildStarted,
    ChildStatus,
    Event,
    Ignore,
    Shutdown,
    Supervisor,
    SupervisorEnded,
    SupervisorFlags,
    SupervisorGone,
    SupervisorStarted,
)

from .model import (
    AutoShutdown,
    Deed,
    Hold,
    Kid,
    Op,
    Reason,
    Restart,
    Scripts,
    Snapshot,
    Strategy,
    Trap,
    Tree,
    predict,
)

ENDLESS_S = 1_000_000
"""Nothing takes as long: a wait of this length is one that would never end."""

NAMES = "abcde"


# ---- trees and operations

reasons: st.SearchStrategy[Reason] = st.sampled_from(["crash", "normal", "shutdown"])
outcomes = st.sampled_from(
    ["ok", "ok", "ok", "error", "return", "ignore", "exit crash", "exit normal", "exit shutdown"]
)
scripts = st.one_of(
    st.just(("ok",)),
    st.just(("ok",)),
    st.lists(outcomes, min_size=1, max_size=4).map(lambda them: ("ok", *them)),
    st.lists(outcomes, min_size=1, max_size=4).map(lambda them: ("ok", *them, "ok")),
    st.just(("ok", "error", "ok")),
    st.just(("ok", "error", "return", "ok")),
    st.lists(outcomes, min_size=1, max_size=3).map(lambda them: (*them, "ok")),
)
scripts_of_supervisors = st.sampled_from([("ok",), ("ok", "error", "ok"), ("ok", "ignore", "ok")])
answers: st.SearchStrategy[tuple[str, Trap]] = st.one_of(
    st.just(("obey", "no")),
    st.tuples(
        st.sampled_from(["obey", "slow 1", "slow 3", "exit crash", "exit normal"]),
        st.sampled_from(["trap", "shield"]),
    ),
    st.tuples(st.sampled_from(["exit crash", "exit normal", "exit shutdown"]), st.just("no")),
)
shutdowns: st.SearchStrategy[Any] = st.sampled_from([None, "infinity", "brutal_kill", 2.5, 0])


@st.composite
def kids(draw: st.DrawFn, id_: str, depth: int, significant: bool) -> Kid:
    restart: Restart = draw(st.sampled_from(["permanent", "transient", "temporary"]))
    tree = draw(trees(depth=depth - 1)) if depth > 0 and draw(st.integers(0, 2)) == 0 else None
    answer, trap = draw(answers)
    shutdown = draw(shutdowns)
    if shutdown == 2.5 and tree is None and trap != "no" and draw(st.booleans()):
        answer = "ignore"
    if tree is not None and shutdown == 2.5:
        shutdown = 3.25 + 1 / 2 ** (depth + 2)  # never the moment in which something below ends
    return Kid(
        id_,
        restart,
        shutdown,
        significant and restart != "permanent" and draw(st.booleans()),
        draw(scripts if tree is None else scripts_of_supervisors),
        answer,
        trap,
        tree,
    )


@st.composite
def trees(draw: st.DrawFn, depth: int) -> Tree:
    strategy: Strategy = draw(
        st.sampled_from(["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"])
    )
    auto: AutoShutdown = draw(st.sampled_from(["never", "any_significant", "all_significant"]))
    count = 1 if strategy == "simple_one_for_one" else draw(COUNTS)
    children = [draw(kids(id_, depth, auto != "never")) for id_ in NAMES[:count]]
    return Tree(strategy, tuple(children), draw(INTENSITIES), draw(PERIODS), auto)


COUNTS = st.sampled_from([3, 2, 4, 1, 0])
INTENSITIES = st.sampled_from([2, 1, 0, 3, 5, 10])
PERIODS = st.sampled_from([2, 10])

picks = st.integers(0, 7)
added = st.sampled_from(NAMES).flatmap(
    lambda id_: st.builds(lambda kid: kid, kids(id_, 1, significant=True))
)
CALLS = ["which_children", "count_children", "get_childspec"]
REQUESTS = [
    *["exit"] * 6,
    *["terminate_child", "restart_child"] * 2,
    *["start_child", "start_instance"] * 2,
    "delete_child",
    *CALLS,
]
CAUSES = [*["exit"] * 3, "terminate_child", "restart_child", "start_child", "stop"]
OPERATIONS = [*REQUESTS, *["batch", "window"] * 6, "sleep", "stop"]


@st.composite
def requests(draw: st.DrawFn, kinds: Sequence[str], may_abandon: bool = False) -> Op:
    kind = draw(st.sampled_from(kinds))
    kid = draw(added) if kind == "start_child" else None
    abandoned = may_abandon and kind != "exit" and draw(st.integers(0, 7)) == 7
    return Op(kind, draw(picks), draw(picks), draw(reasons), kid, abandoned=abandoned)


items = st.lists(requests([*REQUESTS, "stop"], may_abandon=True), min_size=1, max_size=5)


@st.composite
def operations(draw: st.DrawFn) -> Op:
    kind = draw(st.sampled_from(OPERATIONS))
    if kind == "sleep":
        return Op(kind, seconds=draw(st.sampled_from([1, 2, 3, 8, 11])))
    if kind == "batch":
        by_parent = draw(st.one_of(st.none(), st.integers(0, 4)))
        return Op(kind, draw(picks), items=tuple(draw(items)), by_parent=by_parent)
    if kind == "window":
        hold: Hold = draw(st.sampled_from(["start", "stop"]))
        cause = draw(requests(CAUSES))
        return Op(kind, draw(picks), draw(picks), hold=hold, cause=cause, items=tuple(draw(items)))
    return draw(requests([kind]))


programs = st.lists(operations(), min_size=1, max_size=12).map(tuple)


# ---- the real thing


class Actor:
    """One life of a worker."""

    def __init__(self, play: Play, kid: Kid, path: str) -> None:
        self.play = play
        self.kid = kid
        self.path = path
        self._order = trio.Event()
        self._asked = trio.Event()
        self._killed = trio.Event()
        self._reason: Reason = "normal"

    def end(self, reason: Reason) -> None:
        self._reason = reason
        self._order.set()

    async def start(self, parent: str, introduction: int, status: ChildStatus) -> None:
        entry = await self.play.start_entry(self.kid, self.path, introduction)
        if entry in ("error", "return", "ignore"):
            self.play.note(parent, f"{'?' if entry == 'ignore' else '!'}{self.path}")
            if entry == "return":
                return
            raise Ignore if entry == "ignore" else OSError("start")
        if self.kid.trap != "no":
            status.trap_shutdown(self._ask, self._kill)
        self.play.begins(self.path)
        self.play.actors[self.path] = self
        self.play.note(parent, f"+{self.path}")
        status.started(self.path)
        try:
            if entry.startswith("exit"):
                raise_(entry.split()[1])
                return
            await self._live()
        finally:
            self.play.ends(self.path)
            if self.play.actors.get(self.path) is self:
                del self.play.actors[self.path]
            self.play.note(parent, f"-{self.path}")

    def _ask(self) -> None:
        if self._asked.is_set() or self._killed.is_set():
            self.play.faults.append(f"{self.path} is asked to end twice, or after it was killed")
        self._asked.set()
        self._order.set()

    def _kill(self) -> None:
        if self._killed.is_set():
            self.play.faults.append(f"{self.path} is killed twice")
        self._killed.set()

    async def _live(self) -> None:
        if self.kid.trap == "no":
            try:
                await self._until_told()
            except trio.Cancelled:
                with trio.CancelScope(shield=True):
                    await self.play.hold("stop", self.path)
                    if self.kid.answer.startswith("slow"):
                        await trio.sleep(self.kid.takes_s)
                if self.kid.answer.startswith("exit"):
                    raise_(self.kid.answer.split()[1])
                    return
                raise
        else:
            # Behind a shield it is as a task that waits for an OS process: it ends with that.
            with trio.CancelScope(shield=self.kid.trap == "shield") as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._end_when_killed, scope)
                    await self._until_told()
                    if self._asked.is_set():
                        await self.play.hold("stop", self.path)
                        await trio.sleep(min(self.kid.takes_s, ENDLESS_S))
                    nursery.cancel_scope.cancel()
        if self._asked.is_set() or self._killed.is_set():
            if self.kid.answer.startswith("exit"):
                raise_(self.kid.answer.split()[1])
            return
        raise_(self._reason)

    async def _until_told(self) -> None:
        with trio.move_on_after(ENDLESS_S):  # so that a test fails where it would hang
            await self._order.wait()

    async def _end_when_killed(self, scope: trio.CancelScope) -> None:
        await self._killed.wait()
        scope.cancel()


def raise_(reason: str) -> None:
    if reason == "crash":
        raise OSError("crash")
    if reason == "shutdown":
        raise Shutdown("enough")


class Play:
    """A tree of supervisors and all that has happened in it."""

    def __init__(self, tree: Tree) -> None:
        self.log: list[tuple[float, str, str]] = []
        self.told: list[tuple[float, Event]] = []
        self.faults: list[str] = []
        self.running: set[str] = set()
        self.actors: dict[str, Actor] = {}
        self.supervisors: dict[str, Supervisor] = {}
        self.refs: dict[str, ChildRef] = {}
        self.scripts = Scripts()
        self.runs: dict[str, list[SupervisorFlags]] = {}
        """By path, the flags of each run of a supervisor."""
        self.cancel_scope = trio.CancelScope()
        self.error: BaseException | None = None
        self.armed: tuple[Hold, str] | None = None
        self.reached = trio.Event()
        self.released = trio.Event()
        self._tree = tree

    # ---- supervisors and workers

    def supervisor(self, tree: Tree, path: str, introduction: int) -> Supervisor:
        flags = SupervisorFlags(tree.strategy, tree.intensity, tree.period_s, tree.auto_shutdown)
        specs = [self.spec(kid, path, introduction, tree.simple) for kid in tree.kids]
        return Supervisor(path, flags, specs, on_event=self.hear)

    def spec(self, kid: Kid, parent: str, introduction: int, simple: bool = False) -> ChildSpec:
        async def start_instance(name: str, number: int, *, task_status: ChildStatus) -> None:
            await self.life(kid, parent, name, number, None)(task_status=task_status)

        sub: Supervisor | None = None
        if kid.tree is not None and not simple:
            sub = self.supervisor(kid.tree, f"{parent}/{kid.id}", introduction)
        life = start_instance if simple else self.life(kid, parent, kid.id, introduction, sub)
        return ChildSpec(
            kid.id,
            life,
            kid.restart,
            kid.shutdown,
            "worker" if kid.tree is None else "supervisor",
            kid.significant,
        )

    def life(
        self, kid: Kid, parent: str, name: str, introduction: int, sub: Supervisor | None
    ) -> Callable[..., Coroutine[Any, Any, None]]:
        path = f"{parent}/{name}"

        async def start(*, task_status: ChildStatus) -> None:
            if kid.tree is None:
                await Actor(self, kid, path).start(parent, introduction, task_status)
                return
            entry = await self.start_entry(kid, path, introduction)
            if entry != "ok":
                self.note(path, f"{'?' if entry == 'ignore' else '!'}{path}")
                raise Ignore if entry == "ignore" else OSError("start")
            mine = sub or self.supervisor(kid.tree, path, introduction)
            await self.run(mine, task_status)

        return start

    async def run(self, supervisor: Supervisor, task_status: trio.TaskStatus[Any]) -> None:
        path = supervisor.name
        self.begins(path)
        self.supervisors[path] = supervisor
        self.runs.setdefault(path, []).append(supervisor.flags)
        try:
            await supervisor.run(task_status=task_status)
        finally:
            self.ends(path)
            was_up = any(
                isinstance(event, SupervisorStarted) for event in self.last_run_of(supervisor.name)
            )
            self.note(path, f"{'-' if was_up else '!'}{path}")

    def last_run_of(self, path: str) -> list[Event]:
        mine = [event for _, event in self.told if event.supervisor == path]
        begins = [i for i, event in enumerate(mine[:-1]) if isinstance(event, SupervisorEnded)]
        return mine[begins[-1] + 1 :] if begins else mine

    async def run_root(self) -> None:
        try:
            with self.cancel_scope:
                root = self.supervisor(self._tree, "root", 0)
                await self.run(root, trio.TASK_STATUS_IGNORED)
        except Exception as exc:
            self.error = exc

    async def start_entry(self, kid: Kid, path: str, introduction: int) -> str:
        entry = self.scripts.next(introduction, path, kid.starts)
        await self.hold("start", path)
        if entry == "hang":
            await trio.sleep(ENDLESS_S)
        if entry.startswith("wait"):
            await trio.sleep(float(entry.split()[1]))
            return "ok"
        return entry

    async def hold(self, what: Hold, path: str) -> None:
        if self.armed == (what, path):
            self.armed = None
            self.reached.set()
            await self.released.wait()

    def begins(self, path: str) -> None:
        if path in self.running:
            self.faults.append(f"{path} runs twice")
        self.running.add(path)

    def ends(self, path: str) -> None:
        self.running.discard(path)

    def note(self, supervisor: str, what: str) -> None:
        self.log.append((trio.current_time(), supervisor, what))

    def hear(self, event: Event) -> None:
        self.told.append((trio.current_time(), event))
        if isinstance(event, SupervisorStarted):
            self.note(event.supervisor, f"+{event.supervisor}")
        if isinstance(event, ChildStarted):
            assert event.ref is not None
            value = event.ref.value
            self.refs[value.name if isinstance(value, Supervisor) else value] = event.ref

    # ---- calls

    async def call(self, deed: Deed) -> object:
        supervisor = self.supervisors[deed.sup]
        try:
            return await self._call(supervisor, deed)
        except ChildError as refused:
            return refused.code
        except BadSpec as refused:
            return refused.code
        except SupervisorGone as gone:
            return f"gone: {gone.reason}"

    async def _call(self, supervisor: Supervisor, deed: Deed) -> object:
        which: Any = deed.id
        if supervisor.flags.simple:
            which = self.refs.get(f"{deed.sup}/{deed.id}", deed.id)
        match deed.kind:
            case "start_child":
                assert deed.kid is not None
                spec = self.spec(deed.kid, deed.sup, deed.introduction)
                return "ignored" if await supervisor.start_child(spec) is None else "ok"
            case "start_instance":
                ref = await supervisor.start_instance(deed.id, deed.introduction)
                return "ignored" if ref is None else "ok"
            case "restart_child":
                return "ignored" if await supervisor.restart_child(deed.id) is None else "ok"
            case "terminate_child":
                await supervisor.terminate_child(which)
            case "delete_child":
                await supervisor.delete_child(deed.id)
            case "get_childspec":
                assert (await supervisor.get_childspec(which)).start is not None
            case "which_children":
                return self.which(supervisor, await supervisor.which_children())
            case "count_children":
                counts = await supervisor.count_children()
                return (counts.specs, counts.active, counts.supervisors, counts.workers)
            case "stop":
                await supervisor.stop(cause_of(deed.reason))
            case kind:
                raise AssertionError(kind)
        return "ok"

    def which(self, supervisor: Supervisor, children: Sequence[ChildInfo]) -> list[list[object]]:
        if not supervisor.flags.simple:
            return [[child.id, child.state] for child in children]
        names = []
        for child in children:
            life = child.ref if child.state == "running" else None
            value = None if life is None else life.value
            path = value.name if isinstance(value, Supervisor) else value
            names.append("?" if path is None else path.rpartition("/")[2])
        states = [child.state for child in children]
        return sorted([name, state] for name, state in zip(names, states, strict=True))

    async def put(self, deed: Deed, nursery: trio.Nursery, answers: dict[int, object]) -> None:
        """Do it; the answer of a call comes when it comes."""
        if deed.kind == "exit":
            self.actors[f"{deed.sup}/{deed.id}"].end(deed.reason)
            answers[id(deed)] = "ok"
            return
        caller = trio.CancelScope()

        async def call() -> None:
            with caller:
                answers[id(deed)] = await self.call(deed)

        nursery.start_soon(call)
        if deed.abandoned:
            await wait_all_tasks_blocked()
            caller.cancel()
            answers[id(deed)] = None

    async def put_all(
        self, deeds: Sequence[Deed], nursery: trio.Nursery, answers: dict[int, object]
    ) -> None:
        for deed in deeds:
            await self.put(deed, nursery, answers)
            await trio.sleep_until(deed.until)
            await wait_all_tasks_blocked()

    async def do(self, deed: Deed, nursery: trio.Nursery, by_cancelling: bool = False) -> None:
        """Do it, wait until all must be quiet again, and compare."""
        answers: dict[int, object] = {}
        match deed.kind:
            case "start":
                nursery.start_soon(self.run_root)
            case "sleep":
                pass
            case "stop" if by_cancelling:
                self.cancel_scope.cancel()
                answers[id(deed)] = None
            case "batch":
                async with self.supervisors[deed.sup].suspended():
                    await self.put_all(deed.items, nursery, answers)
            case "window":
                await self._do_window(deed, nursery, answers)
            case _:
                await self.put(deed, nursery, answers)
        await trio.sleep_until(deed.until)
        await wait_all_tasks_blocked()
        made = [deed] if deed.kind not in ("batch", "window", "sleep", "start") else deed.items
        for each in [*made, *([deed.cause] if deed.cause else [])]:
            assert id(each) in answers, f"no answer to {each}"
            answer = answers[id(each)]
            if each.result is not None and answer is not None:
                assert answer == each.result, f"{each}"
        assert deed.after is not None
        await self.compare(deed.after)

    async def _do_window(
        self, deed: Deed, nursery: trio.Nursery, answers: dict[int, object]
    ) -> None:
        assert deed.cause is not None
        self.reached, self.released = trio.Event(), trio.Event()
        if deed.hold is not None:
            self.armed = (deed.hold, f"{deed.sup}/{deed.id}")
        await self.put(deed.cause, nursery, answers)
        if deed.hold is not None:
            with trio.fail_after(ENDLESS_S):
                await self.reached.wait()
            assert trio.current_time() == deed.held_at
            await self.put_all(deed.items, nursery, answers)
            self.released.set()

    async def compare(self, expected: Snapshot) -> None:
        mine = sorted(
            event.supervisor for _, event in self.told if isinstance(event, SupervisorStarted)
        )
        for path in mine:
            try:
                children = await self.supervisors[path].which_children()
            except SupervisorGone:
                assert path not in expected.supervisors, f"{path} is gone"
                continue
            counts = await self.call(Deed("count_children", path))
            found = (self.which(self.supervisors[path], children), counts)
            assert path in expected.supervisors, f"{path} runs"
            assert found == expected.supervisors[path], path
        assert sorted(self.actors) == expected.workers
        log, self.log = self.log, []
        assert ordered(log, expected) == ordered(expected.log, expected)


def cause_of(reason: Reason) -> Exception | None:
    if reason == "normal":
        return None
    return Shutdown("enough") if reason == "shutdown" else OSError("crash")


def ordered(log: list[tuple[float, str, str]], how: Snapshot) -> list[tuple[float, str, str]]:
    """The log as far as its order is determined."""
    if how.in_parallel:
        log = sorted(log, key=lambda entry: (entry[1], entry[0]))
    if not how.ended_together:
        return log
    result: list[tuple[float, str, str]] = []
    together: list[tuple[float, str, str]] = []
    for entry in log:
        if not (entry[2][0] == "-" and together and together[0][:2] == entry[:2]):
            result += sorted(together)
            together = []
        if entry[2][0] == "-":
            together.append(entry)
        else:
            result.append(entry)
    return result + sorted(together)


def check_story(play: Play) -> None:
    """What holds for the events of any tree that has ended."""
    assert play.faults == []
    assert play.running == set()
    assert play.actors == {}
    alive: set[int] = set()
    seen: dict[int, ChildRef] = {}
    for _, event in play.told:
        if isinstance(event, ChildStarted):
            assert event.ref is not None
            assert id(event.ref) not in seen
            seen[id(event.ref)] = event.ref
            alive.add(id(event.ref))
        if isinstance(event, ChildExited):
            assert id(event.ref) in alive, f"it had not started, or ended twice: {event}"
            alive.discard(id(event.ref))
    assert not alive, "a ChildStarted without a ChildExited"
    for path, runs in play.runs.items():
        check_runs([told for told in play.told if told[1].supervisor == path], runs)


def check_runs(told: Sequence[tuple[float, Event]], runs: Sequence[SupervisorFlags]) -> None:
    """Each run ends with `SupervisorEnded`, and never has more restarts than it may."""
    assert isinstance(told[-1][1], SupervisorEnded)
    assert len(runs) == sum(isinstance(event, SupervisorEnded) for _, event in told)
    run_, restarts = 0, list[float]()
    for when, event in told:
        if isinstance(event, SupervisorEnded):
            run_, restarts = run_ + 1, []
        if isinstance(event, ChildRestarting):
            restarts.append(when)
            recent = [then for then in restarts if when - then <= runs[run_].period_s]
            assert len(recent) == event.restarts_in_period <= runs[run_].intensity


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it in virtual time; no task may be left but those that Trio has anyway."""

    async def counted() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        await main()
        assert trio.lowlevel.current_statistics().tasks_living == before

    trio.run(counted, clock=MockClock(autojump_threshold=0))


# ---- the properties

THE_END = Op("stop", child=7)
"""Of the root."""

quick = partial(
    settings,
    deadline=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@quick(max_examples=400)
@given(trees(depth=2), programs, st.sampled_from(["stop", "cancel"]))
def test_what_happens_is_what_the_rules_of_otp_say(
    tree: Tree, ops: tuple[Op, ...], ending: str
) -> None:
    prediction = predict(tree, (*ops, THE_END))
    *deeds, last = prediction.deeds or [Deed("nothing")]
    by_cancelling = ending == "cancel" and (last.kind, last.sup) == ("stop", "root")
    play = Play(tree)

    async def main() -> None:
        with trio.fail_after(2 * ENDLESS_S):
            async with trio.open_nursery() as nursery:
                try:
                    for deed in deeds:
                        await play.do(deed, nursery)
                    if last.kind != "nothing":
                        await play.do(last, nursery, by_cancelling)
                finally:
                    play.cancel_scope.cancel()
                    play.released.set()
        check_story(play)
        ended = [event for _, event in play.told if isinstance(event, SupervisorEnded)]
        if prediction.ended is not None:
            assert ended[-1].reason == ("shutdown" if by_cancelling else prediction.ended)

    run(main)


# What the rules leave open may happen here as well: starts that hang or take their time, children
# that outlive their kill, everything at once.

wild_outcomes = st.sampled_from(["ok", "ok", "wait 1", "hang", "error", "ignore", "exit crash"])
wild_scripts = st.lists(wild_outcomes, max_size=3).map(lambda them: ("ok", *them, "ok"))
shielding: st.SearchStrategy[tuple[str, Trap]] = st.sampled_from(
    [("slow 4", "no"), ("slow 9", "no")]
)
wild_answers = answers | shielding


@st.composite
def wild_kids(draw: st.DrawFn, id_: str, depth: int) -> Kid:
    kid = draw(kids(id_, 0, significant=True))
    tree = draw(wild_trees(depth - 1)) if depth > 0 and draw(st.booleans()) else None
    answer, trap = draw(wild_answers)
    return replace(kid, starts=draw(wild_scripts), tree=tree, answer=answer, trap=trap)


@st.composite
def wild_trees(draw: st.DrawFn, depth: int) -> Tree:
    tree = draw(trees(depth=0))
    children = tuple(draw(wild_kids(kid.id, depth)) for kid in tree.kids)
    auto = "any_significant" if any(kid.significant for kid in children) else tree.auto_shutdown
    return replace(tree, kids=children, auto_shutdown=auto)


class Storm:
    """Operations from many tasks at once, on whatever runs by then."""

    def __init__(self, play: Play, nursery: trio.Nursery) -> None:
        self.play = play
        self.nursery = nursery
        self.waiting = 0
        """Callers without an answer."""
        self.number = 0

    async def do(self, op: Op) -> None:
        running = [path for path in sorted(self.play.running) if path in self.play.supervisors]
        if not running:
            return
        path = running[op.sup % len(running)]
        if op.kind == "exit":
            if self.play.actors:
                actors = sorted(self.play.actors)
                self.play.actors[actors[op.child % len(actors)]].end(op.reason)
            return
        self.nursery.start_soon(self._call, op, path)

    async def stop_root(self) -> None:
        with suppress(SupervisorGone):
            await self.play.supervisors["root"].stop()

    async def _call(self, op: Op, path: str) -> None:
        self.waiting += 1
        self.number += 1
        id_ = f"i{self.number}" if op.kind == "start_instance" else NAMES[op.child % len(NAMES)]
        if op.kid is not None:
            id_ = op.kid.id
        deed = Deed(op.kind, path, id_, op.reason, op.kid, self.number)
        if op.kind == "batch":
            try:
                async with self.play.supervisors[path].suspended():
                    for item in op.items:
                        await self.do(replace(item, sup=op.sup))
                    await trio.sleep(op.seconds)
            except SupervisorGone:
                pass
        elif self.play.supervisors[path].flags.simple and op.kind == "terminate_child":
            refs = [ref for known, ref in self.play.refs.items() if known.startswith(f"{path}/")]
            if refs:
                with suppress(ChildError, SupervisorGone):
                    await self.play.supervisors[path].terminate_child(refs[op.child % len(refs)])
        else:
            await self.play.call(deed)
        self.waiting -= 1


moments = st.sampled_from([0, 0, 0, 0.5, 1, 3])
wild_operations = st.builds(
    lambda op, seconds: replace(op, seconds=seconds),
    operations().filter(lambda op: op.kind not in ("window", "sleep")),
    moments,
)


@quick(max_examples=150)
@given(
    wild_trees(depth=2),
    st.lists(st.tuples(wild_operations, moments), max_size=12),
    st.integers(0, 40),
    st.sampled_from([0, 0.5, 1, 2, 2.5, 3, 5, 7.5]),
)
def test_cancelling_at_any_point_ends_everything_soon_and_answers_every_caller(
    tree: Tree, ops: list[tuple[Op, float]], checkpoints: int, seconds: float
) -> None:
    play = Play(tree)

    async def stir(storm: Storm) -> None:
        for op, delay in ops:
            await trio.sleep(delay)
            await storm.do(op)

    async def main() -> None:
        with trio.fail_after(2 * ENDLESS_S):
            async with trio.open_nursery() as nursery:
                storm = Storm(play, nursery)
                nursery.start_soon(play.run_root)
                stirring = trio.CancelScope()
                nursery.start_soon(in_scope, stirring, stir, storm)
                await trio.sleep(seconds)
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()
                stirring.cancel()
                play.cancel_scope.cancel()
                cancelled_at = trio.current_time()
        assert storm.waiting == 0
        # The slowest: some shutdowns in a row, each of at most 5 s and a second after its kill.
        assert trio.current_time() - cancelled_at < 1_000
        check_story(play)

    run(main)


async def in_scope(
    scope: trio.CancelScope, do: Callable[[Storm], Coroutine[Any, Any, None]], storm: Storm
) -> None:
    with scope:
        await do(storm)


@quick(max_examples=100)
@given(wild_trees(depth=1), st.lists(wild_operations, max_size=12), st.booleans())
def test_calls_from_many_tasks_while_it_stops_all_get_an_answer(
    tree: Tree, ops: list[Op], at_once: bool
) -> None:
    play = Play(without_hanging(tree))

    async def main() -> None:
        with trio.fail_after(2 * ENDLESS_S):
            async with trio.open_nursery() as nursery:
                storm = Storm(play, nursery)
                nursery.start_soon(play.run_root)
                await wait_all_tasks_blocked()
                for i, op in enumerate(ops):
                    if i == len(ops) // 2 and "root" in play.running:
                        nursery.start_soon(storm.stop_root)
                    await storm.do(op)
                    if not at_once:
                        await trio.lowlevel.checkpoint()
                await trio.sleep(1_000)
                play.cancel_scope.cancel()
        assert storm.waiting == 0
        check_story(play)

    run(main)


def without_hanging(tree: Tree) -> Tree:
    children = tuple(
        replace(
            kid,
            starts=tuple(entry for entry in kid.starts if entry != "hang"),
            tree=kid.tree and without_hanging(kid.tree),
        )
        for kid in tree.kids
    )
    return replace(tree, kids=children)


@given(
    st.floats(0, 100),
    st.floats(1, 10),
    st.floats(0, 100),
    st.floats(0, 1),
    st.integers(0, 2000),
    st.integers(0),
)
def test_a_backoff_never_exceeds_its_maximum_and_its_jitter(
    initial_s: float, factor: float, more_s: float, jitter: float, restarts: int, seed: int
) -> None:
    backoff = Backoff(initial_s, factor, initial_s + more_s, jitter)
    delay_s = backoff.delay(restarts, random.Random(seed))
    assert 0 <= delay_s <= backoff.maximum_s * (1 + jitter) * (1 + 1e-9)


@quick(max_examples=60)
@given(
    st.builds(
        Backoff,
        st.sampled_from([0.25, 1]),
        st.sampled_from([1, 2, 3]),
        st.sampled_from([1, 4]),
        st.floats(0, 1),
    ),
    st.integers(1, 8),
    st.integers(0),
)
def test_a_restart_comes_exactly_when_its_backoff_is_over(
    backoff: Backoff, crashes: int, seed: int
) -> None:
    starts: list[float] = []
    told: list[ChildRestarting] = []

    async def brief(*, task_status: trio.TaskStatus[object]) -> None:
        starts.append(trio.current_time())
        task_status.started()
        if len(starts) <= crashes:
            raise OSError
        await trio.sleep_forever()

    def hear(event: Event) -> None:
        if isinstance(event, ChildRestarting):
            told.append(event)

    async def main() -> None:
        flags = SupervisorFlags(intensity=100, backoff=backoff)
        children = [ChildSpec("brief", brief)]
        rng = random.Random(seed)
        supervisor = Supervisor("root", flags, children, on_event=hear, rng=rng)
        with trio.move_on_after(1_000):
            await supervisor.run()

    run(main)
    delays = [later - earlier for earlier, later in pairwise(starts)]
    assert delays == pytest.approx([event.delay_s for event in told])
    assert len(delays) == crashes
    assert max(delays) <= backoff.maximum_s * (1 + backoff.jitter) * (1 + 1e-9)
