"""A user who may do nothing special, and has nothing else running, has the whole product.

Since all processes of this user are the test's own, these tests look at all of them, and `reap` is
asked for everything.
"""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from supervisor.place import TAG
from tests.client import Client, Project, open_project, until
from tests.lifecycle.busy import busy_pool
from tests.lifecycle.foreground import (
    foreground,
    kill_both,
    leave_strays,
    lives,
    pool_of,
    sleepers,
)

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv to become one"),
]

USER = 50_000 + os.getpid() % 10_000
"""A user of these tests' own: others of these tests may run at the same time."""


def processes() -> list[psutil.Process]:
    """All that this user has running."""
    return [process for process in psutil.process_iter() if _is_theirs(process)]


def _is_theirs(process: psutil.Process) -> bool:
    try:
        return USER in process.uids() and lives(process)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder into which everybody may look."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def temporary(base: Path) -> Path:
    """The user's own in place of /tmp."""
    folder = base / "t"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


@pytest.fixture
async def project(base: Path, temporary: Path) -> AsyncIterator[Project]:
    async with open_project(base, USER) as project:
        project.write_agent("coder", "Do it.", "tools: Bash")
        project.write_config('[pool]\nshutdown_grace = "100ms"\n')
        yield project
    await until(lambda: not processes(), "the end of all that this user ran")


async def run(project: Project, temporary: Path, *words: str) -> dict[str, Any]:
    done = await project.run(*words, "--json", TMPDIR=str(temporary))
    said = [line for line in done.stderr.splitlines() if "waiting for the pool" not in line]
    assert (done.returncode, said) == (0, [])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def folder_of(client: Client, project: Project) -> Path:
    """The agent's temporary folder."""
    result = await client.call("invoke", agent="coder", task='[[bash printf %s "$TMPDIR" > told]]')
    assert not result["isError"], result
    return Path((project.folder / "told").read_text())


async def test_agents_work_for_that_user_in_private_folders(
    project: Project, temporary: Path
) -> None:
    async with foreground(project, TMPDIR=str(temporary)), project.connect() as client:
        folder = await folder_of(client, project)
        facts = folder.stat()
        assert folder.is_relative_to(temporary)
        assert (stat.S_IMODE(facts.st_mode), facts.st_uid) == (0o700, USER)


async def test_ps_shows_all_that_this_user_runs(project: Project, temporary: Path) -> None:
    async with foreground(project, TMPDIR=str(temporary)), project.connect() as client:
        left = await leave_strays(client, project)
        shown = await run(project, temporary, "ps")
        roles = {row["pid"]: row["role"] for row in shown["processes"]}
        running = {process.pid for process in processes()} - {client.process.pid}
        assert set(roles) == running
        assert {roles[process.pid] for process in left} == {"agent"}


async def test_stop_leaves_nothing_of_this_user(project: Project, temporary: Path) -> None:
    async with foreground(project, TMPDIR=str(temporary)), project.connect() as client:
        await folder_of(client, project)
        await leave_strays(client, project)
        assert (await run(project, temporary, "stop"))["stopped"]
        assert os.listdir(temporary) == []
        assert sleepers(project) == []
        await client.wait_closed()
        assert processes() == []


@pytest.mark.parametrize("victim", ["pool", "reaper"])
async def test_a_kill_leaves_no_process_of_this_user(
    project: Project, temporary: Path, victim: str
) -> None:
    async with busy_pool(project, TMPDIR=str(temporary)) as pool:
        (pool.process if victim == "reaper" else psutil.Process(pool_of(project))).kill()
        await until(lambda: not processes(), "the end of everybody")
        await run(project, temporary, "stop")
        assert os.listdir(temporary) == []


async def test_reap_ends_all_that_the_death_of_both_has_left(
    project: Project, temporary: Path
) -> None:
    async with project.connect(TMPDIR=str(temporary)) as client:
        left = await leave_strays(client, project)
        await kill_both(project)
        await client.wait_closed()
        known = {process.pid for process in left if TAG in process.environ()}
        told = await run(project, temporary, "reap")
        assert known <= {row["pid"] for row in told["strays"]}
        assert told["left"] == told["folders_left"] == []
        assert not known & {process.pid for process in processes()}
        assert os.listdir(temporary) == []
    await project.end_leftovers()  # the one that carries no tag: this user has no cgroup


async def test_reap_ends_nothing_of_a_pool_that_lives(project: Project, temporary: Path) -> None:
    async with project.connect(TMPDIR=str(temporary)) as client:
        left = await leave_strays(client, project)
        told = await run(project, temporary, "reap")
        assert (told["strays"], told["folders"]) == ([], [])
        assert all(map(lives, left))


async def test_two_pools_are_told_apart_also_where_one_is_below_the_other(
    project: Project, temporary: Path
) -> None:
    async with open_project(project.folder / "below", USER) as inner:
        inner.write_agent("coder", "Do it.", "tools: Bash")
        variables = {"TMPDIR": str(temporary)}
        async with inner.connect(**variables) as theirs, project.connect(**variables) as client:
            folder = await folder_of(theirs, inner)
            alive = await leave_strays(theirs, inner)
            left = [p for p in await leave_strays(client, project) if TAG in p.environ()]
            await kill_both(project)
            await client.wait_closed()
            told = await run(project, temporary, "reap")
            assert {row["root"] for row in told["strays"]} == {project.place.root}
            assert not any(map(lives, left))
            async with project.connect(**variables) as again:
                await again.call("list")
            await run(project, temporary, "stop")
            assert all(map(lives, alive))
            assert folder.is_dir()
            assert not (await theirs.call("list"))["isError"]
        await inner.stop()
        await inner.end_leftovers()
    await project.end_leftovers()  # the one that carries no tag
