from typing import Any

import pytest

from supervisor.protocol import ClaudeSession, Question
from tests.protocol.lines import line, sent

REQUEST = "6f12"


def answer_to(**request: Any) -> Any:
    question = line(type="control_request", request_id=REQUEST, request=request)
    (event,) = ClaudeSession().receive(question)
    assert isinstance(event, Question)
    assert event.subtype == str(request.get("subtype"))
    return sent(event.answer)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"tool_name": "Bash"},
        {"tool_name": "", "input": {}},
        {"tool_name": 7, "input": {}},
        {"tool_name": "Bash", "input": "ls"},
        {"tool_name": "Bash", "input": {"timeout": float("nan")}},
    ],
)
def test_a_question_for_permission_that_cannot_be_understood_is_denied(odd: dict[str, Any]) -> None:
    answer = answer_to(subtype="can_use_tool", **odd)

    response = answer["response"]
    assert response["subtype"] == "success"
    assert response["request_id"] == REQUEST
    assert response["response"]["behavior"] == "deny"
    assert response["response"]["message"]
    assert "interrupt" not in response["response"]


@pytest.mark.parametrize("subtype", ["hook_callback", "mcp_message", "elicitation", "unheard_of"])
def test_every_other_question_is_answered_with_an_error(subtype: str) -> None:
    answer = answer_to(subtype=subtype)

    assert answer["type"] == "control_response"
    response = answer["response"]
    assert response["subtype"] == "error"
    assert response["request_id"] == REQUEST
    assert response["error"]
    assert "response" not in response


def test_a_question_without_a_kind_is_answered_too() -> None:
    assert answer_to()["response"]["subtype"] == "error"


@pytest.mark.parametrize("request_id", [None, [], {}, 1.5])
def test_a_question_that_nobody_can_match_is_not_answered(request_id: object) -> None:
    question = line(type="control_request", request_id=request_id, request={"subtype": "x"})

    assert ClaudeSession().receive(question) == []


def test_a_question_without_a_number_for_a_name_is_not_echoed() -> None:
    # NaN is no JSON: the CLI ends at the sight of such a line.
    assert ClaudeSession().receive(b'{"type":"control_request","request_id":NaN}\n') == []


def test_a_question_in_the_middle_of_a_task_leaves_it_in_hand() -> None:
    session = ClaudeSession()
    session.begin_task("x")

    session.receive(line(type="control_request", request_id=REQUEST, request={"subtype": "x"}))
    assert not session.idle
