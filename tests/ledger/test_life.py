"""What happens to a task is on record: at once for whoever asks, soon on the disk."""

from pathlib import Path
from typing import Any

import pytest

from supervisor.ledger import Attempt, Failure, Ledger, TaskRecord, Usage
from tests.ledger.stage import NOW, Clock, accepted, opened, task


async def got(ledger: Ledger, task_id: str = "t-1") -> TaskRecord:
    record = await ledger.get(task_id)
    assert record is not None
    return record


async def reopened(folder: Path, task_id: str = "t-1") -> TaskRecord:
    async with opened(folder) as ledger:
        return await got(ledger, task_id)


async def test_everything_of_a_task_comes_back_after_a_restart(tmp_path: Path) -> None:
    asked = task(
        caller="claude-code #1",
        priority="high",
        conversation="the review",
        background=True,
        deadline=NOW + 60,
    )
    async with opened(tmp_path) as ledger:
        await ledger.accept(asked, "do it")
        ledger.started("t-1", 4711, definition_hash="d1", at=NOW + 1)
        ledger.attempt_ended("t-1", exit_status=-9, why="crashed", at=NOW + 2)
        ledger.started("t-1", 4712, definition_hash="d2", at=NOW + 3)
        failure = Failure("It took too long.", "Give it more time.", {"waited_s": 1.0, "n": [1]})
        ledger.ended(
            "t-1", "deadline_exceeded", failure=failure, usage=Usage(1, 2, 3, 4), cost_usd=0.5,
            cost_is_lower_bound=True, at=NOW + 60,
        )  # fmt: skip
        ledger.attempt_ended("t-1", exit_status=0, why="interrupted", at=NOW + 61)
        last = await got(ledger)

    assert await reopened(tmp_path) == last
    assert last == TaskRecord(
        "t-1", "reviewer", NOW, "claude-code #1", "high", "the review", "always", True, NOW + 60,
        "d2", 1, "ended", NOW + 1, NOW + 60,
        (
            Attempt(1, 4711, NOW + 1, NOW + 2, -9, "crashed"),
            Attempt(2, 4712, NOW + 3, NOW + 61, 0, "interrupted"),
        ),
        "deadline_exceeded", failure, Usage(1, 2, 3, 4), 0.5, True, 5, 0, None,
    )  # fmt: skip


async def test_what_was_told_is_seen_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        told = ledger.started("t-1", 4711)

        assert await got(ledger) == told
        assert (await ledger.tasks()) == (told,)


