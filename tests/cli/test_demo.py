"""The demo is believed because it fails where something does not happen."""

import json
import shlex
import sys
from pathlib import Path

from tests.cli.conftest import Completed, Run
from tests.loopback import LoopbackAPI
from tests.realcli.install import RealCLI, environment

STAND_IN = """
import json, sys, uuid

told, session = [], str(uuid.uuid4())
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "control_request":
        answer = {"subtype": "success", "request_id": message["request_id"], "response": {}}
        print(json.dumps({"type": "control_response", "response": answer}), flush=True)
    elif message["type"] == "user":
        text, answer = message["message"]["content"], ""
        if text == "/clear":
            session = str(uuid.uuid4())
            FORGET
        else:
            told.append(text)
            answer = " | ".join(told)
        SLEEP
        print(json.dumps({
            "type": "result", "subtype": "success", "is_error": False, "result": answer,
            "session_id": session, "num_turns": 1 if answer else 0, "uuid": str(uuid.uuid4()),
        }), flush=True)
        AFTER
"""
"""A CLI that answers all that it was told in its context, and says of /clear that it cleared."""


def stand_in(tmp_path: Path, forget: str = "told = []", sleep: str = "", after: str = "") -> str:
    """Write one; gives its command line."""
    sleeps = "if 'sleep 60' in text: import time; time.sleep(60)"
    text = STAND_IN.replace("FORGET", forget).replace("SLEEP", sleep or sleeps)
    script = tmp_path / "stand in.py"
    script.write_text(text.replace("AFTER", after or "pass"))
    return shlex.join([sys.executable, str(script)])


def assert_failed(done: Completed, why: str) -> None:
    assert done.returncode == 1
    assert "✗" in done.stdout
    assert why in done.stdout
    assert "All of it happened" not in done.stdout
    assert "Traceback" not in done.stderr


def assert_happened(done: Completed) -> None:
    assert (done.returncode, done.stderr) == (0, "")
    assert "✗" not in done.stdout
    assert done.stdout.count("✓") > 8
    assert done.stdout.rstrip().splitlines()[-1].startswith("All of it happened")


def test_with_the_rehearsal_agent_all_of_it_happens_and_is_told_in_plain_text(
    run: Run, tmp_path: Path
) -> None:
    done = run("demo")

    assert_happened(done)
    assert "\033" not in done.stdout
    assert not list((tmp_path / "tmp").iterdir())


def test_with_another_agent_cli_all_of_it_happens_and_each_line_can_be_a_json_object(
    run: Run, tmp_path: Path
) -> None:
    done = run("demo", "--json", CLAUDE_CLI=stand_in(tmp_path))

    kinds = [next(iter(json.loads(line))) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert (kinds[0], kinds[-1]) == ("step", "done")
    assert set(kinds) == {"step", "fact", "check", "done"}


def test_it_fails_where_the_context_is_kept(run: Run, tmp_path: Path) -> None:
    done = run("demo", CLAUDE_CLI=stand_in(tmp_path, forget="pass"))

    assert_failed(done, "scout still knows of the task before")


def test_it_fails_where_the_process_is_not_kept(run: Run, tmp_path: Path) -> None:
    done = run("demo", CLAUDE_CLI=stand_in(tmp_path, after="if answer: break"))

    assert_failed(done, "")


def test_it_fails_where_the_task_ends_before_the_kill(run: Run, tmp_path: Path) -> None:
    done = run("demo", CLAUDE_CLI=stand_in(tmp_path, sleep="pass"))

    assert_failed(done, "this does not hold: the caller got an error")


def test_it_fails_where_the_cli_ends_at_once(run: Run) -> None:
    assert_failed(run("demo", CLAUDE_CLI="false"), "scout failed: ")


def test_it_fails_without_a_cli_and_the_failure_is_a_json_object_too(run: Run) -> None:
    done = run("demo", "--json", CLAUDE_CLI="/no/such/claude")

    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert "cli_missing" in last["failed"]


def test_with_the_real_cli_all_of_it_happens(
    run: Run, real_cli: RealCLI, loopback: LoopbackAPI, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environ = environment(home, loopback.base_url, CLAUDE_CLI=shlex.join(real_cli.argv))

    assert_happened(run("demo", **environ))
