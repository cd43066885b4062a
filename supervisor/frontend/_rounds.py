"""Asking in the middle of a call where a server can send no request: MCP from 2026-07-28 on.

There a call is answered with what its server wants to know, and made again with the answers (multi
round-trip requests). So what a call does cannot live in the request that it came in by: it runs
beside, on a *held call*, and requests attend to it, one after the other, each until there is
something to ask, or the outcome. Whoever does the work sees nothing of it: its context has a
session that can ask, as in older versions of MCP.

    first request   ──► begins the held call ──► asked: a question, and a state that stands for it
    second request  ──► brings that state and the answer, attends ──► asked again, or the outcome

A state is good for one request. It is a random word, and means nothing to any other `Rounds`.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import anyio
import mcp_types
import trio
from mcp.server.session import ServerSession
from mcp.shared.dispatcher import CallOptions
from mcp.shared.transport_context import TransportContext

from supervisor.frontend._answers import error_result
from supervisor.frontend._questions import Context, Unanswered
from supervisor.pool import TaskError

ANSWER_WITHIN_S = 1800.0
"""Seconds in which a client comes back with its answers; then they count as denials."""

ROUNDS = 10
"""How often one call asks: MCP's own SDKs give up a call that asks once more."""

GATHER_S = 0.05
"""Seconds for which more questions are awaited, to be asked together."""

NOT_BACK = f"the client that was asked has not come back within {ANSWER_WITHIN_S / 60:g} minutes"
WORN_OUT = f"one call asks its client {ROUNDS} times at the most, and has done so"

Params = mcp_types.CallToolRequestParams
Answer = mcp_types.CallToolResult | mcp_types.InputRequiredResult
Serve = Callable[[Context, Params], Awaitable[mcp_types.CallToolResult]]


class Rounds:
    """The held calls of one connection; over HTTP, of all requests."""

    def __init__(self, nursery: trio.Nursery) -> None:
        """Calls are held in the `nursery`, and end with it."""
        self._nursery = nursery
        self._waiting: dict[str, _HeldCall] = {}

    async def call(self, context: Context, params: Params, serve: Serve) -> Answer:
        """Begin a call, or go on with it; cancelled, the call is cancelled.

        Args:
            context: of the request.
            params: likewise.
            serve: does what the call is for; raises nothing.
        """
        if params.request_state is None and params.input_responses is None:
            call = _HeldCall(context, params)
            self._nursery.start_soon(call.run, serve)
        else:
            state = params.request_state or ""
            waiting = self._waiting.get(state)
            if waiting is None or not waiting.is_for(params):
                return _refusal()
            call = self._waiting.pop(state)
            call.take(params.input_responses or {})
        answer = await call.attend(context)
        if isinstance(answer, mcp_types.InputRequiredResult):
            assert answer.request_state is not None
            self._waiting[answer.request_state] = call
            self._nursery.start_soon(self._await_client, answer.request_state, call.attended)
        return answer

    async def _await_client(self, state: str, attended: trio.Event) -> None:
        with trio.move_on_after(ANSWER_WITHIN_S):
            await attended.wait()
        call = self._waiting.pop(state, None)
        if call is not None:
            call.ask_no_more(NOT_BACK)


class _HeldCall:
    """A call that goes on while its client is asked.

    It is what its own session sends by, too: an `mcp.shared.dispatcher.DispatchContext`.
    """

    transport = TransportContext(kind="rounds", can_send_request=True)
    can_send_request = True
    message_metadata = None

    def __init__(self, context: Context, params: Params) -> None:
        self.attended = trio.Event()
        """Set while a request attends to it; replaced when its client is asked."""
        self.cancel_requested = anyio.Event()
        # The SDK hands a request's connection to handlers by no public name yet.
        session = ServerSession(self, context.session._connection)
        self._context = replace(context, session=session)
        self._params = params
        self._caller: Context | None = None
        self._running = trio.CancelScope()
        self._ended = trio.Event()
        self._result: mcp_types.CallToolResult | None = None
        self._open: dict[str, _Question] = {}
        self._keys = map(str, count(1))
        self._rounds = 0
        self._closed: str | None = None
        self._changed = trio.Event()

    def is_for(self, params: Params) -> bool:
        """Whether that is the same call once more."""
        return (params.name, params.arguments) == (self._params.name, self._params.arguments)

    async def run(self, serve: Serve) -> None:
        """Do what the call is for."""
        try:
            with self._running:
                self._result = await serve(self._context, self._params)
        finally:
            self._ended.set()
            self._changed.set()

    async def attend(self, context: Context) -> Answer:
        """What the request is answered: the outcome, or questions; cancelled, it ends the call."""
        self.attended.set()
        self._caller, self._context.request_id = context, context.request_id
        try:
            return await self._next()
        except trio.Cancelled:
            self._running.cancel()
            with trio.CancelScope(shield=True):
                await self._ended.wait()
            raise
        finally:
            self._caller = None

    async def _next(self) -> Answer:
        while self._result is None:
            if self._open and self._rounds == ROUNDS:
                self.ask_no_more(WORN_OUT)
            if self._open:
                await trio.sleep(GATHER_S)
            if self._open:
                return self._ask()
            await self._changed.wait()
            self._changed = trio.Event()
        return self._result

    def take(self, answers: Mapping[str, mcp_types.InputResponse]) -> None:
        """The client's answers; what has none is asked once more."""
        for key, answer in answers.items():
            question = self._open.pop(key, None)
            if question is not None:
                question.answer = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
                question.settled.set()

    def ask_no_more(self, why: str) -> None:
        """Nobody is asked any more, and who waits for an answer gets none."""
        self._closed = why
        for question in self._open.values():
            question.refused = why
            question.settled.set()
        self._open.clear()

    def _ask(self) -> mcp_types.InputRequiredResult:
        self._rounds += 1
        self.attended = trio.Event()
        asked: dict[str, mcp_types.InputRequest] = {
            key: question.request for key, question in self._open.items()
        }
        state = secrets.token_urlsafe(24)
        return mcp_types.InputRequiredResult(input_requests=asked, request_state=state)

    # what its session sends

    @property
    def request_id(self) -> mcp_types.RequestId | None:
        """The request that attends to it, or has done so last."""
        return self._context.request_id

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Ask the client, who must be able to show forms.

        Raises:
            Unanswered: no answer comes.
        """
        if self._closed is not None:
            raise Unanswered(self._closed)
        request = mcp_types.ElicitRequest.model_validate({"method": method, "params": params})
        key, question = next(self._keys), _Question(request)
        self._open[key] = question
        self._changed.set()
        try:
            await question.settled.wait()
        finally:
            self._open.pop(key, None)
        if question.refused is not None:
            raise Unanswered(question.refused)
        return question.answer

    async def notify(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> None:
        """Nothing: what happens in the pool is told by the requests themselves."""

    async def progress(
        self, progress: float, total: float | None = None, message: str | None = None
    ) -> None:
        """Tell the request that attends to it, if one does."""
        if self._caller is None:
            return
        # That request may end meanwhile, and the call goes on.
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._caller.session.report_progress(progress, total, message)


@dataclass
class _Question:
    """What the client is asked."""

    request: mcp_types.ElicitRequest
    settled: trio.Event = field(default_factory=trio.Event)
    """Set when one of these is there."""
    answer: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None
    """Why there is no answer."""


def _refusal() -> mcp_types.CallToolResult:
    return error_result(
        TaskError(
            "invalid_request_state",
            "no call of this connection waits for these answers: its request_state is wrong, was "
            "used before or belongs to another call, or the client was away for more than "
            f"{ANSWER_WITHIN_S / 60:g} minutes, and what it was asked counts as denied.",
            "No task was handed over. One that was handed over before goes on: tasks shows its id, "
            "wait and result give its outcome.",
        )
    )
