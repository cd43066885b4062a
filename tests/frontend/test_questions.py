"""A wish of an agent, as the front end shows it to the client that called: both protocols."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import mcp_types
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from supervisor.frontend import FrontEnd
from supervisor.frontend._calls import CLIENT
from supervisor.frontend._calls import Client as Connection
from supervisor.frontend._questions import question
from supervisor.place import Place
from supervisor.pool import Desk, Pool, Task, TaskResult, Wish
from supervisor.protocol import Usage
from tests.frontend.conftest import CONFIG

Mode = Literal["legacy", "auto"]
WISH = Wish("coder", "t-1", "Bash", {"command": "make"}, "")


class AskingPool:
    """A pool whose agent asks one thing, and ends with what came of it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.config = CONFIG

    async def submit(
        self, name: str, text: str, timeout_s: float | None = None, *, desk: Desk, **_: object
    ) -> Task:
        task = Task(name, text, 60, desk=desk)
        self._nursery.start_soon(self._work, task)
        return task

    async def _work(self, task: Task) -> None:
        decision = await task.desk.ask(WISH)
        text = f"{decision.answer}: {decision.reason}"
        task.settle(TaskResult(text, Usage(), None, None))

    def place_in_queue(self, task: Task) -> None:
        """It waits for nobody."""

    async def recorded(self, task: Task) -> None:
        await task.settled.wait()


class Person:
    """Answers what the client is asked."""

    def __init__(self, action: str = "accept", **content: Any) -> None:
        self._answer = {"action": action, "content": content or None}
        self.asked: list[str] = []

    async def __call__(self, context: Any, params: Any) -> mcp_types.ElicitResult:
        self.asked.append(params.message)
        return mcp_types.ElicitResult.model_validate(self._answer)


@asynccontextmanager
async def connected(tmp_path: Path, mode: Mode, person: Person | None) -> AsyncIterator[Client]:
    place = Place(str(tmp_path), {"HOME": str(tmp_path)})
    async with trio.open_nursery() as nursery:
        pool = cast(Pool, AskingPool(nursery))
        CLIENT.set(Connection())
        server = FrontEnd(pool, place, {}, lambda _: None)._server
        async with Client(server, mode=mode, elicitation_callback=person) as client:
            yield client
        nursery.cancel_scope.cancel()


async def outcome(client: Client) -> str:
    result = await client.call_tool("invoke", {"agent": "coder", "task": "x"})
    (block,) = result.content
    assert isinstance(block, mcp_types.TextContent)
    return block.text


async def test_a_client_that_shows_questions_is_asked(tmp_path: Path) -> None:
    person = Person(answer="allow once")
    async with connected(tmp_path, "legacy", person) as client:
        assert await outcome(client) == "once: "

    assert person.asked == [question(WISH)]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_that_shows_none_is_nobody_to_ask(tmp_path: Path, mode: Mode) -> None:
    async with connected(tmp_path, mode, None) as client:
        assert "nobody to ask: the client that called shows no" in await outcome(client)


@given(text=st.text(st.characters(exclude_categories=())))
def test_every_line_of_an_agents_words_is_behind_a_bar(text: str) -> None:
    plain = question(WISH).split("\n")
    wish = Wish("coder", "t-1", "Bash", {"command": text}, text)

    for line in question(wish).split("\n"):
        assert line.isprintable()
        known = line in plain or line == "Why it is asked:" or line.endswith("not shown here)")
        assert known or line.startswith("  | ")


def test_many_values_are_cut_and_it_is_said_so() -> None:
    shown = question(Wish("coder", "t-1", "X", {f"k{n}": n for n in range(20)}, ""))

    assert "(8 more values are not shown)" in shown


def test_many_lines_are_cut_and_it_is_said_so() -> None:
    shown = question(Wish("coder", "t-1", "X", {"a": "\n".join(map(str, range(100)))}, ""))

    assert "(60 lines are not shown here)" in shown
    assert "  | 99" in shown.split("\n")
