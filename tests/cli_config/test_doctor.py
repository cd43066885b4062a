"""`agent-pool doctor`: what the machine has not, and how it is to be had."""

import resource
import shutil
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import psutil
import pytest

from supervisor.cli import _doctor
from tests.cli_config.conftest import Desk, Run

Memory = namedtuple("Memory", "total")


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    """A machine that has all of it, whatever the one is like that runs the tests."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (65536, 65536))
    monkeypatch.setattr(_doctor, "_read_number", lambda path: 32768)
    monkeypatch.setattr(_doctor, "become_subreaper", lambda: True)
    monkeypatch.setattr(_doctor, "has_parent_death_signal", lambda: True)
    monkeypatch.setattr(_doctor, "writable_cgroup", lambda: (Path("/cgroup"), True))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(8 * 2**30))
    monkeypatch.setattr(sys, "platform", "linux")


def test_a_machine_in_order_is_status_0(run: Run) -> None:
    done = run("doctor", "--strict")

    assert (done.status, done.err) == (0, "")
    assert done.lines[-1] == "nothing is wrong"
    assert all(": note: " in line for line in done.lines[:-1])


def limits(monkeypatch: pytest.MonkeyPatch, **values: int) -> None:
    numbers = {getattr(resource, f"RLIMIT_{name}"): value for name, value in values.items()}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (numbers.get(which, 65536),) * 2)


@pytest.mark.parametrize(
    ("name", "key", "advice"), [("NOFILE", "nofile", "ulimit -Hn"), ("NPROC", "nproc", "ulimit -u")]
)
def test_a_low_limit_is_a_warning_with_how_to_raise_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, key: str, advice: str
) -> None:
    limits(monkeypatch, **{name: 64})

    done = run("doctor", "--strict")

    assert done.status == 1
    assert done.lines[0].startswith(f"{key}: warning: only 64 ")
    assert advice in done.lines[0]


def test_no_limit_is_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    limits(monkeypatch, NPROC=resource.RLIM_INFINITY)

    assert "nproc: note: no limit" in run("doctor").out


def test_few_pids_are_a_warning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_doctor, "_read_number", lambda path: 100)

    assert "pid_max: warning: only 100 pids" in run("doctor").out


def test_orphans_that_cannot_be_adopted_are_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_doctor, "become_subreaper", lambda: False)

    done = run("doctor")

    assert done.status == 2
    assert "subreaper: error: orphans cannot be adopted" in done.lines[0]
    assert "seccomp" in done.lines[0]


def test_a_missing_setpriv_is_a_warning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_doctor, "has_parent_death_signal", lambda: False)

    assert "install util-linux" in run("doctor").lines[0]


@pytest.mark.parametrize(
    ("cgroup", "said"),
    [
        ((None, False), "Delegate=yes"),
        ((Path("/cgroup"), False), "below /cgroup, without memory limits"),
        ((Path("/cgroup"), True), "below /cgroup, with memory limits by the kernel"),
    ],
)
def test_cgroups_are_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, cgroup: object, said: str
) -> None:
    monkeypatch.setattr(_doctor, "writable_cgroup", lambda: cgroup)

    done = run("doctor", "--strict")

    assert done.status == 0
    assert said in done.out


def test_where_there_is_no_linux_the_guardian_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    assert "a guardian stands in" in run("doctor").out


def test_little_memory_is_a_warning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(2**30))

    assert run("doctor").lines[0].startswith("memory: warning: 1.0 GiB of memory: set budget")


def test_a_full_disk_is_a_warning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**20))

    assert "tmp: warning: only 0.0 GiB for temporary files" in run("doctor").out


@pytest.mark.parametrize(("free", "severity"), [(2**19, "error"), (2**25, "warning")])
def test_little_room_for_state_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, free: int, severity: str
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free))

    assert f"state: {severity}: state is kept in " in run("doctor").out


@pytest.mark.parametrize(("variable", "key"), [("XDG_STATE_HOME", "state"), ("TMPDIR", "tmp")])
def test_a_folder_that_cannot_be_made_is_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, key: str
) -> None:
    monkeypatch.setenv(variable, "/dev/null")

    done = run("doctor")

    assert done.status == 2
    assert done.lines[0].startswith(f"{key}: ")
    assert "/dev/null is not a folder" in done.lines[0]
    assert variable in done.lines[0]


def test_json_is_one_object(run: Run) -> None:
    record = run("doctor", "--json").record

    assert (record["errors"], record["warnings"]) == (0, 0)
    assert {"nofile", "nproc", "pid_max", "subreaper", "pdeathsig", "cgroup", "psi"} <= {
        found["key"] for found in record["findings"]
    }


def test_that_no_pool_runs_is_told(desk: Desk, run: Run) -> None:
    assert f"pool: note: no pool of {desk.root} runs" in run("doctor").out


# the CLI and its node


def script(desk: Desk, node: str | None) -> None:
    """A CLI that node runs, and a node that says that of itself."""
    program = desk.install("2.1.50")
    program.resolve().write_text("#!/usr/bin/env node\n")
    if node is not None:
        desk.write(desk.bin / "node", f"#!/bin/sh\necho {node}\n", 0o755)


def test_the_command_of_pool_toml_is_looked_at(desk: Desk, run: Run) -> None:
    desk.install("2.1.332", "mine")
    desk.write(desk.user, '[defaults.agent]\ncommand = "mine"\n')

    assert f"CLI: note: {desk.bin}/mine: Claude Code 2.1.332" in run("doctor").out


@pytest.mark.parametrize(
    ("node", "status", "said"),
    [
        ("v20.1.0", 0, "node v20.1.0"),
        ("v16.20.0", 2, "is v16.20.0; the CLI needs 18 or newer"),
        ("", 0, "does not tell its version"),
        (None, 2, "there is no node on the PATH; install it"),
    ],
)
def test_a_cli_that_is_a_script_needs_a_node(
    desk: Desk, run: Run, node: str | None, status: int, said: str
) -> None:
    script(desk, node)

    done = run("doctor")

    assert done.status == status
    assert said in done.out


def wrapper(desk: Desk, line: str) -> None:
    """A CLI that is a script of the user's, whose installation tells nothing."""
    (desk.bin / "claude").unlink()
    desk.write(desk.bin / "claude", f"#!/bin/sh\n{line}\n", 0o755)


