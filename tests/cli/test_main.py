"""The words that the command line takes, and what it says of itself."""

import argparse
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor import __version__
from supervisor.cli import main
from supervisor.cli._manual import MANUAL
from supervisor.cli._parser import parser
from supervisor.place import TAG, VARIABLES
from tests.cli.conftest import Run

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run `agent-pool` in this process: exit status, stdout, stderr. Nothing is to be started."""
    project = tmp_path / "project"
    project.mkdir()
    (project / ".git").mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in (*VARIABLES, "CLAUDE_PROJECT_DIR", TAG):
        monkeypatch.delenv(name, raising=False)

    def called(*words: str) -> tuple[int, str, str]:
        status = main(list(words))
        said = capsys.readouterr()
        return status, said.out, said.err

    return called


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(found.choices)


def test_help_names_every_command_once_and_how_to_register_it(run: Run) -> None:
    done = run("--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert "claude mcp add agent-pool -- agent-pool serve" in done.stdout
    for command in commands():
        assert len(re.findall(rf"^  {command} ", done.stdout, re.MULTILINE)) == 1


@pytest.mark.parametrize("command", commands())
def test_the_help_of_a_command_has_what_the_manual_says_of_it(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    told = commands()[command].format_help()

    entry = MANUAL[command]
    assert told.startswith(f"usage: agent-pool {command} ")
    assert entry.brief[1:] in told
    assert entry.examples
    assert all(f"\n  {example}\n" in told for example in entry.examples)
    statuses = re.findall(r"^  (\d+) +(.+)", told.partition("exit status:")[2], re.MULTILINE)
    assert {int(number): means for number, means in statuses} == entry.every_status


def test_the_manual_has_the_commands_that_there_are() -> None:
    assert set(commands()) == set(MANUAL)


@pytest.mark.parametrize("command", commands())
def test_an_example_is_a_command_that_is_understood(command: str) -> None:
    for line in MANUAL[command].examples:
        for words in re.findall(r"agent-pool (?!rehearsal')([a-z][^|>&)]*)", line):
            parser().parse_args(shlex.split(words))


@pytest.mark.parametrize("words", [[], ["invoke"]])
def test_help_is_also_asked_for_as_a_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for asked in (["help", *words], [*words, "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(asked)
        said.append((ended.value.code, capsys.readouterr().out))

    assert said[0] == said[1]
    assert said[0][0] == 0


def test_help_fits_a_narrow_terminal(run: Run) -> None:
    done = run("top", "--help", COLUMNS="40")

    assert max(map(len, done.stdout.splitlines())) <= 40


def test_the_help_of_the_rehearsal_agent_is_its_own(run: Run) -> None:
    done = run("rehearsal", "--help")

    assert done.returncode == 0
    assert "[[crash RC]]" in done.stdout
    assert MANUAL["rehearsal"].epilog() in done.stdout


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

    assert '"statsu"; did you mean "stats" or "status"?' in done.stderr
    assert all(command in done.stderr for command in commands())


def test_an_unknown_option_is_answered_with_the_nearest_and_the_usage_of_its_command(
    call: Call,
) -> None:
    status, _, said = call("status", "--jsno")

    assert status == 2
    assert 'there is no option --jsno; did you mean "--json"?' in said
    assert said.startswith("usage: agent-pool status ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--http", "foo"], '"foo" is no address (allowed: '),
        (["invoke", "a", "b", "--conversation", "a b"], '"a b" is no name of a conversation'),
        (["reset", "a", "--conversation", ""], "is no name of a conversation"),
        (["invoke", "", "b"], "argument AGENT: it is empty"),
        (["wait", ""], "argument ID: it is empty"),
        (["invoke", "a", "b", "--timeout", "soon"], '"soon" is no number of seconds'),
        (["invoke", "a", "b", "--timeout", "0"], '"0" must be above 0'),
        (["invoke", "a", "b", "--priority", "hihg"], 'did you mean "high"?'),
        (["invoke", "a", "b", "--timeout", "-1"], '"-1" must be above 0 (such as 90 or 0.5)'),
        (["wait", "t-1", "--timeout", "-1"], '"-1" must not be below 0'),
        (["invoke-many", "x", "--max-parallel", "0"], '"0" must be above 0 (allowed: 1, 2, 3, …)'),
        (["tasks", "--limit", "1.5"], '"1.5" is no whole number (allowed: 1, 2, 3, …)'),
        (["tasks", "--limit", "5000"], "allowed: 1 to 1000"),
        (["logs", "--lines", "5000"], "allowed: 1 to 1000"),
        (["logs", "--since", "soon"], "soon"),
        (["logs", "--since", "-5m"], 'argument --since: "-5m" is no time; '),
        (["stats", "--days", "99999"], "at most 3650"),
        (["stats", "--days", "-1"], '"-1" must be above 0 (such as 7 or 0.5)'),
        (["stats", "--days", "x"], '"x" is no number of days (such as 7 or 0.5)'),
        (["stats", "--by", "dya"], 'did you mean "day"?'),
        (["tail", "--grep", "("], "is no regular expression"),
        (["tail", "--level", "warn"], 'did you mean "warning"?'),
        (["list", "--root", "nowhere"], 'project/nowhere" is not there'),
        (["status", "--root", "nowhere"], "is not there"),
        (["tail", "--root", "nowhere"], "is not there"),
        (["trust", "nowhere"], "is not there"),
        (["init", "--root", "nowhere"], "is not there"),
        (["list", "--config", "nowhere.toml"], 'argument --config: "nowhere.toml" is not there'),
        (["run", "--config", "."], 'argument --config: "." is no file'),
        (["trust", "--list", "--remove"], "not allowed with argument"),
        (["status", "extra"], "there is nothing to do with: extra\n"),
        (["invoke", "a", "b", "c"], "to do with: c; a task of several words stands in quotes"),
    ],
)
def test_a_value_that_cannot_be_is_status_2_before_anything_is_started(
    call: Call, tmp_path: Path, words: list[str], told: str
) -> None:
    status, out, said = call(*words)

    assert (status, out) == (2, "")
    assert told in said
    assert f"agent-pool {words[0]}: error: " in said
    assert not (tmp_path / "state").exists()


def test_a_wrong_usage_can_be_a_json_object(call: Call) -> None:
    status, out, said = call("tasks", "--json", "--limit", "0")

    record = json.loads(out)
    assert (status, said, record["code"]) == (2, "", "usage")
    assert "argument --limit" in record["error"]


@pytest.mark.parametrize(
    "words",
    [
        ["status"], ["top"], ["tree"], ["wait", "t-1"], ["result", "t-1"], ["cancel", "t-1"],
        ["tasks"], ["stats"], ["logs"], ["reload"],
    ],
)  # fmt: skip
def test_where_no_pool_runs_every_command_says_so_in_the_same_way(
    call: Call, words: list[str]
) -> None:
    status, out, said = call(*words, "--json")

    record = json.loads(out)
    assert (status, said) == (3, "")
    assert (record["code"], record["running"]) == ("no_pool", False)
    assert "agent-pool list, invoke or run start one" in record["error"]
    assert record["root"].endswith("/project")


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


def test_who_starts_serve_at_a_terminal_is_told_what_it_is_for_and_not_kept_waiting(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    master, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "agent_pool", "serve"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "file")},
        stdin=terminal,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(master)
    os.close(terminal)

    assert (done.returncode, done.stdout) == (1, "")
    assert "serve is for MCP clients" in done.stderr
    assert "set XDG_STATE_HOME" in done.stderr


def test_ctrl_c_while_it_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    """The module that is loaded first stands in for a slow disk."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "argparse.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    command = subprocess.Popen(
        [sys.executable, "-P", "-m", "agent_pool", "status"],
        env={"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(slow)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "loading\n"
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=60)

    assert (command.returncode, said) == (-signal.SIGINT, "")
