"""What a pool and its reaper leave, killed together, beside processes: `stop` and `reap` end it."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli._lock import claim_lock
from tests.client import Client, Project, until
from tests.lifecycle.foreground import kill_both, lives, sleepers

NAKED = "(setsid env -i sh -c 'sleep 1000 &' &)"
"""A command that leaves a process that only its cgroup tells of."""


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What is the test's own in place of /tmp."""
    folder = tmp_path / "t"
    folder.mkdir()
    return folder


async def temporary_folder(client: Client, project: Project) -> Path:
    """The folder that the agent's commands are told to use, with a file in it."""
    task = '[[bash printf %s "$TMPDIR" > told; > "$TMPDIR/file"]]'
    result = await client.call("invoke", agent="coder", task=task)
    assert not result["isError"], result
    return Path((project.folder / "told").read_text())


@pytest.fixture
async def left(project: Project, shared: Path) -> list[Path]:
    """The folders that a killed pool has left: its agent's own, and the cgroup, if it had one."""
    async with project.connect(TMPDIR=str(shared)) as client:
        folders = [await temporary_folder(client, project)]
        cgroup = project.place.noted_cgroup()
        folders += [Path(cgroup)] if cgroup is not None else []
        await kill_both(project)
        await client.wait_closed()
    assert all(folder.exists() for folder in folders)
    return folders


async def run(project: Project, *words: str) -> dict[str, Any]:
    """What a command says that goes well, in an environment that names no temporary folder."""
    done = await project.run(*words, "--root", str(project.folder), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def test_stop_removes_the_folders_of_a_killed_pool(
    project: Project, shared: Path, left: list[Path]
) -> None:
    told = await run(project, "stop")
    assert not any(folder.exists() for folder in left)
    assert os.listdir(shared) == []
    assert told["folders_removed"] == [str(folder) for folder in left]
    assert (await run(project, "stop"))["folders_removed"] == []


async def test_reap_removes_the_folders_of_a_killed_pool(
    project: Project, left: list[Path]
) -> None:
    told = await run(project, "reap")
    assert not any(folder.exists() for folder in left)
    assert told["folders"] == [str(folder) for folder in left]
    assert (await run(project, "reap"))["folders"] == []


async def test_reap_names_them_first_where_it_is_to_end_nothing(
    project: Project, left: list[Path]
) -> None:
    told = await run(project, "reap", "--dry-run")
    assert told["folders"] == [str(folder) for folder in left]
    assert all(folder.exists() for folder in left)


async def test_reap_shows_people_what_it_removes(project: Project, left: list[Path]) -> None:
    done = await project.run("reap", "--root", str(project.folder))
    assert f"removed: {len(left)} folders of pools that are gone" in done.stdout
    assert set(map(str, left)) <= set(done.stdout.splitlines())


@pytest.mark.parametrize("command", ["stop", "reap"])
async def test_who_is_known_by_a_cgroup_alone_is_ended_too(project: Project, command: str) -> None:
    async with project.connect() as client:
        await client.start_call("invoke", agent="coder", task=f"[[bash {NAKED}; sleep 1000]]")
        await until(lambda: len(sleepers(project)) == 2, "they run")
        if project.place.noted_cgroup() is None:
            pytest.skip("no cgroup of ours can be had here")
        below = sleepers(project)
        await kill_both(project)
        await client.wait_closed()
    told = await run(project, command)
    assert not any(map(lives, below))
    named = told.get("strays_ended") or [row["pid"] for row in told["strays"]]
    assert {process.pid for process in below} <= set(named)


async def test_reap_removes_nothing_of_a_pool_that_lives(project: Project, shared: Path) -> None:
    async with project.connect(TMPDIR=str(shared)) as client:
        folder = await temporary_folder(client, project)
        cgroup = project.place.noted_cgroup()
        told = await run(project, "reap")
        assert (told["strays"], told["folders"]) == ([], [])
        assert (folder / "file").exists()
        assert cgroup is None or os.access(cgroup, os.F_OK)


@pytest.mark.parametrize("command", ["stop", "reap"])
async def test_nothing_is_removed_that_only_the_link_in_the_state_folder_names(
    project: Project, left: list[Path], command: str, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    (precious / "work").mkdir(parents=True)
    link = Path(project.place.folder) / "tmp"
    link.unlink()
    link.symlink_to(precious)
    await run(project, command)
    assert (precious / "work").exists()


async def test_nothing_is_ended_in_a_cgroup_that_is_not_called_as_the_pools_own(
    project: Project, left: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / "agent-pool-0123456789ab"
    other.mkdir()
    note = Path(project.place.folder) / "cgroup"
    note.write_text(str(other))
    assert str(other) not in (await run(project, "stop"))["folders_removed"]
    assert other.exists()


async def test_nothing_is_removed_while_somebody_holds_the_lock(
    project: Project, left: list[Path]
) -> None:
    with (Path(project.place.folder) / "pool.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert (await run(project, "reap"))["folders"] == []
        assert all(folder.exists() for folder in left)


# The lock that is held meanwhile.


async def test_who_removes_is_not_taken_for_the_pool_that_is_gone(
    project: Project, left: list[Path]
) -> None:
    fd = claim_lock(project.place.folder)
    assert fd is not None
    try:
        assert project.place.holder() == {"root": project.place.root}
        assert claim_lock(project.place.folder) is None
    finally:
        os.close(fd)
    assert project.place.holder() is None


def test_a_place_where_no_pool_ever_was_is_left_as_it_is(tmp_path: Path) -> None:
    assert claim_lock(str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []
