"""Which pool a command asks, and what it says where there is none."""

import json
import subprocess
import sys

import pytest

from supervisor.place import TAG
from tests.cli_calls.conftest import Run, command
from tests.client import Project

HEAVY = {"mcp", "mcp_types", "pydantic", "trio", "anyio", "asyncio", "yaml", "structlog"}


@pytest.mark.parametrize(
    "words", [("wait", "t-0"), ("result", "t-0"), ("cancel", "t-0"), ("tasks",), ("logs",)]
)
def test_what_needs_a_running_pool_starts_none_and_is_status_3(
    lonely: Project, words: tuple[str, ...]
) -> None:
    done = command(lonely)(*words)

    assert (done.returncode, done.stdout) == (3, "")
    assert f"no pool of {lonely.place.root} runs" in done.stderr
    assert lonely.pool_pid() is None


def test_no_pool_is_an_object_in_json(lonely: Project) -> None:
    done = command(lonely)("tasks", "--json")

    assert (done.returncode, json.loads(done.stdout)["running"]) == (3, False)


def test_invoke_starts_a_pool_where_none_runs(lonely: Project) -> None:
    done = command(lonely)("invoke", "coder", "[[say first]]")

    assert (done.returncode, done.stdout) == (0, "first\n")
    assert lonely.pool_pid() is not None


def test_wrong_input_starts_no_pool(lonely: Project) -> None:
    assert command(lonely)("invoke-many", "no-such-file").returncode == 2
    assert lonely.pool_pid() is None


def test_a_pool_that_cannot_start_is_status_3_with_the_reason(lonely: Project) -> None:
    lonely.state.rmdir()
    lonely.state.write_text("in the way")
    done = command(lonely)("list")
    lonely.state.unlink()

    assert (done.returncode, done.stdout) == (3, "")
    assert "set XDG_STATE_HOME" in done.stderr


def test_who_sets_no_variable_takes_the_pool_as_it_is(run: Run) -> None:
    assert run("invoke", "coder", "[[say hi]]", CLAUDE_CLI="").stdout == "hi\n"


def test_who_sets_another_variable_than_the_pool_has_is_told(run: Run) -> None:
    done = run("invoke", "coder", "x", CLAUDE_CLI="/another/cli")

    assert (done.returncode, done.stdout) == (3, "")
    assert 'this client "/another/cli"' in done.stderr


def test_an_agent_of_a_pool_may_not_ask_one(run: Run) -> None:
    done = run("tasks", **{TAG: "x"})

    assert (done.returncode, done.stdout) == (3, "")
    assert TAG in done.stderr


def test_another_project_is_named_by_root(project: Project, lonely: Project) -> None:
    words = ("invoke", "coder", "[[say there]]", "--root", str(project.folder))
    done = command(lonely)(*words, XDG_STATE_HOME=str(project.state))

    assert done.stdout == "there\n"
    assert lonely.pool_pid() is None


def test_a_command_waits_for_no_sdk() -> None:
    script = "import sys, supervisor.cli._calls; print('\\n'.join(sys.modules))"
    argv = [sys.executable, "-I", "-c", script]
    loaded = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)

    assert not set(loaded.stdout.split()) & HEAVY


def test_the_tree_of_a_degraded_pool_is_drawn_with_what_is_wrong_and_status_1(
    lonely: Project,
) -> None:
    lonely.write_config("[pool]\nlnger = 1\n")
    run = command(lonely)
    assert run("list").returncode == 1
    drawn, told = run("tree"), run("tree", "--json")

    assert drawn.returncode == told.returncode == 1
    assert drawn.stdout.startswith("root ")
    assert "lnger" in drawn.stderr
    assert {"tree", "error", "code"} <= json.loads(told.stdout).keys()
