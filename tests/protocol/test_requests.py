import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.protocol import ClaudeSession
from tests.protocol.lines import busy_machine, do_task, init, result, sent

any_text = st.text(st.characters(exclude_categories=()))
"""Every code point, lone surrogates and zero bytes too."""


@busy_machine
@given(text=any_text)
def test_a_task_arrives_as_it_was_given(text: str) -> None:
    content = sent(ClaudeSession().begin_task(text))["message"]["content"]

    assert content == (" " + text if text.startswith("/") else text)


@busy_machine
@given(text=any_text)
def test_a_request_is_one_line_of_ascii(text: str) -> None:
    data = ClaudeSession().begin_task(text)

    assert data.isascii()
    assert data.count(b"\n") == 1


@pytest.mark.parametrize("text", ["/clear", "/compact now", "//", "/"])
def test_a_task_that_looks_like_a_command_is_none(text: str) -> None:
    content = sent(ClaudeSession().begin_task(text))["message"]["content"]

    # The CLI hands a line with a space before the slash to the model.
    assert not content.startswith("/")
    assert content.strip() == text


def test_only_clear_itself_is_a_command() -> None:
    assert sent(ClaudeSession().begin_clear())["message"]["content"] == "/clear"


@busy_machine
@given(text=any_text)
def test_a_system_prompt_arrives_as_it_was_given(text: str) -> None:
    _, data = ClaudeSession().control("initialize", systemPrompt=text)

    assert sent(data)["request"] == {"subtype": "initialize", "systemPrompt": text}


@busy_machine
@given(text=any_text)
def test_an_answer_arrives_as_it_was_printed(text: str) -> None:
    session = ClaudeSession()
    session.begin_task("say it")

    (ended,) = session.receive(result(text))
    assert ended.result.text == text  # type: ignore[union-attr]


def test_line_separators_of_unicode_do_not_end_a_line() -> None:
    session = ClaudeSession()
    session.begin_task("say it")
    raw = json.dumps({"type": "result", "result": "a\u2028b\u0085c"}, ensure_ascii=False)

    (ended,) = session.receive(raw.encode() + b"\n")
    assert ended.result.text == "a\u2028b\u0085c"  # type: ignore[union-attr]


def test_every_task_has_a_name_of_its_own() -> None:
    # A repeated name would be dropped by the CLI without a word.
    session = ClaudeSession()
    names = set()
    for number in range(20):
        do_task(session, f"task {number}")
        names.add(session.task_uuid)

    assert len(names) == 20


def test_the_name_of_the_task_is_on_its_line() -> None:
    session = ClaudeSession()

    assert sent(session.begin_task("x"))["uuid"] == session.task_uuid


def test_a_control_request_is_found_again_by_its_name() -> None:
    request_id, data = ClaudeSession().control("interrupt")

    message = {"type": "control_request", "request_id": request_id}
    assert sent(data) == message | {"request": {"subtype": "interrupt"}}


def test_nothing_is_begun_while_a_task_is_in_hand() -> None:
    session = ClaudeSession()
    session.begin_task("first")

    with pytest.raises(RuntimeError, match="a task is under way"):
        session.begin_task("second")
    with pytest.raises(RuntimeError, match="a task is under way"):
        session.begin_clear()


def test_a_task_that_was_refused_leaves_the_name_of_the_one_in_hand() -> None:
    session = ClaudeSession()
    session.begin_task("first")
    name = session.task_uuid

    with pytest.raises(RuntimeError):
        session.begin_task("second")
    assert session.task_uuid == name


def test_nothing_is_begun_while_a_clear_is_awaited() -> None:
    session = ClaudeSession()
    session.begin_clear()

    with pytest.raises(RuntimeError, match="a clear is under way"):
        session.begin_task("too early")


def test_the_session_is_idle_between_a_result_and_the_next_task() -> None:
    session = ClaudeSession()
    idle = [session.idle]
    session.begin_task("x")
    for printed in (b"", init(), result()):
        session.receive(printed)
        idle.append(session.idle)

    assert idle == [True, False, False, True]


def message(name: str, *blocks: str, parent: str | None = None, **usage: object) -> bytes:
    """The lines of one message of the agent, or of a sub-agent of it: one a block."""
    return b"".join(
        json.dumps(
            {
                "type": "assistant",
                "parent_tool_use_id": parent,
                "message": {
                    "id": name, "content": [{"type": "text", "text": block}], "usage": usage
                },
            }
        ).encode()
        + b"\n"
        for block in blocks
    )  # fmt: skip


def test_the_tokens_of_a_turn_are_those_of_its_messages_each_counted_once() -> None:
    session = ClaudeSession()
    session.begin_task("x")

    session.receive(message("m1", "a", "b", input_tokens=10, cache_read_input_tokens=100))
    session.receive(message("m2", "c", parent="toolu_1", input_tokens=1, output_tokens=2))

    assert session.turn_tokens == 113


def test_the_tokens_of_the_next_turn_are_counted_anew() -> None:
    session = ClaudeSession()
    session.begin_task("x")
    session.receive(message("m1", "a", input_tokens=10) + result("a"))

    session.begin_task("y")

    assert session.turn_tokens == 0


@pytest.mark.parametrize("given", [-5, 10**400, "many", None, 1.5])
def test_tokens_that_make_no_sense_are_not_believed(given: object) -> None:
    session = ClaudeSession()
    session.begin_task("x")
    session.receive(message("m1", "a", input_tokens=given))

    assert 0 <= session.turn_tokens <= 10**9