def test_a_cli_whose_installation_tells_no_version_is_asked_for_it(desk: Desk, run: Run) -> None:
    wrapper(desk, '[ "$*" = --version ] && echo "2.1.50 (Claude Code)"')

    done = run("doctor")

    assert "CLI: warning: Claude Code 2.1.50 cannot clear its context" in done.out


def test_one_that_says_that_it_is_too_old_is_an_error(desk: Desk, run: Run) -> None:
    wrapper(desk, 'echo "2.0.37 (Claude Code)"')

    done = run("doctor")

    assert done.status == 2
    assert "is version 2.0.37; agents need 2.0.60 or newer" in done.out


@pytest.mark.parametrize(
    "line", ["echo 2.0.1", "echo '7.0.0-x (a stand-in)'", "exit 1", "exec cat"]
)
def test_one_that_does_not_say_that_it_is_claude_code_is_a_warning(
    desk: Desk, run: Run, line: str
) -> None:
    wrapper(desk, line)

    done = run("doctor")

    assert done.status == 0
    assert "does not answer --version as Claude Code does" in done.out
    assert run("doctor", "--strict").status == 1


def test_check_starts_nothing(desk: Desk, run: Run) -> None:
    wrapper(desk, f"touch {desk.root}/started")

    run("check")

    assert not (desk.root / "started").exists()


def test_a_binary_needs_none(desk: Desk, run: Run) -> None:
    assert not any(line.startswith("node:") for line in run("doctor").lines)


def test_a_missing_cli_is_an_error(desk: Desk, run: Run) -> None:
    (desk.bin / "claude").unlink()

    done: Any = run("doctor")

    assert done.status == 2
    assert "npm install -g @anthropic-ai/claude-code" in done.lines[0]
