from __future__ import annotations

import pytest

from supervisor.agents import _name


@pytest.mark.parametrize(
    "name", ["a", "code-reviewer", "Code Reviewer", "v1.2_x", "prüfer", "审查", "हिन्दी", "_x", "7"]
)
def test_letters_of_any_script_digits_and_three_signs_are_allowed(name: str) -> None:
    assert _name.refusal(_name.canonical(name)) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../agents-evil/x",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a..b",
        ".hidden",
        "-rf",
        " a",
        "a ",
        "a\x00",
        "a\n",
        "a\x7f",
        "a:b",
        "a\u202eb",
        "x" * 101,
    ],
)
def test_whatever_could_leave_a_folder_or_a_line_is_refused(name: str) -> None:
    assert _name.refusal(name) is not None


@pytest.mark.parametrize(
    ("given", "suggested"),
    [("Code: Reviewer", "Code- Reviewer"), ("../x", "x"), ("a/b/", "b"), ("///", None)],
)
def test_the_nearest_allowed_name_is_suggested(given: str, suggested: str | None) -> None:
    assert _name.repaired(given) == suggested


def test_both_unicode_spellings_are_one_name() -> None:
    assert _name.canonical("pru\u0308fer") == "pr\u00fcfer"


def test_a_file_name_that_is_no_text_becomes_a_name_that_can_be_encoded() -> None:
    assert _name.canonical("a\udcff").encode("utf-8") == b"a?"
