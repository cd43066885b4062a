"""Long replies have files of their own; every reply can be had in parts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.ledger import LedgerError, ReplyPart, part_count
from supervisor.ledger._encoding import encode
from supervisor.ledger._replies import part_of
from tests.ledger.stage import accepted, opened

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


async def test_a_long_reply_is_a_file_whose_path_is_on_record(tmp_path: Path) -> None:
    async with opened(tmp_path, reply_file_above=10) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="eleven char")
        record = await ledger.written("t-1")

        assert record is not None
        assert record.reply_path == str(tmp_path / "replies" / "t-1.txt")
        assert contents(tmp_path / "replies") == {"t-1.txt": "eleven char"}


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


async def test_the_path_is_still_known_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path, reply_file_above=10) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="eleven char")
    async with opened(tmp_path) as ledger:
        record = await ledger.get("t-1")

        assert record is not None
        assert record.reply_path == str(tmp_path / "replies" / "t-1.txt")
        assert await ledger.reply_of("t-1") == "eleven char"


async def test_a_reply_that_is_not_longer_is_no_file(tmp_path: Path) -> None:
    async with opened(tmp_path, reply_file_above=10) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="ten chars.")
        record = await ledger.written("t-1")

        assert record is not None
        assert (record.reply_path, record.reply_bytes) == (None, 10)
        assert not (tmp_path / "replies").exists()


@pytest.mark.parametrize("in_file", [True, False])
async def test_the_caller_may_decide_whether_it_is_a_file(tmp_path: Path, in_file: bool) -> None:
    async with opened(tmp_path, reply_file_above=3) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="four", reply_in_file=in_file)
        record = await ledger.written("t-1")

    assert record is not None
    assert (record.reply_path is not None) == in_file


async def test_what_is_told_after_the_reply_does_not_lose_it(tmp_path: Path) -> None:
    async with opened(tmp_path, reply_file_above=3) as ledger:
        await accepted(ledger, "t-1", "t-2")
        for name in ("t-1", "t-2"):
            ledger.started(name, 4711)
            ledger.ended(name, "agent_failed", reply=f"part of {name}")
        ledger.attempt_ended("t-1")  # before it is written
        await ledger.written("t-2")
        ledger.attempt_ended("t-2")  # and after
    async with opened(tmp_path) as ledger:
        for name in ("t-1", "t-2"):
            assert await ledger.reply_of(name) == f"part of {name}"


async def test_an_empty_reply_is_a_reply(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1", "t-2")
        ledger.ended("t-1", "result", reply="")
        ledger.ended("t-2", "agent_failed")
    async with opened(tmp_path) as ledger:
        assert await ledger.reply_of("t-1") == ""
        assert await ledger.reply_part("t-1", 1) == ReplyPart("", 1, 1, 0)
        assert await ledger.reply_of("t-2") is None


@pytest.mark.parametrize("in_file", [True, False])
async def test_parts_are_the_same_from_memory_from_sqlite_and_from_a_file(
    tmp_path: Path, in_file: bool
) -> None:
    reply = "Größe\n" * 5
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply=reply, reply_in_file=in_file)
        from_memory = [await ledger.reply_part("t-1", number, 9) for number in range(1, 6)]
        await ledger.written("t-1")
        from_disk = [await ledger.reply_part("t-1", number, 9) for number in range(1, 6)]

    assert from_memory == from_disk
    assert "".join(part.text for part in from_disk if part) == reply


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("number", [0, 3, -1])
async def test_a_part_that_is_not_there_is_an_error_that_says_how_many_there_are(
    tmp_path: Path, in_file: bool, number: int
) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="0123456789", reply_in_file=in_file)
        await ledger.written("t-1")

        with pytest.raises(ValueError, match=f"part = {number}: there are 2, the first is 1"):
            await ledger.reply_part("t-1", number, 5)


async def test_a_file_that_somebody_took_away_is_an_error_that_names_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="gone", reply_in_file=True)
        await ledger.written("t-1")
        (tmp_path / "replies" / "t-1.txt").unlink()

        for question in (ledger.reply_of("t-1"), ledger.reply_part("t-1", 1)):
            with pytest.raises(LedgerError, match=r"replies/t-1\.txt: No such file") as caught:
                await question
            assert caught.value.trouble == "missing"


async def test_a_file_that_was_changed_is_an_error_that_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result", reply="as it was", reply_in_file=True)
        await ledger.written("t-1")
        (tmp_path / "replies" / "t-1.txt").write_text("")

        for question in (ledger.reply_of("t-1"), ledger.reply_part("t-1", 1)):
            with pytest.raises(LedgerError, match="it has 0 bytes, 9 were written"):
                await question


@given(ANY_TEXT, st.integers(4, 40))
def test_parts_cut_no_character_and_are_the_whole_together(text: str, part_bytes: int) -> None:
    total = len(encode(text))
    count = part_count(total, part_bytes)
    parts = [part_of(text, number, part_bytes) for number in range(1, count + 1)]

    assert "".join(part.text for part in parts) == text
    assert {(part.count, part.total_bytes) for part in parts} == {(count, total)}
    assert all(len(encode(part.text)) <= part_bytes + 3 for part in parts)


def test_a_part_has_room_for_a_character() -> None:
    with pytest.raises(ValueError, match="a character takes up to 4"):
        part_of("text", 1, 3)
