"""A task is accepted when it is on record, and not before."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.ledger import Attempt, Ledger, LedgerError, TaskRecord, Usage
from tests.ledger.stage import accepted, opened, task


async def on_disk(ledger: Ledger, task_id: str) -> TaskRecord | None:
    """The record as somebody else would find it."""
    async with await Ledger.open(ledger.path, ledger.path.with_name("none")) as other:
        return await other.get(task_id)


async def test_what_is_accepted_is_on_the_disk(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        record = await ledger.accept(task(), "do it")

        assert await on_disk(ledger, "t-1") == record


async def test_the_ledger_numbers_tasks_and_measures_their_texts(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        one = await ledger.accept(task("t-1"), "do it")
        two = await ledger.accept(task("t-2"), "tu es, äh")

    assert (one.number, one.text_bytes) == (1, 5)
    assert (two.number, two.text_bytes) == (2, 10)


async def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1", "t-2")
    async with opened(tmp_path) as ledger:
        assert (await ledger.accept(task("t-3"), "")).number == 3


async def test_tasks_that_come_together_are_all_accepted(tmp_path: Path) -> None:
    names = [f"t-{number}" for number in range(200)]
    async with opened(tmp_path) as ledger:
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(ledger.accept, task(name), name)

        found = await ledger.tasks(limit=1000)
        assert {record.id for record in found} == set(names)
        assert sorted(record.number for record in found) == list(range(1, 201))


async def test_a_cancelled_accept_leaves_nothing_behind(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ledger.accept(task("t-1"), "do it")
        await accepted(ledger, "t-2")  # whatever was to be written before is written by now

        assert scope.cancelled_caught
        assert await on_disk(ledger, "t-1") is None
        assert await ledger.get("t-1") is None
        assert await ledger.text_of("t-1") is None


async def test_an_accept_that_is_cancelled_while_it_is_written_is_taken_back(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as ledger:
        with trio.CancelScope() as scope:

            async def cancel_once_written() -> None:
                # A job is run after the batch that it finds.
                await ledger._writer.run(lambda _: None)
                scope.cancel()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_once_written)
                await ledger.accept(task("t-1"), "do it")
                await trio.sleep_forever()
        # Accepted before it was cancelled, or not at all.
        await accepted(ledger, "t-2")
        kept = await ledger.get("t-1")
        assert await on_disk(ledger, "t-1") == kept


async def test_a_task_that_is_being_accepted_is_not_known_yet(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger, trio.open_nursery() as nursery:
        nursery.start_soon(ledger.accept, task(), "do it")
        await trio.lowlevel.checkpoint()
        with pytest.raises(ValueError, match="t-1 is not open"):
            ledger.started("t-1", 4711)


async def test_an_id_is_taken_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.accept(task(agent="first"), "one")

        with pytest.raises(ValueError, match="t-1 is not new"):
            await ledger.accept(task(agent="second"), "two")
        assert await ledger.text_of("t-1") == "one"


async def test_an_id_from_before_a_restart_is_taken_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.accept(task(agent="first"), "one")
        ledger.ended("t-1", "result", reply="done")
    async with opened(tmp_path) as ledger:
        with pytest.raises(ValueError, match="t-1 is not new"):
            await ledger.accept(task(agent="second"), "two")

        record = await ledger.get("t-1")
        assert record is not None
        assert (record.agent, await ledger.text_of("t-1")) == ("first", "one")


@pytest.mark.parametrize(
    "used",
    [
        replace(task(), state="ended", outcome="result"),
        replace(task(), attempts=(Attempt(1, 4711, 0.0),)),
        replace(task(), usage=Usage(1)),
    ],
)
async def test_only_a_new_task_is_accepted(tmp_path: Path, used: TaskRecord) -> None:
    async with opened(tmp_path) as ledger:
        with pytest.raises(ValueError, match="t-1 is not new"):
            await ledger.accept(used, "do it")


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b", "a b", "ä", "x" * 101, "a\n"])
def test_an_id_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        task(name)


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        ({"conversation": ""}, "not empty"),
        ({"accepted_at": float("nan")}, "no time"),
        ({"cost_usd": -1.0}, "no negative"),
        ({"cost_usd": float("inf")}, "no infinite"),
        ({"state": "ended"}, "if and only if"),
        ({"outcome": "result"}, "if and only if"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(rest: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        task(**rest)


async def test_after_it_is_closed_nothing_is_accepted(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        pass

    with pytest.raises(LedgerError, match="has been closed") as caught:
        await ledger.accept(task(), "do it")
    assert caught.value.trouble == "closed"
