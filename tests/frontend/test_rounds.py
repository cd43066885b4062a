"""A wish of an agent over MCP 2026-07-28: a call is answered with the question, and made again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing

from supervisor.frontend import FrontEnd
from supervisor.frontend._questions import GONE, question
from supervisor.frontend._rounds import ANSWER_WITHIN_S, NOT_BACK, ROUNDS, WORN_OUT
from supervisor.place import Place
from supervisor.pool import Desk, Pool, Task, TaskResult, Wish
from supervisor.protocol import Usage
from tests.client import until
from tests.frontend.conftest import CONFIG
from tests.frontend.stage import MODERN_VERSION, Message, Raw, serving

META = "io.modelcontextprotocol"
ON: Message = {"agent": "coder", "task": "1 and on"}
FORMS: Message = {f"{META}/clientCapabilities": {"elicitation": {"form": {}}}}


class AskingPool:
    """A pool whose agents ask as often as their task says, and end with what came of it.

    With a second word in the task, they work on for ever.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.config = CONFIG
        self.tasks: list[Task] = []
        self.cancelled: list[Task] = []
        self.lost: list[Task] = []

    async def submit(
        self, name: str, text: str, timeout_s: float | None = None, *, desk: Desk, **_: object
    ) -> Task:
        task = Task(name, text, 60, desk=desk)
        times = int(text.split()[0])
        self.tasks.append(task)
        self._nursery.start_soon(self._work, task, times)
        return task

    async def _work(self, task: Task, times: int) -> None:
        said = []
        for number in range(times):
            with task.clock.stopped():
                decision = await task.desk.ask(wish(task, number))
            said.append(f"{decision.answer}: {decision.reason}")
        if " " in task.text:
            task.doing.value = "works on"
            await trio.sleep_forever()
        task.settle(TaskResult("; ".join(said), Usage(), None, None))

    def place_in_queue(self, task: Task) -> None:
        """It waits for nobody."""

    async def recorded(self, task: Task) -> None:
        await task.settled.wait()

    def end(self, task: Task) -> None:
        """Have it ended from elsewhere."""
        task.settle(TaskResult("ended", Usage(), None, None))

    def cancel(self, task: Task) -> None:
        self.cancelled.append(task)

    def client_lost(self, task: Task) -> None:
        self.lost.append(task)


def wish(task: Task, number: int) -> Wish:
    return Wish(task.agent, task.id, "Bash", {"command": f"make {number}"}, "")


class Asked(Raw):
    """A client that declares that it shows forms, and calls a tool in rounds."""

    async def begin_call(self, tool: str = "invoke", **arguments: Any) -> int:
        return await self.start("tools/call", name=tool, arguments=arguments, _meta=FORMS)

    async def call(self, tool: str = "invoke", **arguments: Any) -> Message:
        return await self.result("tools/call", name=tool, arguments=arguments, _meta=FORMS)

    async def go_on(self, asked: Message, tool: str = "invoke", **arguments: Any) -> Message:
        """The call again, with the same answer to all that was asked: `answer` and `action`."""
        params = answers(asked, arguments.pop("answer", "allow once"), arguments.pop("action", ""))
        return await self.result(
            "tools/call", name=tool, arguments=arguments, _meta=FORMS, **params
        )


def answers(asked: Message, answer: str, action: str = "") -> Message:
    """What goes back with the call when all that was asked is answered so."""
    one = {"action": action} if action else {"action": "accept", "content": {"answer": answer}}
    return {
        "requestState": asked["requestState"],
        "inputResponses": dict.fromkeys(asked["inputRequests"], one),
    }


def messages(asked: Message) -> list[str]:
    assert asked["resultType"] == "input_required"
    return [one["params"]["message"] for one in asked["inputRequests"].values()]


def text(result: Message) -> str:
    assert result["resultType"] == "complete"
    found: str = result["content"][0]["text"]
    return found


