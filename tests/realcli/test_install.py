"""How a CLI gets onto the machine, with a stand-in for npm."""

import fcntl
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

from tests.realcli import install
from tests.realcli.install import Unavailable, ensure, environment

NATIVE = "node_modules/@anthropic-ai/claude-code-linux-x64/claude"
SCRIPT = "node_modules/@anthropic-ai/claude-code/cli.js"


class FakeNpm:
    """An `npm` on PATH that installs one file, or fails as it is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = folder / "runs"
        self.installs(NATIVE)

    def installs(self, file: str) -> None:
        self._does(f'mkdir -p "$3/{Path(file).parent}"; : > "$3/{file}"')

    def fails(self, *said: str) -> None:
        self._does("\n".join(f"echo '{line}' >&2" for line in said) + "\nexit 1")

    def hangs(self) -> None:
        self._does("exec sleep 60")

    @property
    def runs(self) -> int:
        return len(self._runs.read_text().splitlines()) if self._runs.exists() else 0

    def installs_only_where_the_lock_is_taken(self, lock: Path) -> None:
        attempt = f"import fcntl; fcntl.flock(open('{lock}'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        install_it = f'mkdir -p "$3/{Path(NATIVE).parent}"; : > "$3/{NATIVE}"'
        self._does(f'"{sys.executable}" -c "{attempt}" 2> /dev/null && exit 1\n{install_it}')

    def _does(self, script: str) -> None:
        npm = self._folder / "npm"
        npm.write_text(f'#!/bin/sh\necho "$@" >> "{self._runs}"\n{script}\n')
        npm.chmod(0o755)


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNpm:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "mkdir", "sleep"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(install, "CACHE", tmp_path / "cache")
    return FakeNpm(programs)


def test_a_native_binary_is_run_by_itself(npm: FakeNpm) -> None:
    cli = ensure("9.9.9")

    assert cli.argv == (str(cli.path),)
    assert cli.path == install.CACHE / "9.9.9" / NATIVE


def test_an_old_version_is_run_by_node(npm: FakeNpm, tmp_path: Path) -> None:
    npm.installs(SCRIPT)
    node = tmp_path / "bin" / "node"
    node.symlink_to("/bin/sh")

    assert ensure("1.0.0").argv == (str(node), str(install.CACHE / "1.0.0" / SCRIPT))


def test_a_version_is_installed_once(npm: FakeNpm) -> None:
    assert ensure("9.9.9") == ensure("9.9.9")
    assert npm.runs == 1


def test_half_of_an_installation_is_done_again(npm: FakeNpm) -> None:
    left_behind = install.CACHE / "9.9.9.partial" / "node_modules" / "half"
    left_behind.mkdir(parents=True)

    ensure("9.9.9")

    assert npm.runs == 1
    assert sorted(os.listdir(install.CACHE / "9.9.9" / "node_modules")) == ["@anthropic-ai"]


def test_npm_runs_under_the_versions_lock(npm: FakeNpm) -> None:
    npm.installs_only_where_the_lock_is_taken(install.CACHE / "9.9.9.lock")

    assert ensure("9.9.9").version == "9.9.9"


def test_who_finds_another_at_work_waits_and_takes_what_that_one_installed(npm: FakeNpm) -> None:
    install.CACHE.mkdir()
    with (install.CACHE / "9.9.9.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=ensure, args=("9.9.9",))
        waiting.start()
        binary = install.CACHE / "9.9.9" / NATIVE
        binary.parent.mkdir(parents=True)
        binary.touch()
    waiting.join()

    assert npm.runs == 0


def test_npms_own_words_are_given_when_it_fails(npm: FakeNpm) -> None:
    npm.fails("npm error code ENOTFOUND", "npm error network request failed", "npm error more")

    with pytest.raises(Unavailable, match=r"code ENOTFOUND; npm error network request failed$"):
        ensure("9.9.9")
    assert os.listdir(install.CACHE) == ["9.9.9.lock"]


def test_npm_has_its_time_and_no_more(npm: FakeNpm) -> None:
    npm.hangs()

    with pytest.raises(Unavailable, match="npm did not install"):
        ensure("9.9.9", timeout_s=0.1)


def test_a_missing_npm_is_named(npm: FakeNpm, tmp_path: Path) -> None:
    (tmp_path / "bin" / "npm").unlink()

    with pytest.raises(Unavailable, match="npm is not on PATH"):
        ensure("9.9.9")


def test_a_missing_node_is_named(npm: FakeNpm) -> None:
    npm.installs(SCRIPT)

    with pytest.raises(Unavailable, match="node is not on PATH"):
        ensure("1.0.0")


def test_nothing_of_the_callers_environment_but_path_is_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a real one")
    monkeypatch.setenv("CLAUDECODE", "1")

    env = environment(tmp_path, "http://127.0.0.1:1", MORE="x")

    assert env["ANTHROPIC_API_KEY"] == "dummy"
    assert "CLAUDECODE" not in env
    assert (env["HOME"], env["MORE"]) == (str(tmp_path), "x")
    assert Path(env["TMPDIR"]).is_dir()
