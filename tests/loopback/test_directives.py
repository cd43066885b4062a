"""The little language of the tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.rehearsal import _directives as rehearsal
from tests.loopback.directives import BARE, WITH_ARGUMENT, Directive, parse


def test_a_text_without_directives_is_kept_as_it_is() -> None:
    assert parse("  a [b] ]] [[ c\n") == [Directive("echo", "  a [b] ]] [[ c\n")]


def test_text_around_directives_is_stripped_and_nothing_is_made_of_white_space() -> None:
    assert parse(" [[hang]] \n [[empty]] x ") == [
        Directive("hang"),
        Directive("empty"),
        Directive("echo", "x"),
    ]


def test_brackets_nest_in_a_command() -> None:
    assert parse("[[bash [[ -e x ]] && echo y]]") == [Directive("bash", "[[ -e x ]] && echo y")]


@pytest.mark.parametrize("text", ["[[1, 2]]", "[[sleep]]", "[[hang on]]", "[[bash never closed"])
def test_what_is_no_directive_is_text(text: str) -> None:
    assert parse(text) == [Directive("echo", text)]


def test_a_directive_is_found_within_brackets_that_are_none() -> None:
    assert parse("[[see [[say x]] there]]") == [
        Directive("echo", "[[see"),
        Directive("say", "x"),
        Directive("echo", "there]]"),
    ]


def test_the_rehearsal_agent_knows_the_same_directives() -> None:
    bare = {name for name, (argument, _) in rehearsal.SHARED.items() if not argument}

    assert (bare, set(rehearsal.SHARED)) == (set(BARE), set(BARE | WITH_ARGUMENT))


@given(
    st.text("ab [] \n1")
    | st.lists(st.sampled_from(["[[", "]]", "say", "hang", " x "])).map("".join)
)
def test_the_rehearsal_agent_reads_every_text_in_the_same_way(text: str) -> None:
    assert [tuple(step) for step in rehearsal.parse(text)] == [
        (step.name, step.argument) for step in parse(text)
    ]
