"""`agent-pool ps`: whose every process is. Strays are in `test_reap`."""

import psutil
import pytest

from tests.client import Project, open_project
from tests.lifecycle.foreground import foreground, leave_strays, shown_by_ps


async def test_every_process_of_a_pool_is_shown_with_its_agent(project: Project) -> None:
    async with foreground(project) as pool, project.connect() as client:
        ready = (await client.call("warmup", agent="coder"))["structuredContent"]
        left = await leave_strays(client, project)
        # From anywhere, with nothing that names the project or its state.
        shown = await shown_by_ps(project, XDG_STATE_HOME=str(project.home))
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


async def test_only_one_projects_are_shown_where_that_is_asked_for(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with open_project(tmp_path_factory.mktemp("other")) as other:
        other.write_agent("coder")
        async with other.connect() as theirs, project.connect() as client:
            await theirs.call("warmup", agent="coder")
            await client.call("warmup", agent="coder")
            shown = await shown_by_ps(other, "--root", str(other.folder))
            assert {row["root"] for row in shown.values()} == {other.place.root}
            assert {row["role"] for row in shown.values()} == {"reaper", "pool", "agent"}


async def test_without_any_pool_it_says_so(project: Project) -> None:
    done = await project.run("ps", "--root", str(project.folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"no pool of {project.place.folder} runs, and none has left anything\n"
