"""Adopting and reaping: what our children leave behind becomes ours, and does not stay.

A *subreaper* is handed the orphans among its descendants, instead of init. So a daemon that
an agent's command left behind stays below this program, where it can be found and ended.
Linux only; elsewhere orphans go to init, and only the tag in their environment finds them.
"""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Set

import trio

from supervisor.process._cgroup import Leaf
from supervisor.process._kill import kill_until_gone
from supervisor.process._scan import HAS_PROC, Census, ProcessId, Seen, look, mark
from supervisor.process._spawner import spawner

_PR_SET_CHILD_SUBREAPER = 36

_ours: dict[int, str] = {}
"""Pids that a `Child` will reap itself → what its tree is marked with.

Touched in the spawner thread alone.
"""


_inherited: set[ProcessId] = set()
"""Children that whoever became this program, by exec, had before: they are none of ours."""


_is_subreaper = False


_listeners: list[Callable[[int, bool], None]] = []


def register(pid: int, tag: str) -> None:
    """Say, in the spawner thread, that who started `pid`, marked with `tag`, will reap it."""
    _ours[pid] = tag
    for listener in _listeners:
        listener(pid, True)


def unregister(pid: int) -> None:
    """Say, in the spawner thread, that `pid` has been reaped."""
    _ours.pop(pid, None)
    for listener in _listeners:
        listener(pid, False)


def on_children(listener: Callable[[int, bool], None]) -> None:
    """Call `listener` with the pid of each child, and whether it was started or reaped.

    In a thread of ours, so it must not block.
    """
    _listeners.append(listener)


def become_subreaper() -> bool:
    """Have orphans among our descendants handed to this program; False where that cannot be."""
    global _is_subreaper
    _inherited.update(seen.id for seen in _below_us(Census()).values())
    if sys.platform == "linux":
        refused: int = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _is_subreaper = refused == 0
    return _is_subreaper


def nobody_was_left(ended: int, variable: str, leaf: Leaf | None) -> bool:
    """Whether nobody is alive that a child of ours left behind; False: that cannot be told.

    To be asked in the spawner thread. Who loses its parent becomes a child of a subreaper, and so
    does everybody between it and us when its turn comes. So where each child that is a stranger
    belongs to another tree, nothing outlives the one that has ended: neither what scrubbed its
    environment nor a daemon.

    Args:
        ended: its pid; it has not been reaped.
        variable: the environment variable that holds marks.
        leaf: its cgroup, if it had one.
    """
    if not _is_subreaper:
        return False
    try:
        # Nobody else reaps, so the list may grow meanwhile, but not lose anybody.
        if not _strangers():
            return True
        _reap_adopted()
        others = {tag for pid, tag in _ours.items() if pid != ended}
        if not all(_is_of(others, variable, pid, ended) for pid in _strangers()):
            return False
        return leaf is None or not leaf.pids()
    except OSError:
        return False


def _strangers() -> set[int]:
    return set(_children()) - _ours.keys()


def _is_of(others: Set[str], variable: str, stranger: int, ended: int) -> bool:
    """Whether an adopted child was there before us, or is of one of the `others`, by its mark."""
    seen = look(stranger)
    if seen is None:
        return False
    if seen.id in _inherited:
        return True
    return ended not in (seen.group, seen.session) and mark(variable, stranger) in others


async def reap_adopted_forever() -> None:
    """Reap adopted orphans as they end, until cancelled. For the main thread's Trio run."""
    with trio.open_signal_receiver(signal.SIGCHLD) as signals:
        await spawner().run(_reap_adopted)  # those that ended before anybody listened
        async for _ in signals:
            await spawner().run(_reap_adopted)


async def end_everything_below() -> list[int]:
    """Kill every descendant of this program until none is left; returns those that stay.

    For the very end of a program that is a subreaper, after its children have been ended:
    this catches the daemons that scrubbed their environment. Elsewhere it does what descent
    alone can tell.
    """
    left = await kill_until_gone(_below_us)
    await spawner().run(_reap_adopted)
    return left


def _below_us(census: Census) -> dict[int, Seen]:
    spared = {pid for pid, seen in census.everyone.items() if seen.id in _inherited}
    return census.living(census.below({os.getpid()}) - spared - census.below(spared))


def _reap_adopted() -> None:
    # Where no descriptor is left to look with, the next signal tries again.
    with contextlib.suppress(OSError):
        for pid in _children():
            if pid not in _ours:
                with contextlib.suppress(ChildProcessError):
                    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)


def _children() -> list[int]:
    """The children of this program.

    Raises:
        OSError: not all of them could be found.
    """
    if not HAS_PROC:
        return []
    found: list[int] = []
    # Every thread has a list of its own; the children of one that ended move to another.
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children", "rb") as file:
            found += map(int, file.read().split())
    return found
