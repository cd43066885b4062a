"""Commands on a project whose pool is started once for all of the tests."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from supervisor.cli import main
from tests.client import LIMIT_S, SERVE, Project

AGENT_POOL = SERVE[:-1]

Run = Callable[..., "Completed"]


class Terminal:
    """A command whose stderr, and stdin and stdout if asked for, is a terminal."""

    def __init__(
        self,
        project: Project,
        *words: str,
        all_of_it: bool = False,
        typing: bool = False,
        **variables: str,
    ) -> None:
        self._master, slave = pty.openpty()
        self.seen = ""
        """What the terminal was sent so far."""
        self.process = subprocess.Popen(
            [*AGENT_POOL, *words],
            cwd=project.folder,
            env=project.environment(**{"TERM": "xterm", **variables}),
            stdin=slave if all_of_it or typing else subprocess.DEVNULL,
            stdout=slave if all_of_it else subprocess.PIPE,
            stderr=slave,
        )
        os.close(slave)

    def read_until(self, text: str) -> None:
        """Read on, until `text` was sent.

        Raises:
            AssertionError: the command has ended, and it was not.
        """
        while text not in self.seen:
            assert self._read_more(), f"not sent: {text!r}; but {self.seen!r}"

    def resize(self, columns: int, lines: int) -> None:
        """Make it so large; who draws on it sees that the next time."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self._master, keys.encode())

    def type(self, text: str) -> None:
        """Type a line there."""
        self.press(f"{text}\n")

    def type_end(self) -> None:
        """Type Ctrl-D."""
        self.press("\x04")

    def end(self) -> tuple[int, str]:
        """The exit status, and what came on stdout, once the command has ended."""
        while self._read_more():
            pass
        out, _ = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, (out or b"").decode()

    def _read_more(self) -> bool:
        # EIO: nobody has the other end any more.
        with suppress(OSError):
            chunk = os.read(self._master, 1 << 16)
            self.seen += chunk.decode()
            return bool(chunk)
        return False

    def close(self) -> None:
        """Let go of all of it."""
        os.close(self._master)
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@dataclass(frozen=True)
class Completed:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


def command(project: Project) -> Run:
    """Runs `agent-pool` with some words in the project; `stdin` is what it reads there.

    In this process, which saves the start of an interpreter each; the pool is another process.
    """

    def run(*words: str, stdin: str = "", **variables: str) -> Completed:
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(os, "environ", project.environment(**variables))
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
            patch.chdir(project.folder)
            status = main(list(words))
        out.seek(0)
        return Completed(status, out.read(), err.getvalue())

    return run


def opened(base: Path) -> Iterator[Project]:
    """A project that is closed at the end, outside of any event loop."""
    project = Project(base)
    yield project
    trio.run(project.close)


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project that all tests here share, its pool running: each has its own agents in it."""
    for project in opened(tmp_path_factory.mktemp("c")):
        for name in ("coder", "other", "busy"):
            project.write_agent(name)
        project.write_agent("reader", "Look it up.", "tools: Read, Grep")
        project.write_agent("asker", "Do it.", "permissionMode: ask")
        project.write_agent("asking-reader", "Look.", "permissionMode: ask", "tools: Read")
        assert command(project)("warmup", "coder", "other").returncode == 0
        yield project


@pytest.fixture(scope="package")
def run(project: Project) -> Run:
    """Run a command in the shared project."""
    return command(project)


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Project]:
    """A project without a pool."""
    for project in opened(tmp_path):
        project.write_agent("coder")
        yield project


@pytest.fixture
def terminal(project: Project) -> Iterator[Callable[..., Terminal]]:
    """Start a command on a terminal, in the shared project."""
    started: list[Terminal] = []

    def start(
        *words: str, all_of_it: bool = False, typing: bool = False, **variables: str
    ) -> Terminal:
        started.append(Terminal(project, *words, all_of_it=all_of_it, typing=typing, **variables))
        return started[-1]

    yield start
    for one in started:
        one.close()
