"""A digest stands for a long reply: small, and with a way to all of it."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.pool.digests import CONVENTION, PART, SUMMARY_LIMIT, digest, part, parts

LONG = "".join(f"line {number}\n" for number in range(5_000))


def test_the_agents_own_summary_is_the_digest() -> None:
    found = digest(f"{LONG}\n<summary>\nAll is well.\n</summary>\n", "/x/t-1.md", "t-1")

    assert found.startswith("All is well.\n\n[agent-pool] The agent's own summary")
    assert "/x/t-1.md" in found
    assert 'result(task_id="t-1", part=1 to 2)' in found


def test_the_last_summary_counts() -> None:
    twice = f"<summary>old</summary>\n{LONG}\n<summary>new</summary>"

    assert digest(twice, None, "t-1").startswith("new\n")


def test_a_summary_that_is_none_is_passed_over() -> None:
    for none in (
        "<summary></summary>",
        "<summary>never closed",
        f"<summary>{'x' * (SUMMARY_LIMIT + 1)}</summary>",
        "see `<summary>` in the text, not a block</summary> of its own",
    ):
        found = digest(f"{LONG}\n{none}\n{LONG}", None, "t-1")
        assert found.startswith("line 0\nline 1\n"), none


def test_without_a_summary_it_has_the_first_and_the_last_lines_whole() -> None:
    found = digest(LONG, None, "t-1")
    told = found.partition("\n\n[agent-pool]")[0]
    head, _, tail = told.partition("\n\n[… ")

    assert head.startswith("line 0\n")
    assert tail.rstrip().endswith("line 4999")
    assert set((head + "\n" + tail.partition("…]\n\n")[2]).split("\n")) <= {*LONG.split("\n")}


def test_one_line_without_an_end_is_cut_through() -> None:
    assert len(digest("x" * 1_000_000, None, "t-1")) < 2_500


@given(st.text(), st.integers(0, 3))
def test_a_digest_is_small_whatever_the_reply(text: str, times: int) -> None:
    assert len(digest(text * 50**times, "/p", "t-1")) < SUMMARY_LIMIT + 500


@given(st.text(min_size=1))
def test_the_parts_together_are_the_reply(text: str) -> None:
    reply = text * (2 * PART // len(text) + 1)

    assert "".join(part(reply, number) for number in range(1, parts(reply) + 1)) == reply


def test_the_convention_names_the_block_that_is_looked_for() -> None:
    assert "<summary>" in CONVENTION
