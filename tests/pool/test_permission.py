"""Questions of an agent, from the line that asks to the answer: virtual time, no process."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from supervisor.pool.events import PermissionAnswered, PermissionAsked, PoolEvent
from supervisor.pool.outcome import Task
from supervisor.pool.permission import Decision, Desk, Questions, Wish, rule_for, with_reasons
from supervisor.protocol import ClaudeSession, Denial, QuestionWithdrawn, ToolQuestion


def question(command: str, number: int = 1, tool: str = "Bash") -> ToolQuestion:
    request = {"subtype": "can_use_tool", "tool_name": tool, "input": {"command": command}}
    request["tool_use_id"] = f"use-{number}"
    line = {"type": "control_request", "request_id": f"q{number}", "request": request}
    (event,) = ClaudeSession().receive(json.dumps(line).encode() + b"\n")
    assert isinstance(event, ToolQuestion)
    return event


@dataclass
class Scene:
    """A task in hand, and a person who answers as a test says."""

    task: Task
    answers: list[dict[str, Any]] = field(default_factory=list)
    events: list[PoolEvent] = field(default_factory=list)
    shown: list[Wish] = field(default_factory=list)
    taken_back: int = 0
    say: Callable[[Wish], Awaitable[Decision]] | None = None

    def __post_init__(self) -> None:
        self.questions = Questions(self.task, 7, self._answer, self._doing, self.events.append)

    def _answer(self, line: bytes) -> None:
        self.answers.append(json.loads(line)["response"]["response"])

    def _doing(self, text: str) -> None:
        self.task.doing.value = text

    async def show(self, wish: Wish) -> Decision:
        self.shown.append(wish)
        try:
            if self.say is None:
                await trio.sleep_forever()
            return await self.say(wish)
        except trio.Cancelled:
            self.taken_back += 1
            raise

    def will_say(self, decision: Decision, after_s: float = 0) -> None:
        async def say(_: Wish) -> Decision:
            await trio.sleep(after_s)
            return decision

        self.say = say

    async def ask(self, *questions: ToolQuestion) -> None:
        """Put them, and let what can happen now happen."""
        for one in questions:
            self.questions.take(one)
        await trio.testing.wait_all_tasks_blocked()

    @property
    def behaviours(self) -> list[str]:
        return [answer["behavior"] for answer in self.answers]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene(Task("coder", "x", 60, desk=Desk()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.questions.serve)
        nursery.start_soon(made.task.desk.serve, made.show)
        yield made
        nursery.cancel_scope.cancel()


async def test_a_person_is_shown_what_the_agent_wants(
    scene: Scene, autojump_clock: MockClock
) -> None:
    await scene.ask(question("rm x"))

    (wish,) = scene.shown
    assert (wish.agent, wish.task_id, wish.tool) == ("coder", scene.task.id, "Bash")
    assert wish.tool_input == {"command": "rm x"}


async def test_what_is_allowed_once_is_asked_for_the_next_time(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("once"))
    await scene.ask(question("a"))
    await scene.ask(question("a", 2))

    assert scene.behaviours == ["allow", "allow"]
    assert len(scene.shown) == 2


async def test_what_is_allowed_for_the_task_is_not_asked_for_again(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("task"))
    await scene.ask(question("a"))
    await scene.ask(question("b", 2))

    assert scene.behaviours == ["allow", "allow"]
    assert len(scene.shown) == 1


async def test_what_is_allowed_for_the_task_is_one_tool(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("task"))
    await scene.ask(question("a"))
    await scene.ask(question("b", 2, tool="Write"))

    assert [wish.tool for wish in scene.shown] == ["Bash", "Write"]


async def test_what_is_allowed_for_the_task_answers_those_that_wait(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("task"), after_s=5)
    await scene.ask(question("a"), question("b", 2))
    await trio.sleep(6)

    assert scene.behaviours == ["allow", "allow"]
    assert len(scene.shown) == 1


async def test_the_next_task_knows_nothing_of_what_this_one_was_allowed(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("task"))
    await scene.ask(question("a"))

    assert Task("coder", "y", 60).allowed_tools == set()


async def test_a_denial_is_told_to_the_agent_with_its_reason(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("deny", "the user was asked, and denied it"))
    await scene.ask(question("rm x"))

    (answer,) = scene.answers
    assert answer["behavior"] == "deny"
    assert "Bash was not allowed: the user was asked, and denied it" in answer["message"]


async def test_nobody_to_ask_is_a_denial_at_once_that_says_why() -> None:
    made = Scene(Task("coder", "x", 60))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.questions.serve)
        await made.ask(question("rm x"))
        nursery.cancel_scope.cancel()

    (answer,) = made.answers
    assert "nobody to ask: the task runs in the background" in answer["message"]
    assert "Bash(git log:*)" in answer["message"]
    assert [type(event) for event in made.events] == [PermissionAnswered]


async def test_who_goes_while_asked_has_denied(scene: Scene, autojump_clock: MockClock) -> None:
    await scene.ask(question("rm x"))
    scene.task.desk.close("the client has gone")
    await trio.testing.wait_all_tasks_blocked()

    assert "nobody to ask: the client has gone" in scene.answers[0]["message"]
    assert scene.taken_back == 1


async def test_a_question_that_the_cli_takes_back_is_taken_back_from_the_person(
    scene: Scene,
    autojump_clock: MockClock,
) -> None:
    await scene.ask(question("rm x"))
    scene.questions.take(QuestionWithdrawn("q1"))
    await trio.testing.wait_all_tasks_blocked()

    assert (scene.taken_back, scene.answers) == (1, [])
    assert [e.answer for e in scene.events if isinstance(e, PermissionAnswered)] == ["withdrawn"]


async def test_the_next_question_is_put_after_one_that_was_taken_back(
    scene: Scene, autojump_clock: MockClock
) -> None:
    await scene.ask(question("rm x"), question("rm y", 2))
    scene.questions.take(QuestionWithdrawn("q1"))
    await trio.testing.wait_all_tasks_blocked()

    assert [wish.tool_input["command"] for wish in scene.shown] == ["rm x", "rm y"]


async def test_a_withdrawal_of_what_was_never_asked_is_nothing(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.questions.take(QuestionWithdrawn("q9"))
    scene.will_say(Decision("once"))
    await scene.ask(question("a"))

    assert scene.behaviours == ["allow"]


async def test_two_questions_of_one_name_are_both_answered(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("once"))
    await scene.ask(question("a"), question("b"))

    assert scene.behaviours == ["allow", "allow"]


async def test_a_fault_in_showing_it_denies_it(scene: Scene, autojump_clock: MockClock) -> None:
    async def fail(_: Wish) -> Decision:
        raise RuntimeError("no screen")

    scene.say = fail
    await scene.ask(question("rm x"))

    assert "the question could not be shown" in scene.answers[0]["message"]


async def test_the_clock_stands_still_while_a_person_is_asked(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("once"), after_s=3600)
    before = scene.task.deadline
    await scene.ask(question("a"))
    await trio.sleep(4000)

    assert scene.task.deadline == before + 3600
    assert scene.behaviours == ["allow"]


async def test_progress_says_what_is_waited_for_and_then_what_goes_on(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("once"), after_s=5)
    await scene.ask(question("make test"))
    assert scene.task.doing.value == "waiting for permission: Bash: make test"

    await trio.sleep(6)
    assert scene.task.doing.value == "Bash: make test"


async def test_what_was_asked_and_what_came_of_it_are_events(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("deny", "no"), after_s=5)
    await scene.ask(question("make test"))
    await trio.sleep(6)

    assert scene.events == [
        PermissionAsked("coder", 7, "Bash", "make test"),
        PermissionAnswered("coder", 7, "Bash", "make test", "denied", 5.0, "no"),
    ]


async def test_a_denied_use_is_told_in_the_outcome_with_its_reason(
    scene: Scene, autojump_clock: MockClock
) -> None:
    scene.will_say(Decision("deny", "the user denied it"))
    await scene.ask(question("rm x"))
    denials = (Denial("Bash", "rm x", "use-1"), Denial("Bash", "rm y", "use-2"))

    told = with_reasons(denials, scene.task.refused_uses)
    assert [one.reason for one in told] == ["the user denied it", ""]


@pytest.mark.parametrize(
    ("tool", "rule"),
    [
        ("Bash", "Bash(git log:*)"),
        ("Write", "Write(*)"),
        ("mcp__files__read", "mcp__files__*"),
    ],
)
def test_the_rule_that_is_named_fits_the_tool(tool: str, rule: str) -> None:
    assert rule_for(tool) == rule
