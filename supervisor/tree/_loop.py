"""One run of a supervisor: one task owns all its state and reads one queue.

Everybody else puts messages into the queue: a child's end, a call, a restart that is due. They
are handled one at a time in the order of arrival, so "simultaneous" needs no lock and has one
meaning (as in OTP's supervisor.erl). A message that has been overtaken is void, which is seen by
identity: the life it speaks of is no more its child's life, the retry no more its child's retry.
So a child that is stopped when it is dead already takes its exit notice with it.

Cancellation is the one thing that does not wait for its turn: it interrupts the loop wherever it
waits, also in a start that hangs. What stops children is shielded from it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from . import _events as events
from ._child import Child, ChildState, Life, Retry, consists_of
from ._errors import ChildError, IntensityExceeded, Shutdown, StartFailed, SupervisorGone
from ._intensity import Intensity
from ._spec import ChildSpec, ChildType, Restart, SupervisorFlags

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One line of `Supervisor.which_children`."""

    id: str
    state: ChildState
    """running; restarting: a restart waits for its turn or its backoff; undefined: neither."""
    type: ChildType
    restart: Restart


@dataclass(slots=True, eq=False)
class _Exited:
    child: Child
    life: Life


@dataclass(slots=True, eq=False)
class _RetryDue:
    child: Child
    retry: Retry


@dataclass(slots=True, eq=False)
class _Call:
    action: Callable[[], Awaitable[None]]
    done: trio.Event = field(default_factory=trio.Event)
    error: Exception | None = None


