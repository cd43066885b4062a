"""A process of this machine: start it, talk to it, learn of its exit, end its whole tree."""

import fcntl
import os
import select
import signal
import subprocess
import sys
from termios import FIONREAD

import trio

from supervisor.process._cgroup import Leaf, make_leaf
from supervisor.process._interface import Command, ProcessClosedError
from supervisor.process._kill import GIVE_UP_S, find_tree, kill_until_gone
from supervisor.process._launcher import check_program, dying_with_us
from supervisor.process._machine import is_dying, is_stopped
from supervisor.process._measure import TreeMemory, measure_trees
from supervisor.process._reaper import nobody_was_left, register, unregister
from supervisor.process._scan import Census, Seen, look
from supervisor.process._spawner import spawner

CHUNK = 1 << 16
"""Bytes that are read at once."""


class Child:
    """A process of this machine, its three pipes and everything that it started.

    Made by `start`. `end` must be called once, whatever happened before: it alone reaps. What a
    worker uses of it is what `Process` says.
    """

    def __init__(
        self, command: Command, popen: "subprocess.Popen[bytes]", leaf: Leaf | None = None
    ) -> None:
        assert popen.stdin
        assert popen.stdout
        assert popen.stderr
        self.pid = popen.pid
        """Its pid; also its process group and its session, which are its own."""
        self.argv = command.argv
        """What was started."""
        self.tag = command.tag
        """The mark that all of its tree carries."""
        self.unread_bytes = 0
        """Bytes that were sent and that it never read; known after `end`, 0 where none can tell."""
        self.stdin = _taken_over(popen.stdin.fileno())
        self.stdout = _taken_over(popen.stdout.fileno())
        self.stderr = _taken_over(popen.stderr.fileno())
        for pipe in (popen.stdin, popen.stdout, popen.stderr):
            pipe.close()
        self._command = command
        self._popen = popen
        self._leaf = leaf
        self._exited = False
        self._awaiting = trio.Lock()
        self._status: int | None = None

    @staticmethod
    async def start(command: Command) -> "Child":
        """Start `command` in a session of its own, its pipes to us.

        It is killed when this program dies, and has a cgroup of its own, where that can be had.

        Raises:
            OSError: it cannot be started; `filename` and `strerror` say what and why.
            ValueError: an argument or a variable holds a zero byte.
        """

        def spawn() -> "tuple[subprocess.Popen[bytes], Leaf | None]":
            check_program(command.argv[0], command.cwd, command.env)
            leaf = make_leaf(command.tag, command.memory_limit)
            try:
                return popen_in(leaf), leaf
            except BaseException:
                if leaf is not None:
                    leaf.remove()
                raise

        def popen_in(leaf: Leaf | None) -> "subprocess.Popen[bytes]":
            popen = subprocess.Popen(
                dying_with_us(command.argv if leaf is None else leaf.command(command.argv)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=command.cwd,
                env={**command.env, command.tag_variable: command.tag},
                start_new_session=True,
            )
            register(popen.pid, command.tag)
            return popen

        popen, leaf = await spawner().run(spawn)
        try:
            return Child(command, popen, leaf)
        except OSError:  # no descriptors left
            await spawner().run(lambda: _abandon(popen, leaf))
            raise

    async def send(self, data: bytes) -> None:
        """Write all of `data` to its stdin; a cancelled call may have written a part of it.

        Raises:
            ProcessClosedError: nobody reads there any more.
        """
        try:
            await self.stdin.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ProcessClosedError from None

    async def receive(self) -> bytes:
        """What it has printed since, as soon as there is something; empty once it has closed that.

        No byte is lost if this is cancelled.
        """
        return await _received(self.stdout)

    async def receive_errors(self) -> bytes:
        """The same of its stderr."""
        return await _received(self.stderr)

    def limit_memory(self, limit_bytes: int) -> None:
        """Hold its tree to so many bytes from now on, where the kernel can."""
        if self._leaf is not None:
            self._leaf.limit(limit_bytes)

    async def close_input(self) -> None:
        """Tell it that nothing more will be sent."""
        await self.stdin.aclose()

    @property
    def takes_input(self) -> bool:
        """False: it is being killed, so what is sent now may be taken and come to nothing."""
        return not is_dying(self.pid)

    @property
    def is_stopped(self) -> bool:
        """It does nothing, because a signal has stopped it."""
        return is_stopped(self.pid)

    async def exited(self) -> None:
        """Wait until the process has ended. It is not reaped by this: its pid stays its own."""
        # One at a time: macOS allows one who waits for a process.
        async with self._awaiting:
            if not self._exited:
                await _process_end(self.pid)
                self._exited = True

    async def memory(self) -> TreeMemory:
        """What its whole tree takes now; nothing once it has ended.

        For one look. Who goes on looking, and at many trees, keeps `TreeMeters`.

        Raises:
            OSError: no descriptor is left.
        """
        variable, leaders = self._command.tag_variable, {self.tag: self.pid}
        return (await trio.to_thread.run_sync(measure_trees, variable, leaders))[self.tag]

    async def end_strangers(self) -> list[int]:
        """Kill what the process started in other sessions than its own; returns who would not go.

        Agents run each command in a session of its own, so that is what commands have left; what
        a process starts to help it, it keeps in its own session. Not cancellable.
        """
        return await kill_until_gone(self._find_strangers, younger=True)

    async def end(self) -> int | None:
        """Kill the whole tree, reap the leader, close the pipes; returns its exit status.

        The status is as `subprocess` gives it, negative for a signal's number; a process that
        had ended by itself keeps its own. None: the kernel would not let it go within
        `GIVE_UP_S` seconds. Not cancellable.
        """
        with trio.CancelScope(shield=True):
            await self._kill_tree()
        return self._status

    async def _kill_tree(self) -> None:
        if not (self._has_ended() and await spawner().run(self._reap_if_alone)):
            await self._kill_and_reap()
        if self._leaf is not None:
            self._leaf.remove()
        self.unread_bytes = _unread(self.stdin)
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()

    def _has_ended(self) -> bool:
        """The leader has ended, and has not been reaped."""
        if self._popen.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _reap_if_alone(self) -> bool:
        """Reap the leader, which has ended, if it left nobody: then there is no need to look."""
        if not nobody_was_left(self.pid, self._command.tag_variable, self._leaf):
            return False
        self._exited = True
        self._status = self._reap()
        return True

    async def _kill_and_reap(self) -> None:
        # First looked for while all of it lives: what the dead leave behind descends from nobody.
        # The leader is reaped last: until then its group cannot be anybody else's.
        # Nobody forks out of a leaf that is killed as a whole.
        looks = 1 if self._leaf is not None else 2
        await kill_until_gone(self._find_tree_and_kill_leaf, looks, younger=True)
        if self._has_ended():
            self._exited = True
        with trio.move_on_after(GIVE_UP_S):
            await self.exited()
        self._status = await spawner().run(self._reap)

    def _find_tree(self, census: Census) -> dict[int, Seen]:
        leader = self.pid if self._popen.returncode is None else None
        found = find_tree(self._command.tag_variable, self._command.tag, leader, census)
        inside = {pid: look(pid) for pid in self._leaf.pids()} if self._leaf is not None else {}
        return found | {p: seen for p, seen in inside.items() if seen and not seen.zombie}

    def _find_tree_and_kill_leaf(self, census: Census) -> dict[int, Seen]:
        # In this order: who has left the leaf descends from somebody only while that one lives.
        found = self._find_tree(census)
        if self._leaf is not None:
            self._leaf.kill()
        return found

    def _find_strangers(self, census: Census) -> dict[int, Seen]:
        tree = self._find_tree(census)
        return {pid: seen for pid, seen in tree.items() if seen.session != self.pid}

    def _reap(self) -> int | None:
        status = self._popen.poll()
        if status is not None:
            unregister(self.pid)
        return status


if sys.platform == "linux":

    async def _process_end(pid: int) -> None:
        fd = os.pidfd_open(pid)
        try:
            await trio.lowlevel.wait_readable(fd)
        finally:
            os.close(fd)

else:

    async def _process_end(pid: int) -> None:
        # As Trio waits for its own processes there; it would reap as well, which is too early.
        kqueue = trio.lowlevel.current_kqueue()

        def event(flags: int) -> select.kevent:
            return select.kevent(
                pid, filter=select.KQ_FILTER_PROC, flags=flags, fflags=select.KQ_NOTE_EXIT
            )

        try:
            kqueue.control([event(select.KQ_EV_ADD | select.KQ_EV_ONESHOT)], 0)
        except ProcessLookupError:
            return  # it has ended already

        def abort(_: object) -> trio.lowlevel.Abort:
            kqueue.control([event(select.KQ_EV_DELETE)], 0)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_kevent(pid, select.KQ_FILTER_PROC, abort)


def _abandon(popen: "subprocess.Popen[bytes]", leaf: Leaf | None) -> None:
    with popen:  # closes its pipes and reaps it
        os.killpg(popen.pid, signal.SIGKILL)
    if leaf is not None:
        leaf.remove()
    unregister(popen.pid)


async def _received(pipe: trio.lowlevel.FdStream) -> bytes:
    try:
        return bytes(await pipe.receive_some(CHUNK))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return b""


def _unread(pipe: trio.lowlevel.FdStream) -> int:
    """Bytes that were written to a pipe and that nobody has read, where that can be told."""
    if sys.platform != "linux":
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(pipe.fileno(), FIONREAD, bytes(4)), sys.byteorder)
    except (OSError, ValueError):  # closed already
        return 0


def _taken_over(fd: int) -> trio.lowlevel.FdStream:
    return trio.lowlevel.FdStream(os.dup(fd))
