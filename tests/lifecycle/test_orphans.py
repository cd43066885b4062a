"""Whoever of a pool is killed, and however: nothing that its agents have started is left.

Each test has an agent's command start processes of every kind, see `busy`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from supervisor.place import TAG
from tests.client import LIMIT_S, Project, open_project, until
from tests.lifecycle.busy import SLEEPERS, busy_pool, until_all_gone
from tests.lifecycle.foreground import (
    kill_both,
    lives,
    pool_of,
    sleepers,
    until_logged,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")


def has_cgroup(project: Project) -> bool:
    return os.path.exists(project.place.noted_cgroup() or "")


def orderly_ends() -> list[signal.Signals]:
    return [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", [*orderly_ends(), signal.SIGKILL, signal.SIGABRT])
async def test_the_pool_is_ended_by_a_signal(project: Project, number: signal.Signals) -> None:
    async with busy_pool(project) as pool:
        os.kill(pool_of(project), number)
        await until_all_gone(project)
        in_order = number in orderly_ends()
        assert await pool.exit_status() == (0 if in_order else -number)
    assert not has_cgroup(project)
    assert "Traceback" not in pool.output
    said = f"was ended by {number.name}; processes that it had left, and that were ended: "
    assert (said in pool.output) is not in_order


@pytest.mark.parametrize("number", [*orderly_ends(), signal.SIGKILL, signal.SIGALRM])
async def test_the_reaper_is_ended_or_told_to_end(project: Project, number: signal.Signals) -> None:
    async with busy_pool(project) as pool:
        pool.process.send_signal(number)
        assert await pool.exit_status() == (0 if number in orderly_ends() else -number)
        await until_all_gone(project)
    await until_logged(project, "pool_ended")


async def test_a_pool_that_loses_its_reaper_waits_for_nobody(project: Project) -> None:
    async with busy_pool(project, shutdown_grace="1h") as pool:
        pool.process.kill()
        await until_all_gone(project)
    assert project.log_lines()[-1]["why"] == "its reaper was killed"


async def test_the_terminal_is_closed(project: Project) -> None:
    # A terminal tells its whole foreground group; Ctrl-C does the same.
    async with busy_pool(project):
        for pid in (pool_of(project), psutil.Process(pool_of(project)).ppid()):
            os.kill(pid, signal.SIGHUP)
        await until_all_gone(project)


async def test_the_pool_is_killed_while_its_reaper_is_suspended(project: Project) -> None:
    async with busy_pool(project) as pool:
        pool.process.send_signal(signal.SIGSTOP)
        os.kill(pool_of(project), signal.SIGKILL)
        pool.process.send_signal(signal.SIGCONT)
        await until_all_gone(project)


async def test_stop_wakes_a_reaper_and_a_pool_that_are_suspended(project: Project) -> None:
    async with busy_pool(project) as pool:
        os.kill(pool_of(project), signal.SIGSTOP)
        pool.process.send_signal(signal.SIGSTOP)
        done = await project.run("stop")
        assert done.returncode == 0
        assert not sleepers(project)
        assert await pool.exit_status() == 0


async def test_the_next_pool_wakes_a_suspended_reaper(project: Project) -> None:
    async with busy_pool(project) as pool:
        pool.process.send_signal(signal.SIGSTOP)
        os.kill(pool_of(project), signal.SIGKILL)
        async with project.connect() as client:
            await client.call("list")
            assert not sleepers(project)
        assert await pool.exit_status() == -signal.SIGKILL


async def test_a_relay_is_killed_and_nothing_happens(project: Project) -> None:
    async with busy_pool(project), project.connect() as doomed:
        doomed.process.kill()
        await doomed.wait_closed()
        assert len(sleepers(project)) == SLEEPERS


def without_a_trace(process: psutil.Process) -> bool:
    """It carries no tag: only who has it below itself could tell whose it is."""
    return TAG not in process.environ()


async def test_both_are_killed_and_the_next_pool_ends_what_they_have_left(
    project: Project,
) -> None:
    async with busy_pool(project) as pool:
        in_cgroup = project.place.noted_cgroup() is not None
        await kill_both(project)
        assert await pool.exit_status() == -signal.SIGKILL
        left = sleepers(project)
        assert len(left) == SLEEPERS
    findable = [one for one in left if in_cgroup or not without_a_trace(one)]
    async with project.connect() as client:
        await client.call("list")
        assert not any(map(lives, findable))
    assert len(findable) >= SLEEPERS - 1
    strays = [line for line in project.log_lines() if line["event"] == "strays_ended"]
    assert len(strays) == 1
    assert set(strays[0]["pids"]) >= {one.pid for one in findable}
    await project.stop()
    await project.end_leftovers()  # without a cgroup, the one without any environment


@contextmanager
def bystander(**variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of this user that is none of any pool's."""
    with subprocess.Popen(["sleep", "1000"], env={**os.environ, **variables}, cwd="/") as process:
        try:
            yield process
        finally:
            process.kill()


