"""An agent that asks for a permission, and a person at the terminal of `invoke`."""

import json
import signal
from collections.abc import Callable

import pytest

from supervisor.cli._asking import CHOICES, HINT, PROMPT
from supervisor.frontend import _questions
from tests.cli_calls.conftest import Run, Terminal
from tests.client import Project

Start = Callable[..., Terminal]

DONE = "bash: (Bash completed with no output)\n"


def test_what_can_be_typed_is_what_can_be_answered() -> None:
    assert list(CHOICES.values()) == list(_questions.CHOICES)


@pytest.mark.parametrize("typed", ["o", "O", " o ", "yes"])
def test_what_is_allowed_at_the_terminal_is_done(
    terminal: Start, project: Project, typed: str
) -> None:
    made = project.folder / f"made-{len(typed)}{typed.strip()}"
    shown = terminal("invoke", "asker", f"[[bash touch {made.name}]]", typing=True)
    shown.read_until(PROMPT)
    assert f"| touch {made.name}" in shown.seen
    shown.type(typed)

    assert shown.end() == (0, DONE)
    assert made.exists()


def test_consult_asks_as_invoke_does(terminal: Start) -> None:
    shown = terminal("consult", "asking-reader", '[[ask Read {"file_path": "/x"}]]', typing=True)
    shown.read_until(PROMPT)
    shown.type("o")

    assert shown.end() == (0, 'ask: allowed {"file_path": "/x"}\n')


@pytest.mark.parametrize("typed", ["d", "n", "No", "deny"])
def test_what_is_denied_at_the_terminal_is_not_done(
    terminal: Start, project: Project, typed: str
) -> None:
    shown = terminal("invoke", "asker", "[[bash touch denied]]", typing=True)
    shown.read_until(PROMPT)
    shown.type(typed)
    status, out = shown.end()

    assert status == 0
    assert out.rstrip().endswith("the user was asked, and denied it.")
    assert not (project.folder / "denied").exists()


def test_what_is_allowed_for_the_task_is_asked_once(terminal: Start) -> None:
    shown = terminal("invoke", "asker", "[[bash touch a]] [[bash touch b]]", typing=True)
    shown.read_until(PROMPT)
    shown.type("t")

    assert shown.end() == (0, DONE)
    assert shown.seen.count(PROMPT) == 1


def test_what_is_no_answer_is_asked_again_with_what_can_be_typed(terminal: Start) -> None:
    shown = terminal("invoke", "asker", "[[bash touch a]]", typing=True)
    shown.read_until(PROMPT)
    shown.type("what?")
    shown.read_until(f"what?\r\n{HINT}\r\n{PROMPT}")
    shown.type("o")

    assert shown.end() == (0, DONE)


def test_the_end_of_what_is_typed_dismisses_the_question(terminal: Start) -> None:
    shown = terminal("invoke", "asker", "[[bash touch a]]", typing=True)
    shown.read_until(PROMPT)
    shown.type_end()

    assert "the question was dismissed without an answer" in shown.end()[1]


def test_ctrl_c_while_asked_cancels_the_task(terminal: Start, run: Run) -> None:
    shown = terminal("invoke", "asker", "[[bash touch a]]", typing=True)
    shown.read_until(PROMPT)
    shown.process.send_signal(signal.SIGINT)

    assert shown.end() == (130, "")
    (task,) = json.loads(run("tasks", "--agent", "asker", "--limit", "1", "--json").stdout)["tasks"]
    assert task["outcome"] == "cancelled"


def test_a_question_that_is_taken_back_is_no_longer_asked(terminal: Start, run: Run) -> None:
    shown = terminal("invoke", "asker", "[[bash touch a]]", typing=True)
    shown.read_until(PROMPT)
    (task,) = json.loads(run("tasks", "--agent", "asker", "--limit", "1", "--json").stdout)["tasks"]
    run("cancel", task["task_id"])

    assert shown.end()[0] == 1


def test_where_there_is_no_terminal_nobody_is_asked(run: Run) -> None:
    out = run("invoke", "asker", "[[bash touch a]]").stdout

    assert "nobody to ask: the client that called shows no questions" in out
