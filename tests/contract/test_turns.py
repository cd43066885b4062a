"""What a turn prints, what `/clear` and `initialize` do: of both programs.

Each program has one conversation with every kind of turn, and one that begins with a system
prompt; a test looks at a part of it.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.contract.conftest import TOGETHER, starting
from tests.contract.driver import Driver, Line

RELIED_ON = {
    "subtype": str,
    "is_error": bool,
    "result": str,
    "session_id": str,
    "total_cost_usd": float,
    "usage": dict,
    "num_turns": int,
    "duration_ms": int,
    "permission_denials": list,
    "terminal_reason": str,
    "uuid": str,
}

TASKS: Final[dict[str, Any]] = {
    "first": "hello",
    "second": "hello",
    "context": "[[context]]",
    "tools": "[[say one moment]] [[bash echo hi]]",
    "not ascii": "grüß \N{SNOWMAN} \N{PILE OF POO}",
    "API error": "[[error 400]]",
    "after the API error": "hello",
    "empty": "[[empty]]",
    "two tools": "[[bash true]] [[bash true]]",
    "unknown command": "/CLEAR",
    "leading space": " /clear",
    "path": "/tmp/x is a path",
    "clear": "/clear",
    "context after clear": "[[context]]",
    "clear in a block": [{"type": "text", "text": "/clear"}],
}
"""A name → the task, in their order."""


@dataclass(frozen=True)
class Turn:
    """One task's, from `running` to `idle`."""

    result: Line
    lines: list[Line]


@dataclass(frozen=True)
class Conversation:
    """What a process was asked, and what it said."""

    before: list[Line]
    """What it printed up to the answer to the first request."""
    turns: dict[str, Turn]
    """By the names of `TASKS`."""
    unknown_request: Line
    idle_interrupt: Line
    after_idle_interrupt: Line
    after_repetition: Line
    """The result of the task behind one whose uuid had been there."""


@dataclass(frozen=True)
class Prompted:
    """What a process said that was given a system prompt, then another."""

    pid: int
    first: Line
    later: Line
    """The answers to `initialize`."""
    prompts: tuple[str, str, str]
    """The system prompt after the first, after the later one, and after `/clear`."""


def turn(cli: Driver, task: object) -> Turn:
    at = len(cli.lines)
    return Turn(cli.ask(task), cli.lines[at:])


def repeated(cli: Driver) -> Line:
    task = str(uuid.uuid4())
    cli.ask("one", uuid=task)
    cli.user("never answered", uuid=task)
    cli.control("mcp_status")
    return cli.ask("two")


def texts_in_context(turn: Turn) -> list[str]:
    """The earlier task texts that the model was sent."""
    texts: list[str] = json.loads(turn.result["result"].partition("user texts: ")[2])
    return texts


@pytest.fixture(scope="module", params=TOGETHER)
def conversation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Conversation]:
    with starting(request, tmp_path_factory.mktemp("turns")) as start:
        cli = start()
        cli.control("mcp_status")
        yield Conversation(
            before=list(cli.lines),
            turns={name: turn(cli, task) for name, task in TASKS.items()},
            unknown_request=cli.control("frobnicate"),
            idle_interrupt=cli.control("interrupt"),
            after_idle_interrupt=cli.ask("three"),
            after_repetition=repeated(cli),
        )


@pytest.fixture
def turns(conversation: Conversation) -> dict[str, Turn]:
    return conversation.turns


@pytest.fixture(scope="module", params=TOGETHER)
def prompted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prompted]:
    with starting(request, tmp_path_factory.mktemp("prompted")) as start:
        cli = start()
        first = cli.control("initialize", systemPrompt=["You are the first."])
        prompts = [cli.ask("[[system]]")["result"]]
        later = cli.control("initialize", systemPrompt=["You are another."])
        prompts.append(cli.ask("[[system]]")["result"])
        cli.ask("/clear")
        prompts.append(cli.ask("[[system]]")["result"])
        yield Prompted(cli.pid, first, later, (prompts[0], prompts[1], prompts[2]))


# A turn


def test_nothing_is_printed_before_the_first_line(conversation: Conversation) -> None:
    assert [line["type"] for line in conversation.before] == ["control_response"]


def test_a_task_is_answered(turns: dict[str, Turn]) -> None:
    assert turns["first"].result["result"] == "echo: hello"


def test_a_turn_runs_from_running_over_init_assistant_and_result_to_idle(
    turns: dict[str, Turn],
) -> None:
    lines = turns["first"].lines
    kinds = [line.get("state") or line.get("subtype") or line["type"] for line in lines]
    assert kinds == ["running", "init", "assistant", "success", "idle"]


def test_a_tool_turn_has_one_assistant_line_for_each_block(turns: dict[str, Turn]) -> None:
    blocks = [
        block["type"]
        for line in turns["tools"].lines
        if line["type"] in ("assistant", "user")
        for block in line["message"]["content"]
    ]
    assert blocks == ["text", "tool_use", "tool_result", "text"]


def test_the_result_has_the_fields_that_are_relied_on(turns: dict[str, Turn]) -> None:
    found = {key: type(turns["first"].result.get(key)) for key in RELIED_ON}
    assert found == RELIED_ON


