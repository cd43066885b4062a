"""The outer reaper: a small process above the pool, which outlives it and all that it started.

::

    the outer reaper          waits; holds the pool's lock with it
    └── the pool              everything else that this package is about
        └── agents ── their commands ── daemons …

Who is killed can end nothing any more, so somebody else must. What each death comes to:

==============================  ==================================================================
the pool ends, or is killed     the kernel hands what it leaves to the reaper, which is a
                                *subreaper*: it kills and reaps until nothing is below it, and only
                                then ends, as the pool did
the reaper is killed            the pool is sent SIGTERM, its *parent-death signal*; it kills
                                everything below it, and ends (`lost` tells it why)
both, at the same instant       agents' own processes die by a parent-death signal of theirs; the
                                rest carries the pool's tag, and the next pool finds and ends it
the reaper is suspended         the pool does not notice; what it leaves when it is killed waits,
                                as the lock does, until the reaper goes on
==============================  ==================================================================

The pool's lock is a descriptor of both, so whoever finds it free finds both gone. The pool is not
reaped before all the rest is: as long as the lock is held, its pid is nobody else's.

Only children are ever signalled. They cannot be mistaken, since nobody but their parent frees
their pids; and whoever loses its parent by that becomes a child in turn.

Where there are no subreapers, `guardian` stands in for it, with less to promise.

It is forked before anything large is imported, uses the standard library alone, and little of it.
"""

import contextlib
import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""What the reaper is told, the pool is told."""

HAS_SUBREAPERS = sys.platform == "linux"
"""Elsewhere the guardian stands in."""

GIVE_UP_S = 10.0
"""A process that SIGKILL has not ended by then sits in the kernel; waiting longer is no use."""

REFUSED_S = 0.5
"""How long those are waited for that this user may not kill."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

_above: "int | None" = None
"""In the pool: the pid of its reaper."""


def guard(pool: "Callable[[], int]", afterwards: "Callable[[], None]") -> int:
    """Run `pool` below an outer reaper; returns its exit status.

    Returns twice: in the pool's process when `pool` is over, and in this one, which becomes the
    reaper, once nothing of the pool is left and `afterwards` is over. A pool that was ended by a
    signal has its reaper end by the same. The reaper's status is 1 where the pool's is 0, but
    something would not end.

    Call it while there is one thread. Children that this process has already are left alone.
    """
    if not HAS_SUBREAPERS:
        return _guard_portably(pool, afterwards)
    inherited = frozenset(_children())
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # Ignored, it would have the kernel reap our children itself.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    watched = {signal.SIGCHLD, *FORWARDED}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    reaper = os.getpid()
    pid = os.fork()
    if pid == 0:
        _follow(reaper)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pool()
    _prctl(_PR_SET_NAME, b"agent-pool reap")
    _await_end(pid, watched)
    ended, left = _end_below({*inherited, pid})
    died = os.waitid(os.P_PID, pid, os.WEXITED)
    assert died is not None
    late, left_late = _end_below(inherited | left)
    afterwards()
    _tell(died, ended | late, left | left_late)
    return _end_as(died) or int(bool(left | left_late))


def _guard_portably(pool: "Callable[[], int]", afterwards: "Callable[[], None]") -> int:
    from supervisor import guardian

    parent = os.getpid()

    def below() -> int:
        global _above
        _above = parent
        return pool()

    died, ended, status = guardian.guard(below, FORWARDED)
    if died is None:
        return status
    afterwards()
    _tell(died, ended, set())
    return _end_as(died)


def above() -> "int | None":
    """The pid of the reaper that this process was started below, or None."""
    return _above


def lost() -> bool:
    """Whether this process ran below a reaper, and does no longer: that one was killed."""
    return _above is not None and os.getppid() != _above


def _follow(reaper: int) -> None:
    """In the pool: be told when the reaper ends."""
    global _above
    _above = reaper
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if lost():  # before the signal was asked for
        os._exit(1)


def _await_end(pool: int, watched: "Iterable[int]") -> None:
    """Pass signals on and reap strangers, until the pool has ended; it is not reaped."""
    while True:
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            os.kill(pool, number)
            continue
        if os.waitid(os.P_PID, pool, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        _reap(_children() - {pool})


def _end_below(spared: "Iterable[int]") -> "tuple[set[int], set[int]]":
    """Kill and reap children but for `spared`, until there are none; who ended, and who did not.

    A process without children has no descendants either, if it is a subreaper: every orphan
    among them would be its child.
    """
    began = time.monotonic()
    ended: set[int] = set()
    while mine := _children() - set(spared):
        killed = {pid for pid in mine if _kill(pid)}
        reaped = _reap(mine)
        ended |= reaped
        if time.monotonic() - began > (GIVE_UP_S if killed else REFUSED_S):
            return ended, mine - reaped
        if not reaped:
            signal.sigtimedwait((signal.SIGCHLD,), 0.01)
    return ended, set()


def _kill(child: int) -> bool:
    try:
        os.kill(child, signal.SIGKILL)
    except PermissionError:  # it has become another user's, by sudo for example
        return False
    return True


def _reap(pids: "Iterable[int]") -> "set[int]":
    """Those of the children `pids` that had ended; they are gone now."""
    reaped = set()
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None:
                reaped.add(pid)
    return reaped


def _children() -> "set[int]":
    """The children of this process. Empty only where it has none."""
    try:
        with open("/proc/thread-self/children", "rb") as file:
            return set(map(int, file.read().split()))
    except OSError:
        return set(_children_by_scan())


def _children_by_scan() -> "Iterable[int]":
    """The same, where the kernel keeps no such file."""
    ours = os.getpid()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            # The command's name, in brackets, may hold anything: count from its end.
            if int(file.read().rpartition(b")")[2].split()[1]) == ours:
                yield int(name)


def _tell(died: "os.waitid_result", ended: "set[int]", left: "set[int]") -> None:
    words = []
    if died.si_code != os.CLD_EXITED:
        words.append(f"the pool (pid {died.si_pid}) was ended by {_name(died.si_status)}")
    if ended:
        words.append(f"processes that it had left, and that were ended: {len(ended)}")
    if left:
        words.append(f"these would not end: {' '.join(map(str, sorted(left)))}")
    if words:
        with contextlib.suppress(OSError):  # whoever would read it has gone
            os.write(2, f"agent-pool: {'; '.join(words)}\n".encode())


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end_as(died: "os.waitid_result") -> int:
    """The status of a pool that has exited; where a signal ended it, it ends this process, too."""
    return died.si_status if died.si_code == os.CLD_EXITED else _end_by(died.si_status)


def _end_by(number: int) -> int:
    """End this process as the signal would have; its status where it cannot, as for pid 1."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core file is enough
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    sys.stderr.flush()
    os.kill(os.getpid(), number)
    return 128 + number


def _prctl(option: int, value: "int | bytes") -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
