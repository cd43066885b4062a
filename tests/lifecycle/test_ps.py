"""`agent-pool ps` and `agent-pool reap`: whose every process is, and what nobody owns any more."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from supervisor.place import FOLDER, TAG, mark_of
from tests.client import NOBODY, Client, Project, as_user, open_project, until
from tests.lifecycle.foreground import foreground, kill_both, lives, sleepers

SCRUBBED = "(setsid env -i sh -c 'sleep 1000 &' &)"
LEAVE = f"[[bash setsid sleep 1000 & {SCRUBBED}; wait]]"
"""A task that leaves a process with its pool's tag, and one without any."""


async def leave(client: Client, project: Project) -> list[psutil.Process]:
    await client.start_call("invoke", agent="coder", task=LEAVE)
    await until(lambda: len(sleepers(project)) == 2, "they run")
    return sleepers(project)


async def processes(project: Project, **extra: str) -> dict[int, dict[str, Any]]:
    """What `ps` says, by pid."""
    done = await project.run("ps", "--json", **extra)
    assert (done.returncode, done.stderr) == (0, "")
    return {row["pid"]: row for row in json.loads(done.stdout)["processes"]}


async def reap(project: Project, *flags: str) -> dict[str, Any]:
    done = await project.run("reap", "--json", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def tagged(folder: Path, user: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that says that it belongs to the pool of `folder`."""
    env = {"PATH": os.environ["PATH"], TAG: f"{mark_of(str(folder))}.0.1.x", FOLDER: str(folder)}
    with subprocess.Popen([*as_user(user), "sleep", "1000"], env=env, cwd="/") as process:
        try:
            yield process
        finally:
            process.kill()


async def test_every_process_of_a_pool_is_shown_with_its_agent(project: Project) -> None:
    async with foreground(project) as pool, project.connect() as client:
        ready = (await client.call("warmup", agent="coder"))["structuredContent"]
        left = await leave(client, project)
        # From anywhere, with nothing that names the project or its state.
        shown = await processes(project, XDG_STATE_HOME=str(project.home))
        ours = {pid: row for pid, row in shown.items() if row["root"] == str(project.place.root)}
        assert ours[pool.process.pid]["role"] == "reaper"
        assert ours[project.pool_pid() or 0]["role"] == "pool"
        assert ours[ready["pid"]]["agent"] == "coder"
        for process in left:
            row = ours[process.pid]
            assert (row["role"], row["ppid"]) == ("agent", process.ppid())
            assert row["command"] == "sleep 1000"
            assert row["memory_bytes"] > 0
            assert 0 <= row["age_s"] < 600
        assert {row["agent"] for row in ours.values() if row["tag"]} == {"coder"}
        everyone = {p.pid for p in psutil.Process(pool.process.pid).children(recursive=True)}
        assert set(ours) >= {p for p in everyone if psutil.pid_exists(p)}
        assert not {row["role"] for row in ours.values()} - {"reaper", "pool", "agent"}


async def test_the_table_is_for_people(project: Project) -> None:
    async with project.connect() as client:
        await client.call("warmup", agent="coder")
        done = await project.run("ps")
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line.split() for line in done.stdout.splitlines()]
        assert lines[0] == ["POOL", "ROLE", "AGENT", "PID", "PPID", "MEMORY", "AGE", "COMMAND"]
        assert [project.place.root, "agent", "coder"] in [line[:3] for line in lines]


async def test_strays_are_shown_and_reaped_and_nothing_else_is(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with open_project(tmp_path_factory.mktemp("other")) as other:
        other.write_agent("coder", "Do it.", "tools: Bash")
        async with other.connect() as theirs, project.connect() as client:
            alive = await leave(theirs, other)
            strays = [p for p in await leave(client, project) if TAG in p.environ()]
            assert not {row["pid"] for row in (await reap(project))["strays"]} & {
                p.pid for p in alive
            }
            await kill_both(project)
            await client.wait_closed()

            shown = await processes(project)
            assert all(shown[p.pid]["role"] == "stray" for p in strays)
            assert all(shown[p.pid]["agent"] == "coder" for p in strays)
            assert all(shown[p.pid]["role"] == "agent" for p in alive)

            would = await reap(project, "--dry-run")
            assert {p.pid for p in strays} <= {row["pid"] for row in would["strays"]}
            assert all(map(lives, strays))

            done = await reap(project)
            assert {row["pid"] for row in done["strays"]} == {r["pid"] for r in would["strays"]}
            assert done["left"] == []
            assert not any(map(lives, strays))
            assert all(map(lives, alive))
            assert (await project.run("reap")).stdout == "there are no strays\n"
        await project.end_leftovers()  # the one that carries no tag


async def test_without_any_pool_both_say_so(project: Project) -> None:
    done = await project.run("reap")
    assert (done.returncode, done.stderr) == (0, "")
    done = await project.run("ps")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_tag_of_a_pool_whose_folder_is_gone_makes_a_stray(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    with tagged(folder) as process:
        done = command("reap", "--json")
        assert process.pid in {row["pid"] for row in json.loads(done.stdout)["strays"]}
        assert process.wait(60) == -signal.SIGKILL


async def test_a_pool_whose_lock_file_was_removed_still_lives(project: Project) -> None:
    async with project.connect() as client:
        left = await leave(client, project)
        pool = project.pool_pid()
        assert pool is not None
        os.unlink(project.place.lock)
        assert {process.pid for process in left} <= set(await processes(project))
        await reap(project)
        assert all(map(lives, left))
        os.kill(pool, signal.SIGTERM)  # nobody else finds it any more
        await until(lambda: not sleepers(project), "it ends")


def test_a_tag_that_does_not_fit_its_folder_is_not_believed(tmp_path: Path) -> None:
    with tagged(tmp_path / "one") as process:
        env = {TAG: f"{mark_of(str(tmp_path / 'two'))}.0.1.x", FOLDER: str(tmp_path / "three")}
        with subprocess.Popen(["sleep", "1000"], env={**os.environ, **env}, cwd="/") as forged:
            try:
                command("reap")
                assert process.wait(60) == -signal.SIGKILL
                assert forged.poll() is None
                shown = json.loads(command("ps", "--json").stdout)["processes"]
                assert {r["pid"]: r["role"] for r in shown}[forged.pid] == "unknown"
            finally:
                forged.kill()


@pytest.mark.skipif(os.getuid() != 0, reason="only root sees other users' environments")
def test_the_tag_of_another_users_process_is_not_believed(tmp_path: Path) -> None:
    with tagged(tmp_path / "gone", NOBODY) as theirs, tagged(tmp_path / "gone") as ours:
        command("reap")
        assert ours.wait(60) == -signal.SIGKILL
        assert theirs.poll() is None
        assert theirs.pid not in {
            row["pid"] for row in json.loads(command("ps", "--json").stdout)["processes"]
        }


def command(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "agent_pool", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
