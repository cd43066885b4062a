"""Asking the host whether a tool may be used: `--permission-prompt-tool stdio`."""

from pathlib import Path

import pytest

from tests.contract.conftest import Start
from tests.contract.driver import Driver, Line


def asked(start: Start, task: str) -> tuple[Driver, Line]:
    """A CLI that asks its host, and its question about the task."""
    cli = start("--permission-mode", "default", "--permission-prompt-tool", "stdio", bash=False)
    cli.user(task)
    return cli, cli.until(lambda line: line["type"] == "control_request")


def reply(cli: Driver, question: Line, **answer: object) -> Line:
    """Answer a question; gives the task's result."""
    response = {"subtype": "success", "request_id": question["request_id"], "response": answer}
    cli.send({"type": "control_response", "response": response})
    return cli.result()


def test_a_use_that_no_rule_allows_is_asked_for(start: Start) -> None:
    cli, question = asked(start, "[[bash touch made]]")
    request = question["request"]
    assert request["subtype"] == "can_use_tool"
    assert request["tool_name"] == "Bash"
    assert request["input"]["command"] == "touch made"
    assert request["tool_use_id"]
    assert any(line.get("state") == "requires_action" for line in cli.lines)


def test_a_use_that_is_allowed_runs_with_the_input_of_the_answer(
    start: Start, tmp_path: Path
) -> None:
    cli, question = asked(start, "[[bash touch made]]")
    changed = question["request"]["input"] | {"command": "touch changed"}
    result = reply(cli, question, behavior="allow", updatedInput=changed)
    assert result["permission_denials"] == []
    assert ((tmp_path / "changed").exists(), (tmp_path / "made").exists()) == (True, False)


def test_a_use_that_is_denied_is_told_to_the_agent_with_the_reason(start: Start) -> None:
    cli, question = asked(start, "[[bash touch made]]")
    result = reply(cli, question, behavior="deny", message="because no")
    assert result["result"] == "bash: because no"
    (denial,) = result["permission_denials"]
    assert denial["tool_use_id"] == question["request"]["tool_use_id"]
    assert result["subtype"] == "success"


def test_the_same_use_is_asked_for_again(start: Start) -> None:
    cli, question = asked(start, "[[bash touch a]] [[bash touch a]]")
    allowed = {"behavior": "allow", "updatedInput": question["request"]["input"]}
    response = {"subtype": "success", "request_id": question["request_id"], "response": allowed}
    cli.send({"type": "control_response", "response": response})
    again = cli.until(lambda line: line["type"] == "control_request")
    assert again["request"]["input"]["command"] == "touch a"


@pytest.mark.parametrize(
    "answer", [{"behavior": "allow"}, {"behavior": "deny"}, {"behavior": "ask"}, {"foo": 1}]
)
def test_an_answer_that_makes_no_sense_denies_it(
    start: Start, tmp_path: Path, answer: dict[str, object]
) -> None:
    cli, question = asked(start, "[[bash touch made]]")
    assert reply(cli, question, **answer)["subtype"] == "success"
    assert not (tmp_path / "made").exists()


def test_an_interrupt_takes_the_question_back(start: Start, tmp_path: Path) -> None:
    cli, question = asked(start, "[[bash touch made]]")
    cli.control("interrupt")
    assert cli.result()["terminal_reason"] == "aborted_tools"
    taken_back = [line for line in cli.lines if line["type"] == "control_cancel_request"]
    assert [line["request_id"] for line in taken_back] == [question["request_id"]]
    cli.idle()
    late = {"behavior": "allow", "updatedInput": question["request"]["input"]}
    response = {"subtype": "success", "request_id": question["request_id"], "response": late}
    cli.send({"type": "control_response", "response": response})
    assert cli.ask("hello")["result"] == "echo: hello"
    assert not (tmp_path / "made").exists()


def test_while_it_asks_it_answers_its_host(start: Start) -> None:
    cli, _ = asked(start, "[[bash touch made]]")
    assert cli.control("mcp_status")["subtype"] == "success"


def test_the_end_of_stdin_denies_what_is_asked(start: Start, tmp_path: Path) -> None:
    cli, _ = asked(start, "[[bash touch made]]")
    cli.end_input()
    assert "Tool permission request failed" in cli.result()["result"]
    assert cli.exit_code() == 0
    assert not (tmp_path / "made").exists()


def test_nothing_is_asked_for_in_the_mode_that_says_so(start: Start) -> None:
    cli = start("--permission-mode", "dontAsk", "--permission-prompt-tool", "stdio", bash=False)
    assert len(cli.ask("[[bash touch made]]")["permission_denials"]) == 1
