"""Progress on a terminal, and Ctrl-C."""

import json
import os
import signal
from collections.abc import Callable
from contextlib import closing

from tests.cli_calls.conftest import Run, Terminal
from tests.client import Project

Start = Callable[..., Terminal]

SLOW = "[[sleep 0.3]] [[say done]]"


def test_progress_is_one_line_that_is_gone_at_the_end(terminal: Start) -> None:
    shown = terminal("invoke", "busy", SLOW)
    status, out = shown.end()

    assert (status, out) == (0, "done\n")
    assert "busy: " in shown.seen
    assert "\n" not in shown.seen
    assert shown.seen.endswith("\r\033[K")


def test_progress_fits_into_the_terminal(terminal: Start) -> None:
    shown = terminal("invoke", "busy", SLOW, COLUMNS="12", NO_COLOR="1")
    shown.end()

    parts = shown.seen.split("\r\033[K")
    assert max(map(len, parts)) == 11


def test_progress_is_coloured(terminal: Start) -> None:
    shown = terminal("invoke", "busy", SLOW)
    shown.end()

    assert "\033[2m" in shown.seen


def test_progress_has_no_colour_where_nobody_wants_any(terminal: Start) -> None:
    shown = terminal("invoke", "busy", SLOW, NO_COLOR="1")
    shown.end()

    assert "busy: " in shown.seen
    assert "\033[2m" not in shown.seen


def test_a_terminal_that_cannot_take_back_a_line_is_shown_no_progress(terminal: Start) -> None:
    shown = terminal("invoke", "busy", SLOW, TERM="dumb")

    assert shown.end() == (0, "done\n")
    assert shown.seen == ""


def test_an_answer_cannot_move_the_cursor_of_a_terminal(terminal: Start) -> None:
    shown = terminal("invoke", "busy", "[[say a\033[2Jb]]", all_of_it=True)
    shown.end()

    assert "a\\x1b[2Jb" in shown.seen


def test_an_answer_is_as_it_is_in_a_pipe(run: Run) -> None:
    assert run("invoke", "coder", "[[say a\033[2Jb]]").stdout == "a\033[2Jb\n"


def test_ctrl_c_cancels_the_task_at_once_and_is_status_130(terminal: Start, run: Run) -> None:
    shown = terminal("invoke", "busy", "[[hang]]")
    shown.read_until("busy: working")
    shown.process.send_signal(signal.SIGINT)

    assert shown.end() == (130, "")
    (task,) = json.loads(run("tasks", "--agent", "busy", "--limit", "1", "--json").stdout)["tasks"]
    assert task["outcome"] == "cancelled"


def test_ctrl_c_of_wait_lets_the_task_run_on(terminal: Start, run: Run) -> None:
    task = run("submit", "busy", "[[hang]]").stdout.strip()
    shown = terminal("wait", task)
    shown.read_until("0 of 1 done")
    shown.process.send_signal(signal.SIGINT)

    assert shown.end() == (130, "")
    assert run("result", task).returncode == 4
    run("cancel", task)


def test_a_pool_that_is_killed_in_mid_call_is_status_3(lonely: Project) -> None:
    with closing(Terminal(lonely, "invoke", "coder", "[[hang]]")) as shown:
        shown.read_until("coder: working")
        pid = lonely.pool_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

        assert shown.end() == (3, "")
    assert "the pool has gone in the middle of the call" in shown.seen


def test_what_an_agent_does_while_its_task_goes_on_cannot_act_on_a_terminal(
    terminal: Start, project: Project, run: Run
) -> None:
    project.write_agent("runner", "Do it.", "tools: Bash")
    shown = terminal("invoke", "runner", "[[bash sleep 60 # \033[3J]]", "--if-longer-than", "1")
    status, task_id = shown.end()
    run("cancel", task_id.strip())

    assert status == 4
    assert r"# \x1b[3J" in shown.seen.rpartition("\033[K")[2]
    assert "\033[3J" not in shown.seen


def test_what_a_failed_agent_has_printed_cannot_act_on_a_terminal(lonely: Project) -> None:
    cli = lonely.folder / "cli"
    cli.write_text("#!/bin/sh\nprintf 'before \\033]0;owned\\007 after\\n' >&2; exit 1\n")
    cli.chmod(0o755)
    lonely.write_config("[defaults.supervisor]\nintensity = 0\n")
    on_terminal(lonely, "invoke", "coder", "Fail.", CLAUDE_CLI=str(cli))

    for command in ("status", "tree"):
        seen = on_terminal(lonely, command)
        assert r"before \x1b]0;owned\x07 after" in seen, command
        assert "\x1b]" not in seen, command


def on_terminal(project: Project, *words: str, **variables: str) -> str:
    """All that a command has a terminal show."""
    with closing(Terminal(project, *words, all_of_it=True, typing=False, **variables)) as shown:
        shown.end()
        return shown.seen
