"""Results that are not the awaited one; and simple agents whose awaited one is hard to tell."""

import pytest

from supervisor.protocol import ClaudeSession, ClearEnded, Event, TaskEnded, Unsolicited
from tests.protocol.lines import do_task, ended, init, line, result, sent


def clear(session: ClaudeSession, new_session: str) -> list[Event]:
    session.begin_clear()
    return session.receive(init(new_session) + result("", new_session, num_turns=0))


@pytest.fixture
def session() -> ClaudeSession:
    """A session that has done two tasks, as a CLI does that announces its turns."""
    session = ClaudeSession()
    do_task(session, "one")
    do_task(session, "two")
    return session


def assert_only_dropped(session: ClaudeSession, data: bytes) -> None:
    """`data` holds one result, which is dropped and counted, and leaves the state as it was."""
    idle, before = session.idle, session.unsolicited_results
    results = [e for e in session.receive(data) if isinstance(e, Unsolicited | TaskEnded)]
    assert [type(event) for event in results] == [Unsolicited]
    assert session.unsolicited_results == before + 1
    assert session.idle is idle


def assert_accepted(session: ClaudeSession, data: bytes, text: str) -> None:
    """`data` ends the task in hand with `text`."""
    assert [one.text for one in ended(session.receive(data))] == [text]
    assert session.idle


def test_a_result_while_idle_is_dropped(session: ClaudeSession) -> None:
    assert_only_dropped(session, result("unasked"))


def test_a_result_before_anything_was_asked_is_dropped() -> None:
    assert_only_dropped(ClaudeSession(), result("unasked"))


def test_a_whole_turn_while_idle_is_dropped(session: ClaudeSession) -> None:
    assert_only_dropped(session, init() + result("unasked"))


def test_a_repeated_result_is_not_the_next_tasks(session: ClaudeSession) -> None:
    session.begin_task("three")

    assert_only_dropped(session, init() + result("two done", uuid="uuid of two"))
    assert_accepted(session, result("three done", uuid="uuid of three"), "three done")


def test_a_result_printed_twice_at_once_counts_once(session: ClaudeSession) -> None:
    session.begin_task("three")
    twice = result("three done", uuid="uuid of three") * 2

    first, second = session.receive(init() + twice)[1:]
    assert isinstance(first, TaskEnded)
    assert isinstance(second, Unsolicited)


def test_a_result_of_a_cleared_context_is_not_the_next_tasks(session: ClaudeSession) -> None:
    clear(session, "s2")
    session.begin_task("three")

    assert_only_dropped(session, init("s2") + result("late", "s1", uuid="late"))
    assert_accepted(session, result("three done", "s2"), "three done")


def test_a_result_of_a_cleared_context_does_not_answer_a_clear(session: ClaudeSession) -> None:
    clear(session, "s2")
    session.begin_clear()

    assert_only_dropped(session, result("", "s1", num_turns=0, uuid="late"))
    assert ClearEnded(cleared=True) in session.receive(init("s3") + result("", "s3", num_turns=0))


def test_a_turn_that_reports_a_background_job_is_not_the_task(session: ClaudeSession) -> None:
    session.begin_task("three")
    origin = {"kind": "task-notification"}

    assert_only_dropped(session, init() + result("job done", origin=origin))
    assert_accepted(session, init() + result("three done"), "three done")


def test_a_turn_that_reports_a_background_job_does_not_answer_a_clear(
    session: ClaudeSession,
) -> None:
    session.begin_clear()

    assert_only_dropped(session, result("", origin={"kind": "task-notification"}))
    assert ClearEnded(cleared=True) in session.receive(init("s2") + result("", "s2", num_turns=0))


def test_a_result_before_its_turn_has_begun_is_of_an_earlier_one(session: ClaudeSession) -> None:
    session.begin_task("three")

    assert_only_dropped(session, result("late"))
    assert_accepted(session, init() + result("three done"), "three done")


def test_an_init_before_the_task_was_given_does_not_announce_it(session: ClaudeSession) -> None:
    session.receive(init())
    session.begin_task("three")

    assert_only_dropped(session, result("of the turn that ran already"))
    assert_accepted(session, init() + result("three done"), "three done")


