"""The guardian: what stands in for the outer reaper where there are no subreapers, as on macOS.

It is forked as the reaper is, passes signals on, and ends as the pool does. But what a killed pool
leaves goes to the system's first process there, not to it. So the pool tells it, by a pipe, which
processes it has started; they are the leaders of sessions and groups, and what they have started
still descends from them when the pool is gone. At the pipe's end the guardian kills these trees, in
rounds, until `ps` shows none of them.

What it cannot catch: a daemon that was forked twice in a group of its own, so that it neither
descends from a leader nor is in its group, and whatever leaders have left that ended before the
pool did. The next pool finds these by their tag, as far as the system shows it.
"""

import contextlib
import os
import signal
import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GIVE_UP_S = 10.0
"""A process that SIGKILL has not ended by then sits in the kernel; waiting longer is no use."""

_told: "int | None" = None
_alive: "int | None" = None


def guard(
    pool: "Callable[[], int]", forwarded: "Iterable[int]"
) -> "tuple[os.waitid_result | None, set[int], int]":
    """Run `pool` in a child; in this process, once it is over, end what it has left.

    Returns:
        In the guardian: how the pool ended, and who was killed. In the pool: None, nobody, and
        its status.
    """
    global _told, _alive
    guardian = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
    their_told, told = os.pipe()
    alive, ours_alive = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(their_told)
        os.close(ours_alive)
        os.set_blocking(told, False)
        _told, _alive = told, alive
        if os.getppid() != guardian:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None, set(), pool()
    os.close(told)
    os.close(alive)
    for number in forwarded:
        signal.signal(number, lambda got, _: os.kill(pid, got))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    leaders = _listen(their_told)
    ended = _end_trees(leaders)
    died = os.waitid(os.P_PID, pid, os.WEXITED)
    return died, ended, 0


def tell(leader: int, there: bool) -> None:
    """In the pool: say that a process was started, or that it has been reaped."""
    if _told is not None:
        with contextlib.suppress(OSError):  # it has been killed, or is suspended
            os.write(_told, b"%+d\n" % (leader if there else -leader))


def end_of_guardian() -> "int | None":
    """In the pool: a descriptor that can be read once the guardian has ended, or None."""
    return _alive


def _listen(told: int) -> "set[int]":
    """The leaders that there are when the pool ends."""
    leaders: set[int] = set()
    rest = b""
    while data := os.read(told, 65536):
        *lines, rest = (rest + data).split(b"\n")
        for number in map(int, lines):
            (leaders.add if number > 0 else leaders.discard)(abs(number))
    return leaders


def _end_trees(leaders: "set[int]") -> "set[int]":
    ended: set[int] = set()
    deadline = time.monotonic() + GIVE_UP_S
    while members := _members(leaders):
        for pid in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended |= members
        if time.monotonic() > deadline:
            break
        time.sleep(0.005)
    return ended


def _members(leaders: "set[int]") -> "set[int]":
    """Who is in a leader's group, or descends from somebody who is."""
    shown = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True, check=False
    )
    children: dict[int, list[int]] = {}
    found = []
    for line in shown.stdout.splitlines():
        pid, parent, group = map(int, line.split()[:3])
        if b"Z" in line.split()[3]:
            continue
        children.setdefault(parent, []).append(pid)
        if group in leaders:
            found.append(pid)
    members: set[int] = set()
    while found:
        pid = found.pop()
        if pid not in members and pid != os.getpid():
            members.add(pid)
            found += children.get(pid, ())
    return members
