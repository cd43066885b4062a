"""Asking a person whether an agent may use a tool.

With `permission_mode = "ask"` the CLI asks its host for what it would have asked a person at its
own terminal. The worker puts that question to the task's *desk*, where the call that waits for the
task picks it up and shows it to whoever made the call. Nobody there is a denial at once.

"Allowed for the task" is remembered here, with the task. The CLI has rules of its own that would do
the same, but they live on when its context is cleared (measured), and so would reach the next task.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import trio

from supervisor.pool.clock import Clock
from supervisor.pool.events import PermissionAnswered, PermissionAsked, PoolEvent
from supervisor.protocol import Denial, QuestionWithdrawn, ToolQuestion

IN_BACKGROUND = "the task runs in the background"
"""Why nobody can be asked about a task that no call waits for."""

DENIED = "the user was asked, and denied it"
"""Why a use is refused that a person has denied."""

Answer = Literal["once", "task", "deny"]
"""Allowed this time; allowed each time in this task; denied."""


@dataclass(frozen=True)
class Wish:
    """What an agent wants to do."""

    agent: str
    """The agent."""
    task_id: str
    """The task."""
    tool: str
    """The tool's name."""
    tool_input: Mapping[str, Any]
    """What it is to do: the agent can have written anything there."""
    why: str
    """Why the CLI asks, in its words; empty where it does not say."""


@dataclass(frozen=True)
class Decision:
    """What came of a wish."""

    answer: Answer
    """Whether it is granted."""
    reason: str = ""
    """Why it is not, in a few words."""


Show = Callable[[Wish], Awaitable[Decision]]
"""Shows a wish to a person, and returns the answer; cancelled, it takes the question back."""


@dataclass(eq=False)
class _Open:
    """A wish that waits for its answer."""

    wish: Wish
    answered: trio.Event = field(default_factory=trio.Event)
    withdraw: trio.CancelScope = field(default_factory=trio.CancelScope)
    decision: Decision | None = None

    def settle(self, decision: Decision) -> None:
        """Give the answer; the first counts."""
        if self.decision is None:
            self.decision = decision
            self.answered.set()


class Desk:
    """Where questions wait for the call that can show them to a person."""

    def __init__(self, closed: str | None = None) -> None:
        """`closed`: why nobody can be asked, if that is so from the start."""
        self.closed = closed
        """Why nobody can be asked; None: somebody can."""
        self._open: set[_Open] = set()
        self._put, self._come = trio.open_memory_channel[_Open](float("inf"))

    async def ask(self, wish: Wish) -> Decision:
        """What a person says to it; cancelled, the question is taken back from that person."""
        if self.closed is not None:
            return nobody(self.closed)
        one = _Open(wish)
        self._open.add(one)
        self._put.send_nowait(one)
        try:
            await one.answered.wait()
        finally:
            self._open.discard(one)
            one.withdraw.cancel()
        assert one.decision is not None
        return one.decision

    async def serve(self, show: Show) -> None:
        """Show what is asked, all of it at once, until cancelled."""
        async with trio.open_nursery() as nursery:
            async for one in self._come:
                nursery.start_soon(_show, one, show)

    def close(self, why: str) -> None:
        """Nobody can be asked any more; who waits for an answer gets a denial."""
        if self.closed is None:
            self.closed = why
        for one in self._open:
            one.settle(nobody(self.closed))


async def _show(one: _Open, show: Show) -> None:
    with one.withdraw:
        try:
            one.settle(await show(one.wish))
        except Exception as error:
            # A fault in showing it must neither allow it, nor leave the agent waiting.
            one.settle(nobody(f"the question could not be shown: {error!r}"))


def nobody(why: str) -> Decision:
    """Denied, since nobody can be asked."""
    return Decision("deny", f"nobody to ask: {why}")


class Asked(Protocol):
    """What is needed of a task to ask about it."""

    id: str
    agent: str
    desk: Desk
    clock: Clock
    allowed_tools: set[str]
    refused_uses: dict[str, str]


