"""The words that the command line takes, and what it says of itself."""

import argparse
import json

import pytest

from supervisor import __version__
from supervisor.cli._main import parser
from tests.cli.conftest import Run


def commands() -> list[str]:
    (found,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return list(found.choices)


def test_help_names_every_command_and_how_to_register_it(run: Run) -> None:
    done = run("--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert "claude mcp add agent-pool -- agent-pool serve" in done.stdout
    for command in commands():
        assert f"\n    {command}" in done.stdout


@pytest.mark.parametrize("command", commands())
def test_the_help_of_a_command_says_what_it_does_and_has_an_example(run: Run, command: str) -> None:
    done = run(command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: agent-pool {command}" in done.stdout
    example = done.stdout.split("\nexample:\n  ")[1]
    assert "agent-pool" in example or "claude" in example


def test_the_help_of_the_rehearsal_agent_is_its_own(run: Run) -> None:
    done = run("rehearsal", "--help")

    assert done.returncode == 0
    assert "[[crash RC]]" in done.stdout


def test_it_tells_its_version(run: Run) -> None:
    done = run("--version")

    assert (done.returncode, done.stdout) == (0, f"agent-pool {__version__}\n")


@pytest.mark.parametrize(
    "words", [["no-such-command"], [], ["status", "--no-such-option"], ["serve", "extra"]]
)
def test_a_wrong_usage_is_status_2_with_the_usage_and_nothing_on_stdout(
    run: Run, words: list[str]
) -> None:
    done = run(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: agent-pool" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_answered_with_those_there_are(run: Run) -> None:
    done = run("statsu")

    assert "'statsu'" in done.stderr
    assert all(command in done.stderr for command in commands())


def test_status_without_a_pool_is_status_3(run: Run) -> None:
    done = run("status")

    assert done.returncode == 3
    assert "no pool of" in done.stdout


def test_status_can_be_one_json_object(run: Run) -> None:
    done = run("status", "--json")

    facts = json.loads(done.stdout)
    assert facts["running"] is False
    assert facts["root"].endswith("/project")


def test_to_stop_no_pool_is_done_at_once(run: Run) -> None:
    done = run("stop", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["stopped"] is False


def test_doctor_looks_at_this_machine(run: Run) -> None:
    done = run("doctor", "--json", CLAUDE_CLI="agent-pool rehearsal")

    assert done.stderr == ""
    assert {"nofile", "state", "tmp", "pool"} <= {
        found["key"] for found in json.loads(done.stdout)["findings"]
    }


@pytest.mark.parametrize("words", [["run"], ["serve"], ["serve", "--config", "x.toml"]])
def test_no_pool_is_started_inside_a_pool(run: Run, words: list[str]) -> None:
    done = run(*words, AGENT_POOL_TAG="x.1")

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "an agent of a pool may not" in line
    assert "AGENT_POOL_TAG is set" in line
    assert "hand the work back to the caller" in line
