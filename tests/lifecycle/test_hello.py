"""The first line on the socket: who may come in, and what becomes of those who may not."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from supervisor import __version__
from supervisor.agents import Folders
from supervisor.frontend import FrontEnd, close, listen
from supervisor.frontend._server import HELLO_DEADLINE_S
from supervisor.place import Place, built_in, hello_line
from supervisor.pool import ConfigFiles, Pool
from tests.client import Client, Project, Refused, open_client
from tests.lifecycle.foreground import events

CLI = "agent-pool rehearsal"

one_pool = pytest.mark.xdist_group("hello")
"""On a test that leaves the pool as it found it: all that share one run where it is."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project for several tests, whose first client starts the pool."""
    project = Project(tmp_path_factory.mktemp("hello"))
    project.write_agent("coder", "Do it.", "tools: Bash")
    project.write_config('[pool]\nlinger = "10min"\n')
    try:
        yield project
    finally:
        trio.run(project.close)


@asynccontextmanager
async def refused(project: Project, **extra: str) -> AsyncIterator[tuple[Client, str]]:
    """A relay that was refused, and what it answered to the client's first request."""
    async with project.connect_raw(**extra) as client:
        with pytest.raises(Refused) as caught:
            await client.initialize()
        yield client, str(caught.value)


@one_pool
@pytest.mark.parametrize(
    ("name", "value"),
    [("AGENTS_DIR", "/elsewhere"), ("TASK_TIMEOUT_MS", "12345"), ("CLAUDE_CLI", CLI)],
)
async def test_a_client_that_is_set_differently_is_told_the_difference_and_the_way_out(
    shared: Project, name: str, value: str
) -> None:
    async with shared.connect(), refused(shared, **{name: value}) as (client, message):
        assert await client.wait_closed() == 1
        assert client.stderr == f"{message}\n", "one line, the same for the person"
        assert f"{name}: the pool has " in message
        assert f'this client "{value}"' in message
        assert "agent-pool stop" in message
        assert message.count(": the pool has") == 1, "nothing but the difference"


async def test_the_way_out_leads_out(project: Project) -> None:
    async with project.connect(), refused(project, TASK_TIMEOUT_MS="12345"):
        assert (await project.run("stop")).returncode == 0
    async with project.connect(TASK_TIMEOUT_MS="12345") as client:
        assert not (await client.call("list"))["isError"]


@one_pool
async def test_a_relay_of_another_version_says_so(shared: Project) -> None:
    code = (
        "import sys, supervisor; supervisor.__version__ = '0.0.9';"
        "from supervisor.relay import main; sys.exit(main())"
    )
    argv = [sys.executable, "-P", "-c", code]
    env = shared.environment()
    async with (
        shared.connect(),
        open_client(argv, cwd=shared.folder, env=env, initialize=False) as other,
    ):
        with pytest.raises(Refused) as caught:
            await other.initialize()
        message = str(caught.value)
        assert f"version: the pool is {__version__}, this client is 0.0.9" in message
        assert "agent-pool stop" in message
        assert await other.wait_closed() == 1
        assert other.stderr == f"{message}\n"


GARBAGE = {
    "no JSON": b"GET / HTTP/1.1\r\n",
    "no UTF-8": b"\xff\xfe\n",
    "another object": b'{"jsonrpc": "2.0"}\n',
    "a number": b"1\n",
    "nested too deeply": b"[" * 100_000 + b"\n",
    "variables that are a list": json.dumps({"agent-pool": 1, "variables": [1]}).encode() + b"\n",
    "half of one": hello_line(__version__, "/", None)[:20],
    "nothing": b"",
    "a megabyte": b"x" * 2**20,
    "a megabyte, ended": b"x" * 2**20 + b"\n",
}


@one_pool
async def test_what_is_no_hello_ends_its_own_connection_and_harms_nobody(shared: Project) -> None:
    async with shared.connect() as client:
        _, answer = await client.start_call("invoke", agent="coder", task="[[sleep 1]] done")
        for what, line in GARBAGE.items():
            with trio.fail_after(30):
                answered = await knock(shared.place, line)
            assert answered == b"" or b'"error"' in answered, what
        assert "done" in (await answer)["content"][0]["text"]
    assert "fault" not in events(shared)


async def knock(place: Place, line: bytes) -> bytes:
    """Send that instead of a hello; returns all that comes back."""
    stream = await trio.open_unix_socket(place.socket)
    came = b""
    async with stream:
        try:
            await stream.send_all(line)
            await stream.send_eof()
            async for chunk in stream:
                came += chunk
        except trio.BrokenResourceError:
            pass  # cut off before it had said all
    return came


@one_pool
async def test_connections_that_say_nothing_keep_nobody_out(shared: Project) -> None:
    async with shared.connect():
        silent = [await trio.open_unix_socket(shared.place.socket) for _ in range(20)]
        async with shared.connect() as client:
            assert not (await client.call("list"))["isError"]
        for stream in silent:
            await stream.aclose()


@one_pool
async def test_the_pools_hello_tells_its_version_pid_and_name_and_http(shared: Project) -> None:
    async with shared.connect():
        answer = await knock(shared.place, hello_line(__version__, shared.place.root, None))
        first: dict[str, Any] = json.loads(answer.split(b"\n")[0])
        assert first == {
            "agent-pool": 1,
            "version": __version__,
            "pid": shared.pool_pid(),
            "name": shared.folder.name,
            "http": {},
        }


async def test_a_connection_that_says_nothing_is_closed_in_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(tmp_path) as front_end:
        began = trio.current_time()
        stream = await trio.open_unix_socket(front_end.place.socket)
        async with stream:
            assert await stream.receive_some() == b""
        assert trio.current_time() - began == pytest.approx(HELLO_DEADLINE_S, abs=0.5)


async def test_an_ending_pool_sends_newcomers_away_without_a_word(tmp_path: Path) -> None:
    async with serving(tmp_path) as front_end:
        hello = hello_line(__version__, front_end.place.root, None)
        assert await knock(front_end.place, hello) != b""
        front_end.ending = True
        assert await knock(front_end.place, hello) == b""


@asynccontextmanager
async def serving(base: Path) -> AsyncIterator[FrontEnd]:
    """A front end in this process."""
    place = Place(str(base), {"XDG_STATE_HOME": str(base / "s")})
    place.prepare()
    environ = {"HOME": str(base)}
    files = ConfigFiles.find(base, environ, Path(built_in()) / "config" / "pool.toml")
    folders = Folders.resolve(base, environ, base, Path(built_in()))
    pool = Pool(base, environ, files, folders, lambda event: None, "mark")

    def fault(error: Exception) -> None:
        raise error

    front_end = FrontEnd(pool, place, {}, fault)
    async with trio.open_nursery() as nursery:
        listener = listen(place)
        async with listener:
            await nursery.start(front_end.run, listener)
            yield front_end
            nursery.cancel_scope.cancel()
    close(place)
