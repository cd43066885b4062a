"""What callers are told while they wait, on a pool at work."""

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervisor.frontend._progress import Steps
from tests.client import LIMIT_S
from tests.frontend.stage import Stage, serving


@given(st.lists(st.integers(0, 5), max_size=50).map(sorted))
def test_the_progress_of_many_only_grows_and_stays_below_what_is_not_done(done: list[int]) -> None:
    steps = Steps()
    told = [steps.next(number) for number in done]

    assert all(before < after for before, after in itertools.pairwise(told))
    assert all(number <= value < number + 1 for number, value in zip(done, told, strict=True))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with serving(tmp_path, coder="tools: Bash") as stage:
        yield stage


async def first_report(
    stage: Stage, wanted: Callable[[str], bool], tool: str, **arguments: Any
) -> str:
    """The first message of that kind while the call goes on, which is cancelled then."""
    found = ""
    async with stage.client() as client:
        with trio.fail_after(LIMIT_S), trio.CancelScope() as call:

            async def note(progress: float, total: float | None, message: str | None) -> None:
                nonlocal found
                if wanted(message or ""):
                    found = message or ""
                    call.cancel()

            await client.call_tool(tool, arguments, progress_callback=note)
    assert found
    return found


async def test_a_task_that_waits_is_told_its_place(stage: Stage) -> None:
    busy = await stage.pool.submit("coder", "[[hang]]")
    with trio.fail_after(LIMIT_S):
        await busy.doing.wait_value("working")
    await stage.pool.submit("coder", "[[hang]]", priority="high")

    said = await first_report(
        stage, lambda message: "place" in message, "invoke", agent="coder", task="x"
    )

    assert said.startswith("coder: waiting in the queue, place 2 of 2 (0 s; task t-")


async def test_a_task_at_work_is_told_what_it_does_and_its_tokens(stage: Stage) -> None:
    said = await first_report(
        stage,
        lambda message: "tokens" in message,
        "invoke",
        agent="coder",
        task="[[bash sleep 60]]",
    )

    assert said.startswith("coder: Bash: sleep 60 (")


async def test_many_tasks_are_told_how_many_are_done_and_what_the_first_do(stage: Stage) -> None:
    tasks = [{"agent": "coder", "task": "[[hang]]"} for _ in range(5)]

    said = await first_report(
        stage, lambda message: "place 4" in message or "more" in message, "invoke_many", tasks=tasks
    )

    assert said.startswith("0 of 5 done; coder: ")
    assert said.endswith("; and 2 more")
