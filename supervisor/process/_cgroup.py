"""A cgroup for each child, where this program may make some: what no process can leave.

A tag can be scrubbed and descent be broken by a double fork; a control group (version 2) keeps
whoever was started in it. So where a subtree of ours is writable, each child is started in a
*leaf* of its own, whose `cgroup.kill` ends all of it at once, and whose `memory.high` and
`memory.max` the kernel enforces, if that subtree has the memory controller. That is so for root,
in many containers, and below systemd with `Delegate=yes`. Elsewhere all of this is absent, and
nothing is said of it: tag and descent do.
"""

import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path

MAX_OF_HIGH = 1.25
"""The hard limit, in parts of the one at which the kernel begins to slow a leaf down."""

GONE_S = 1.0
"""How long a subtree may take to be empty after it was killed."""

_ENTER = 'echo $$ > "$0/cgroup.procs"; exec "$@"'
"""Enters before the program is there: moved afterwards, what it had started would stay outside."""

_subtree: Path | None = None
_has_memory = False


class Leaf:
    """The cgroup of one child."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """What starts `argv` inside."""
        return ("/bin/sh", "-c", _ENTER, str(self.path), *argv)

    def limit(self, memory: int) -> None:
        """Have its members slowed down above so many bytes, and killed above a quarter more."""
        if _has_memory:
            _write(self.path / "memory.high", str(memory))
            _write(self.path / "memory.max", str(int(memory * MAX_OF_HIGH)))

    def pids(self) -> set[int]:
        """Who is in it, below it included."""
        return cgroup_members(self.path)

    def kill(self) -> None:
        """Kill everybody in it."""
        _write(self.path / "cgroup.kill", "1")

    def remove(self) -> None:
        """Remove it, once it is empty."""
        _remove(self.path)


def use_cgroups(name: str) -> Path | None:
    """Make a subtree for the children of this program; None: there can be none.

    Children that are started from now on get leaves in it.

    Args:
        name: of its folder; a subtree of that name that is there already must be empty.
    """
    global _subtree, _has_memory
    own = _own()
    if own is None:
        return None
    subtree = own / name
    try:
        subtree.mkdir(mode=0o700, exist_ok=True)
        usable = (subtree / "cgroup.kill").exists() and os.access(own / "cgroup.procs", os.W_OK)
    except OSError:
        return None
    if not usable:
        _remove(subtree)
        return None
    _subtree, _has_memory = subtree, _enable_memory(own, subtree)
    return subtree


def writable_cgroup() -> tuple[Path | None, bool]:
    """Where `use_cgroups` could make its subtree (None: nowhere), and with memory limits or not.

    It is tried, and leaves nothing behind.
    """
    own = _own()
    if own is None or not os.access(own / "cgroup.procs", os.W_OK):
        return None, False
    probe = own / f"agent-pool-probe-{os.getpid()}"
    try:
        probe.mkdir(mode=0o700)
        can_kill = (probe / "cgroup.kill").exists()
        has_memory = "memory" in (own / "cgroup.controllers").read_text().split()
    except OSError:
        return None, False
    finally:
        _remove(probe)
    return (own, has_memory) if can_kill else (None, False)


def uses_cgroups() -> bool:
    """Whether children get leaves."""
    return _subtree is not None


def leaf_name(name: str) -> str:
    """What the folder of a leaf is called that `make_leaf` makes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)


def make_leaf(name: str, memory_limit: int | None) -> Leaf | None:
    """A leaf for one child, or None.

    Args:
        name: unique among the children that there are.
        memory_limit: bytes above which its members are slowed down, and a quarter more above which
            they are killed, where the kernel can do that.
    """
    if _subtree is None:
        return None
    leaf = Leaf(_subtree / leaf_name(name))
    try:
        leaf.path.mkdir(mode=0o700)
    except OSError:
        return None
    if _has_memory and memory_limit is not None:
        leaf.limit(memory_limit)
        _write(leaf.path / "memory.oom.group", "1")
    return leaf


def end_subtree(subtree: Path) -> set[int]:
    """Kill who is in a subtree, and remove it; returns who was there.

    The subtree is one that another program has left, or this one's, which has none afterwards.
    """
    global _subtree
    if subtree == _subtree:
        _subtree = None
    pids = cgroup_members(subtree)
    deadline = time.monotonic() + GONE_S
    while cgroup_members(subtree) and time.monotonic() < deadline:
        _write(subtree / "cgroup.kill", "1")
        time.sleep(0.001)
    _remove(subtree)
    return pids


def cgroup_members(folder: Path) -> set[int]:
    """The pids of who is in the cgroup `folder` or below it; empty where there is none."""
    found: set[int] = set()
    for path, _, _ in os.walk(folder):
        with suppress(OSError):
            found |= set(map(int, Path(path, "cgroup.procs").read_text().split()))
    return found - {0}  # who is out of our sight, in another namespace


def _own() -> Path | None:
    """The folder of the cgroup that this program is in."""
    if sys.platform != "linux":
        return None
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        mount = next(line.split() for line in lines if " - cgroup2 " in line)
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        path = next(line[3:] for line in groups if line.startswith("0::"))
        # A mount may show only a part of the whole tree.
        below = os.path.relpath(path, mount[3])
        own = Path(os.path.normpath(os.path.join(mount[4], below)))
        if not below.startswith("..") and own.is_dir():
            return own
    return None


def _enable_memory(own: Path, subtree: Path) -> bool:
    """Have the kernel count and limit the memory of each leaf, if it can without harm to others."""
    try:
        if "memory" not in (own / "cgroup.controllers").read_text().split():
            return False
        ours = {os.getpid(), os.getppid()}
        # Where there are processes, controllers cannot be handed down: we move out of the way.
        if (own / "cgroup.type").exists() and "memory" not in _handed_down(own):
            if not set(map(int, (own / "cgroup.procs").read_text().split())) <= ours:
                return False
            aside = own / f"{subtree.name}.self"
            aside.mkdir(mode=0o700, exist_ok=True)
            for pid in ours:
                (aside / "cgroup.procs").write_text(str(pid))
        for folder in (own, subtree):
            if "memory" not in _handed_down(folder):
                (folder / "cgroup.subtree_control").write_text("+memory")
    except OSError:
        return False
    return True


def _handed_down(folder: Path) -> list[str]:
    return (folder / "cgroup.subtree_control").read_text().split()


def _remove(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(path)


def _write(path: Path, text: str) -> None:
    with suppress(OSError):
        path.write_text(text)
