"""A raw MCP client over stdio, and a project of its own to run it in.

    async with open_project(tmp_path) as project:
        project.write_agent("coder")
        async with project.connect() as client:
            result = await client.call("invoke", agent="coder", task="[[say hello]]")

The client knows JSON-RPC and nothing else, so that it shares no mistake with the server's SDK.
A project has its own home and state folder; at its end its pool is stopped, and it is an error
if one process is left that carries the project's mark or works in its folder.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil
import trio

from supervisor.place import Place

T = TypeVar("T")

LIMIT_S: Final = 60.0
"""The longest that anything here waits: the machine may be busy."""

POLL_S: Final = 0.02
"""Between two looks at what gives no event."""

SERVE: Final = (sys.executable, "-P", "-m", "agent_pool", "serve")
"""The relay."""

REHEARSAL: Final = shlex.join([sys.executable, "-P", "-m", "supervisor", "rehearsal"])
"""The stand-in agent, for `CLAUDE_CLI`."""

NOBODY: Final = 65534
"""A user who owns nothing."""

MARK: Final = "LC_TEST_MARK"
"""The variable that marks a project's processes; its name is one that agents are handed too."""

Message = dict[str, Any]


class ConnectionLost(Exception):  # noqa: N818 - what happened
    """The relay has gone, so there will be no answer; the message says what it left."""


class Refused(Exception):  # noqa: N818 - what happened
    """A request was answered with a JSON-RPC error; the message is the error's own."""


async def until(look: Callable[[], T | None], what: str, limit_s: float = LIMIT_S) -> T:
    """What `look` returns, as soon as that is true; for what gives no event to await.

    Raises:
        AssertionError: it is not, within the limit; the message says `what` did not come.
    """
    with trio.move_on_after(limit_s):
        while True:
            found = look()
            if found:
                return found
            await trio.sleep(POLL_S)
    raise AssertionError(f"not within {limit_s:g} s: {what}")


class Answer:
    """The answer to one request; may be awaited any number of times, or never."""

    def __init__(self) -> None:
        self._come = trio.Event()
        self._message: Message = {}
        self._lost: str | None = None

    def give(self, message: Message) -> None:
        """The answer has come."""
        self._message = message
        self._come.set()

    def lose(self, why: str) -> None:
        """There will be none."""
        self._lost = why
        self._come.set()

    @property
    def come(self) -> bool:
        """Whether it is decided."""
        return self._come.is_set()

    async def message(self, limit_s: float = LIMIT_S) -> Message:
        """The whole JSON-RPC message.

        Raises:
            ConnectionLost: the relay ended before.
            trio.TooSlowError: nothing came.
        """
        with trio.fail_after(limit_s):
            await self._come.wait()
        if self._lost is not None:
            raise ConnectionLost(self._lost)
        return self._message

    async def result(self, limit_s: float = LIMIT_S) -> Message:
        """The `result` of the answer.

        Raises:
            Refused: it is an error.
            ConnectionLost, trio.TooSlowError: as in `message`.
        """
        message = await self.message(limit_s)
        if "error" in message:
            raise Refused(message["error"]["message"])
        found: Message = message["result"]
        return found

    def __await__(self) -> Generator[Any, None, Message]:
        return self.result().__await__()


