"""`agent-pool run` as a test runs it, and what the log of a project's pools tells."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import trio

from tests.client import Client, Project, as_user, until


class Foreground:
    """A pool in the foreground."""

    def __init__(self, process: trio.Process, output: Path) -> None:
        self.process = process
        """What was started: the pool's outer reaper. `Project.pool_pid` is the pool's own."""
        self._output = output

    @property
    def output(self) -> str:
        """What it has said so far, on stdout and stderr."""
        return self._output.read_text()

    async def exit_status(self) -> int:
        """Its exit status, once it has ended."""
        with trio.fail_after(60):
            return await self.process.wait()


@asynccontextmanager
async def foreground(
    project: Project, program: tuple[str, ...] = ("-m", "agent_pool"), **extra: str
) -> AsyncIterator[Foreground]:
    """Run the pool in the foreground until it serves; it is told to stop at the end.

    `program` are Python's arguments that make it agent-pool's command line.
    """
    output = project.home / "output"
    with output.open("wb") as file:
        process = await trio.lowlevel.open_process(
            [*as_user(project.user), sys.executable, "-P", *program, "run"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=project.folder,
            env=project.environment(**extra),
        )
    pool = Foreground(process, output)
    try:
        await until(lambda: serves(project), "the pool listens")
        yield pool
    finally:
        with trio.CancelScope(shield=True):
            process.terminate()
            await pool.exit_status()


def pool_of(project: Project) -> int:
    """The pid of the pool that runs."""
    pid = project.pool_pid()
    assert pid is not None
    return pid


async def kill_both(project: Project) -> None:
    """Kill the pool and its reaper as at one instant: neither acts between the two deaths."""
    pool = pool_of(project)
    reaper = psutil.Process(pool).ppid()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        os.kill(reaper, number)
        os.kill(pool, number)
    await until(lambda: project.place.holder() is None, "both are gone")


def sleepers(project: Project) -> list[psutil.Process]:
    """The processes named `sleep` in the project's folder: what its agents' commands started.

    They are recognised by what they run and where, not by anything that the pool gives them.
    """
    return [process for process in psutil.process_iter() if _sleeps(process, project)]


def _sleeps(process: psutil.Process, project: Project) -> bool:
    try:
        there = process.cwd() == str(project.folder.resolve())
        return there and process.cmdline()[:1] == ["sleep"]
    except (psutil.Error, OSError):
        return False  # gone, or somebody else's


LEAVE = "[[bash setsid sleep 1000 & (setsid env -i sh -c 'sleep 1000 &' &); wait]]"
"""A task that leaves a process with its pool's tag, and one without any."""


async def leave_strays(client: Client, project: Project) -> list[psutil.Process]:
    """Have the agent `coder` leave them; they."""
    await client.start_call("invoke", agent="coder", task=LEAVE)
    await until(lambda: len(sleepers(project)) == 2, "they run")
    return sleepers(project)


async def shown_by_ps(project: Project, *flags: str, **extra: str) -> dict[int, dict[str, Any]]:
    """What `ps` says, by pid."""
    done = await project.run("ps", "--json", *flags, **extra)
    assert (done.returncode, done.stderr) == (0, "")
    return {row["pid"]: row for row in json.loads(done.stdout)["processes"]}


def lives(process: psutil.Process) -> bool:
    """It is there still; a zombie is not."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def serves(project: Project) -> bool:
    """Whether a pool of the project listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(project.place.socket)
        except OSError:
            return False
    return True


def has_socket(project: Project) -> bool:
    """Whether there is a socket, or a link to one, be it that nobody listens there."""
    place = project.place
    return os.path.lexists(place.link) or os.path.lexists(place.socket)


def events(project: Project) -> list[str]:
    """The names of all that the project's pools have logged, in order."""
    return [line["event"] for line in project.log_lines()]


async def until_logged(project: Project, event: str) -> None:
    """Wait until a pool of the project has logged that."""
    await until(lambda: event in events(project), f"the event {event}")


def pools_started(project: Project) -> list[int]:
    """The pids of all pools that the project has had, in order."""
    return [line["pid"] for line in project.log_lines() if line["event"] == "pool_started"]
