"""What there is, as tables and as JSON; and starting and ending agents by hand."""

import json
from collections.abc import Callable

import pytest

from supervisor.cli._screen import cut, table
from tests.cli_calls.conftest import Run, Terminal, command
from tests.client import Project


def test_list_has_a_row_an_agent_whole_in_a_pipe(run: Run) -> None:
    head, *rows = run("list").stdout.splitlines()

    assert head.split()[:2] == ["AGENT", "STATE"]
    (row,) = (row for row in rows if row.startswith("coder "))
    assert row.endswith("The agent coder.")
    assert max(map(len, rows)) > 120


def test_a_table_is_cut_to_the_width_of_a_terminal(terminal: Callable[..., Terminal]) -> None:
    shown = terminal("list", all_of_it=True, COLUMNS="50")
    shown.end()

    lines = shown.seen.splitlines()
    assert max(map(len, lines)) == 50
    assert any(line.endswith("…") for line in lines)


def test_list_in_json_is_the_tool_s_record(run: Run) -> None:
    agents = json.loads(run("list", "--json").stdout)["agents"]

    assert {"coder", "other", "busy"} <= {agent["name"] for agent in agents}


def test_tasks_can_be_chosen_by_agent_and_state(run: Run) -> None:
    run("invoke", "coder", "x")
    running = run("submit", "busy", "[[hang]]").stdout.strip()
    try:
        chosen = ("--agent", "coder", "--state", "ended", "--limit", "1")
        head, row = run("tasks", *chosen).stdout.splitlines()
    finally:
        run("cancel", running)

    assert head.split()[:3] == ["TASK", "AGENT", "STATE/OUTCOME"]
    assert row.split()[1:3] == ["coder", "result"]


def test_logs_are_the_last_lines_as_tail_prints_them(run: Run) -> None:
    run("invoke", "coder", "[[say x]]")
    asked = ("--agent", "coder", "--since", "10m", "--lines", "2")
    lines = run("logs", *asked).stdout.splitlines()

    assert len(lines) == 2
    assert lines == run("tail", *asked).stdout.splitlines()


def test_logs_in_json_are_the_lines_of_the_log(run: Run) -> None:
    run("invoke", "coder", "[[say x]]")
    done = run("logs", "--agent", "coder", "--level", "info", "--json")

    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["agent"] for record in records} == {"coder"}
    assert {"task_started", "task_ended"} <= {record["event"] for record in records}


def test_a_time_that_is_none_is_a_wrong_usage(run: Run) -> None:
    assert run("logs", "--since", "yesterday").returncode == 2


def test_warmup_goes_on_after_an_agent_that_cannot_be_started(run: Run) -> None:
    done = run("warmup", "nobody", "coder")

    assert done.returncode == 1
    assert done.stderr.startswith("unknown_agent: ")
    assert done.stdout.startswith("coder: ready, pid ")


def test_reset_tells_what_was_killed(run: Run) -> None:
    ready = json.loads(run("warmup", "other", "--json").stdout)
    done = run("reset", "other")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"process {ready['pid']} killed" in done.stdout


def test_columns_are_aligned_also_where_characters_are_wide() -> None:
    assert table([("A", "B"), ("日本", "x")], None) == ["A     B", "日本  x"]


@pytest.mark.parametrize(
    ("text", "shown"), [("abcd", "abcd"), ("abcde", "abc…"), ("日本語", "日…"), ("", "")]
)
def test_a_text_is_cut_to_columns_not_characters(text: str, shown: str) -> None:
    assert cut(text, 4) == shown


def test_a_table_shows_no_control_characters() -> None:
    assert table([("A",), ("\x1b[31m",)], None) == ["A", "\\x1b[31m"]


def test_a_conversation_that_there_is_not_is_named_when_it_is_reset(run: Run) -> None:
    done = run("reset", "coder", "--conversation", "tpyo")

    assert done.stdout == "coder, conversation tpyo: there is none of that name\n"


def test_a_pool_without_agents_says_where_it_looked(lonely: Project) -> None:
    done = command(lonely)("list", AGENTS_DIR="/nope")

    assert done.returncode == 0
    assert "no agent is defined: there is no file <name>.md in /nope" in done.stderr