class Client:
    """One connection; made by `open_client`."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        """The relay, or whatever was started."""
        self.server: Message = {}
        """The result of `initialize`."""
        self.notifications: list[Message] = []
        """Every notification that came."""
        self.asks = False
        """Whether it declares that it can show questions; settled before `initialize`."""
        self.questions: list[Message] = []
        """Every request of the server's that came: `elicitation/create`."""
        self.withdrawn: list[object] = []
        """The ids of those that the server no longer wants an answer to."""
        self._stderr = bytearray()
        self._pending: dict[int, Answer] = {}
        self._progress: dict[int, Callable[[Message], None]] = {}
        self._number = 0
        self._turn = trio.Lock()
        self._gone: str | None = None
        self._all_read = trio.Event()

    @property
    def stderr(self) -> str:
        """What the process has said on stderr so far; all of it after `wait_closed`."""
        return self._stderr.decode(errors="replace")

    async def start(
        self,
        method: str,
        params: Message | None = None,
        on_progress: Callable[[Message], None] | None = None,
    ) -> tuple[int, Answer]:
        """Send a request; returns its id, and its answer to be awaited."""
        self._number += 1
        number, answer = self._number, Answer()
        self._pending[number] = answer
        params = dict(params or {})
        if on_progress is not None:
            self._progress[number] = on_progress
            params["_meta"] = {"progressToken": number}
        if self._gone is not None:
            answer.lose(self._gone)
            return number, answer
        # Where the relay has gone, the reader tells whoever waits.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number, answer

    async def request(self, method: str, params: Message | None = None) -> Message:
        """One request; returns the whole JSON-RPC message that answers it.

        Raises:
            ConnectionLost: the relay ended before.
        """
        _, answer = await self.start(method, params)
        return await answer.message()

    async def start_call(
        self,
        tool: str,
        on_progress: Callable[[Message], None] | None = None,
        **arguments: object,
    ) -> tuple[int, Answer]:
        """Call a tool without waiting: `id, answer = await c.start_call(…)`, `await answer`.

        Args:
            tool: its name.
            on_progress: called with the params of each progress notification.
            arguments: the tool's own.
        """
        return await self.start("tools/call", {"name": tool, "arguments": arguments}, on_progress)

    async def agents(self) -> dict[str, Message]:
        """What `list` says, by name."""
        listed = (await self.call("list"))["structuredContent"]["agents"]
        return {row["name"]: row for row in listed}

    async def agent(self, name: str) -> Message:
        """What `list` says of one agent."""
        return (await self.agents())[name]

    async def call(
        self,
        tool: str,
        on_progress: Callable[[Message], None] | None = None,
        **arguments: object,
    ) -> Message:
        """Call a tool; returns its result, which may be one with `isError`.

        Raises:
            Refused: a JSON-RPC error instead of a result.
            ConnectionLost: the relay ended before.
        """
        _, answer = await self.start_call(tool, on_progress, **arguments)
        return await answer

    async def cancel(self, request_id: int) -> None:
        """Say that the caller no longer wants that request."""
        await self.notify("notifications/cancelled", {"requestId": request_id})

    async def notify(self, method: str, params: Message | None = None) -> None:
        """Send a notification."""
        await self.send({"jsonrpc": "2.0", "method": method, "params": params or {}})

    async def send(self, message: Message) -> None:
        """Write one line."""
        assert self.process.stdin is not None
        async with self._turn:
            await self.process.stdin.send_all(json.dumps(message).encode() + b"\n")

    async def initialize(self, *, is_early: bool = False) -> None:
        """Begin the session, with a pool that is up; `open_client` has done it.

        `is_early`: as soon as there is an answer, be it only the relay's.

        Raises:
            Refused: the server refuses.
            ConnectionLost: the relay ended before.
        """
        info = {"name": "tests", "version": "0"}
        able: Message = {"elicitation": {}} if self.asks else {}
        params = {"protocolVersion": "2025-11-25", "capabilities": able, "clientInfo": info}
        _, answer = await self.start("initialize", params)
        self.server = await answer
        await self.notify("notifications/initialized")
        if not is_early:
            _, pong = await self.start("ping")  # which no relay answers
            await pong

    async def question(self, number: int = 0) -> Message:
        """A question that the server asks, counted from 0, as soon as it is there."""
        await until(lambda: len(self.questions) > number, f"question {number}")
        return self.questions[number]

    async def answer(self, question: Message, action: str = "accept", **content: object) -> None:
        """Answer a question of the server's."""
        result: Message = {"action": action} | ({"content": content} if content else {})
        await self.send({"jsonrpc": "2.0", "id": question["id"], "result": result})

    def close_input(self) -> None:
        """Close the relay's stdin, as a client does that is done."""
        stdin = self.process.stdin
        assert isinstance(stdin, trio.lowlevel.FdStream)
        stdin.close()

    async def wait_closed(self) -> int:
        """The exit status, once the process has ended and everything it said has been read."""
        with trio.fail_after(LIMIT_S):
            await self._all_read.wait()
            return await self.process.wait()

    async def listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Read stdout and stderr to their ends; `open_client` runs it."""
        gone = "the connection has been closed"
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._drain_stderr)
                task_status.started()
                await self._read_messages()
            status = await self.process.wait()
            gone = f"the process ended with status {status}; stderr: {self.stderr.strip()}"
            self._all_read.set()
        finally:
            self._gone = gone
            for answer in self._pending.values():
                answer.lose(gone)
            self._pending.clear()

    async def _drain_stderr(self) -> None:
        assert self.process.stderr is not None
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            async for chunk in self.process.stderr:
                self._stderr += chunk

    async def _read_messages(self) -> None:
        assert self.process.stdout is not None
        unread = b""
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            async for chunk in self.process.stdout:
                *lines, unread = (unread + chunk).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))

    def _take(self, message: Message) -> None:
        if "method" in message and "id" in message:
            self.questions.append(message)
            return
        if message.get("method") == "notifications/cancelled":
            self.withdrawn.append(message["params"]["requestId"])
        if "method" in message:
            self.notifications.append(message)
            params = message.get("params") or {}
            watch = self._progress.get(params.get("progressToken", 0))
            if message["method"] == "notifications/progress" and watch is not None:
                watch(params)
            return
        answer = self._pending.pop(message["id"], None)
        assert answer is not None, f"an answer that nobody waits for: {message}"
        answer.give(message)


@asynccontextmanager
async def open_client(
    argv: Sequence[str] = SERVE,
    *,
    cwd: Path,
    env: Mapping[str, str],
    initialize: bool = True,
    user: int | None = None,
    asks: bool = False,
) -> AsyncIterator[Client]:
    """Start a stdio MCP server, by default the relay, and begin a session with it.

    At the end its stdin is closed, and it is killed if that does not end it. An exception of
    the body comes out as it is, not in a group.

    Args:
        argv: what to start.
        cwd: where.
        env: its whole environment.
        initialize: whether to begin the session; False: the test does.
        user: run it as that user; None: as this one.
        asks: whether it declares that it can show questions.

    Raises:
        Refused: `initialize` was answered with an error.
        ConnectionLost: it ended before it answered.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            [*as_user(user), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(env),
        )
        client = Client(process)
        client.asks = asks
        await nursery.start(client.listen)
        try:
            if initialize:
                await client.initialize()
            yield client
        except Exception as error:
            failure = error  # raised below, outside of the nursery, which would put it in a group
        finally:
            with trio.CancelScope(shield=True):
                await _end(process)
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def as_user(user: int | None) -> list[str]:
    """What goes before a command to run it as that user, who may do nothing special.

    But read: the interpreter that runs the tests may be in somebody's home.
    """
    if user is None:
        return []
    reading = "dac_read_search"
    who = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return ["setpriv", *who, f"--inh-caps=+{reading}", f"--ambient-caps=+{reading}", "--"]


