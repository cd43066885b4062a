"""Killing whole trees: every process that carries a tag or descends from a leader, until none.

Agents run their commands in sessions of their own, and leave daemons behind, so neither the
leader's process group nor its exit says anything about the rest. A tree is found by the tag
in its environment and by descent, killed, and looked for again until a look finds nobody.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import trio

from supervisor.process._scan import Census, ProcessId, Seen, look

GIVE_UP_S = 10.0
"""A process that SIGKILL has not ended by then sits in the kernel; waiting longer is no use."""


def find_tree(
    variable: str, tag: str, leader: int | None, census: Census | None = None
) -> dict[int, Seen]:
    """The living processes of one tree: those that carry `tag`, `leader`, its process group, and
    the descendants of all these.

    `leader` is the pid of a process that has not been reaped, or None. `census` is what is looked
    at; None: now.
    """
    census = census or Census()
    members = set(census.tags(variable).get(tag, ()))
    if leader is not None:
        members |= {leader} | census.group(leader)
    members.discard(os.getpid())
    # Of the tagged too: a command with an empty environment may outlive the leader.
    return census.living(members | census.below(members))


def find_marked(variable: str, *beginnings: str, census: Census | None = None) -> dict[int, Seen]:
    """The living processes whose tag begins in one of these ways, with all their descendants."""
    census = census or Census()
    tags = census.tags(variable).items()
    members = {pid for tag, pids in tags if tag.startswith(beginnings) for pid in pids}
    members.discard(os.getpid())
    return census.living(members | census.below(members))


async def kill_until_gone(
    find: Callable[[Census], dict[int, Seen]], empty_looks: int = 2, younger: bool = False
) -> list[int]:
    """Kill what `find` finds until it finds nobody; returns the pids that would not go.

    One empty look proves little: who forks and ends while it is taken hides its child. So by
    default it takes two, unless one is known to have missed nobody.

    `find` is called with a census that began after the kills before: of all processes, or of those
    that are no older than this program. Not cancellable, and bounded by `GIVE_UP_S`.
    """
    wait_s = 0.001
    empty = 0
    members: dict[int, Seen] = {}
    with trio.move_on_after(GIVE_UP_S, shield=True):
        while empty < empty_looks:
            # Where there is no descriptor to look with, there may be one in a moment.
            with suppress(OSError):
                census = await shared_census(younger)
                # Those found before count until they are gone: a parent's death hides who
                # descends from it.
                members = _living(members) | find(census)
                if not members and census.missed_nobody():
                    break
                if not members:
                    empty += 1
                    continue
                empty = 0
                for seen in members.values():
                    kill_exactly(seen.id)
            await trio.sleep(wait_s)
            wait_s = min(wait_s * 2, 0.05)
    return sorted(members)


class _Shared:
    """The last census, and when it began, counted in requests."""

    def __init__(self) -> None:
        self.turn = trio.Lock()
        self.requests = 0
        self.began = 0
        self.census: Census | None = None


_shared: trio.lowlevel.RunVar[dict[bool, _Shared]] = trio.lowlevel.RunVar("census")


async def shared_census(younger: bool = False) -> Census:
    """A census that began after this call; whoever else calls before it begins gets the same.

    It is taken in a worker thread, since it reads the whole of /proc.

    Args:
        younger: of those alone that are no older than this program.
    """
    try:
        shared = _shared.get()[younger]
    except LookupError:
        _shared.set({False: _Shared(), True: _Shared()})
        shared = _shared.get()[younger]
    shared.requests += 1
    asked = shared.requests
    async with shared.turn:
        if shared.census is None or shared.began < asked:
            shared.began = shared.requests
            shared.census = await trio.to_thread.run_sync(Census, younger)
        return shared.census


def kill_exactly(process: ProcessId, number: int = signal.SIGKILL) -> None:
    """Signal that very process, or nobody: a pid that was reused meanwhile is left alone."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform != "linux":
            if _still(process):
                os.kill(process.pid, number)
            return
        fd = os.pidfd_open(process.pid)
        try:
            # The descriptor pins whoever has the pid now; only then is it compared.
            if _still(process):
                signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)


def _living(members: dict[int, Seen]) -> dict[int, Seen]:
    now = {pid: look(pid) for pid in members}
    return {
        pid: seen
        for pid, seen in now.items()
        if seen is not None and seen.id == members[pid].id and not seen.zombie
    }


def _still(process: ProcessId) -> bool:
    now = look(process.pid)
    return now is not None and now.id == process
