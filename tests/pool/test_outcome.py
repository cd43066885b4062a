"""A task has one outcome, whoever comes with another."""

import math

import pytest
import trio
from trio.testing import MockClock

from supervisor.pool.outcome import Task, TaskError, TaskResult
from supervisor.protocol import Usage

RESULT = TaskResult("done", Usage(), None, None)
ERROR = TaskError("cancelled", "it was cancelled.")


async def test_the_first_outcome_wins() -> None:
    task = Task("a", "do it", 60)

    assert task.settle(RESULT)
    assert not task.settle(ERROR)
    assert task.outcome is RESULT


async def test_whoever_waits_learns_of_the_outcome(autojump_clock: MockClock) -> None:
    task = Task("a", "do it", 60)

    async def settle_later() -> None:
        await trio.sleep(1)
        task.settle(ERROR)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(settle_later)
        with trio.fail_after(60):
            await task.settled.wait()

    assert task.outcome is ERROR


async def test_the_worker_that_has_the_task_is_told_once() -> None:
    told: list[int] = []
    task = Task("a", "do it", 60)
    task.on_settled = lambda: told.append(1)

    task.settle(RESULT)
    task.settle(ERROR)

    assert told == [1]


async def test_a_task_that_waits_has_not_run(autojump_clock: MockClock) -> None:
    task = Task("a", "do it", 60)
    await trio.sleep(3)

    assert task.times() == {"waited_s": 3, "ran_s": 0}


async def test_waiting_ends_where_running_begins(autojump_clock: MockClock) -> None:
    task = Task("a", "do it", 60)
    await trio.sleep(3)
    task.started_at = trio.current_time()
    await trio.sleep(4)

    assert task.times() == {"waited_s": 3, "ran_s": 4}


async def test_the_times_stand_still_once_it_is_settled(autojump_clock: MockClock) -> None:
    task = Task("a", "do it", 60)
    task.started_at = trio.current_time()
    await trio.sleep(4)
    task.settle(RESULT)
    await trio.sleep(100)
    task.settle(ERROR)

    assert task.times() == {"waited_s": 0, "ran_s": 4}
    assert task.ended_at == trio.current_time() - 100


async def test_the_deadline_counts_from_acceptance(autojump_clock: MockClock) -> None:
    task = Task("a", "do it", 60)
    accepted_at = trio.current_time()
    await trio.sleep(3)
    task.started_at = trio.current_time()

    assert task.deadline == accepted_at + 60
    assert task.ended_at == math.inf


async def test_no_two_tasks_have_one_name() -> None:
    assert len({Task("a", "do it", 60).id for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TaskError("code", "It failed."), "code: It failed."),
        (TaskError("code", "It failed.", "Try again."), "code: It failed. Try again."),
    ],
)
async def test_an_error_reads_code_message_advice(error: TaskError, text: str) -> None:
    assert str(error) == text
