"""One run of a supervisor: one task owns all its state and reads one queue.

Everybody else puts messages into the queue: a child's end, a call, the parent's request to stop,
a restart that is due. They are handled one at a time in the order of arrival, so "simultaneous"
needs no lock and has one meaning (as in OTP's supervisor.erl). A message that has been overtaken
is void: the life it speaks of is no more its child's life, the child no more restarting. So a child
that is stopped when it is dead already takes its exit notice with it.

A restart that fails goes to the end of the same queue, so whatever waits there comes first.

Cancellation is the one thing that does not wait for its turn: it interrupts the loop wherever it
waits, also in a start that hangs. What stops children is shielded from it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import trio

from . import _events as events
from ._child import Child, ChildState, Instance, Timer
from ._errors import (
    AutoShutdown,
    ChildError,
    IntensityExceeded,
    Shutdown,
    StartFailed,
    SupervisorGone,
)
from ._intensity import Intensity
from ._life import ChildRef, Life, consists_of
from ._spec import ChildSpec, ChildType, Restart, SupervisorFlags, check_child

T = TypeVar("T")

KILL_PATIENCE_S: Final = 1.0
"""How long a child that was killed is waited for, before it is reported to live on."""

FAIR: Final = 32
"""Messages in a row without a pause for other tasks."""


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One line of `Supervisor.which_children`."""

    id: str
    state: ChildState
    """running; restarting: a restart waits for its turn or its backoff; undefined: neither."""
    type: ChildType
    restart: Restart
    ref: ChildRef | None = field(default=None, compare=False, repr=False)
    """Its life, where it is running; the last one, where it is restarting."""


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """The answer of `Supervisor.count_children`, in OTP's words."""

    specs: int
    """Child specs, running or not; 1 for simple_one_for_one."""
    active: int
    """Children that live, noticed ends aside."""
    supervisors: int
    """Children of type supervisor, running or not."""
    workers: int
    """Children of type worker, running or not."""


@dataclass(slots=True, eq=False)
class _TryAgain:
    child: Child
    cause: BaseException


@dataclass(slots=True, eq=False)
class _TimerDue:
    child: Child
    timer: Timer


@dataclass(slots=True, eq=False)
class _StopRequest:
    cause: Exception | None
    by_parent: bool


@dataclass(slots=True, eq=False)
class _Call:
    action: Callable[[], Awaitable[None]]
    done: trio.Event = field(default_factory=trio.Event)
    error: Exception | None = None


_EndReason = Literal["normal", "shutdown", "crash"]
# A Life as a message is its own exit notice.
_Message = Life | _TryAgain | _TimerDue | _StopRequest | _Call


