"""The memory of whole trees of processes, many trees in one look at the machine."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.process._scan import command_name, descendants, marks, memory_of, scan


@dataclass(frozen=True)
class ProcessMemory:
    """One process of a tree."""

    pid: int
    """Its pid."""
    name: str
    """Its command, as the kernel names it."""
    own_bytes: int
    """Bytes that are its own: resident and not shared."""
    shared_bytes: int
    """Resident bytes that others may share: pages of the program file, for the most part."""


@dataclass(frozen=True)
class TreeMemory:
    """One tree."""

    processes: tuple[ProcessMemory, ...]
    """Those that were there, the largest first."""

    @property
    def size_bytes(self) -> int:
        """Σ(resident - shared) + max(shared): what all share is counted once.

        A plain sum of resident sizes counts a program's file pages once for each of its
        processes, and would take a healthy start for a leak.
        """
        own = sum(process.own_bytes for process in self.processes)
        return own + max((process.shared_bytes for process in self.processes), default=0)


def measure_trees(variable: str, leaders: Mapping[str, int]) -> dict[str, TreeMemory]:
    """The memory of each tree now, by its tag.

    Args:
        variable: the environment variable that holds tags.
        leaders: the pid of each tree's leader, by the tree's tag.
    """
    everyone = scan()
    members: defaultdict[str, set[int]] = defaultdict(set)
    for pid, tag in marks(variable, everyone).items():
        members[tag].add(pid)
    for tag, leader in leaders.items():
        members[tag].add(leader)
    return {tag: _tree(members[tag] | descendants(members[tag], everyone)) for tag in leaders}


def _tree(pids: set[int]) -> TreeMemory:
    found = [ProcessMemory(pid, command_name(pid), *memory_of(pid)) for pid in pids]
    return TreeMemory(tuple(sorted(found, key=lambda one: -one.own_bytes)))
