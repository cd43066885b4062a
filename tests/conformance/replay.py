"""Replays a scenario against `supervisor.tree`, in virtual time, and gives the trace.

The root is a child of one more supervisor, its owner: so it has a parent that can ask it to shut
down, and there is a live process that is no child of anybody in the scenario.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor.tree import (
    BadSpec,
    ChildError,
    ChildInfo,
    ChildRef,
    ChildSpec,
    ChildStatus,
    Supervisor,
    SupervisorFlags,
    SupervisorGone,
)
from tests.conformance.actors import (
    ActingSupervisor,
    Cast,
    Hold,
    Part,
    ending,
    failure_of,
    reason_of,
)
from tests.conformance.compare import compare
from tests.conformance.scenario import Json, Scenario, Step, Trace

NAMELESS: Final = "?"
"""An instance of simple_one_for_one that does not run."""
FOR_EVER_S: Final = 1e6
"""Of virtual time: what waits so long waits for what never comes."""


def replay(scenario: Scenario) -> Trace:
    """Run it, and give the trace: one entry for the start of the tree, and one for each step."""
    return trio.run(_replay, scenario, clock=MockClock(autojump_threshold=0))


def differences(expected: Trace, actual: Trace) -> list[str]:
    """What is wrong with a trace; empty if nothing is."""
    problems: list[str] = compare(expected, actual)  # type: ignore[no-untyped-call]
    return problems


async def _replay(scenario: Scenario) -> Trace:
    cast = Cast()
    owner = Supervisor("owner", SupervisorFlags(), [ChildSpec("stranger", _stranger)])
    with trio.fail_after(FOR_EVER_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(owner.run)
            try:
                await (play := Replay(scenario, cast, owner, nursery)).run()
            finally:
                cast.dismiss()
                nursery.cancel_scope.cancel()
    return play.trace


async def _stranger(*, task_status: ChildStatus) -> None:
    task_status.started()
    await trio.sleep_forever()


class Answer:
    """The result of something that may still be under way."""

    def __init__(self) -> None:
        self.given = trio.Event()
        self._result: Json = None

    async def give(self, result: Awaitable[Json]) -> None:
        """Wait for it, and give it."""
        self._result = await result
        self.given.set()

    def result(self) -> Json:
        """What was given."""
        assert self.given.is_set()
        return self._result


class Replay:
    """One scenario on its way."""

    def __init__(
        self, scenario: Scenario, cast: Cast, owner: Supervisor, nursery: trio.Nursery
    ) -> None:
        self.scenario = scenario
        self.cast = cast
        self.owner = owner
        self.nursery = nursery
        self.trace: Trace = []
        self._stranger: ChildRef
        self._written = 0
        """Events that are in the trace."""
        self._under_way: list[Answer] = []

    async def run(self) -> None:
        """Start the tree and do the steps."""
        (stranger,) = await self.owner.which_children()
        assert stranger.ref is not None
        self._stranger = stranger.ref
        await self._write("start", self._begin(self._start_root()).result)
        for step in self.scenario.steps:
            await self._write(step["op"], await self._perform(step))

    async def _write(self, op: str, result: Callable[[], Json]) -> None:
        await self._quiet()
        state = {path: await self._look_at(path) for path in list(self.cast.supervisors)}
        events = self.cast.events[self._written :]
        self._written += len(events)
        self.trace.append(
            {
                "step": len(self.trace),
                "op": op,
                "result": result(),
                "events": events,
                "state": state,
                "root": self._root(),
            }
        )

    async def _quiet(self) -> None:
        """Wait until nobody has anything to do.

        A supervisor that answers has handled all that was in its queue before; but meanwhile it
        may have put something there itself, or in another's. So there is quiet only after a round
        in which nothing has happened.
        """
        known = -1
        while known < len(self.cast.events):
            known = len(self.cast.events)
            for answer in self._under_way:
                await answer.given.wait()
            self._under_way.clear()
            await wait_all_tasks_blocked()
            for supervisor in list(self.cast.supervisors.values()):
                try:
                    await supervisor.count_children()
                except SupervisorGone:  # or it is about to be, and stops its children yet
                    await supervisor.gone.wait()

    async def _look_at(self, path: str) -> Json:
        children = await self._call({"op": "which_children", "sup": path})
        counts = await self._call({"op": "count_children", "sup": path})
        return {"children": children, "counts": counts}

    def _root(self) -> Json:
        if "root" in self.cast.supervisors:
            return "alive"
        ends = [
            event["reason"]
            for event in self.cast.events
            if event["ev"] == "stop" and event["path"] == "root"
        ]
        return {"stopped": ends[-1]} if ends else "not_started"

    # ---- the steps

    async def _perform(self, step: Step) -> Callable[[], Json]:
        """Do it; what it returns gives the result, once all is quiet."""
        match step["op"]:
            case "batch":
                return await self._batch(step)
            case "window":
                return await self._window(step)
            case _:
                return self._begin(self._result_of(step)).result

    async def _batch(self, step: Step) -> Callable[[], Json]:
        supervisor = self.cast.supervisors.get(step["sup"])
        if supervisor is None:
            return lambda: "noproc"
        async with supervisor.suspended():
            answers = [await self._put_in(item) for item in step["items"]]
        return lambda: [answer.result() for answer in answers]

    async def _window(self, step: Step) -> Callable[[], Json]:
        hold = self.cast.hold = Hold(**step["hold"])
        cause = self._begin(self._result_of(step["cause"]))
        await hold.reached.wait()
        await wait_all_tasks_blocked()
        answers = [await self._put_in(item) for item in step["items"]]
        hold.released.set()
        return lambda: {
            "cause": cause.result(),
            "items": [answer.result() for answer in answers],
        }

    async def _put_in(self, item: Step) -> Answer:
        """Have it arrive in the queue of a supervisor that does not read it."""
        answer = self._begin(self._result_of(item))
        if item["op"] == "exit":
            await answer.given.wait()
        await wait_all_tasks_blocked()
        return answer

    def _begin(self, result: Awaitable[Json]) -> Answer:
        answer = Answer()
        self._under_way.append(answer)
        self.nursery.start_soon(answer.give, result)
        return answer

    async def _result_of(self, step: Step) -> Json:
        match step["op"]:
            case "exit":
                return await self._exit(step["path"], step["reason"])
            case "shutdown":
                return await self._shut_down()
            case "sleep":
                await trio.sleep(step["ms"] / 1000)
                return "ok"
            case "start_children":
                start = {"op": "start_child", "sup": step["sup"]}
                return [await self._call({**start, "name": name}) for name in step["names"]]
            case _:
                return await self._call(step)

    async def _start_root(self) -> Json:
        tree = self.scenario.tree
        part = Part("root", {"tree": tree, "start": tree.get("start", ["ok"])}, Counter())
        start = partial(self.cast.play, part)
        spec = ChildSpec("root", start, restart="temporary", type="supervisor")
        try:
            return _started(await self.owner.start_child(spec))
        except ChildError as refused:
            return {"error": failure_of(refused.cause)}

    async def _exit(self, path: str, reason: str) -> Json:
        if worker := self.cast.workers.get(path):
            worker.exit(reason)
            await worker.gone.wait()
        elif supervisor := self.cast.supervisors.get(path):
            await supervisor.stop(ending(reason))
            await supervisor.gone.wait()
        else:
            return "noop"
        return "ok"

    async def _shut_down(self) -> Json:
        root = self.cast.supervisors.get("root")
        if root is None:
            return "noop"
        with suppress(ChildError):  # not_found: it has ended meanwhile
            await self.owner.terminate_child("root")
        return {"stopped": root.reason}

    # ---- calls

    async def _call(self, step: Step) -> Json:
        supervisor = self.cast.supervisors.get(step["sup"])
        if supervisor is None:
            return {"exit": "noproc"}
        try:
            return await self._call_on(supervisor, step)
        except SupervisorGone as gone:
            return {"exit": gone.reason if gone.cause is None else reason_of(gone.cause)}
        except BadSpec as bad:
            return {"error": {"bad_spec": bad.code}}
        except ChildError as refused:
            if refused.code == "start_failed":
                return {"error": {"start_failed": failure_of(refused.cause)}}
            return {"error": refused.code}

    async def _call_on(self, supervisor: ActingSupervisor, step: Step) -> Json:
        match step["op"]:
            case "start_child" if "name" in step:
                overrides: Step = {
                    key: step[key] for key in ("start", "on_shutdown") if key in step
                }
                instance = supervisor.instance(step["name"], overrides)
                return _started(await supervisor.start_instance(instance))
            case "start_child":
                introduced_by = replace(supervisor.part, introduction=Counter())
                try:
                    spec = self.cast.spec(introduced_by, step["child"])
                except BadSpec:
                    # Ours is refused as it is made, OTP's when its turn in the queue has come.
                    await supervisor.count_children()
                    raise
                return _started(await supervisor.start_child(spec))
            case "restart_child":
                return _started(await supervisor.restart_child(step["id"]))
            case "terminate_child":
                await supervisor.terminate_child(self._target(supervisor, step))
                return "ok"
            case "delete_child":
                await supervisor.delete_child(step["id"])
                return "ok"
            case "get_childspec":
                spec = await supervisor.get_childspec(self._target(supervisor, step))
                return {"ok": _described(spec)}
            case "which_children":
                children = await supervisor.which_children()
                if not supervisor.simple:
                    return [_line(child, child.id) for child in children]
                instances = [_line(child, _instance_name(child)) for child in children]
                return sorted(instances, key=lambda line: (line[0] != NAMELESS, line[0]))
            case "count_children":
                counts = await supervisor.count_children()
                return [counts.specs, counts.active, counts.supervisors, counts.workers]
            case op:
                raise AssertionError(f"unknown op {op!r}")

    def _target(self, supervisor: ActingSupervisor, step: Step) -> str | ChildRef:
        if not supervisor.simple or "by" in step:
            return str(step["id"])
        return self.cast.instances.get(f"{supervisor.path}/{step['id']}", self._stranger)


def _started(ref: ChildRef | None) -> Json:
    if ref is None:
        return {"ok": "undefined"}
    extra = getattr(ref.value, "extra", None)  # of a worker
    return {"ok": "pid"} if extra is None else {"ok": "pid", "extra": extra}


def _line(child: ChildInfo, name: str) -> list[Json]:
    life = child.ref if child.state == "running" else None
    return [name, child.state, None if life is None else life.value.n]


def _instance_name(child: ChildInfo) -> str:
    if child.state != "running" or child.ref is None:
        return NAMELESS
    return str(child.ref.value.path).rpartition("/")[2]


def _described(spec: ChildSpec) -> Json:
    shutdown: Json = spec.shutdown
    if not isinstance(shutdown, str):
        shutdown = "infinity" if math.isinf(spec.shutdown_s) else round(spec.shutdown_s * 1000)
    return {
        "id": spec.id,
        "restart": spec.restart,
        "shutdown": shutdown,
        "significant": spec.significant,
        "type": spec.type,
    }