async def _end(process: trio.Process) -> None:
    assert process.stdin is not None
    await process.stdin.aclose()
    with trio.move_on_after(LIMIT_S / 4):
        await process.wait()
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


class Project:
    """A project folder with agents, a home and a state folder of its own, and its pool."""

    def __init__(self, base: Path, user: int | None = None) -> None:
        """`base` is an empty folder, a test's `tmp_path`; `user` runs everything."""
        self.user = user
        """Who runs its pool and its clients; None: who runs the test."""
        # One letter each: a socket's path may have about a hundred bytes.
        self.folder = base / "p"
        """The project's root."""
        self.home = base / "h"
        """$HOME."""
        self.state = base / "s"
        """$XDG_STATE_HOME."""
        self.mark = uuid.uuid4().hex
        """The value of `MARK` in the environment of every process of this project."""
        for folder in (self.folder / ".claude" / "agents", self.home, self.state):
            folder.mkdir(parents=True)
        if user is not None:
            for folder in (self.folder, self.home, self.state):
                os.chown(folder, user, user)

    # What it is made of

    def write_agent(self, name: str, body: str = "Do it.", *frontmatter: str) -> Path:
        """Define an agent; `frontmatter` are further lines, such as `tools: Bash`."""
        lines = ["---", f"name: {name}", f"description: The agent {name}.", *frontmatter, "---"]
        path = self.folder / ".claude" / "agents" / f"{name}.md"
        path.write_text("\n".join([*lines, body, ""]))
        return path

    def write_config(self, text: str) -> Path:
        """Write the user's pool.toml."""
        path = self.home / ".config" / "agent-pool" / "pool.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def environment(self, **extra: str) -> dict[str, str]:
        """The whole environment of a client: nothing of the test's own but PATH.

        `CLAUDE_CLI` is the rehearsal agent unless it is given; empty: none is set.
        """
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "XDG_STATE_HOME": str(self.state),
            # `env` is where everybody may look, the interpreter perhaps not (see `as_user`).
            "CLAUDE_CLI": REHEARSAL if self.user is None else f"/usr/bin/env {REHEARSAL}",
            MARK: self.mark,
            **extra,
        }
        return {name: value for name, value in variables.items() if value}

    def connect(self, **extra: str) -> AbstractAsyncContextManager[Client]:
        """Start a relay in the project, with `extra` variables, and begin a session."""
        return open_client(cwd=self.folder, env=self.environment(**extra), user=self.user)

    def connect_asking(self, **extra: str) -> AbstractAsyncContextManager[Client]:
        """The same; the client declares that it can show questions."""
        env = self.environment(**extra)
        return open_client(cwd=self.folder, env=env, user=self.user, asks=True)

    def connect_raw(self, **extra: str) -> AbstractAsyncContextManager[Client]:
        """The same, but the session is for the test to begin."""
        env = self.environment(**extra)
        return open_client(cwd=self.folder, env=env, initialize=False, user=self.user)

    async def run(self, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """Run an `agent-pool` command in the project to its end; its exit status is not checked."""
        with trio.fail_after(LIMIT_S):
            done = await trio.run_process(
                [*as_user(self.user), *SERVE[:-1], *arguments],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                cwd=self.folder,
                env=self.environment(**extra),
            )
        out, err = done.stdout.decode(), done.stderr.decode()
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    # What is known of its pool

    @property
    def place(self) -> Place:
        """Its paths."""
        return Place(str(self.folder.resolve()), self.environment())

    def pool_pid(self) -> int | None:
        """The pid of the pool that runs, or None."""
        pid = (self.place.holder() or {}).get("pid")
        return pid if isinstance(pid, int) else None

    def log_lines(self) -> list[dict[str, Any]]:
        """The pool's log: one object an event, of every pool that this project has had."""
        path = Path(self.place.log)
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def processes(self) -> list[psutil.Process]:
        """Every living process that carries the project's mark, or works in its folder."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get(MARK) == self.mark:
                return True
            return Path(process.cwd()).is_relative_to(self.folder.resolve())
        except (psutil.Error, OSError):
            return False  # gone, or somebody else's

    # Its end

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Signal the pool, if one runs, and wait until it has gone."""
        if self.place.holder() is None:
            return
        pid = await until(self.pool_pid, "the pool says its pid")
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        await until(lambda: self.place.holder() is None, f"the end of the pool {pid}")
        await until(lambda: not _lives(pid), f"the end of the pool {pid}")

    async def end_leftovers(self) -> None:
        """Kill what a pool left that was killed itself."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await until(lambda: not self.processes(), "the end of the project's processes")

    async def close(self) -> None:
        """Stop the pool, and see that nothing is left.

        Raises:
            AssertionError: a process was; it has been killed.
        """
        with trio.CancelScope(shield=True):
            try:
                await self._stop_all()
            except AssertionError as error:
                left = [f"{p.pid}: {command}" for p, command in _commands(self.processes())]
                await self.end_leftovers()
                raise AssertionError(f"{error}; left were {left}") from None
            finally:
                self._remove_far_socket()

    async def _stop_all(self) -> None:
        # More than once: a pool that a relay has just started may not have the lock yet.
        with trio.move_on_after(LIMIT_S / 2):
            while self.processes():
                await self.stop()
                await trio.sleep(POLL_S)
            return
        raise AssertionError("the project's processes do not end")

    def _remove_far_socket(self) -> None:
        # A killed pool leaves it; where its path would be too long it is not in our folder.
        with suppress(FileNotFoundError):
            os.unlink(self.place.socket)


@asynccontextmanager
async def open_project(base: Path, user: int | None = None) -> AsyncIterator[Project]:
    """A project in the empty folder `base`, closed at the end; what comes out is no group."""
    project = Project(base, user)
    try:
        yield project
    finally:
        await project.close()


def _commands(processes: list[psutil.Process]) -> Iterator[tuple[psutil.Process, str]]:
    for process in processes:
        with suppress(psutil.Error):
            yield process, shlex.join(process.cmdline())


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