_Message = _Exited | _RetryDue | _Call


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
        self._on_event = on_event
        self._rng = rng
        self._children = {spec.id: Child(spec) for spec in specs}  # in start order
        self._intensity = Intensity(flags.intensity, flags.period_s)
        self._post, self._inbox = trio.open_memory_channel[_Message](math.inf)
        self._nursery: trio.Nursery
        self._accepts_calls = True
        self._end: Exception | None = None  # why it ends, once that is settled

    # ---- from the first start to the last stop

    async def run(self, started: Callable[[], None]) -> None:
        """Supervise; always raises: what ended it, after all children have ended."""
        try:
            with self._post, self._inbox:
                async with trio.open_nursery() as self._nursery:
                    await self._supervise_then_stop(started)
        except BaseException as exc:
            cancelled = consists_of(exc, trio.Cancelled)
            self._note_late_ends()
            self._emit(self._ended(None if cancelled else exc))
            if cancelled and self._end is not None:
                raise self._end from None
            raise
        self._note_late_ends()
        assert self._end is not None
        self._emit(self._ended(self._end))
        raise self._end

    async def _supervise_then_stop(self, started: Callable[[], None]) -> None:
        try:
            await self._start_all()
            if self._end is None:
                started()
            while self._end is None:
                await self._handle(await self._inbox.receive())
        finally:
            await self._stop_all()

    async def _start_all(self) -> None:
        try:
            for child in self._children.values():
                await self._start(child)
        except StartFailed as failed:
            self._end = self._end or failed

    async def _stop_all(self) -> None:
        self._refuse_calls()
        for child in reversed(self._children.values()):
            await self._stop(child)

    def _refuse_calls(self) -> None:
        # Before the children are stopped: one of them may be waiting for an answer.
        self._accepts_calls = False
        for _ in range(self._inbox.statistics().current_buffer_used):
            message = self._inbox.receive_nowait()
            if isinstance(message, _Call):
                message.error = SupervisorGone(self._name)
                message.done.set()

    def _note_late_ends(self) -> None:
        for child in self._children.values():
            if child.life is not None:
                self._note_end(child, child.life)

    # ---- messages

    async def _handle(self, message: _Message) -> None:
        match message:
            case _Exited(child, life):
                if child.life is life:
                    await self._on_exit(child, life)
            case _RetryDue(child, retry):
                if child.retry is retry:
                    await self._on_retry(child, retry)
            case _Call():
                await self._answer(message)

    async def _on_exit(self, child: Child, life: Life) -> None:
        self._note_end(child, life)
        if not life.wants_restart:
            self._settle(child)
            return
        backoff = self._flags.backoff
        up_s = trio.current_time() - (life.up_since or 0.0)
        if backoff is not None and up_s >= backoff.reset_after_s:
            child.consecutive_restarts = 0
        await self._restart(child, life.cause)

    async def _on_retry(self, child: Child, retry: Retry) -> None:
        child.retry = None
        if retry.counted:
            await self._attempt(child)
        else:
            await self._restart(child, retry.cause)

    # ---- restarts

    async def _restart(self, child: Child, cause: BaseException | None) -> None:
        if self._intensity.add_restart(trio.current_time()):
            self._give_up(child, cause)
            return
        delay_s = self._next_delay(child)
        counted = self._intensity.restarts_in_period
        self._emit(events.ChildRestarting(self._name, child.spec.id, delay_s, counted))
        if delay_s == 0:
            await self._attempt(child)
            return
        child.retry = Retry(cause, counted=True, scope=trio.CancelScope())
        self._nursery.start_soon(self._post_later, child, child.retry, delay_s)

    async def _attempt(self, child: Child) -> None:
        try:
            await self._start(child)
        except StartFailed as failed:
            # To the end of the queue: what waits there comes before the next attempt (OTP).
            child.retry = Retry(failed.cause, counted=False, scope=trio.CancelScope())
            self._post.send_nowait(_RetryDue(child, child.retry))

    async def _post_later(self, child: Child, retry: Retry, delay_s: float) -> None:
        with retry.scope:
            await trio.sleep(delay_s)
            self._post.send_nowait(_RetryDue(child, retry))

    def _next_delay(self, child: Child) -> float:
        if self._flags.backoff is None:
            return 0.0
        delay_s = self._flags.backoff.delay(child.consecutive_restarts, self._rng)
        child.consecutive_restarts += 1
        return delay_s

    def _give_up(self, child: Child, cause: BaseException | None) -> None:
        what = (self._name, child.spec.id, cause, self._flags.intensity, self._flags.period_s)
        self._emit(events.IntensityExceededEvent(*what))
        self._end = self._end or IntensityExceeded(*what)

    # ---- one child

    async def _start(self, child: Child) -> object:
        life = child.life = Life(child.spec)
        task = f"{self._name}/{child.spec.id}"
        self._nursery.start_soon(self._live, child, life, name=task)
        await life.settled.wait()
        if not life.is_up:
            raise self._start_failed(child, life)
        life.up_since = trio.current_time()
        self._emit(events.ChildStarted(self._name, child.spec.id))
        return life.value

    def _start_failed(self, child: Child, life: Life) -> StartFailed:
        early = "it returned before it was up (task_status.started() was not called)"
        life.cause = life.cause or RuntimeError(early)
        self._note_end(child, life)
        failed = StartFailed(child.spec.id, life.cause)
        failed.__cause__ = life.cause
        return failed

    async def _live(self, child: Child, life: Life) -> None:
        await life.live()
        self._post.send_nowait(_Exited(child, life))  # void after a failed start

    async def _stop(self, child: Child) -> bool:
        """Ask it to end and wait; False if it has not ended within its timeout."""
        child.forget_restart()
        life = child.life
        if life is None:
            return True
        life.ask_to_end()
        with trio.move_on_after(child.spec.shutdown_s, shield=True):
            await life.ended.wait()
        if life.ended.is_set():
            self._note_end(child, life)
            return True
        life.overdue = True
        self._emit(
            events.ChildNotStopped(self._name, child.spec.id, waited_s=child.spec.shutdown_s)
        )
        return False

    def _note_end(self, child: Child, life: Life) -> None:
        child.life = None
        child_id = child.spec.id
        if life.up_since is not None:
            self._emit(
                events.ChildExited(self._name, child_id, life.reason, life.cause, life.asked)
            )
        elif life.cause is not None:
            self._emit(events.ChildStartFailed(self._name, child_id, life.cause))

    def _settle(self, child: Child) -> None:
        if child.spec.restart == "temporary":
            del self._children[child.spec.id]

    # ---- calls

    async def call(self, action: Callable[[], Awaitable[T]]) -> T:
        """Have the loop do it, and return what it returned. Cancelled: it is done all the same."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._accepts_calls:
            raise SupervisorGone(self._name)
        values: list[T] = []

        async def act() -> None:
            values.append(await action())

        call = _Call(act)
        self._post.send_nowait(call)
        await call.done.wait()
        if call.error is not None:
            raise call.error
        return values[0]

    async def _answer(self, call: _Call) -> None:
        try:
            await call.action()
        except ChildError as refused:
            call.error = refused
        except BaseException:
            call.error = SupervisorGone(self._name)
            raise
        finally:
            call.done.set()

    async def start_child(self, spec: ChildSpec) -> object:
        """See `Supervisor.start_child`."""
        known = self._children.get(spec.id)
        if known is not None:
            running = known.state == "running"
            raise ChildError("already_started" if running else "already_present", spec.id)
        child = self._children[spec.id] = Child(spec)
        try:
            return await self._start_called(child)
        except ChildError:
            del self._children[spec.id]
            raise

    async def restart_child(self, child_id: str) -> object:
        """See `Supervisor.restart_child`."""
        return await self._start_called(self._find_idle(child_id))

    async def terminate_child(self, child_id: str) -> None:
        """See `Supervisor.terminate_child`."""
        child = self._find(child_id)
        if not await self._stop(child):
            raise ChildError("not_stopped", child_id)
        self._settle(child)

    async def delete_child(self, child_id: str) -> None:
        """See `Supervisor.delete_child`."""
        self._find_idle(child_id)
        del self._children[child_id]

    async def which_children(self) -> list[ChildInfo]:
        """See `Supervisor.which_children`."""
        return [
            ChildInfo(child.spec.id, child.state, child.spec.type, child.spec.restart)
            for child in self._children.values()
        ]

    async def _start_called(self, child: Child) -> object:
        child.consecutive_restarts = 0
        try:
            return await self._start(child)
        except StartFailed as failed:
            raise ChildError("start_failed", child.spec.id, failed.cause) from failed.cause

    def _find(self, child_id: str) -> Child:
        child = self._children.get(child_id)
        if child is None:
            raise ChildError("not_found", child_id)
        return child

    def _find_idle(self, child_id: str) -> Child:
        child = self._find(child_id)
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
            self._end = self._end or exc

    def _ended(self, cause: BaseException | None) -> events.SupervisorEnded:
        in_order = cause is None or consists_of(cause, Shutdown)
        return events.SupervisorEnded(self._name, "shutdown" if in_order else "crash", cause)