def test_a_result_that_names_another_task_is_not_this_ones(session: ClaudeSession) -> None:
    name = sent(session.begin_task("three"))["uuid"]

    assert_only_dropped(session, init() + result("other", user_message_uuids=["another"]))
    assert_accepted(session, result("mine", user_message_uuids=["another", name]), "mine")


@pytest.mark.parametrize("named", [[], None, "another", {"a": 1}, 3])
def test_a_result_that_names_no_task_is_believed(session: ClaudeSession, named: object) -> None:
    session.begin_task("three")

    assert_accepted(session, init() + result("mine", user_message_uuids=named), "mine")


def test_many_strays_in_a_row_do_not_wear_the_session_out(session: ClaudeSession) -> None:
    session.begin_task("three")
    session.receive(init())
    for number in range(500):
        assert_only_dropped(session, result("x", user_message_uuids=[f"another {number}"]))

    assert session.unsolicited_results == 500
    assert_accepted(session, result("three done"), "three done")


# what a dropped turn cost


def test_a_task_does_not_pay_for_a_background_job(session: ClaudeSession) -> None:
    session.begin_task("three")
    origin = {"kind": "task-notification"}
    session.receive(init() + result("job done", origin=origin, total_cost_usd=5.0))

    (outcome,) = ended(session.receive(init() + result("mine", total_cost_usd=5.5)))
    assert outcome.cost_usd == 0.5


def test_a_task_does_not_pay_for_a_turn_that_nobody_asked_for(session: ClaudeSession) -> None:
    session.receive(init() + result("unasked", total_cost_usd=5.0))
    session.begin_task("three")

    (outcome,) = ended(session.receive(init() + result("mine", total_cost_usd=5.5)))
    assert outcome.cost_usd == 0.5


def test_a_late_result_of_a_cleared_context_does_not_change_the_bill() -> None:
    session = ClaudeSession()
    session.begin_task("one")
    session.receive(init() + result(total_cost_usd=4.0))
    session.begin_clear()
    session.receive(init("s2") + result("", "s2", num_turns=0, total_cost_usd=0))
    session.begin_task("two")
    session.receive(init("s2") + result("two", "s2", total_cost_usd=1.0))
    session.begin_task("three")
    session.receive(init("s2") + result("late", "s1", total_cost_usd=4.5))

    (outcome,) = ended(session.receive(result("three", "s2", total_cost_usd=1.25)))
    assert outcome.cost_usd == 0.25


# what proves a clear


def test_a_new_session_and_no_text_prove_a_clear(session: ClaudeSession) -> None:
    assert ClearEnded(cleared=True) in clear(session, "s2")


@pytest.mark.parametrize(
    "answer",
    [
        result("", "s1", num_turns=0),
        result("Unknown skill: clear", "s2", num_turns=0),
        result("", "s2", num_turns=3),
        result("", "s2", num_turns=0, is_error=True),
        result("", "s2", num_turns=0, subtype="error_during_execution"),
        line(type="result", subtype="success", result="", num_turns=0),
        result("", "", num_turns=0),
    ],
    ids=[
        "same session",
        "a text",
        "turns",
        "an error",
        "no success",
        "no session",
        "empty session",
    ],
)
def test_anything_less_proves_no_clear(session: ClaudeSession, answer: bytes) -> None:
    session.begin_clear()

    assert session.receive(answer) == [ClearEnded(cleared=False)]


def test_a_clear_without_a_session_to_compare_with_proves_nothing() -> None:
    assert ClearEnded(cleared=False) in clear(ClaudeSession(), "s1")


# simple agents


def test_a_stand_in_that_says_the_least_is_understood() -> None:
    session = ClaudeSession()
    for number in range(10):
        session.begin_task(f"task {number}")
        data = line(type="result", subtype="success", result=f"answer {number}")

        (outcome,) = ended(session.receive(data))
        assert outcome.ok
        assert outcome.text == f"answer {number}"


def test_a_stand_in_may_give_all_its_results_one_name() -> None:
    session = ClaudeSession()
    for number in range(10):
        session.begin_task(f"task {number}")

        assert_accepted(session, result(f"answer {number}", uuid="same"), f"answer {number}")