async def test_bystanders_live_on(project: Project) -> None:
    with bystander() as plain, bystander(**{TAG: "0123456789ab.cdef.1"}) as tagged:
        async with busy_pool(project):
            os.kill(pool_of(project), signal.SIGKILL)
            await until_all_gone(project)
        assert plain.poll() is tagged.poll() is None


async def test_two_pools_leave_each_other_alone(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with open_project(tmp_path_factory.mktemp("other")) as other:
        other.write_agent("coder", "Do it.", "tools: Bash")
        async with busy_pool(other):
            async with busy_pool(project):
                os.kill(pool_of(project), signal.SIGKILL)
                await until_all_gone(project)
            assert len(sleepers(other)) == SLEEPERS


async def test_the_lock_is_free_only_when_everything_is_gone(project: Project) -> None:
    async with busy_pool(project):
        below = sleepers(project)
        os.kill(pool_of(project), signal.SIGKILL)
        deadline = time.monotonic() + LIMIT_S
        while project.place.holder() is not None and time.monotonic() < deadline:
            pass  # the first moment counts
        assert project.place.holder() is None
        assert not any(map(lives, below))


STUMBLES = """
import sys
from supervisor.__main__ import main
from supervisor.cli import _run
del _run._Program._end
sys.exit(main())
"""
"""A pool that meets an exception nobody expects, once it is to end."""


async def test_an_exception_ends_the_pool(project: Project) -> None:
    async with busy_pool(project, "-c", STUMBLES) as pool:
        os.kill(pool_of(project), signal.SIGTERM)
        await until_all_gone(project)
        assert await pool.exit_status() == 1
    assert "AttributeError" in pool.output


PORTABLE = """
import sys
from supervisor import process, reaper
from supervisor.__main__ import main
from supervisor.process import _child, _launcher
reaper.HAS_SUBREAPERS = False
reaper._prctl = lambda *_: None
_launcher._setpriv = _child.make_leaf = lambda *_: None
process.become_subreaper = lambda: False
sys.exit(main())
"""
"""A pool as it would be where there are neither subreapers nor parent-death signals nor cgroups."""

UNCATCHABLE = {"sleep 1005", "sleep 1007"}
"""Of the kinds: daemons, which descend from nobody."""


@pytest.mark.parametrize("victim", ["pool", "guardian"])
async def test_where_there_are_no_subreapers_a_guardian_catches_all_but_daemons(
    project: Project, victim: str
) -> None:
    async with busy_pool(project, "-c", PORTABLE) as pool:
        os.kill(pool_of(project) if victim == "pool" else pool.process.pid, signal.SIGKILL)
        assert await pool.exit_status() == -signal.SIGKILL
        await until(lambda: project.place.holder() is None, "both are gone")
        left = {" ".join(process.cmdline()) for process in sleepers(project)}
        assert left <= UNCATCHABLE
    async with project.connect() as client:
        await client.call("list")
        left = {" ".join(process.cmdline()) for process in sleepers(project)}
        assert left <= {"sleep 1007"}, "what carries the tag is found by the next pool"
    await project.stop()
    await project.end_leftovers()
