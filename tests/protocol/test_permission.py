from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.protocol import ClaudeSession, QuestionWithdrawn, ToolQuestion
from tests.protocol.lines import busy_machine, line, result, sent

COMMAND = {"command": "git log", "description": "look"}
texts = st.text(st.characters(exclude_categories=()), max_size=20)
inputs = st.dictionaries(texts, texts | st.integers() | st.booleans() | st.none(), max_size=4)


def asked(tool_input: dict[str, Any], **more: Any) -> ToolQuestion:
    request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": tool_input, **more}
    data = line(type="control_request", request_id="q1", request=request)
    (event,) = ClaudeSession().receive(data)
    assert isinstance(event, ToolQuestion)
    return event


def test_a_question_says_what_the_agent_wants() -> None:
    question = asked(COMMAND, tool_use_id="toolu_1", decision_reason="outside")

    assert (question.tool, question.tool_input) == ("Bash", COMMAND)
    assert (question.detail, question.use_id, question.why) == ("git log", "toolu_1", "outside")


@busy_machine
@given(tool_input=inputs)
def test_what_is_allowed_is_exactly_what_was_asked_for(tool_input: dict[str, Any]) -> None:
    response = sent(asked(tool_input).allowance)["response"]

    assert (response["subtype"], response["request_id"]) == ("success", "q1")
    assert response["response"] == {"behavior": "allow", "updatedInput": tool_input}


def test_an_allowance_leaves_no_rule_behind() -> None:
    suggestions = [{"type": "addRules", "behavior": "allow", "destination": "session"}]
    question = asked(COMMAND, permission_suggestions=suggestions)

    assert b"updatedPermissions" not in question.allowance


def test_a_denial_tells_the_agent_why() -> None:
    response = sent(asked(COMMAND).refusal("because no"))["response"]

    assert response["response"] == {"behavior": "deny", "message": "because no"}


def test_the_cli_takes_a_question_back() -> None:
    data = line(type="control_cancel_request", request_id="q1")

    assert ClaudeSession().receive(data) == [QuestionWithdrawn("q1")]


@pytest.mark.parametrize("request_id", [None, [], {}, 1.5])
def test_a_withdrawal_of_nothing_is_passed_over(request_id: object) -> None:
    data = line(type="control_cancel_request", request_id=request_id)

    assert ClaudeSession().receive(data) == []


def test_a_refused_use_is_told_by_the_name_that_its_question_had() -> None:
    session = ClaudeSession()
    session.begin_task("x")
    denied = {"tool_name": "Bash", "tool_use_id": "toolu_1", "tool_input": COMMAND}

    (event,) = session.receive(result(permission_denials=[denied]))
    assert [(d.tool, d.use_id) for d in event.result.denials] == [("Bash", "toolu_1")]  # type: ignore[union-attr]
