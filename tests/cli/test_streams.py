"""Commands whose standard streams are closed, full or narrow, or whose folder has gone."""

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.cli import main
from tests.cli.conftest import TIMEOUT_S, Completed, Run

AGENT_POOL = shlex.join([sys.executable, "-P", "-m", "agent_pool"])

Shell = Callable[..., Completed]
Start = Callable[[str, int, str], "subprocess.Popen[str]"]


@pytest.fixture
def shell(run: Run) -> Shell:
    """Run a line of a shell in the project; {} in it is the command."""

    def done(line: str, **environ: str) -> Completed:
        return run(shell_line=line.format(AGENT_POOL), **environ)

    return done


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `agent-pool` with some words in a project, with that for standard output."""
    (tmp_path / "project/.claude").mkdir(parents=True)
    started = []

    def begin(words: str, stdout: int, unbuffered: str) -> "subprocess.Popen[str]":
        command = subprocess.Popen(
            [*shlex.split(AGENT_POOL), *words.split()],
            cwd=tmp_path / "project",
            env={
                "PATH": os.defpath,
                "HOME": str(tmp_path),
                "XDG_STATE_HOME": str(tmp_path / "state"),
                "PYTHONUNBUFFERED": unbuffered,
            },
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(command)
        return command

    yield begin
    for command in started:
        with command:
            command.kill()


def test_in_a_folder_that_was_removed_a_command_says_so(shell: Shell, tmp_path: Path) -> None:
    done = shell("mkdir gone; cd gone; rmdir ../gone; {} status")

    assert done.returncode == 2
    assert f"{tmp_path}/project/gone is no longer there" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [("ps", ""), ("ps", "1"), ("schema", ""), ("--help", ""), ("--help", "1"), ("--version", "1")],
)
def test_output_for_which_there_is_no_room_is_one_line_and_status_1(
    shell: Shell, words: str, unbuffered: str
) -> None:
    done = shell(f"{{}} {words} >/dev/full", PYTHONUNBUFFERED=unbuffered)

    told = "agent-pool: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("words", "status"), [("schema", 0), ("--help", 0), ("status", 3)])
def test_a_reader_that_has_gone_from_the_start_changes_no_exit_status(
    start: Start, words: str, status: int, unbuffered: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = start(words, writer, unbuffered)
    os.close(writer)

    assert command.communicate(timeout=TIMEOUT_S)[1] == ""
    assert command.returncode == status


def test_a_reader_that_goes_after_the_first_line_changes_no_exit_status(
    start: Start, tmp_path: Path
) -> None:
    unknown = "\n".join(f"a{number} = 1" for number in range(600))  # told in more than a pipe holds
    (tmp_path / "project/.claude/pool.toml").write_text(f"[pool]\n{unknown}\n")
    command = start("check", subprocess.PIPE, "")
    assert command.stdout is not None
    assert "no such key" in command.stdout.readline()
    command.stdout.close()

    assert command.wait(TIMEOUT_S) == 2
    assert command.stderr is not None
    assert command.stderr.read() == ""


def test_with_standard_output_closed_nothing_is_done(shell: Shell, tmp_path: Path) -> None:
    done = shell("{} list >&-")

    assert done.returncode == 1
    assert done.stderr.startswith("agent-pool: standard output is closed, so nothing is done")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "state").exists()


def test_a_closed_standard_input_is_an_empty_one(shell: Shell) -> None:
    done = shell("{} invoke coder <&-")

    assert done.returncode == 2
    assert "the task is empty" in done.stderr


def test_with_standard_error_closed_what_is_asked_for_is_printed(shell: Shell) -> None:
    done = shell("{} schema 2>&-")

    assert done.returncode == 0
    assert done.stdout.startswith("{")


def test_what_the_encoding_of_the_output_lacks_is_an_escape_sequence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "prøject"
    folder.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    written = io.BytesIO()
    output = io.TextIOWrapper(written, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)

    assert main(["init", "--root", os.fspath(folder), "--dry-run"]) == 0
    assert rb"pr\xf8ject" in written.getvalue()
