"""Programs that are hard to end, and a stage that starts them and leaves nothing behind."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil
import trio

from supervisor.process import Child, Command, ProcessId
from supervisor.process._scan import look

DEADLINE_S = 30.0
"""For every wait: far beyond what it takes, also on a busy machine."""

TAG_VARIABLE = "PROCESS_TEST_TAG"

PRELUDE = """
import os, signal, subprocess, sys

def say(*pids):
    print(*pids, flush=True)

def stay():
    while True:
        signal.pause()

def run(code='say(); stay()', **options):
    # Its pid and those that its first line names: by then it has set up whatever it sets up.
    argv = [sys.executable, '-S', '-c', f'PRELUDE = {PRELUDE!r}\\n' + PRELUDE + code]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, **options)
    return [child.pid, *map(int, child.stdout.readline().split())]

def daemon(*args, **options):
    # Forked twice: nobody of the tree is its parent any more.
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.write(its, ' '.join(map(str, run(*args, **options))).encode())
        os._exit(0)
    os.close(its)
    os.waitpid(pid, 0)
    pids = [int(pid) for pid in os.read(ours, 1000).split()]
    os.close(ours)
    return pids
"""
"""What the programs of these tests are made of."""


MAIN_THREAD_ENDS = """
import ctypes, threading, time

def work():
    while open('/proc/self/stat').read().split(')')[1].split()[0] != 'Z':
        time.sleep(0.001)
    say()
    time.sleep(1000)

threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
"""
"""A program that looks like a zombie, and is none."""


def program(code: str) -> tuple[str, ...]:
    """A Python program with the prelude."""
    return (sys.executable, "-S", "-c", f"PRELUDE = {PRELUDE!r}\n{PRELUDE}{code}")


class Stage:
    """Starts children, knows every pid that was told, and at the end kills what is left."""

    def __init__(self, folder: Path, tag_variable: str = TAG_VARIABLE) -> None:
        self.folder = folder
        self._tag_variable = tag_variable
        self.told: dict[int, ProcessId] = {}
        """Every process that a program named, to be looked for when it should be gone."""
        self._starts = 0
        self._children: dict[Child, Command] = {}

    def command(
        self, argv: Iterable[str], cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Command:
        """What `start` would start."""
        self._starts += 1
        tag = f"{self.folder.name}-{os.getpid()}-{self._starts}"
        variables = {"PATH": os.environ.get("PATH", os.defpath), **(env or {})}
        return Command(tuple(argv), cwd or self.folder, variables, self._tag_variable, tag)

    async def start(self, *argv: str, env: Mapping[str, str] | None = None) -> Child:
        """A running child."""
        return await self.start_command(self.command(argv, env=env))

    async def start_command(self, command: Command) -> Child:
        """A running child."""
        child = await Child.start(command)
        self._children[child] = command
        self.note(child.pid)
        return child

    def tag_of(self, child: Child) -> str:
        """What marks its tree."""
        return self._children[child].tag

    async def start_program(self, code: str) -> tuple[Child, list[int]]:
        """A running program, and the pids that its first line names."""
        child = await self.start(*program(code))
        pids = [int(word) for word in (await first_line(child)).split()]
        for pid in pids:
            self.note(pid)
        return child, pids

    def note(self, pid: int) -> None:
        """Remember a process that is alive, for certain."""
        seen = look(pid)
        assert seen is not None
        self.told[pid] = seen.id

    def alive(self, *pids: int) -> set[int]:
        """Which of the remembered processes are there still; a zombie is not."""
        return {pid for pid in pids or self.told if self._lives(pid)}

    def _lives(self, pid: int) -> bool:
        seen = look(pid)
        return seen is not None and seen.id == self.told[pid] and not seen.zombie

    async def gone(self, *pids: int) -> None:
        """Wait until they are gone; fail at the deadline."""
        await eventually(lambda: not self.alive(*pids))

    async def close(self) -> None:
        """End every child, also those that a failed test left."""
        with trio.CancelScope(shield=True):
            for child in self._children:
                await child.end()
            left = self.alive()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            await self.gone()


async def first_line(child: Child) -> bytes:
    """What it prints first."""
    data = b""
    with trio.fail_after(DEADLINE_S):
        while b"\n" not in data:
            more = await child.stdout.receive_some(1000)
            assert more, f"it ended after {data!r}"
            data += more
    return data.split(b"\n")[0]


async def all_of(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything until its end."""
    data = b""
    with trio.fail_after(DEADLINE_S):
        async for chunk in stream:
            data += chunk
    return data


async def eventually(condition: Callable[[], bool]) -> None:
    """Poll what gives no event, with a generous deadline."""
    with trio.fail_after(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 (another program gives no event)
            await trio.sleep(0.01)


def is_stopped(pid: int) -> bool:
    """It was suspended by a signal."""
    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
