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
from collections.abc import Callable

import trio

from supervisor.process._kill import kill_until_gone
from supervisor.process._scan import HAS_PROC, Census, ProcessId, Seen, look
from supervisor.process._spawner import spawner

_PR_SET_CHILD_SUBREAPER = 36

_ours: set[int] = set()
"""Pids that a `Child` will reap itself. Touched in the spawner thread alone."""


_inherited: set[ProcessId] = set()
"""Children that whoever became this program, by exec, had before: they are none of ours."""


_is_subreaper = False


_listeners: list[Callable[[int, bool], None]] = []


def register(pid: int) -> None:
    """Say, in the spawner thread, that `pid` will be reaped by who started it."""
    _ours.add(pid)
    for listener in _listeners:
        listener(pid, True)


def unregister(pid: int) -> None:
    """Say, in the spawner thread, that `pid` has been reaped."""
    _ours.discard(pid)
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


def nobody_was_left() -> bool:
    """Whether no orphan is alive that a child of ours left behind; False: that cannot be told.

    To be asked in the spawner thread. Who loses its parent becomes a child of a subreaper, and so
    does everybody between it and us when its turn comes. So where no child is a stranger, nothing
    outlives a child that has ended: neither what scrubbed its environment nor a daemon.
    """
    if not _is_subreaper:
        return False
    _reap_adopted()
    try:
        # Nobody else reaps, so the list may grow meanwhile, but not lose anybody.
        strangers = set(_children()) - _ours
    except OSError:
        return False
    seen = map(look, strangers)
    return all(one is not None and one.id in _inherited for one in seen)


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
