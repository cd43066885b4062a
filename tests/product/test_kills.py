"""SIGKILL of every process of a pool: in turn, in pairs, and all at once.

Meanwhile two real CLIs run commands: one waits for a command in the foreground, the other one's
have gone to the background, in every usual way. Beside them are processes of the same user that are
none of the pool's, and live on.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import psutil
import pytest

from supervisor.place import FOLDER, TAG
from tests.client import MARK, Client, until
from tests.product.stage import Jobs, Stage, text_of

ROLES = ("reaper", "pool", "relay", "CLIs", "commands")
VICTIMS = [victims for number in (1, 2, len(ROLES)) for victims in combinations(ROLES, number)]
DEADLY = [victims for victims in VICTIMS if {"reaper", "pool"} & {*victims}]
"""What the pool does not survive."""

BOTH = ("reaper", "pool")
"""Without these, nobody is left who could end what is left."""

IN_BACKGROUND = 4
"""Jobs that `Jobs.in_background` leaves."""


@dataclass(frozen=True)
class Scene:
    """A pool at work."""

    roles: dict[str, list[psutil.Process]]
    """Who is who."""
    everyone: list[psutil.Process]
    """All of these, and all that they have started."""

    def kill(self, victims: tuple[str, ...]) -> None:
        """Kill them as at one instant: none acts between two deaths."""
        doomed = [process for role in victims for process in self.roles[role]]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in doomed:
                with suppress(psutil.NoSuchProcess):  # its pool was faster
                    process.send_signal(number)

    def living(self) -> list[str]:
        """Who of them has not ended."""
        return [str(process) for process in self.everyone if lives(process)]


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def sleeping(jobs: Jobs) -> int:
    """How many of the jobs themselves run; not the shells that have them on their command line."""
    found = 0
    for pid in jobs.left():
        try:
            found += psutil.Process(pid).name() == "sleep"
        except psutil.NoSuchProcess:
            continue
    return found


async def at_work(
    stage: Stage, client: Client, jobs: Jobs, agents: tuple[str, str], more: str = ""
) -> Scene:
    """Have both agents at work; `more` is a further command of the first."""
    foreground, background = agents
    warm = [(await client.call("warmup", agent=name))["structuredContent"] for name in agents]
    task = f"[[bash {more}{jobs.in_background()}\n{jobs.sleep()}]]"
    await client.start_call("invoke", agent=foreground, task=task)
    task = f"[[bash {jobs.in_background()}]] [[hang]]"
    await client.start_call("invoke", agent=background, task=task)
    all_of_them = 2 * IN_BACKGROUND + 1 + bool(more)
    await until(lambda: sleeping(jobs) == all_of_them, "the jobs")
    await until(lambda: _thinks(stage, task), "the model's second turn")
    clis = [psutil.Process(one["pid"]) for one in warm]
    pool = psutil.Process(stage.project.pool_pid())
    reaper = pool.parent()
    assert reaper is not None
    relay = psutil.Process(client.process.pid)
    commands = [child for cli in clis for child in cli.children()]
    assert commands
    roles = dict(zip(ROLES, ([reaper], [pool], [relay], clis, commands), strict=True))
    jobs_there = [psutil.Process(pid) for pid in jobs.left()]
    return Scene(roles, [reaper, *reaper.children(recursive=True), *jobs_there])


def _thinks(stage: Stage, task: str) -> bool:
    """Whether the model has been told what the command of the task came to."""
    turns = [turn for turn in stage.api.tasks if turn.last_user_text().strip() == task.strip()]
    return any(turn.tool_results() for turn in turns)


@contextmanager
def bystanders(stage: Stage) -> Iterator[list[psutil.Process]]:
    """Processes of this user that are none of the pool's, in sessions of their own."""
    sleep = shutil.which("sleep")
    assert sleep is not None
    namesake = stage.project.home / "claude"
    shutil.copy(sleep, namesake)
    env = {name: value for name, value in os.environ.items() if name != MARK}
    elsewhere = {TAG: "0123456789ab.cdef.1.worker", FOLDER: str(stage.project.home / "other")}
    starts: list[tuple[list[str], Path, dict[str, str]]] = [
        ([sleep, "1000"], Path("/"), {}),
        ([str(namesake), "1000"], Path("/"), {}),
        (["bash", "-c", "sleep 1000; :"], Path("/"), {}),
        ([sleep, "1000"], stage.project.folder, {}),
        ([sleep, "1000"], Path("/"), elsewhere),
    ]
    with ExitStack() as stack:
        started = []
        for argv, cwd, more in starts:
            popen = subprocess.Popen(argv, cwd=cwd, env={**env, **more}, start_new_session=True)
            stack.callback(popen.wait)
            stack.callback(os.killpg, popen.pid, signal.SIGKILL)
            started.append(psutil.Process(popen.pid))
        yield started


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.mark.parametrize("victims", DEADLY, ids="+".join)
async def test_nothing_outlives_a_pool_and_nobody_else_is_harmed(
    stage: Stage, jobs: Jobs, victims: tuple[str, ...]
) -> None:
    stage.write_agent("second")
    with bystanders(stage) as others:
        async with stage.connect() as client:
            scene = await at_work(stage, client, jobs, ("worker", "second"), f"{jobs.naked()}\n")
            naked = [process for process in scene.everyone if not process.environ()]
            in_cgroup = stage.project.place.noted_cgroup() is not None
            scene.kill(victims)
            await client.wait_closed()
            if {*BOTH} <= {*victims}:
                await until(lambda: stage.project.place.holder() is None, "the end of both")
                await until_ended_by_the_next(stage, jobs, naked if not in_cgroup else [])
            else:
                await until(lambda: not jobs.left(), "the end of the jobs")
                await until(lambda: not scene.living(), "the end of everybody")
        assert all(map(lives, others))


