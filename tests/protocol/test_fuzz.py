"""Whatever a process prints: nothing is raised, and no task ends that was not begun."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.protocol import ClaudeSession, Garbage, Question, TaskEnded
from tests.protocol.lines import busy_machine, do_task, result, sent

FIELDS = [
    "type",
    "subtype",
    "session_id",
    "claude_code_version",
    "attempt",
    "max_retries",
    "message",
    "content",
    "uuid",
    "origin",
    "kind",
    "parent_tool_use_id",
    "result",
    "is_error",
    "terminal_reason",
    "num_turns",
    "api_error_status",
    "errors",
    "usage",
    "input_tokens",
    "output_tokens",
    "total_cost_usd",
    "permission_denials",
    "tool_name",
    "tool_input",
    "user_message_uuids",
    "request_id",
    "request",
    "response",
    "error",
    "text",
    "name",
    "input",
    "command",
    "file_path",
]
"""Every name that the protocol looks at, wherever it looks for it."""

WORDS = [
    "result",
    "assistant",
    "system",
    "control_response",
    "control_request",
    "success",
    "init",
    "api_retry",
    "compact_boundary",
    "text",
    "tool_use",
    "thinking",
    "task-notification",
    "can_use_tool",
    "s1",
    "aborted_tools",
]
"""Every value that means something to it."""

numbers = st.sampled_from([0, 1, -1, 0.5, 10**400, float("nan"), float("inf")])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=3) | st.sampled_from(WORDS)
anything: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=6,
)
kinds = st.sampled_from(
    [
        "result", "assistant", "system", "control_response", "control_request",
        "control_cancel_request", "user", "x",
    ]
)  # fmt: skip
messages = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    kinds,
    st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6),
)


def as_line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


def sessions() -> list[ClaudeSession]:
    """One in each state: fresh, experienced, with a task, with an announced task, clearing."""
    fresh, experienced, tasked, announced, clearing = (ClaudeSession() for _ in range(5))
    for session in (experienced, announced, clearing):
        do_task(session, "one")
        do_task(session, "two")
    tasked.begin_task("x")
    announced.begin_task("x")
    clearing.begin_clear()
    return [fresh, experienced, tasked, announced, clearing]


def receive(session: ClaudeSession, data: bytes) -> None:
    """Feed it, and hold it to what every byte must leave true."""
    in_hand = session._turn
    events = session.receive(data)
    endings = sum(isinstance(event, TaskEnded) for event in events)
    assert endings <= (in_hand == "task")
    assert session.idle or session._turn == in_hand
    for event in events:
        if isinstance(event, Question):
            assert sent(event.answer)["type"] == "control_response"


@busy_machine
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_only_garbage(data: bytes) -> None:
    for session in sessions():
        receive(session, data + b"\n")


@settings(busy_machine, max_examples=200)
@given(message=messages)
def test_arbitrary_values_in_known_fields_do_no_harm(message: dict[str, Any]) -> None:
    for session in sessions():
        receive(session, as_line(message))


@busy_machine
@given(many=st.lists(messages, max_size=6))
def test_no_sequence_of_lines_ends_a_task_that_is_not_in_hand(many: list[dict[str, Any]]) -> None:
    session = ClaudeSession()
    do_task(session, "one")

    events = session.receive(b"".join(map(as_line, many)))
    assert not [event for event in events if isinstance(event, TaskEnded)]


@busy_machine
@given(noise=st.lists(messages.filter(lambda m: m["type"] not in ("result", "system")), max_size=4))
def test_lines_around_it_never_hide_the_result(noise: list[dict[str, Any]]) -> None:
    session = ClaudeSession()
    session.begin_task("x")
    session.receive(b"".join(map(as_line, noise)))

    (ended,) = [e for e in session.receive(result("mine")) if isinstance(e, TaskEnded)]
    assert ended.result.text == "mine"


@busy_machine
@given(value=anything.filter(lambda value: not isinstance(value, dict)))
def test_json_that_is_no_object_is_garbage_and_counted(value: object) -> None:
    session = ClaudeSession()

    (event,) = session.receive(as_line(value))
    assert isinstance(event, Garbage)
    assert session.garbage_lines == 1


def test_blank_lines_are_nothing() -> None:
    session = ClaudeSession()

    assert session.receive(b"\n  \n\r\n") == []
    assert session.garbage_lines == 0


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_json_nested_2000_deep_is_garbage(bracket: str) -> None:
    (event,) = ClaudeSession().receive(f"{bracket * 2000}\n".encode())

    assert isinstance(event, Garbage)


@pytest.mark.parametrize("kind", ["result", "control_request", "control_response", "assistant"])
@pytest.mark.parametrize("field", ["request_id", "result", "subtype", "errors", "message"])
def test_no_depth_of_nesting_raises(kind: str, field: str) -> None:
    # Somewhere near a thousand the parser gives up; just before, others might.
    for depth in [*range(900, 1010), 2000, 20_000]:
        nested = "[" * depth + "]" * depth
        for session in sessions()[1:3]:
            receive(session, f'{{"type":"{kind}","{field}":{nested}}}\n'.encode())


@pytest.mark.parametrize("total", ["NaN", "Infinity", "-Infinity", "1" + "0" * 400, "true", '"1"'])
def test_a_total_that_is_no_amount_of_money_spoils_no_later_bill(total: str) -> None:
    session = ClaudeSession()
    session.begin_task("x")
    session.receive(f'{{"type":"result","total_cost_usd":{total}}}\n'.encode())
    session.begin_task("y")

    (ended,) = session.receive(result("y", total_cost_usd=0.25))
    assert isinstance(ended, TaskEnded)
    assert ended.result.cost_usd == 0.25


def test_a_line_over_the_limit_is_counted_and_the_next_one_read() -> None:
    session = ClaudeSession(line_limit=200)
    session.begin_task("x")

    (ended,) = session.receive(b"x" * 1000 + b"\n" + result("mine"))
    assert isinstance(ended, TaskEnded)
    assert session.skipped_lines == 1


def test_utf8_that_is_broken_costs_one_character_not_the_result() -> None:
    session = ClaudeSession()
    session.begin_task("x")

    (ended,) = session.receive(result("a?b").replace(b"?", b"\xff"))
    assert isinstance(ended, TaskEnded)
    assert ended.result.text == "a\ufffdb"
