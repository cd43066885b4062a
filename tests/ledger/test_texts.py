"""Whatever a `str` holds comes back as it was, as long as it is kept."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.ledger import Failure, TaskFilter
from supervisor.ledger._encoding import bind, decode, encode, size_of, unbind
from tests.ledger.stage import accepted, opened, task

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))
ODD = {
    "nothing": "",
    "a lone surrogate": "\ud800",
    "surrogates that make a pair": "\ud83d\ude00",
    "NUL": "a\0b\0",
    "line separators": "a\u2028b\u2029c\x85d\r\ne\rf\x0b\x0cg",
    "a byte order mark": "\ufeffa\ufffe",
    "beyond the plane": "\U0010ffff\U0001f469\u200d\U0001f4bb",
}


@pytest.mark.parametrize("in_file", [False, True], ids=["in SQLite", "in a file"])
@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
async def test_odd_texts_come_back(tmp_path: Path, text: str, in_file: bool) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.accept(task(), text)
        ledger.ended("t-1", "result", reply=text, reply_in_file=in_file)
        assert await ledger.reply_of("t-1") == text  # from memory
    async with opened(tmp_path) as ledger:
        assert await ledger.text_of("t-1") == text
        assert await ledger.reply_of("t-1") == text


async def test_odd_names_come_back_and_are_found(tmp_path: Path) -> None:
    odd = "\ud800\0ä"
    async with opened(tmp_path) as ledger:
        await ledger.accept(task(agent=odd, caller=odd, conversation=odd), "do it")
        told = ledger.ended("t-1", odd, failure=Failure(odd, odd, {odd: odd}))
    async with opened(tmp_path) as ledger:
        assert await ledger.get("t-1") == told
        wanted = TaskFilter(agent=odd, outcome=odd, caller=odd, conversation=odd)
        assert await ledger.tasks(wanted) == (told,)
        (figures,) = await ledger.stats("conversation", agent=odd)
        assert (figures.agent, figures.conversation, figures.outcomes) == (odd, odd, {odd: 1})


async def test_50_mb_come_back(tmp_path: Path) -> None:
    text, reply = "text" * 12_500_000, "ä\n" * 16_700_000
    async with opened(tmp_path) as ledger:
        await ledger.accept(task(), text)
        ledger.ended("t-1", "result", reply=reply)
        record = await ledger.written("t-1")
        assert record is not None
        assert (record.text_bytes, record.reply_bytes) == (50_000_000, 50_100_000)

        assert await ledger.text_of("t-1") == text
        assert await ledger.reply_of("t-1") == reply


async def test_a_text_that_is_not_to_be_kept_is_never_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        record = await ledger.accept(task(keep_text="never"), "do it secretly")

        assert record.text_bytes == 14
        assert await ledger.text_of("t-1") is None
        assert b"secretly" not in all_bytes(tmp_path)


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_a_text_that_is_kept_while_the_task_is_open_goes_with_its_end(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as ledger:
        await ledger.accept(task(keep_text="while_open"), "do it")
        ledger.started("t-1", 4711)
        await ledger.written("t-1")
        assert await ledger.text_of("t-1") == "do it"
        ledger.ended("t-1", "result", reply="done")
        await ledger.written("t-1")

        assert await ledger.text_of("t-1") is None
        assert await ledger.reply_of("t-1") == "done"


async def test_a_kept_text_stays_after_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        await accepted(ledger, "t-1")
        ledger.ended("t-1", "result")
        await ledger.written("t-1")

        assert await ledger.text_of("t-1") == "the text of t-1"


@given(ANY_TEXT)
def test_any_text_survives_its_encoding(text: str) -> None:
    assert decode(encode(text)) == text
    assert unbind(bind(text)) == text
    assert size_of(text) == len(encode(text))


@given(st.binary())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_read_as_some_text(data: bytes) -> None:
    assert isinstance(decode(data), str)
