"""Each worker's process has a private folder for temporary files, and takes it with it."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, Project, until
from tests.lifecycle.foreground import events, foreground, kill_both, sleepers


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is the test's own in place of /tmp."""
    folder = tmp_path / "t"
    folder.mkdir()
    environment = Project.environment

    def with_folder(self: Project, **extra: str) -> dict[str, str]:
        return environment(self, **{"TMPDIR": str(folder), **extra})

    monkeypatch.setattr(Project, "environment", with_folder)
    return folder


async def bash(client: Client, command: str, agent: str = "coder") -> dict[str, Any]:
    result = await client.call("invoke", agent=agent, task=f"[[bash {command}]]")
    assert not result["isError"], result
    return result


async def folder_of(client: Client, project: Project, agent: str = "coder") -> Path:
    """The folder that an agent's commands are told to use."""
    await bash(
        client, 'printf %s "$TMPDIR" > told; mkdir "$TMPDIR/deep"; > "$TMPDIR/deep/x"', agent
    )
    return Path((project.folder / "told").read_text())


async def row(client: Client, agent: str = "coder") -> dict[str, Any]:
    listed = await client.call("list")
    found: dict[str, Any] = next(
        row for row in listed["structuredContent"]["agents"] if row["name"] == agent
    )
    return found


async def test_it_is_private_and_goes_with_the_process(project: Project, shared: Path) -> None:
    async with project.connect() as client:
        folder = await folder_of(client, project)
        assert folder.is_relative_to(shared)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / "deep" / "x").exists()
        await client.call("reset", agent="coder")
        assert not folder.exists()


async def test_every_variable_says_the_same(project: Project) -> None:
    async with project.connect() as client:
        names = ("TMPDIR", "TMP", "TEMP", "CLAUDE_CODE_TMPDIR")
        words = " ".join(f'"${name}"' for name in names)
        await bash(client, f"printf '%s\\n' {words} > told")
        assert len(set((project.folder / "told").read_text().split())) == 1


async def test_each_agent_has_its_own_and_keeps_its_path(project: Project) -> None:
    project.write_agent("second", "Do it.", "tools: Bash")
    async with project.connect() as client:
        first, second = (
            await folder_of(client, project),
            await folder_of(client, project, "second"),
        )
        assert first != second
        await client.call("reset", agent="coder")
        assert (second / "deep").exists()
        assert await folder_of(client, project) == first


async def test_it_is_empty_after_a_crash(project: Project) -> None:
    async with project.connect() as client:
        folder = await folder_of(client, project)
        (folder / "old").touch()
        await client.call("invoke", agent="coder", task="[[crash 1]]")
        await bash(client, "true")
        assert folder.exists()
        assert not (folder / "old").exists()


async def test_nothing_is_left_when_the_pool_has_ended(project: Project, shared: Path) -> None:
    async with foreground(project), project.connect() as client:
        folder = await folder_of(client, project)
        (folder / "deep").chmod(0o500)
        assert (await project.run("stop")).returncode == 0
        names = {name for _, folders, files in os.walk(shared) for name in folders + files}
        assert names == set()
        await client.wait_closed()


async def test_what_a_killed_pool_left_the_next_one_removes_wherever_it_is(
    project: Project, shared: Path, tmp_path: Path
) -> None:
    async with project.connect() as client:
        folder = await folder_of(client, project)
        await kill_both(project)
        await client.wait_closed()
    assert (folder / "deep" / "x").exists()
    bystander = folder.parent.parent / "another-pool"
    bystander.mkdir()
    elsewhere = tmp_path / "e"
    elsewhere.mkdir()
    async with project.connect(TMPDIR=str(elsewhere)) as client:
        await client.call("list")
        assert not folder.exists()
        assert bystander.exists()
    assert "temporary_folders_removed" in events(project)


async def test_a_name_that_somebody_else_holds_is_not_used(project: Project, shared: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    taken = shared / f"agent-pool-{os.getuid()}"
    taken.mkdir()
    os.chown(taken, 12345, 12345)
    async with project.connect() as client:
        folder = await folder_of(client, project)
        assert folder.is_relative_to(project.place.folder)
    assert list(taken.iterdir()) == []


async def test_above_its_limit_the_process_is_recycled_after_the_task(project: Project) -> None:
    project.write_config('[defaults.agent]\ntmp_limit = "1MiB"\n')
    async with project.connect() as client:
        folder = await folder_of(client, project)
        await bash(client, "true")  # by then the folder has been measured after the first task
        before = await row(client)
        assert 0 < before["tmp_bytes"] < 2**20
        await bash(client, 'head -c 2000000 /dev/zero > "$TMPDIR/big"')
        await bash(client, "true")
        after = await row(client)
        assert after["recycles"] == before["recycles"] + 1
        assert after["restarts"] == before["restarts"]
        assert after["pid"] != before["pid"]
        assert not (folder / "big").exists()
    told = next(line for line in project.log_lines() if line["event"] == "temporary_full")
    assert (told["limit_bytes"], told["size_bytes"] >= 2_000_000) == (2**20, True)


async def test_the_folder_of_a_running_task_stays(project: Project) -> None:
    async with project.connect() as client:
        folder = await folder_of(client, project)
        await client.start_call("invoke", agent="coder", task="[[bash > $TMPDIR/y; sleep 1000]]")
        await until(lambda: sleepers(project), "the task runs")
        assert (folder / "y").exists()