class Questions:
    """The questions of one attempt at a task. The worker runs `serve` beside it."""

    def __init__(
        self,
        task: Asked,
        pid: int,
        answer: Callable[[bytes], None],
        doing: Callable[[str], None],
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """For one task and process.

        Args:
            task: the task.
            pid: the process that has it.
            answer: takes a line for that process.
            doing: told what happens.
            emit: where events go.
        """
        self._task = task
        self._pid = pid
        self._answer = answer
        self._doing = doing
        self._emit = emit
        self._asking: dict[str | int, trio.CancelScope] = {}
        self._turn = trio.Lock()
        self._put, self._come = trio.open_memory_channel[tuple[ToolQuestion, trio.CancelScope]](
            float("inf")
        )

    def take(self, event: ToolQuestion | QuestionWithdrawn) -> None:
        """The process asks, or takes its question back."""
        if isinstance(event, ToolQuestion):
            withdrawn = self._asking[event.request_id] = trio.CancelScope()
            self._put.send_nowait((event, withdrawn))
        elif (scope := self._asking.get(event.request_id)) is not None:
            scope.cancel()

    async def serve(self) -> None:
        """Have each question answered, until cancelled: then those that are open are dropped."""
        async with trio.open_nursery() as nursery:
            async for question, withdrawn in self._come:
                nursery.start_soon(self._settle, question, withdrawn)

    async def _settle(self, question: ToolQuestion, withdrawn: trio.CancelScope) -> None:
        decision, began = None, trio.current_time()
        try:
            with withdrawn:
                decision = await self._decide(question)
        finally:
            if self._asking.get(question.request_id) is withdrawn:
                del self._asking[question.request_id]
            self._tell(question, decision, trio.current_time() - began)
        if decision is None:
            return
        if decision.answer == "deny":
            self._task.refused_uses[question.use_id] = decision.reason
            self._answer(question.refusal(_told(question, decision.reason)))
        else:
            self._answer(question.allowance)

    async def _decide(self, question: ToolQuestion) -> Decision:
        task = self._task
        # One after the other: what is allowed for the task answers those that wait, too.
        async with self._turn:
            if question.tool in task.allowed_tools:
                return Decision("task")
            if task.desk.closed is not None:
                return nobody(task.desk.closed)
            use = f"{question.tool}: {question.detail}" if question.detail else question.tool
            self._emit(PermissionAsked(task.agent, self._pid, question.tool, question.detail))
            self._doing(f"waiting for permission: {use}")
            wish = Wish(task.agent, task.id, question.tool, question.tool_input, question.why)
            with task.clock.stopped():
                decision = await task.desk.ask(wish)
            self._doing(use)
            if decision.answer == "task":
                task.allowed_tools.add(question.tool)
            return decision

    def _tell(self, question: ToolQuestion, decision: Decision | None, seconds: float) -> None:
        self._emit(
            PermissionAnswered(
                self._task.agent,
                self._pid,
                question.tool,
                question.detail,
                "withdrawn" if decision is None else _WORDS[decision.answer],
                round(seconds, 3),
                decision.reason or None if decision is not None else None,
            )
        )


_WORDS = {"once": "allowed once", "task": "allowed for the task", "deny": "denied"}


def _told(question: ToolQuestion, reason: str) -> str:
    """What the agent is told whose wish is denied."""
    return (
        f"{question.tool} was not allowed: {reason}. Do not try the same again: go on without it, "
        "or say in your answer what you could not do, and what for. The user can allow it unasked "
        f"by a rule such as {rule_for(question.tool)} in this agent's tools, or by another "
        "permission_mode."
    )


def rule_for(tool: str) -> str:
    """A rule, as an example, that allows uses of a tool unasked."""
    if tool.startswith("mcp__"):
        return f"{'__'.join(tool.split('__')[:2])}__*"
    return "Bash(git log:*)" if tool == "Bash" else f"{tool}(*)"


def with_reasons(denials: tuple[Denial, ...], refused: Mapping[str, str]) -> tuple[Denial, ...]:
    """The refused uses, those that somebody decided with the reason; `refused` is by use."""
    return tuple(replace(one, reason=refused.get(one.use_id, "")) for one in denials)
