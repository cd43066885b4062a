"""`agent-pool reap`, and what it calls strays: what nobody owns any more.

Each test asks for its own project's alone: strays of this user's other pools are not the test's.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor.place import FOLDER, TAG, Place, mark_of
from tests.client import NOBODY, Project, as_user, open_project, until
from tests.lifecycle.foreground import (
    kill_both,
    leave_strays,
    lives,
    shown_by_ps,
    sleepers,
)


async def reap(project: Project, *flags: str) -> dict[str, Any]:
    done = await project.run("reap", "--root", str(project.folder), "--json", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def test_strays_are_shown_and_reaped_and_nothing_else_is(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with open_project(tmp_path_factory.mktemp("other")) as other:
        other.write_agent("coder", "Do it.", "tools: Bash")
        async with other.connect() as theirs, project.connect() as client:
            alive = await leave_strays(theirs, other)
            left = await leave_strays(client, project)
            # The one without a tag is known by its cgroup, where there is one.
            in_cgroup = project.place.noted_cgroup() is not None
            strays = [p for p in left if in_cgroup or TAG in p.environ()]
            assert (await reap(project))["strays"] == []
            await kill_both(project)
            await client.wait_closed()

            shown = await shown_by_ps(project)
            assert all(shown[p.pid]["role"] == "stray" for p in strays)
            assert {shown[p.pid]["agent"] for p in strays if TAG in p.environ()} == {"coder"}
            assert all(shown[p.pid]["role"] == "agent" for p in alive)

            would = await reap(project, "--dry-run")
            assert {p.pid for p in strays} <= {row["pid"] for row in would["strays"]}
            assert all(map(lives, strays))

            done = await reap(project)
            assert {row["pid"] for row in done["strays"]} == {r["pid"] for r in would["strays"]}
            assert done["left"] == []
            assert not any(map(lives, strays))
            assert all(map(lives, alive))
            again = await project.run("reap", "--root", str(project.folder))
            assert again.stdout == "there are no strays\n"
        await project.end_leftovers()  # without a cgroup, the one that carries no tag


async def test_without_any_pool_it_says_so(project: Project) -> None:
    done = await project.run("reap", "--root", str(project.folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "there are no strays\n", "")


async def test_a_pool_whose_lock_file_was_removed_still_lives(project: Project) -> None:
    async with project.connect() as client:
        left = await leave_strays(client, project)
        pool = project.pool_pid()
        assert pool is not None
        os.unlink(project.place.lock)
        assert {process.pid for process in left} <= set(await shown_by_ps(project))
        assert (await reap(project))["strays"] == []
        assert all(map(lives, left))
        os.kill(pool, signal.SIGTERM)  # nobody else finds it any more
        await until(lambda: not sleepers(project), "it ends")


# Whom a tag is believed: the pool of the folder `gone` has never been there.


class Gone:
    """A place of which there is nothing but what processes say."""

    def __init__(self, base: Path) -> None:
        self.environ = {"PATH": os.environ["PATH"], "XDG_STATE_HOME": str(base / "s")}
        self.root = str(base)
        self.folder = Place(self.root, self.environ).folder

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "agent_pool", *words, "--root", self.root],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env=self.environ,
        )

    @contextmanager
    def tagged(
        self, folder: str, mark: str | None = None, user: int | None = None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """A process that says that it belongs to the pool of `folder`."""
        tag = f"{mark or mark_of(folder)}.0.1.x"
        env = {**self.environ, TAG: tag, FOLDER: folder}
        with subprocess.Popen([*as_user(user), "sleep", "1000"], env=env, cwd="/") as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def gone(tmp_path: Path) -> Gone:
    return Gone(tmp_path)


def test_the_tag_of_a_pool_whose_folder_is_gone_makes_a_stray(gone: Gone) -> None:
    with gone.tagged(gone.folder) as process:
        done = gone.command("reap", "--json")
        assert {row["pid"] for row in json.loads(done.stdout)["strays"]} == {process.pid}
        assert process.wait(60) == -signal.SIGKILL


def test_a_tag_that_does_not_fit_its_folder_is_not_believed(gone: Gone) -> None:
    other = mark_of(gone.folder + "-other")
    with gone.tagged(gone.folder) as process, gone.tagged(gone.folder, other) as forged:
        gone.command("reap")
        assert process.wait(60) == -signal.SIGKILL
        assert forged.poll() is None
        shown = subprocess.run(
            [sys.executable, "-P", "-m", "agent_pool", "ps", "--json"],
            capture_output=True,
            check=True,
        )
        roles = {row["pid"]: row["role"] for row in json.loads(shown.stdout)["processes"]}
        assert roles[forged.pid] == "unknown"


@pytest.mark.skipif(os.getuid() != 0, reason="only root sees other users' environments")
def test_the_tag_of_another_users_process_is_not_believed(gone: Gone) -> None:
    with gone.tagged(gone.folder, user=NOBODY) as theirs, gone.tagged(gone.folder) as ours:
        done = gone.command("reap", "--json")
        assert ours.wait(60) == -signal.SIGKILL
        assert theirs.poll() is None
        assert {row["pid"] for row in json.loads(done.stdout)["strays"]} == {ours.pid}