class Loop:
    """One run of a supervisor, from the start of its first child to the end of its last."""

    def __init__(
        self,
        name: str,
        flags: SupervisorFlags,
        specs: tuple[ChildSpec, ...],
        on_event: Callable[[events.Event], None] | None,
        rng: random.Random,
    ) -> None:
        self._name = name
        self._flags = flags
        self._template = specs[0] if flags.simple else None
        self._on_event = on_event
        self._rng = rng
        # In start order. Of simple_one_for_one: the instances, each under itself.
        self._children: dict[Hashable, Child] = {}
        if not flags.simple:
            self._children = {spec.id: Child(spec) for spec in specs}
        self._intensity = Intensity(flags.intensity, flags.period_s)
        self._inbox: deque[_Message] = deque()
        self._paused: trio.lowlevel.Task | None = None  # the loop's task, while it waits
        self._in_a_row = 0
        self._gate: trio.Event | None = None  # while suspended: nothing is read until it is set
        self._nursery: trio.Nursery
        self._urgent = False  # it is being cancelled
        self._ending = False  # why is settled: `_cause`, and then `_reason`
        self._cause: BaseException | None = None
        self._reason: _EndReason = "shutdown"  # as when it is cancelled
        self._accepts_calls = True
        self._over = trio.Event()

    # ---- from the first start to the last stop

    async def run(self, started: Callable[[], None]) -> None:
        """Supervise until there is a reason to end, and until all children have ended.

        Returns if it was asked to; else raises what ended it.
        """
        try:
            async with trio.open_nursery() as self._nursery:
                await self._supervise_then_stop(started)
        except BaseException as exc:
            # Cancelled while it was ending: that is what it ends with.
            if not (self._ending and consists_of(exc, trio.Cancelled)):
                if not consists_of(exc, trio.Cancelled):
                    self._cause, self._reason = exc, _reason_of(exc)
                raise
        finally:
            self._note_late_ends()
            self._emit(events.SupervisorEnded(self._name, self._reason, self._cause))
            self._over.set()
        if self._cause is not None:
            raise self._cause

    async def _supervise_then_stop(self, started: Callable[[], None]) -> None:
        try:
            await self._start_all()
            if not self._ending:
                self._emit(events.SupervisorStarted(self._name))
                started()
            while not self._ending:
                await self._handle(await self._receive())
        except trio.Cancelled:
            self._urgent = True
            raise
        finally:
            try:
                await self._stop_all()
            except BaseException:
                # Interrupted in the stop as well (Ctrl-C once more): nobody is asked any more. The
                # shields of the children would keep the nursery's cancellation away from them.
                self.kill()
                raise

    async def _start_all(self) -> None:
        try:
            for child in list(self._children.values()):
                if await self._start(child) is None and child.spec.restart == "temporary":
                    self._forget(child)
        except StartFailed as failed:
            self._end(failed)

    async def _stop_all(self) -> None:
        self._refuse_calls()
        if self._template is not None:
            await self._stop_instances(self._template)
            return
        for child in reversed(list(self._children.values())):
            await self._stop(child)

    async def _stop_instances(self, template: ChildSpec) -> None:
        # All at once, with one timeout for all (OTP).
        for child in self._children.values():
            child.forget_start()
        lives = [child.life for child in self._children.values() if child.life is not None]
        await self._end_lives(lives, template)
        for life in lives:
            if life.ended:
                self._note_end(life)

    def _end(self, cause: BaseException | None, *, asked: bool = False) -> None:
        """Have the run end, with the first cause that comes."""
        if self._ending:
            return
        self._ending = True
        self._cause = cause
        self._reason = "shutdown" if asked else _reason_of(cause)

    def _refuse_calls(self) -> None:
        # Before the children are stopped: one of them may be waiting for an answer.
        self._accepts_calls = False
        for message in self._inbox:
            if isinstance(message, _Call):
                message.error = self._gone()
                message.done.set()
        self._inbox.clear()

    def _gone(self) -> SupervisorGone:
        return SupervisorGone(self._name, self._reason, self._cause)

    def _note_late_ends(self) -> None:
        for child in list(self._children.values()):
            if child.life is not None:
                self._note_end(child.life)

    def kill(self) -> None:
        """Called by a parent whose patience is over, which cancels the run as well."""
        for child in self._children.values():
            if child.life is not None:
                child.life.kill()

    # ---- messages

    def post(self, message: _Message) -> None:
        """Put it at the end of the queue."""
        self._inbox.append(message)
        self._wake()

    def _wake(self) -> None:
        if self._paused is not None:
            trio.lowlevel.reschedule(self._paused)
            self._paused = None

    async def _pause(self) -> None:
        """Until something has come or changed. Events would do; this is called at each start."""
        self._paused = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._paused = None
        return trio.lowlevel.Abort.SUCCEEDED

    def request_stop_by_parent(self) -> None:
        """Called by the parent: its request takes its turn in the queue (OTP)."""
        self.post(_StopRequest(None, by_parent=True))

    async def _receive(self) -> _Message:
        if self._gate is not None:
            await self._gate.wait()
            self._gate = None
        self._in_a_row += 1
        if self._in_a_row % FAIR == 0:
            await trio.lowlevel.checkpoint()
        while not self._inbox:
            await self._pause()
        return self._inbox.popleft()

    async def _handle(self, message: _Message) -> None:
        match message:
            case Life():
                if message.child.life is message:
                    await self._on_exit(message)
            case _TryAgain(child, cause):
                if child.restarting and child.timer is None and self._keeps(child):
                    await self._restart(child, cause)
            case _TimerDue(child, timer):
                if child.timer is timer:
                    await self._on_timer(child, timer)
            case _StopRequest(cause, by_parent):
                self._end(cause, asked=by_parent)
            case _Call():
                await self._answer(message)

    async def _on_exit(self, life: Life) -> None:
        child = life.child
        self._note_end(life)
        cause = life.cause
        if life.wants_restart:
            if self._flags.backoff is not None:
                up_s = trio.current_time() - (life.up_since or 0.0)
                if up_s >= self._flags.backoff.reset_after_s:
                    child.consecutive_restarts = 0
            life.cause = None  # it holds the frames of the life: a cycle, at each restart
            await self._restart(child, cause)
            return
        self._settle(child)
        if life.asked:  # it outlived a call that terminated it
            return
        if self._ends_by_itself_with(child):
            self._emit(events.AutoShutdownEvent(self._name, child.spec.id))
            self._end(AutoShutdown(self._name, child.spec.id))
        elif cause is not None and consists_of(cause, IntensityExceeded):
            self._cool_down(child)

    def _ends_by_itself_with(self, child: Child) -> bool:
        """Whether the end of a child for good is the end of the supervisor."""
        if not child.spec.significant or self._flags.auto_shutdown == "never":
            return False
        return self._flags.auto_shutdown == "any_significant" or not any(
            other.spec.significant and other.state != "undefined"
            for other in self._children.values()
        )

    async def _on_timer(self, child: Child, timer: Timer) -> None:
        if timer.purpose == "restart":
            await self._attempt(child)
            return
        child.timer = None
        try:
            await self._start(child)
        except StartFailed:
            self._cool_down(child)

    # ---- restarts: the strategies

    def _group(self, child: Child) -> list[Child]:
        """The children that a restart of `child` takes along, in start order."""
        match self._flags.strategy:
            case "one_for_one" | "simple_one_for_one":
                return [child]
            case "one_for_all":
                return list(self._children.values())
            case "rest_for_one":
                later: list[Child] = []
                for other in reversed(self._children.values()):
                    later.append(other)
                    if other is child:
                        break
                return later[::-1]

    async def _restart(self, child: Child, cause: BaseException | None) -> None:
        """Restart the group of `child`, if that is allowed; it counts once."""
        if self._intensity.add_restart(trio.current_time()):
            child.forget_start()
            self._give_up(child, cause)
            return
        delay_s = self._next_delay(child)
        if self._on_event is not None:
            counted = self._intensity.restarts_in_period
            self._emit(events.ChildRestarting(self._name, child.spec.id, delay_s, counted))
        if delay_s == 0:
            await self._attempt(child)
            return
        await self._stop_group(child)
        child.restarting = True
        self._start_later(child, "restart", delay_s)

    async def _attempt(self, child: Child) -> None:
        """Stop the group of `child` in reverse order, and start all that it keeps, in order."""
        for member in await self._stop_group(child):
            try:
                life = await self._start(member, restart=True)
            except StartFailed as failed:
                # To the end of the queue: what waits there comes before the next attempt (OTP),
                # which is on behalf of the one that failed.
                member.restarting = True
                self.post(_TryAgain(member, failed.cause))
                return
            if life is None and self._flags.simple:
                self._forget(member)

    async def _stop_group(self, child: Child) -> list[Child]:
        kept: list[Child] = []
        for member in reversed(self._group(child)):
            life = member.life
            if not await self._stop(member) and life is not None:
                # Nothing ever runs twice. Only a cancellation ends this wait before the child.
                await self._until_ended([life])
                self._note_end(life)
            if member.spec.restart == "temporary":
                self._forget(member)
            else:
                kept.append(member)
        return kept[::-1]

    def _next_delay(self, child: Child) -> float:
        if self._flags.backoff is None:
            return 0.0
        delay_s = self._flags.backoff.delay(child.consecutive_restarts, self._rng)
        child.consecutive_restarts += 1
        return delay_s

    def _give_up(self, child: Child, cause: BaseException | None) -> None:
        what = (self._name, child.spec.id, cause, self._flags.intensity, self._flags.period_s)
        self._emit(events.IntensityExceededEvent(*what))
        self._end(IntensityExceeded(*what))

    def _cool_down(self, child: Child) -> None:
        delay_s = child.spec.cool_down_s
        if delay_s is not None and self._keeps(child):
            self._emit(events.ChildCoolingDown(self._name, child.spec.id, delay_s))
            self._start_later(child, "cool-down", delay_s)

    def _start_later(
        self, child: Child, purpose: Literal["restart", "cool-down"], delay_s: float
    ) -> None:
        child.timer = Timer(purpose, trio.CancelScope())
        self._nursery.start_soon(self._post_later, child, child.timer, delay_s)

    async def _post_later(self, child: Child, timer: Timer, delay_s: float) -> None:
        with timer.scope:
            await trio.sleep(delay_s)
            self.post(_TimerDue(child, timer))

    # ---- one child

    async def _start(self, child: Child, *, restart: bool = False) -> Life | None:
        """Start it; None: it answered ignore."""
        child.forget_start()
        life = child.life = Life(child, self._wake)
        self._nursery.start_soon(life.live, self.post, name=child.spec.id)
        while not (life.is_up or life.ended):
            await self._pause()
        if life.is_up:
            life.up_since = trio.current_time()
            child.last = life
            if self._on_event is not None:
                self._emit(events.ChildStarted(self._name, child.spec.id, life))
            return life
        child.life = None
        if life.ignored:
            self._emit(events.ChildIgnored(self._name, child.spec.id))
            return None
        early = "it returned before it was up (task_status.started() was not called)"
        cause, life.cause = life.cause or RuntimeError(early), None  # no cycle: see _on_exit
        self._emit(events.ChildStartFailed(self._name, child.spec.id, cause, restart))
        raise StartFailed(child.spec.id, cause) from cause

    async def _stop(self, child: Child) -> bool:
        """End it, or the restart that waits; False: it outlives even the kill."""
        child.forget_start()
        life = child.life
        if life is None:
            return True
        if not life.ended:
            await self._end_lives([life], child.spec)
        if life.ended:
            self._note_end(life)
        return life.ended

    async def _end_lives(self, lives: Collection[Life], spec: ChildSpec) -> None:
        """Ask, wait, and kill what is left; all within one timeout."""
        began = trio.current_time()
        # What this supervisor's own killer has killed already is asked nothing any more.
        patient = [] if spec.brutal else [life for life in lives if not life.killed]
        for life in patient:
            life.ask(urgent=self._urgent)
        if patient:
            await self._until_asked_have_ended(patient, began + spec.shutdown_s)
        for life in patient:
            if not life.ended:
                waited_s = trio.current_time() - began
                self._emit(events.ChildKilled(self._name, spec.id, waited_s, life))
        left = [life for life in lives if not life.ended]
        if not left:
            return
        for life in left:
            life.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + KILL_PATIENCE_S):
            await self._until_ended(left)
        waited_s = trio.current_time() - began
        for life in left:
            if not life.ended:
                self._emit(events.ChildNotStopped(self._name, spec.id, waited_s, life))

    async def _until_asked_have_ended(self, lives: Collection[Life], deadline: float) -> None:
        """Nothing cuts this short; a cancellation meanwhile is handed on as what it is: urgent."""
        with trio.CancelScope(deadline=deadline, shield=self._urgent):
            try:
                await self._until_ended(lives)
            except trio.Cancelled:
                # If that is not the deadline: not lost, it comes again, at the loop's next wait
                # without a shield.
                self._urgent = self._urgent or trio.current_time() < deadline
        if self._urgent:
            for life in lives:
                if life.child.spec.type == "supervisor":
                    life.ask(urgent=True)
            with trio.CancelScope(deadline=deadline, shield=True):
                await self._until_ended(lives)

    async def _until_ended(self, lives: Collection[Life]) -> None:
        for life in lives:
            while not life.ended:
                await self._pause()

    def _note_end(self, life: Life) -> None:
        child = life.child
        child.life = None
        if self._on_event is None:
            return
        child_id = child.spec.id
        if life.up_since is not None:
            self._emit(
                events.ChildExited(self._name, child_id, life.reason, life.cause, life.asked, life)
            )
        elif life.cause is not None:  # it was stopped while it started
            self._emit(events.ChildStartFailed(self._name, child_id, life.cause))

    def _settle(self, child: Child) -> None:
        """It has ended for good."""
        if child.spec.restart == "temporary" or self._flags.simple:
            self._forget(child)

    def _forget(self, child: Child) -> None:
        self._children.pop(child.key, None)

    def _keeps(self, child: Child) -> bool:
        return self._children.get(child.key) is child

    # ---- calls

    async def call(self, action: Callable[[], Awaitable[T]]) -> T:
        """Have the loop do it, and return what it returned. Cancelled: it is done all the same."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._accepts_calls:
            raise self._gone()
        values: list[T] = []

        async def act() -> None:
            values.append(await action())

        call = _Call(act)
        self.post(call)
        await call.done.wait()
        if call.error is not None:
            raise call.error
        return values[0]

    async def stop(self, cause: Exception | None) -> None:
        """See `Supervisor.stop`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._accepts_calls:
            self.post(_StopRequest(cause, by_parent=False))
        await self._over.wait()

    async def _answer(self, call: _Call) -> None:
        try:
            await call.action()
        except Exception as refused:
            # Whatever is wrong with a call, its caller is told, and nobody else is harmed.
            call.error = refused
        except BaseException:
            call.error = self._gone()
            raise
        finally:
            call.done.set()

    async def suspend(self, gate: trio.Event) -> None:
        """Read nothing more of the queue until `gate` is set."""
        self._gate = gate

    async def start_child(self, spec: ChildSpec) -> ChildRef | None:
        """See `Supervisor.start_child`."""
        if self._flags.simple:
            raise ChildError("simple_one_for_one", getattr(spec, "id", repr(spec)))
        check_child(spec, self._flags)
        known = self._children.get(spec.id)
        if known is not None:
            running = known.state == "running"
            raise ChildError("already_started" if running else "already_present", spec.id)
        return await self._start_new(Child(spec))

    async def start_instance(self, args: tuple[Any, ...]) -> ChildRef | None:
        """See `Supervisor.start_instance`."""
        if self._template is None:
            raise ChildError("simple_one_for_one", f"instance{args!r}")
        return await self._start_new(Instance(self._template, args))

    async def _start_new(self, child: Child) -> ChildRef | None:
        self._children[child.key] = child
        try:
            life = await self._start_called(child)
        except ChildError:
            self._forget(child)
            raise
        if life is None:
            self._settle(child)
        return life

    async def restart_child(self, child_id: str) -> ChildRef | None:
        """See `Supervisor.restart_child`."""
        return await self._start_called(self._find_idle(child_id))

    async def terminate_child(self, which: str | ChildRef) -> None:
        """See `Supervisor.terminate_child`."""
        if self._flags.simple and isinstance(which, str):
            raise ChildError("simple_one_for_one", which)
        child = self._find(which)
        if child is None:
            return
        if not await self._stop(child):
            raise ChildError("not_stopped", child.spec.id)
        self._settle(child)

    async def delete_child(self, child_id: str) -> None:
        """See `Supervisor.delete_child`."""
        child = self._find_idle(child_id)
        child.forget_start()
        self._forget(child)

    async def which_children(self) -> list[ChildInfo]:
        """See `Supervisor.which_children`."""
        return [
            ChildInfo(
                child.spec.id,
                child.state,
                child.spec.type,
                child.spec.restart,
                child.last if child.restarting else child.life,
            )
            for child in self._children.values()
        ]

    async def count_children(self) -> ChildCounts:
        """See `Supervisor.count_children`."""
        if self._template is not None:
            count = len(self._children)
            active = sum(child.life is not None for child in self._children.values())
            is_worker = self._template.type == "worker"
            return ChildCounts(1, active, 0 if is_worker else count, count if is_worker else 0)
        children = self._children.values()
        active = sum(child.life is not None and child.life.alive for child in children)
        workers = sum(child.spec.type == "worker" for child in children)
        return ChildCounts(len(children), active, len(children) - workers, workers)

    async def get_childspec(self, which: str | ChildRef) -> ChildSpec:
        """See `Supervisor.get_childspec`."""
        if self._template is not None and which == self._template.id:
            return self._template
        child = self._find(which)
        if child is not None:
            return child.spec
        assert self._template is not None
        return self._template

    async def _start_called(self, child: Child) -> Life | None:
        child.consecutive_restarts = 0
        try:
            return await self._start(child)
        except StartFailed as failed:
            raise ChildError("start_failed", child.spec.id, failed.cause) from failed.cause

    def _find(self, which: str | ChildRef) -> Child | None:
        """The child; None: an instance that has ended (OTP: a pid that lives no more).

        Raises `ChildError`: not_found.
        """
        if isinstance(which, Life):
            child = self._children.get(which.child.key)
            if child is not None and self._flags.simple and child.last is which:
                return child
            if self._flags.simple and not which.alive:
                return None
        elif isinstance(which, str) and which in self._children:
            return self._children[which]
        raise ChildError("not_found", which if isinstance(which, str) else repr(which))

    def _find_idle(self, child_id: str) -> Child:
        if self._flags.simple:
            raise ChildError("simple_one_for_one", child_id)
        child = self._find(child_id)
        assert child is not None
        if child.state != "undefined":
            raise ChildError(child.state, child_id)
        return child

    # ---- events

    def _emit(self, event: events.Event) -> None:
        """Tell. A listener that raises ends the supervisor in order, and `run` raises its error.

        Not at once: what is under way (a stop above all) must not be left half done.
        """
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as exc:
            if self._ending and self._cause is None:
                self._cause, self._reason = exc, _reason_of(exc)
            self._end(exc)


def _reason_of(cause: BaseException | None) -> _EndReason:
    if cause is None:
        return "normal"
    return "shutdown" if consists_of(cause, Shutdown) else "crash"
