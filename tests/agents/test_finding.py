from __future__ import annotations

from pathlib import Path

from supervisor.agents import Finding
from supervisor.agents._finding import closest, did_you_mean, in_order, shown


def finding(line: int | None = 3, key: str | None = "tools", message: str = "no") -> Finding:
    return Finding(Path("/p/a.md"), line, key, message, "error")


def test_reads_as_path_line_key_message() -> None:
    assert str(finding()) == "/p/a.md:3: tools: no"


def test_leaves_out_what_is_not_known() -> None:
    assert str(finding(line=None, key=None)) == "/p/a.md: no"


def test_a_path_that_is_no_text_can_still_be_printed() -> None:
    text = str(Finding(Path("/p/\udcff.md"), 1, None, "no", "error"))
    assert text.encode("utf-8")


def test_findings_come_by_line_and_each_once() -> None:
    assert in_order([finding(9), finding(2), finding(9)]) == (finding(2), finding(9))


def test_a_near_word_is_suggested_whatever_its_case() -> None:
    assert did_you_mean("TOLS", ["tools", "model"]) == ' Did you mean "tools"?'


def test_a_suggestion_is_printable_as_well() -> None:
    assert did_you_mean("github", ["\u2028github"]) == ' Did you mean "\\u2028github"?'


def test_a_far_word_is_not_suggested() -> None:
    assert did_you_mean("zebra", ["tools", "model"]) == ""


def test_the_nearest_words_come_first() -> None:
    assert closest("reviewer", ["code-reviewer", "reviewers"])[0] == "reviewers"


def test_a_value_is_shown_in_one_short_printable_line() -> None:
    text = shown("a\nb\x1b[31m" + "x" * 1000)
    assert text.startswith('"a\\nb\\x1b[31m')
    assert len(text) < 80