async def until_ended_by_the_next(
    stage: Stage, jobs: Jobs, unknowable: list[psutil.Process]
) -> None:
    """Start the next pool, and see that it ends and tells what is left, all that can be known."""
    left = {*jobs.left()}
    assert left, "nobody was there who could have ended them"
    for process in unknowable:
        process.kill()
    async with stage.connect() as client:
        await client.call("list")
        assert jobs.left() == []
    lines = stage.project.log_lines()
    (told,) = [line for line in lines if line["event"] == "strays_ended"]
    assert {*told["pids"]} >= left - {process.pid for process in unknowable}
    (told,) = [line for line in lines if line["event"] == "temporary_folders_removed"]
    assert told["number"] == 2


@pytest.mark.parametrize("victims", [v for v in VICTIMS if v not in DEADLY], ids="+".join)
async def test_a_pool_outlives_all_but_itself_and_its_reaper(
    shared: Stage, client: Client, agent: str, steady: str, jobs: Jobs, victims: tuple[str, ...]
) -> None:
    pool = shared.project.pool_pid()
    other = (await client.call("warmup", agent=steady))["structuredContent"]["pid"]
    second = f"{agent}-second"
    definition = shared.write_agent(second)
    with bystanders(shared) as others:
        async with shared.connect() as doomed:
            scene = await at_work(shared, doomed, jobs, (agent, second))
            scene.kill(victims)
            # With a CLI goes all that it has started; without its command, one of the two tasks
            # comes to its end, and is cleaned up after; with a client, nothing goes at once.
            staying = 0 if "CLIs" in victims else IN_BACKGROUND
            if victims == ("relay",):
                staying = 2 * IN_BACKGROUND + 1
            await until(lambda: sleeping(jobs) == staying, "the end of what is to end")
            for name in (agent, second):
                await client.call("reset", agent=name)
            assert jobs.left() == []
        assert text_of(await client.call("invoke", agent=steady, task="hello")) == "echo: hello"
        assert (await client.call("warmup", agent=steady))["structuredContent"]["pid"] == other
        assert all(map(lives, others))
    assert shared.project.pool_pid() == pool
    definition.unlink()
