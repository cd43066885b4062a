"""What a killed program left open is ended at the next start, or taken over."""

from pathlib import Path

from supervisor.ledger import Attempt, Failure, TaskFilter, TaskRecord
from tests.ledger.stage import NOW, Clock, accepted, opened, task


async def left_open(folder: Path) -> None:
    """A ledger whose program ended without a word: two queued, one running, one done."""
    async with opened(folder) as ledger:
        await accepted(ledger, "t-queued", "t-running", "t-done")
        await ledger.accept(task("t-other", "writer", keep_text="while_open"), "write it")
        ledger.started("t-running", 4711, at=NOW + 1)
        ledger.ended("t-done", "result", reply="done")


async def test_what_was_open_is_ended_as_interrupted(tmp_path: Path) -> None:
    await left_open(tmp_path)
    clock = Clock()
    clock.now += 100
    async with opened(tmp_path, clock=clock) as ledger:
        found = await ledger.interrupt_open("The pool was killed.", "Look before you repeat it.")

        assert [record.id for record in found.ended] == ["t-queued", "t-running", "t-other"]
        assert found.waiting == ()
        for record in found.ended:
            assert await ledger.get(record.id) == record
            assert (record.state, record.outcome) == ("ended", "interrupted")
            assert record.ended_at == NOW + 100
            assert record.failure == Failure("The pool was killed.", "Look before you repeat it.")


async def test_the_attempt_that_was_running_is_ended_with_it(tmp_path: Path) -> None:
    await left_open(tmp_path)
    async with opened(tmp_path) as ledger:
        await ledger.interrupt_open("The pool was killed.")
        record = await ledger.get("t-running")

    assert record is not None
    assert record.attempts == (Attempt(1, 4711, NOW + 1, NOW, None, "interrupted"),)


async def test_an_attempt_that_outlived_its_tasks_outcome_is_ended_as_well(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711, at=NOW + 1)
        ledger.ended("t-1", "cancelled", at=NOW + 2)
    async with opened(tmp_path) as ledger:
        found = await ledger.interrupt_open("The pool was killed.")
        assert found.ended == ()
    async with opened(tmp_path) as ledger:
        record = await ledger.get("t-1")

    assert record is not None
    assert (record.outcome, record.ended_at) == ("cancelled", NOW + 2)
    assert record.attempts == (Attempt(1, 4711, NOW + 1, NOW, None, "interrupted"),)


async def test_it_is_on_the_disk_when_that_returns(tmp_path: Path) -> None:
    await left_open(tmp_path)
    async with opened(tmp_path) as ledger:
        await ledger.interrupt_open("The pool was killed.")

        assert ledger.unwritten == 0
    async with opened(tmp_path) as ledger:
        assert len(await ledger.tasks(TaskFilter(outcome="interrupted"))) == 3
        assert (await ledger.interrupt_open("again")).ended == ()


async def test_what_has_its_outcome_stays_as_it_is(tmp_path: Path) -> None:
    await left_open(tmp_path)
    async with opened(tmp_path) as ledger:
        await ledger.interrupt_open("The pool was killed.")
        record = await ledger.get("t-done")

        assert record is not None
        assert record.outcome == "result"
        assert await ledger.reply_of("t-done") == "done"


async def test_what_was_queued_is_handed_over_where_it_is_to_be_run(tmp_path: Path) -> None:
    await left_open(tmp_path)
    async with opened(tmp_path) as ledger:
        found = await ledger.interrupt_open("x", keep=lambda record: record.agent == "writer")

        ((record, text),) = found.waiting
        assert (record.id, record.state, text) == ("t-other", "queued", "write it")
        assert len(found.ended) == 2
        ledger.started("t-other", 4712)
        ledger.ended("t-other", "result", reply="written")
    async with opened(tmp_path) as ledger:
        assert await ledger.reply_of("t-other") == "written"
        assert await ledger.text_of("t-other") is None


async def test_what_was_running_is_never_run_again(tmp_path: Path) -> None:
    await left_open(tmp_path)
    async with opened(tmp_path) as ledger:
        found = await ledger.interrupt_open("x", keep=lambda _: True)

    assert [record.id for record, _ in found.waiting] == ["t-queued", "t-other"]
    assert [record.id for record in found.ended] == ["t-running"]


async def test_what_was_queued_is_interrupted_where_its_text_was_not_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.accept(task(keep_text="never"), "do it")
    async with opened(tmp_path) as ledger:
        found = await ledger.interrupt_open("x", keep=lambda _: True)

    assert [record.id for record in found.ended] == ["t-1"]


async def test_a_text_kept_while_open_goes_with_the_interruption(tmp_path: Path) -> None:
    await left_open(tmp_path)
    async with opened(tmp_path) as ledger:
        await ledger.interrupt_open("x")

        assert await ledger.text_of("t-other") is None
        assert await ledger.text_of("t-queued") == "the text of t-queued"


async def test_the_last_known_bill_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.started("t-1", 4711)
        ledger.billed("t-1", cost_usd=0.5)
    async with opened(tmp_path) as ledger:
        (record,) = (await ledger.interrupt_open("x")).ended

        assert isinstance(record, TaskRecord)
        assert (record.cost_usd, record.cost_is_lower_bound) == (0.5, True)
        assert (await ledger.spent()).cost_usd == 0.5