async def test_what_was_told_is_written_soon(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        assert ledger.unwritten == 1
        told = await ledger.written("t-1")

        assert ledger.unwritten == 0
        async with opened(tmp_path) as other:
            assert await got(other) == told


async def test_times_are_the_clocks_where_none_are_given(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock=clock) as ledger:
        await accepted(ledger, "t-1")
        clock.now += 3
        ledger.started("t-1", 4711)
        clock.now += 4
        record = ledger.ended("t-1", "result", reply="done")

    assert (record.waited_s, record.ran_s) == (3, 4)


@pytest.mark.parametrize(
    ("started_at", "ended_at", "waited_s", "ran_s"),
    [
        (None, None, None, None),
        (2.0, None, 2.0, None),
        (2.0, 5.0, 2.0, 3.0),
        (None, 5.0, 5.0, None),
    ],
)
async def test_waiting_and_running_follow_from_the_times(
    tmp_path: Path,
    started_at: float | None,
    ended_at: float | None,
    waited_s: float | None,
    ran_s: float | None,
) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        if started_at is not None:
            ledger.started("t-1", 4711, at=NOW + started_at)
        if ended_at is not None:
            ledger.ended("t-1", "cancelled", at=NOW + ended_at)
        record = await got(ledger)

    assert (record.waited_s, record.ran_s) == (waited_s, ran_s)


async def test_a_clock_that_is_set_back_makes_no_negative_times(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711, at=NOW - 5)
        record = ledger.ended("t-1", "result", at=NOW - 9)

    assert (record.waited_s, record.ran_s) == (0, 0)


async def test_a_result_ends_the_attempt(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711, at=NOW + 1)
        record = ledger.ended("t-1", "result", at=NOW + 2)

    assert record.attempts == (Attempt(1, 4711, NOW + 1, NOW + 2, None, ""),)


async def test_an_error_leaves_the_attempt_open(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        record = ledger.ended("t-1", "cancelled")

    assert record.attempt_is_open


async def test_a_task_whose_attempt_failed_is_queued_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        ledger.attempt_ended("t-1", why="crashed")
        record = await got(ledger)

    assert record.state == "queued"
    assert record.started_at is not None


async def test_a_task_has_one_outcome(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        ledger.ended("t-1", "cancelled")

        with pytest.raises(ValueError, match="has its outcome already: cancelled"):
            ledger.ended("t-1", "result", reply="done")


async def test_a_task_that_is_done_with_is_no_longer_in_memory(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        ledger.ended("t-1", "result", reply="done")
        await ledger.written("t-1")

        with pytest.raises(ValueError, match="not open"):
            ledger.ended("t-1", "result", reply="done")
        assert (await got(ledger)).outcome == "result"


@pytest.mark.parametrize("call", ["started", "attempt_ended", "billed", "ended"])
async def test_a_task_that_was_never_accepted_cannot_change(tmp_path: Path, call: str) -> None:
    values = {"started": (4711,), "ended": ("result",)}.get(call, ())
    async with opened(tmp_path) as ledger:
        with pytest.raises(ValueError, match="t-9 is not open"):
            getattr(ledger, call)("t-9", *values)


async def test_one_attempt_comes_after_the_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        with pytest.raises(ValueError, match="no open attempt"):
            ledger.attempt_ended("t-1")
        ledger.started("t-1", 4711)
        with pytest.raises(ValueError, match="is running, not queued"):
            ledger.started("t-1", 4712)


async def test_the_bill_of_a_killed_task_comes_after_its_outcome(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        ledger.ended("t-1", "deadline_exceeded")
        await ledger.written("t-1")
        ledger.billed("t-1", Usage(10, 20), 0.25)
        ledger.attempt_ended("t-1", exit_status=-9)
    record = await reopened(tmp_path)

    assert (record.usage, record.cost_usd) == (Usage(10, 20), 0.25)
    assert record.cost_is_lower_bound


async def test_what_was_billed_stands_where_the_end_tells_nothing_better(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.billed("t-1", Usage(10), 0.25)
        record = ledger.ended("t-1", "agent_crashed")

    assert (record.usage, record.cost_usd, record.cost_is_lower_bound) == (Usage(10), 0.25, True)


async def test_the_end_tells_the_final_bill(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.billed("t-1", Usage(10), 0.25)
        record = ledger.ended("t-1", "result", usage=Usage(30), cost_usd=0.75)

    assert (record.usage, record.cost_usd, record.cost_is_lower_bound) == (Usage(30), 0.75, False)


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -1.0, 1e300])
async def test_a_cost_that_is_none_costs_no_task_its_outcome(tmp_path: Path, cost: float) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", cost_usd=cost, usage=Usage(-5, 10**30))
    record = await reopened(tmp_path)

    assert (record.outcome, record.cost_usd) == ("result", None)
    assert record.usage == Usage(0, 10**12)


async def test_what_json_has_no_form_for_is_told_all_the_same(tmp_path: Path) -> None:
    data: dict[Any, Any] = {"where": Path("/x"), "pair": (1, 2), 3: b"\xff"}
    failure = Failure("It failed.", data=data)
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        told = ledger.ended("t-1", "agent_failed", failure=failure).failure
    assert (await reopened(tmp_path)).failure == told

    assert told is not None
    assert told.data == {"where": "PosixPath('/x')", "pair": [1, 2], "3": "b'\\xff'"}


async def test_nobody_knows_a_task_that_never_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        assert await ledger.get("t-9") is None
        assert await ledger.written("t-9") is None
        assert await ledger.text_of("t-9") is None
        assert await ledger.reply_of("t-9") is None
        assert await ledger.reply_part("t-9", 1) is None


async def test_the_files_are_this_users_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="x", reply_in_file=True)
        await ledger.written("t-1")

        found = modes(tmp_path)
        assert found.pop("replies") == 0o700
        assert len(found) == 4  # with -wal, -shm and the reply
        assert set(found.values()) == {0o600}


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*")}