def test_a_stand_in_with_one_name_for_all_results_may_answer_alike_after_each_clear() -> None:
    session = ClaudeSession()
    for number in range(10):
        session.begin_task(f"task {number}")
        assert_accepted(session, result("ok", f"s{number}", uuid="same"), "ok")

        session.begin_clear()
        answer = result("", f"s{number + 1}", uuid="same", num_turns=0)
        assert session.receive(answer) == [ClearEnded(cleared=True)]


def test_a_stand_in_may_announce_only_its_first_turn() -> None:
    session = ClaudeSession()
    do_task(session, "first")
    for number in range(10):
        session.begin_task(f"task {number}")

        assert_accepted(session, result(f"answer {number}"), f"answer {number}")


def test_a_stand_in_may_announce_its_session_before_any_turn() -> None:
    session = ClaudeSession()
    session.receive(init())
    for number in range(10):
        session.begin_task(f"task {number}")

        assert_accepted(session, result(f"answer {number}"), f"answer {number}")


def test_a_result_without_a_text_has_the_last_text_that_was_written() -> None:
    session = ClaudeSession()
    session.begin_task("x")
    for text in ("first", "last"):
        content = [{"type": "text", "text": text}]
        session.receive(line(type="assistant", message={"content": content}))

    assert_accepted(session, result(None), "last")


def test_what_a_sub_agent_wrote_is_not_the_answer() -> None:
    session = ClaudeSession()
    session.begin_task("x")
    content = [{"type": "text", "text": "from below"}]
    message = {"content": content}
    session.receive(line(type="assistant", parent_tool_use_id="toolu_1", message=message))

    assert_accepted(session, result(None), "")


def test_the_text_of_an_earlier_task_never_stands_in_for_a_missing_one() -> None:
    session = ClaudeSession()
    session.begin_task("x")
    content = [{"type": "text", "text": "earlier"}]
    session.receive(line(type="assistant", message={"content": content}) + result("earlier"))
    session.begin_task("y")

    assert_accepted(session, result(None), "")


# success


@pytest.mark.parametrize(
    "fields",
    [
        {"is_error": True},
        {"subtype": "error_during_execution"},
        {"subtype": None},
        {"terminal_reason": "aborted_tools"},
        {"terminal_reason": "max_turns"},
        {"terminal_reason": "api_error"},
    ],
    ids=str,
)
def test_one_sign_of_failure_is_enough(fields: dict[str, object]) -> None:
    session = ClaudeSession()
    session.begin_task("x")

    (outcome,) = ended(session.receive(result("x", **fields)))  # type: ignore[arg-type]
    assert not outcome.ok


@pytest.mark.parametrize("fields", [{}, {"terminal_reason": None}, {"is_error": None}], ids=str)
def test_what_is_not_said_is_no_sign_of_failure(fields: dict[str, object]) -> None:
    session = ClaudeSession()
    session.begin_task("x")

    (outcome,) = ended(session.receive(result("x", **fields)))  # type: ignore[arg-type]
    assert outcome.ok


def say(text: str) -> bytes:
    """The line with which an agent says a text."""
    return line(type="assistant", message={"content": [{"type": "text", "text": text}]})


@pytest.mark.parametrize("before", [["one"], ["one", "two"]])
def test_a_late_result_in_a_turn_in_which_nothing_was_said_is_not_its_answer(
    before: list[str],
) -> None:
    session = ClaudeSession()
    for name in before:
        session.begin_task(name)
        session.receive(init() + say(f"{name} done") + result(f"{name} done", uuid=name))
    session.begin_task("three")

    assert_only_dropped(session, init() + result("late: of the last", uuid="late"))
    assert_accepted(session, say("three done") + result("three done"), "three done")


def test_where_answers_are_never_said_before_their_result_they_are_taken() -> None:
    session = ClaudeSession()
    for name in ("one", "two", "three"):
        session.begin_task(name)
        assert_accepted(session, init() + result(f"{name} done", uuid=name), f"{name} done")


@pytest.mark.parametrize(
    "silent", [result(""), result("API Error: 529", is_error=True), result("", subtype="error_x")]
)
def test_an_answer_without_text_or_a_failure_needs_nothing_said(silent: bytes) -> None:
    session = ClaudeSession()
    for name in ("one", "two"):
        session.begin_task(name)
        session.receive(init() + say(f"{name} done") + result(f"{name} done", uuid=name))
    session.begin_task("three")

    assert len(ended(session.receive(init() + silent))) == 1