def test_the_result_of_a_good_task_says_success_and_completed(turns: dict[str, Turn]) -> None:
    result = turns["first"].result
    found = (result["subtype"], result["is_error"], result["terminal_reason"], result["num_turns"])
    assert found == ("success", False, "completed", 1)


def test_every_line_of_a_turn_has_the_same_session_id(turns: dict[str, Turn]) -> None:
    lines = turns["first"].lines + turns["tools"].lines
    assert {line["session_id"] for line in lines} == {turns["tools"].result["session_id"]}


def test_a_text_that_is_not_ascii_comes_back_unchanged(turns: dict[str, Turn]) -> None:
    assert turns["not ascii"].result["result"].endswith("☃ \N{PILE OF POO}")


def test_an_api_error_is_a_success_that_is_an_error(turns: dict[str, Turn]) -> None:
    result = turns["API error"].result
    assert (result["subtype"], result["is_error"]) == ("success", True)
    assert result["api_error_status"] == 400
    assert result["result"].startswith("API Error: 400")


def test_after_an_api_error_the_next_task_works(turns: dict[str, Turn]) -> None:
    assert turns["after the API error"].result["result"] == "echo: hello"


def test_the_cost_is_cumulative_and_the_usage_is_not(turns: dict[str, Turn]) -> None:
    first, second = turns["first"].result, turns["second"].result
    assert second["total_cost_usd"] > first["total_cost_usd"] > 0
    assert second["usage"]["output_tokens"] == first["usage"]["output_tokens"] > 0


def test_an_answer_without_text_is_asked_for_once_more(turns: dict[str, Turn]) -> None:
    result = turns["empty"].result
    assert (result["result"], result["is_error"], result["num_turns"]) == ("", False, 2)


def test_num_turns_counts_the_results_of_tools(turns: dict[str, Turn]) -> None:
    assert turns["two tools"].result["num_turns"] == 3


def test_a_task_stays_in_the_context(turns: dict[str, Turn]) -> None:
    assert texts_in_context(turns["context"]) == ["hello", "hello"]


# /clear


def test_clear_shows_its_evidence(turns: dict[str, Turn]) -> None:
    before, cleared = turns["path"].result, turns["clear"].result
    assert (cleared["result"], cleared["num_turns"]) == ("", 0)
    assert cleared["session_id"] != before["session_id"]
    assert "terminal_reason" not in cleared


def test_clear_prints_init_an_empty_assistant_line_and_a_result(turns: dict[str, Turn]) -> None:
    _, init, assistant, result, _ = turns["clear"].lines
    assert init["subtype"] == "init"
    assert assistant["message"]["content"] == [{"type": "text", "text": "(no content)"}]
    assert init["session_id"] == assistant["session_id"] == result["session_id"]


def test_after_clear_the_context_is_gone(turns: dict[str, Turn]) -> None:
    assert texts_in_context(turns["context after clear"]) == []


def test_clear_does_not_reset_the_cost(turns: dict[str, Turn]) -> None:
    before, cleared = turns["path"].result, turns["clear"].result
    assert cleared["total_cost_usd"] == before["total_cost_usd"]


def test_clear_is_understood_as_a_content_block(turns: dict[str, Turn]) -> None:
    before, cleared = turns["context after clear"].result, turns["clear in a block"].result
    assert cleared["session_id"] != before["session_id"]


def test_an_unknown_command_is_answered_without_the_model(turns: dict[str, Turn]) -> None:
    result = turns["unknown command"].result
    assert (result["result"], result["num_turns"]) == ("Unknown command: /CLEAR", 0)


def test_a_leading_space_makes_a_slash_text_literal(turns: dict[str, Turn]) -> None:
    before, result = turns["two tools"].result, turns["leading space"].result
    assert (result["num_turns"], result["session_id"]) == (1, before["session_id"])
    assert result["result"].endswith(" /clear")


def test_a_path_is_no_command(turns: dict[str, Turn]) -> None:
    assert turns["path"].result["result"] == "echo: /tmp/x is a path"


# Other requests while idle


def test_an_unknown_control_request_is_refused_by_name(conversation: Conversation) -> None:
    response = conversation.unknown_request
    assert response["subtype"] == "error"
    assert response["error"] == "Unsupported control request subtype: frobnicate"


def test_an_interrupt_when_idle_changes_nothing(conversation: Conversation) -> None:
    assert conversation.idle_interrupt["subtype"] == "success"
    assert conversation.after_idle_interrupt["result"] == "echo: three"


def test_a_repeated_uuid_is_dropped_silently(conversation: Conversation) -> None:
    assert conversation.after_repetition["result"] == "echo: two"


# The system prompt


def test_initialize_is_answered_with_the_pid(prompted: Prompted) -> None:
    assert prompted.first["subtype"] == "success"
    assert prompted.first["response"]["pid"] == prompted.pid


def test_the_first_initialize_sets_the_system_prompt(prompted: Prompted) -> None:
    assert prompted.prompts[0].endswith("You are the first.")


def test_a_later_initialize_changes_nothing(prompted: Prompted) -> None:
    assert prompted.later["subtype"] == "success"
    assert prompted.prompts[1].endswith("You are the first.")


def test_the_system_prompt_outlives_a_clear(prompted: Prompted) -> None:
    assert prompted.prompts[2].endswith("You are the first.")
