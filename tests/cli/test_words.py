"""Arguments that are checked before anything is started agree with what the pool would say."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.cli import _input, _words
from supervisor.frontend._arguments import StatsArguments, TasksArguments
from supervisor.pool import conversations, parse_address, refusals

_PIECES = st.sampled_from(
    ["127.0.0.1", "localhost", "::1", "[::1]", "[", "]", ":", "8765", "0", "65536", "-1", "x", ""]
)


def is_taken(text: str) -> bool:
    try:
        return _words.address(text) == text
    except argparse.ArgumentTypeError:
        return False


def is_address(text: str) -> bool:
    try:
        parse_address(text)
    except ValueError:
        return False
    return True


@given(st.lists(_PIECES, max_size=5).map("".join) | st.text(max_size=12))
def test_an_address_is_taken_if_and_only_if_the_pool_takes_it(text: str) -> None:
    assert is_taken(text) == is_address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:8765", "[::1]:0", "localhost:65535", "0.0.0.0:1"])
def test_an_address_is_taken(text: str) -> None:
    assert is_taken(text)


def test_a_conversation_may_be_called_what_the_pool_lets_it_be_called() -> None:
    assert _words.CONVERSATION.pattern == conversations.NAME.pattern


def test_the_limits_are_the_pool_s() -> None:
    limits = {
        "tasks": TasksArguments.model_json_schema()["properties"]["limit"]["maximum"],
        "days": StatsArguments.model_json_schema()["properties"]["days"]["maximum"],
        "bytes": refusals.TASK_LIMIT,
    }

    assert limits == {"tasks": _words.ROWS, "days": _words.DAYS, "bytes": _input.TASK_LIMIT}
