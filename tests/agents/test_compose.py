from __future__ import annotations

import pytest

from supervisor.agents import compose
from supervisor.agents._compose import digest


def test_body_then_expertise_then_skills_in_the_given_order() -> None:
    prompt = compose("Body.\n", [("e2", "E2"), ("e1", "E1")], [("s", "S")])
    assert prompt == ("Body.\n\n# Expertise: e2\n\nE2\n\n# Expertise: e1\n\nE1\n\n# Skill: s\n\nS")


@pytest.mark.parametrize("text", ["x", "x\n", "\n\nx", "x  \n\t\n"])
def test_white_space_around_a_part_does_not_change_a_byte(text: str) -> None:
    assert compose("B", [("e", text)], []) == "B\n\n# Expertise: e\n\nx"


def test_indentation_of_the_first_line_is_kept() -> None:
    assert compose("\n    code\n", [], []) == "    code"


def test_an_empty_part_leaves_no_heading() -> None:
    assert compose("B", [("e", " \n")], [("s", "S")]) == "B\n\n# Skill: s\n\nS"


def test_without_a_body_there_is_no_gap() -> None:
    assert compose("", [], [("s", "S")]) == "# Skill: s\n\nS"


def test_equal_values_have_equal_digests_whatever_their_order() -> None:
    assert digest({"a": 1, "b": ("x",)}) == digest({"b": ("x",), "a": 1})


def test_no_list_and_an_empty_list_have_different_digests() -> None:
    assert digest({"tools": None}) != digest({"tools": ()})