@pytest.fixture
async def pool() -> AsyncIterator[AskingPool]:
    async with trio.open_nursery() as nursery:
        yield AskingPool(nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture
def front_end(pool: AskingPool, faults: list[Exception], tmp_path: Path) -> FrontEnd:
    place = Place(str(tmp_path), {"HOME": str(tmp_path)})
    return FrontEnd(cast(Pool, pool), place, {}, faults.append)


@pytest.fixture
async def client(front_end: FrontEnd, nursery: trio.Nursery) -> Asked:
    return connect(front_end, nursery)


def connect(front_end: FrontEnd, nursery: trio.Nursery) -> Asked:
    ours, theirs = trio.testing.memory_stream_pair()
    nursery.start_soon(front_end.serve_stream, theirs)
    return Asked(ours, MODERN_VERSION)


async def test_a_call_is_answered_with_the_question_and_goes_on_with_the_answer(
    client: Asked, pool: AskingPool
) -> None:
    asked = await client.call(agent="coder", task="1")
    assert messages(asked) == [question(wish(pool.tasks[0], 0))]

    assert text(await client.go_on(asked, agent="coder", task="1")) == "once: "
    assert len(pool.tasks) == 1


@pytest.mark.parametrize(
    ("action", "answer", "said"),
    [
        ("", "allow for this task", "task: "),
        ("", "deny", "deny: the user was asked, and denied it"),
        ("", "whatever", "deny: the question was answered with none of its choices"),
        ("decline", "", "deny: the user was asked, and denied it"),
        ("cancel", "", "deny: the question was dismissed without an answer"),
    ],
)
async def test_answers_mean_what_they_mean_in_older_versions(
    client: Asked, action: str, answer: str, said: str
) -> None:
    asked = await client.call(agent="coder", task="1")
    done = await client.go_on(asked, agent="coder", task="1", action=action, answer=answer)

    assert text(done) == said


async def test_an_answer_that_is_no_form_allows_nothing(client: Asked) -> None:
    asked = await client.call(agent="coder", task="1")
    given = answers(asked, "") | {"inputResponses": {"1": {"roots": []}}}
    done = await client.result(
        "tools/call", name="invoke", arguments={"agent": "coder", "task": "1"}, **given
    )

    assert text(done) == "deny: the question was answered with none of its choices"


async def test_one_question_comes_after_the_other(client: Asked, pool: AskingPool) -> None:
    first = await client.call(agent="coder", task="2")
    second = await client.go_on(first, agent="coder", task="2")
    assert messages(second) == [question(wish(pool.tasks[0], 1))]

    assert text(await client.go_on(second, agent="coder", task="2", answer="deny")) == (
        "once: ; deny: the user was asked, and denied it"
    )


async def test_what_is_not_answered_is_asked_once_more(client: Asked) -> None:
    asked = await client.call(agent="coder", task="1")
    again = await client.go_on(asked | {"inputRequests": {}}, agent="coder", task="1")

    assert messages(again) == messages(asked)


async def test_many_tasks_ask_in_one_result(client: Asked, pool: AskingPool) -> None:
    tasks = [{"agent": "coder", "task": "1"}, {"agent": "tester", "task": "1"}]
    asked = await client.call("invoke_many", tasks=tasks)
    assert set(messages(asked)) == {question(wish(task, 0)) for task in pool.tasks}

    done = await client.go_on(asked, "invoke_many", tasks=tasks)
    assert [block["text"].split("\n")[1] for block in done["content"]] == ["once: ", "once: "]


async def test_a_consultation_asks_too(client: Asked) -> None:
    asked = await client.call("consult", agent="coder", task="1")

    assert text(await client.go_on(asked, "consult", agent="coder", task="1")) == "once: "


async def test_a_client_that_shows_no_forms_is_nobody_to_ask(client: Asked) -> None:
    arguments = {"agent": "coder", "task": "1"}
    done = await client.result("tools/call", name="invoke", arguments=arguments)

    assert text(done).startswith("deny: nobody to ask: the client that called shows no questions")


async def test_of_a_client_that_does_not_come_back_the_question_is_denied(
    client: Asked, pool: AskingPool, autojump_clock: trio.testing.MockClock
) -> None:
    asked = await client.call(agent="coder", task="2")
    asked_at = trio.current_time()
    await pool.tasks[0].settled.wait()
    assert trio.current_time() - asked_at == pytest.approx(ANSWER_WITHIN_S)

    outcome = pool.tasks[0].outcome
    assert isinstance(outcome, TaskResult)
    assert outcome.text == "; ".join([f"deny: nobody to ask: {NOT_BACK}"] * 2)
    late = await client.go_on(asked, agent="coder", task="2")
    assert text(late).startswith("invalid_request_state: ")
    assert pool.cancelled == []
    assert len(pool.tasks) == 1


async def test_a_call_asks_no_more_often_than_clients_take(client: Asked) -> None:
    task = str(ROUNDS + 1)
    asked = await client.call(agent="coder", task=task)
    for _ in range(ROUNDS - 1):
        asked = await client.go_on(asked, agent="coder", task=task)

    done = text(await client.go_on(asked, agent="coder", task=task)).split("; ")
    assert done == [*["once: "] * ROUNDS, f"deny: nobody to ask: {WORN_OUT}"]


@pytest.mark.parametrize(
    "wrong", [{"requestState": "?"}, {"inputResponses": {}}, {"requestState": ""}]
)
async def test_a_wrong_state_is_an_error_and_hands_over_nothing(
    client: Asked, pool: AskingPool, wrong: Message
) -> None:
    arguments = {"agent": "coder", "task": "1"}
    done = await client.result("tools/call", name="invoke", arguments=arguments, **wrong)

    assert done["isError"]
    assert text(done).startswith("invalid_request_state: ")
    assert pool.tasks == []


async def test_a_state_is_good_for_one_request(client: Asked, pool: AskingPool) -> None:
    asked = await client.call(agent="coder", task="1")
    await client.go_on(asked, agent="coder", task="1")
    again = await client.go_on(asked, agent="coder", task="1")

    assert text(again).startswith("invalid_request_state: ")
    assert len(pool.tasks) == 1


async def test_a_state_is_no_good_with_another_call_and_stays_good_with_its_own(
    client: Asked,
) -> None:
    asked = await client.call(agent="coder", task="1")
    other = await client.go_on(asked, agent="coder", task="other")

    assert text(other).startswith("invalid_request_state: ")
    assert text(await client.go_on(asked, agent="coder", task="1")) == "once: "


async def test_a_state_is_no_good_on_another_connection(
    client: Asked, front_end: FrontEnd, nursery: trio.Nursery
) -> None:
    asked = await client.call(agent="coder", task="1")
    other = await connect(front_end, nursery).go_on(asked, agent="coder", task="1")

    assert text(other).startswith("invalid_request_state: ")


async def at_work(client: Asked, asked: Message) -> int:
    """Make the call again that was asked; returns its id once it is told that its task works on."""
    number = await client.start(
        "tools/call",
        name="invoke",
        arguments=ON,
        _meta=FORMS | {"progressToken": "again"},
        **answers(asked, "allow once"),
    )
    told = await client.notice("notifications/progress")
    while "works on" not in told["message"]:
        told = await client.notice("notifications/progress")
    assert told["progressToken"] == "again"
    return number


async def test_the_call_that_goes_on_is_told_the_progress_and_can_be_cancelled(
    client: Asked, pool: AskingPool
) -> None:
    number = await at_work(client, await client.call(**ON))
    await client.send({"method": "notifications/cancelled", "params": {"requestId": number}})
    await client.result("tools/list")

    assert pool.cancelled == pool.tasks
    assert pool.lost == []


async def test_a_client_that_goes_while_it_is_asked_is_lost_to_its_task(
    client: Asked, pool: AskingPool
) -> None:
    await client.call(**ON)
    await client.close()
    while not pool.lost:
        await trio.testing.wait_all_tasks_blocked()

    assert pool.lost == pool.tasks
    assert pool.cancelled == []
    assert pool.tasks[0].desk.closed == GONE


async def test_a_client_that_goes_when_it_was_asked_is_lost_to_its_task(
    client: Asked, pool: AskingPool
) -> None:
    await at_work(client, await client.call(**ON))
    await client.close()
    await until(lambda: pool.lost, "the loss")

    assert pool.lost == pool.tasks
    assert pool.cancelled == []


async def test_a_call_whose_task_is_ended_while_it_asks_goes_on_with_the_outcome(
    client: Asked, pool: AskingPool
) -> None:
    asked = await client.call(**ON)
    pool.end(pool.tasks[0])

    assert text(await client.go_on(asked, **ON)) == "ended"


async def test_a_fault_of_the_pool_while_a_call_is_held_is_told_and_ends_no_other(
    client: Asked, pool: AskingPool, faults: list[Exception]
) -> None:
    failed = await client.call(agent="coder", task="no number")
    assert text(failed).startswith("internal_error: ")
    assert len(faults) == 1

    asked = await client.call(agent="coder", task="1")
    assert text(await client.go_on(asked, agent="coder", task="1")) == "once: "


async def test_a_command_that_is_allowed_over_two_rounds_runs(tmp_path: Path) -> None:
    call = {"agent": "coder", "task": "[[bash touch made-a]] [[bash touch made-b]]"}
    async with serving(tmp_path, coder="tools: Bash\npermissionMode: ask") as stage:
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.front_end.serve_stream, theirs)
            client = Asked(ours, MODERN_VERSION)
            asked = await client.call(**call)
            assert "  | touch made-a" in messages(asked)[0].split("\n")
            text(await client.go_on(asked, **call, answer="allow for this task"))
            await client.close()
        made = {path.name for path in stage.project.folder.glob("made-*")}

    assert made == {"made-a", "made-b"}
