"""What a pool leaves that was killed together with its reaper: finding it, and ending it.

That is processes, the temporary folders of its agents, and the cgroup that these were in. The next
pool of the place ends all of it at its start, `stop` and `reap` do so before. Only who holds the
lock of the place may, by `claimed` if it is no pool itself: no pool lives there then, and none
comes up meanwhile.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.cli._lock import claim_lock
from supervisor.place import TAG, cgroup_note, mark_of, noted_cgroup
from supervisor.process import (
    Census,
    cgroup_members,
    end_subtree,
    find_marked,
    kill_until_gone,
    shared_census,
)
from supervisor.temporary import TemporaryFolders


@dataclass(frozen=True)
class Leftovers:
    """What one pool or several have left; true if that is anything."""

    pids: frozenset[int] = frozenset()
    """The processes that carry a tag of theirs or are in a cgroup of theirs, and all that
    descends from the former."""
    folders: tuple[str, ...] = ()
    """The folders that their agents had for temporary files."""
    cgroups: tuple[str, ...] = ()
    """The cgroups that their agents were in."""

    def __bool__(self) -> bool:
        return bool(self.pids or self.folders or self.cgroups)

    def __add__(self, other: "Leftovers") -> "Leftovers":
        return Leftovers(
            self.pids | other.pids, self.folders + other.folders, self.cgroups + other.cgroups
        )

    @property
    def paths(self) -> list[str]:
        """All folders."""
        return [*self.folders, *self.cgroups]


def find_leftovers(folder: str, environ: Mapping[str, str], census: Census) -> Leftovers:
    """What the pools have left that had their state in `folder`; nobody is to live there.

    Args:
        folder: a state folder.
        environ: says where temporary files are, as far as that folder does not.
        census: whom to look among.
    """
    path = noted_cgroup(folder)
    cgroup = Path(path) if path is not None and os.path.isdir(path) else None
    inside = cgroup_members(cgroup) if cgroup is not None else set()
    return Leftovers(
        frozenset(inside | set(find_marked(TAG, f"{mark_of(folder)}.", census=census))),
        tuple(map(str, TemporaryFolders(folder, environ).left())),
        () if cgroup is None else (str(cgroup),),
    )


async def end_leftovers(folder: str, environ: Mapping[str, str]) -> tuple[Leftovers, Leftovers]:
    """End what pools have left that had their state in `folder`, for who holds its lock.

    Returns:
        What they had left, and what of it is there still. Not cancellable.
    """
    found = find_leftovers(folder, environ, await shared_census())
    end_cgroup(folder)
    if found.pids:
        beginning = f"{mark_of(folder)}."
        await kill_until_gone(lambda census: find_marked(TAG, beginning, census=census))
    await TemporaryFolders(folder, environ).clean()
    return found, find_leftovers(folder, environ, await shared_census())


def end_cgroup(folder: str) -> None:
    """End who is in the cgroup of the pool that has, or had, its state in `folder`; remove it."""
    path = noted_cgroup(folder)  # it may be wherever that pool was started
    if path is not None:
        end_subtree(Path(path))
    forget_cgroup(folder)


def forget_cgroup(folder: str) -> None:
    """Remove the note that says where the cgroup is."""
    with contextlib.suppress(OSError):
        os.unlink(cgroup_note(folder))


@contextlib.contextmanager
def claimed(folder: str) -> Iterator[bool]:
    """Hold the lock of a state folder for the block, if that can be: a pool may have it."""
    fd = claim_lock(folder)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)
