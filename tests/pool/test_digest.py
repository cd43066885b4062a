"""The digest of a long reply: the agent's summary, else both ends; bounded, and never cut badly."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.pool.digest import DIGEST_LIMIT, REPLY_LIMIT, digest, is_long, prompt_line

PATH = "/state/replies/t-1.txt"
FILLER = "".join(f"Line {number} of a long answer.\n" for number in range(1_000))
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


def made(reply: str, path: str | None = PATH, limit: int = REPLY_LIMIT) -> str:
    return digest(reply, "t-1", path, limit)


def content(reply: str) -> str:
    """The digest without its last line."""
    return made(reply).rpartition("\n\n")[0]


def size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def test_a_reply_that_is_not_long_goes_out_as_it_is() -> None:
    reply = "x" * REPLY_LIMIT

    assert made(reply) == reply
    assert not is_long(reply)


def test_long_is_a_matter_of_bytes() -> None:
    assert is_long("ä" * (REPLY_LIMIT // 2 + 1))
    assert not is_long("ä" * (REPLY_LIMIT // 2))


def test_the_agents_summary_is_the_digest() -> None:
    reply = FILLER + "<digest>\nTwo defects: a.py:3, b.py:9.\n</digest>\n"

    assert made(reply) == (
        "Two defects: a.py:3, b.py:9.\n\n"
        f"[The agent's own summary of its reply of {size(reply):,} bytes. Whole, in a file: "
        f'{PATH}. In parts: result(task_id="t-1", part=1), up to part=2.]'
    )


def test_without_a_summary_it_is_beginning_and_end() -> None:
    made_of = made(FILLER)

    assert made_of.startswith("Line 0 of a long answer.\nLine 1 of")
    assert "\nLine 999 of a long answer.\n\n[Beginning and end of a reply of 26,890 by" in made_of
    gap = re.search(r"\n\n\[… ([\d,]+) bytes left out …\]\n\n", made_of)
    assert gap is not None
    head, tail = content(FILLER).split(gap.group())
    assert int(gap.group(1).replace(",", "")) == len(FILLER) - len(head) - len(tail)


def test_without_a_file_it_names_none() -> None:
    assert "file" not in made(FILLER, path=None)


def test_a_reply_of_one_part_offers_one() -> None:
    assert made("x" * 15_000, limit=10_000).endswith('result(task_id="t-1", part=1).]')


@pytest.mark.parametrize(
    "reply",
    [
        f"<digest>\nall is well\n</digest>\n{FILLER}",
        f"{FILLER}<digest>all is well</digest>",
        f"{FILLER}<digest>all is well</digest>\n\nAnything else I can do?",
        f"{FILLER}<DIGEST>\n\nall is well\n\n</Digest>",
        f"{FILLER}  **<digest>\nall is well\n</digest>",
        f"{FILLER}```\n<digest>\nall is well\n</digest>\n```\n",
        f"{FILLER}<digest>\nall is well",
        f"{FILLER}<digest>a draft</digest>\n<digest>all is well</digest>",
        f"<digest>a plan</digest>\n{FILLER}<digest>all is well</digest>",
        f"{FILLER}<digest>all is well</digest>\n<digest>  </digest>",
        f"{FILLER}<digest>never closed\n<digest>all is well</digest>",
        f"{FILLER}<digest>all\n<digest> is\n</digest> well</digest>",
        f"{FILLER}</digest>\n<digest>all is well</digest></digest>",
        f"{FILLER}In <digest> one says:\n<digest>all is well</digest>",
    ],
    ids=[
        "at the beginning", "on one line", "a word after it", "other letters", "marks before it",
        "in a code block", "never closed", "two", "one at each end", "an empty one after it",
        "an unclosed one before it", "nested", "stray tags", "a mention of the tag",
    ],
)  # fmt: skip
def test_a_summary_is_found_whatever_a_model_makes_of_the_rule(reply: str) -> None:
    assert " ".join(content(reply).split()) == "all is well"


@pytest.mark.parametrize(
    "reply",
    [
        f"{FILLER}<digest></digest>{FILLER}",
        f"{FILLER}<digest> \n </digest>",
        f"<digest>\n{FILLER}",
        f"{FILLER}</digest>",
        f"{FILLER}the tags <digest> and </digest> mark it",
        f"{FILLER}<details>\n<summary>More</summary>\nof it\n</details>",
        f"{FILLER}<digest>in the middle of a very long reply</digest>\n{FILLER}",
    ],
    ids=[
        "empty", "blank", "never closed and long", "never opened", "in a sentence", "HTML",
        "far from either end",
    ],
)  # fmt: skip
def test_what_is_no_summary_is_not_taken_for_one(reply: str) -> None:
    assert "[Beginning and end of a reply of" in made(reply)


def test_a_summary_that_is_too_long_is_cut_after_a_line() -> None:
    found = content(f"{FILLER}<digest>{FILLER[:9_000]}</digest>")

    assert FILLER.startswith(found + "\n")
    assert 1_000 < len(found) < DIGEST_LIMIT


@pytest.mark.parametrize("letter", ["x", "ä", "€", "\U0001f469", "\ud800"])
def test_a_text_without_borders_is_cut_between_characters(letter: str) -> None:
    found = content(letter * 20_000)

    head, _, tail = found.split("\n\n")
    assert set(head) == set(tail) == {letter}


def test_a_digest_is_cut_at_words_where_lines_are_long() -> None:
    head, _, tail = content("word " * 5_000).split("\n\n")

    assert head.endswith("word")
    assert tail.startswith("word")


def test_a_small_limit_makes_a_small_digest() -> None:
    assert size(made(FILLER, limit=500)) < 500 + 350 + len(PATH)


@given(ANY_TEXT, st.integers(1, 200), st.integers(0, 3_000), st.booleans())
def test_a_digest_is_bounded_and_shorter_than_what_it_stands_for(
    text: str, times: int, limit: int, summed_up: bool
) -> None:
    reply = text * times
    reply = f"{reply}\n<digest>{text}</digest>" if summed_up else reply
    found = made(reply, limit=limit)

    assert size(found) <= size(reply)
    assert size(found) <= max(limit, DIGEST_LIMIT + len(PATH))
    assert (found == reply) or is_long(reply, limit)


@pytest.mark.parametrize("end", ["", "<digest>" + "word " * 1_000])
def test_the_last_line_has_room_whatever_it_says(end: str) -> None:
    found = digest("word " * 2_000_000 + end, "t" * 100, None)

    assert DIGEST_LIMIT - 400 < size(found) <= DIGEST_LIMIT


def test_what_the_prompt_asks_for_is_what_is_found() -> None:
    line = prompt_line(8_000)

    assert "about 8000 characters" in line
    assert "a line <digest> and a line </digest>" in line
    assert prompt_line(8_000) == line
