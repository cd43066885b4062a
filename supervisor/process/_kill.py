"""Killing whole trees: every process that carries a tag or descends from a leader, until none.

Agents run their commands in sessions of their own, and leave daemons behind, so neither the
leader's process group nor its exit says anything about the rest. A tree is found by the tag
in its environment and by descent, killed, and looked for again until a look finds nobody.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable

import trio

from supervisor.process._scan import ProcessId, Seen, descendants, look, marks, scan, tagged

GIVE_UP_S = 10.0
"""A process that SIGKILL has not ended by then sits in the kernel; waiting longer is no use."""


def find_tree(variable: str, tag: str, leader: int | None) -> dict[int, Seen]:
    """The living processes of one tree: those that carry `tag`, `leader`, its process group, and
    the descendants of all these.

    `leader` is the pid of a process that has not been reaped, or None.
    """
    everyone = scan()
    members = tagged(variable, tag, everyone)
    if leader is not None:
        members.add(leader)
        members |= {pid for pid in everyone if _group(pid) == leader}
    members.discard(os.getpid())
    # Of the tagged too: a command with an empty environment may outlive the leader.
    members |= descendants(members, everyone)
    members.discard(os.getpid())
    return {p: everyone[p] for p in members if p in everyone and not everyone[p].zombie}


def find_marked(variable: str, *beginnings: str) -> dict[int, Seen]:
    """The living processes whose tag begins in one of these ways, with all their descendants."""
    everyone = scan()
    members = {p for p, tag in marks(variable, everyone).items() if tag.startswith(beginnings)}
    members |= descendants(members, everyone)
    members.discard(os.getpid())
    return {p: everyone[p] for p in members if not everyone[p].zombie}


async def kill_until_gone(find: Callable[[], dict[int, Seen]]) -> list[int]:
    """Kill what `find` finds until it finds nobody; returns the pids that would not go.

    `find` runs in a worker thread, since it reads the whole of /proc. Not cancellable, and
    bounded by `GIVE_UP_S`.
    """
    wait_s = 0.001
    empty_looks = 0
    members: dict[int, Seen] = {}
    with trio.move_on_after(GIVE_UP_S, shield=True):
        # One empty look proves little: who forks and ends while it is taken hides its child.
        while empty_looks < 2:
            # Those found before count until they are gone: a parent's death hides who descends
            # from it.
            members = _living(members) | await trio.to_thread.run_sync(find)
            empty_looks = 0 if members else empty_looks + 1
            for seen in members.values():
                kill_exactly(seen.id)
            await trio.sleep(wait_s)
            wait_s = min(wait_s * 2, 0.05)
    return sorted(members)


def kill_exactly(process: ProcessId, number: int = signal.SIGKILL) -> None:
    """Signal that very process, or nobody: a pid that was reused meanwhile is left alone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
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


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _still(process: ProcessId) -> bool:
    now = look(process.pid)
    return now is not None and now.id == process
