"""`tail -f` as a program of its own, with what happens to the log while it runs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio

from supervisor.cli._tail import LINES
from supervisor.place import Place
from tests.client import LIMIT_S, MARK, open_project
from tests.tail.log import Log


class Follower:
    """A running `agent-pool tail -f --json`."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._unread = b""

    async def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        with trio.fail_after(LIMIT_S):
            while b"\n" not in self._unread:
                chunk = await self.process.stdout.receive_some()
                assert chunk, "it has ended"
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    async def events(self, count: int) -> list[str]:
        """The next events that it prints."""
        return [json.loads(await self.line())["event"] for _ in range(count)]

    async def said(self, text: str) -> None:
        """Wait until it has said that on stderr."""
        assert self.process.stderr is not None
        heard = b""
        with trio.fail_after(LIMIT_S):
            while text.encode() not in heard:
                chunk = await self.process.stderr.receive_some()
                assert chunk, f"it has ended, and said {heard!r}"
                heard += chunk

    async def ended(self) -> tuple[int, str]:
        """Its exit status, and the rest of what it says on stderr."""
        assert self.process.stderr is not None
        heard = b""
        with trio.fail_after(LIMIT_S):
            async for chunk in self.process.stderr:
                heard += chunk
            return await self.process.wait(), heard.decode()


@asynccontextmanager
async def following(root: Path, environ: Mapping[str, str], *words: str) -> AsyncIterator[Follower]:
    argv = [sys.executable, "-P", "-m", "agent_pool", "tail", "-f", "--root", str(root), *words]
    process = await trio.lowlevel.open_process(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environ)
    )
    try:
        yield Follower(process)
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


@pytest.fixture
def log(tmp_path: Path, environ: dict[str, str]) -> Log:
    return Log(Path(Place(str(tmp_path), environ).log).parent)


Follow = Callable[..., AbstractAsyncContextManager[Follower]]


@pytest.fixture
def follow(tmp_path: Path, environ: dict[str, str]) -> Follow:
    def start(*words: str) -> AbstractAsyncContextManager[Follower]:
        return following(tmp_path, environ, "--json", *words)

    return start


async def test_it_goes_on_through_a_rotation(log: Log, follow: Follow) -> None:
    log.events([0])
    async with follow() as follower:
        assert await follower.events(1) == ["e0"]
        log.events([1])
        log.rotate()
        log.events([2])
        assert await follower.events(2) == ["e1", "e2"]
        log.events([3])
        assert await follower.events(1) == ["e3"]


async def test_it_waits_for_a_log_that_is_not_there_yet(log: Log, follow: Follow) -> None:
    async with follow() as follower:
        await follower.said("has written a log yet")
        log.events([0, 1])
        assert await follower.events(2) == ["e0", "e1"]


async def test_it_goes_on_when_the_whole_state_folder_is_made_anew(
    log: Log, follow: Follow
) -> None:
    log.events([0])
    async with follow() as follower:
        assert await follower.events(1) == ["e0"]
        log.remove()
        log.path.parent.rmdir()
        log.events([1])
        assert await follower.events(1) == ["e1"]


async def test_what_is_added_is_filtered_too(log: Log, follow: Follow) -> None:
    log.event("e0", agent="scout")
    async with follow("--agent", "scout") as follower:
        assert await follower.events(1) == ["e0"]
        log.event("e1", agent="critic")
        log.event("e2", agent="scout")
        assert await follower.events(1) == ["e2"]


async def test_ctrl_c_ends_it_quietly(log: Log, follow: Follow) -> None:
    log.events([0])
    async with follow() as follower:
        await follower.events(1)
        follower.process.send_signal(signal.SIGINT)
        assert await follower.ended() == (130, "")


async def test_it_ends_quietly_when_its_reader_has_gone_though_nothing_is_added(
    log: Log, follow: Follow
) -> None:
    log.events([0])
    async with follow() as follower:
        await follower.events(1)
        assert follower.process.stdout is not None
        await follower.process.stdout.aclose()
        assert await follower.ended() == (0, "")


async def test_it_ends_quietly_when_its_reader_has_gone_before_all_is_written(
    log: Log, follow: Follow
) -> None:
    log.events(range(LINES), width=20_000)  # more than a pipe holds
    async with follow() as follower:
        await follower.events(1)
        assert follower.process.stdout is not None
        await follower.process.stdout.aclose()
        assert await follower.ended() == (0, "")


async def test_it_follows_a_pool_through_its_end_and_the_next_ones_start(
    tmp_path: Path,
) -> None:
    async with open_project(tmp_path) as project:
        variables = project.environment(**{MARK: ""})  # it belongs to no pool
        async with following(project.folder, variables, "--json") as follower:
            started = []
            for _ in range(2):
                async with project.connect():
                    while True:
                        line = json.loads(await follower.line())
                        if line["event"] == "pool_started":
                            started.append(line["pid"])
                            break
                assert (await project.run("stop")).returncode == 0
            assert len(set(started)) == 2
