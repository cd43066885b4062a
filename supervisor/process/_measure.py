"""The memory of whole trees of processes.

A tree's size is Σ(resident - shared) + max(shared). `TreeMeters` keeps what it takes to sample it
often: of each member an open descriptor, which costs a microsecond to read and can never come to
mean another process that is given the same pid. Who belongs to a tree is found out by one listing
for all trees, which looks at none but those who are new since the last one.

Between a fork and the start of a program, two processes have the same pages, each as its own. A
sample counts them twice; `memory` does not.
"""

import os
import resource
import signal
from collections import defaultdict
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from supervisor.process import _scan
from supervisor.process._cgroup import leaf_name, uses_cgroups
from supervisor.process._kill import kill_exactly
from supervisor.process._scan import Entry, ProcessId, Seen, Starting

KEPT_OPEN = 4
"""One part in so many of the descriptors that this program may have is kept for sampling."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


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


@dataclass(slots=True)
class _Member:
    """One process of a tree, and what its statm said last."""

    id: ProcessId
    entry: Entry
    path: str
    statm: int | None = None
    said: bytes = b""
    own: int = 0
    shared: int = 0
    ended: bool = False


@dataclass(slots=True)
class _Tree:
    leader: int | None
    """Its pid, until it has been found."""
    members: dict[int, _Member] = field(default_factory=dict)


def measure_trees(variable: str, leaders: Mapping[str, int]) -> dict[str, TreeMemory]:
    """The memory of each tree now, by its tag: one look, of which nothing is kept.

    Args:
        variable: the environment variable that holds tags.
        leaders: the pid of each tree's leader, by the tree's tag; started by this program.

    Raises:
        OSError: no descriptor is left.
    """
    meters = TreeMeters(variable, descriptors=0)
    meters.follow(leaders)
    meters.refresh()
    return {tag: meters.memory(tag) for tag in leaders}


class TreeMeters:
    """Samples trees again and again. Not for two threads at once."""

    def __init__(self, variable: str, descriptors: int | None = None) -> None:
        """For trees of this program's children.

        Args:
            variable: the environment variable that holds tags.
            descriptors: how many may be kept open; None: a quarter of what the program may have.
                Who finds none left is opened for each sample.
        """
        self._variable = variable
        self._free = _share() if descriptors is None else descriptors
        self._trees: dict[str, _Tree] = {}
        self._leaves: dict[str, str] = {}
        self._owners: dict[int, str] = {}
        self._known: set[Entry] = set()
        self._births: int | None = None
        """How many there had been when all who were there were known; None: not all are."""

    def follow(self, leaders: Mapping[str, int]) -> None:
        """Sample these trees from now on (pids of leaders, by tag), and no others.

        A new one's members are found by the next `refresh`; of one that is no longer there
        everything is given back.
        """
        if leaders.keys() == self._trees.keys():
            return
        for tag in self._trees.keys() - leaders.keys():
            for member in self._trees.pop(tag).members.values():
                self._forget(member)
        new = leaders.keys() - self._trees.keys()
        self._trees |= {tag: _Tree(leaders[tag]) for tag in new}
        self._leaves = {leaf_name(tag): tag for tag in self._trees}
        # Who was a stranger may belong to a new one.
        self._births = None
        self._known = {one.entry for tree in self._trees.values() for one in tree.members.values()}

    def refresh(self) -> None:
        """Find out who has come to each tree and who has gone.

        Raises:
            OSError: no descriptor is left; who is known stays known.
        """
        if not _scan.HAS_PROC:
            self._refresh_by_scan()
            return
        births = _scan.births()
        if births is not None and births == self._births:
            return  # there is nobody new on the whole machine
        new, gone = _scan.newcomers(self._known)
        self._known -= gone
        for name, _ in gone:
            self._leave(int(name))
        self._births = births if self._let_in(new) else None

    def _let_in(self, new: Mapping[Entry, Seen]) -> bool:
        """Find out whose the new ones are; False: of some that cannot be told yet."""
        entries = {seen.id.pid: entry for entry, seen in new.items()}
        joined: defaultdict[str, set[int]] = defaultdict(set)
        strangers: dict[int, Seen] = {}
        leaders = {tree.leader: tag for tag, tree in self._trees.items()}
        for seen in new.values():
            pid = seen.id.pid
            owner = leaders.get(pid) or self._kin(seen) or self._marked(pid)
            if isinstance(owner, str):
                joined[owner].add(pid)
                continue
            strangers[pid] = seen
            if owner is None:
                self._known.add(entries[pid])
        for tag, pids in joined.items():
            # Who has scrubbed its environment may descend from somebody who is new, too.
            for pid in pids | _scan.descendants(pids, strangers):
                self._join(tag, entries[pid], new[entries[pid]].id)
        return new.keys() <= self._known

    def size_bytes(self, tag: str) -> int:
        """A sample of one tree: Σ(resident - shared) + max(shared), of the members known."""
        own = shared = 0
        for member in self._trees[tag].members.values():
            if not _says_the_same(member):
                self._sample(member)
            own += member.own
            shared = max(shared, member.shared)
        return own + shared

    def memory(self, tag: str) -> TreeMemory:
        """The same in full, and exactly: what two have since a fork is counted once.

        It takes milliseconds where there is such a thing.
        """
        members = list(self._trees[tag].members.values())
        try:
            own = self._own_bytes(members)
        except OSError:  # no descriptor is left to find that out
            own = {member.id.pid: member.own for member in members}
        found = [
            ProcessMemory(one.id.pid, _name(one.id.pid), own[one.id.pid], one.shared)
            for one in members
            if one.own or one.shared
        ]
        return TreeMemory(tuple(sorted(found, key=lambda one: -one.own_bytes)))

    def freeze(self, tag: str) -> None:
        """Stop the members of one tree where they are: for one that is to be killed.

        It does not grow while everybody in it is looked for, and who descends from whom stays.
        """
        for member in self._trees[tag].members.values():
            with suppress(OSError):
                kill_exactly(member.id, signal.SIGSTOP)

    def close(self) -> None:
        """Give everything back."""
        self.follow({})

    # members

    def _kin(self, seen: Seen) -> str | None:
        """Whose tree a process belongs to by its parent, session or group."""
        nearest = (seen.parent, seen.session, seen.group)
        return next((self._owners[pid] for pid in nearest if pid in self._owners), None)

    def _marked(self, pid: int) -> str | Starting | None:
        """Whose tree it belongs to by the mark in its environment, or by its cgroup."""
        tag = _scan.mark(self._variable, pid)
        if tag in self._trees:
            return tag
        for name in _scan.in_cgroups(pid) if uses_cgroups() else ():
            if name in self._leaves:
                return self._leaves[name]
        return tag if isinstance(tag, Starting) else None

    def _join(self, tag: str, entry: Entry, identity: ProcessId) -> None:
        member = _Member(identity, entry, f"/proc/{identity.pid}/statm")
        self._open(member)
        try:
            # Only now is it certain whose the descriptor is.
            is_it = _is(identity)
        except OSError:
            self._close(member)
            raise
        if not is_it:
            self._close(member)
            return
        self._known.add(entry)
        tree = self._trees[tag]
        tree.members[identity.pid] = member
        self._owners[identity.pid] = tag
        if tree.leader == identity.pid:
            tree.leader = None  # whoever is given that pid later is another one

    def _leave(self, pid: int) -> None:
        """Whoever has had the pid is gone; it may have been a stranger."""
        tag = self._owners.get(pid)
        if tag is not None:
            self._forget(self._trees[tag].members.pop(pid))

    def _forget(self, member: _Member) -> None:
        self._close(member)
        self._owners.pop(member.id.pid, None)

    def _refresh_by_scan(self) -> None:
        everyone = _scan.scan()
        members: defaultdict[str, set[int]] = defaultdict(set)
        for pid, tag in _scan.marks(self._variable, everyone).items():
            members[tag].add(pid)
        for tag, tree in self._trees.items():
            found = members[tag] | ({tree.leader} if tree.leader is not None else set())
            found = (found | _scan.descendants(found, everyone)) & everyone.keys()
            tree.members = {pid: _Member(everyone[pid].id, (str(pid), 0), "") for pid in found}

    # samples

    def _sample(self, member: _Member) -> None:
        if member.ended:
            return
        try:
            said = self._statm(member)
            if said != member.said:
                self._take(member, said)
        except OSError:
            return  # no descriptor is left: what it said last has to do

    def _statm(self, member: _Member) -> bytes:
        if member.statm is None:
            return self._read_statm(member)
        try:
            return os.pread(member.statm, 128, 0)
        except ProcessLookupError:
            return b""

    def _take(self, member: _Member, said: bytes) -> None:
        size, resident, shared, *_ = map(int, said.split() or (0, 0, 0))
        if not size:
            self._change_thread(member)
            return
        member.said = said
        member.own, member.shared = (resident - shared) * _PAGE, shared * _PAGE

    def _read_statm(self, member: _Member) -> bytes:
        """What takes no descriptor for longer than a moment."""
        if not _scan.HAS_PROC:
            own, shared = _scan.memory_of(member.id.pid)
            return b"1 %d %d" % ((own + shared) // _PAGE, shared // _PAGE)
        said = _scan.read(member.path)
        return said if _is(member.id) else b""

    def _change_thread(self, member: _Member) -> None:
        """Read another thread's statm, where the one that was read has ended.

        A program's main thread may end before the others: they have all of the memory then.
        """
        self._close(member)
        pid = member.id.pid
        for thread in _scan.threads(pid) if _is(member.id) else ():
            member.path = f"/proc/{pid}/task/{thread}/statm"
            said = _scan.read(member.path)
            if said and not said.startswith(b"0 "):
                self._open(member)
                self._take(member, said)
                return
        member.ended = True
        member.own = member.shared = 0

    def _own_bytes(self, members: list[_Member]) -> dict[int, int]:
        alike: defaultdict[tuple[int, ...], list[_Member]] = defaultdict(list)
        for member in members:
            alike[_scan.layout(member.id.pid)].append(member)
        for member in members:  # after the layout: who starts a program meanwhile has let go
            self._sample(member)
        own = {member.id.pid: member.own for member in members}
        for layout, forked in alike.items():
            if layout and len(forked) > 1:
                own |= _own_of_forked(forked)
        return own

    def _open(self, member: _Member) -> None:
        if self._free <= 0:
            return
        with suppress(OSError):
            member.statm = os.open(member.path, os.O_RDONLY | os.O_CLOEXEC)
            self._free -= 1

    def _close(self, member: _Member) -> None:
        if member.statm is not None:
            os.close(member.statm)
            member.statm = None
            self._free += 1


def _says_the_same(member: _Member) -> bool:
    """It is known to have what it had."""
    try:
        return member.statm is not None and os.pread(member.statm, 128, 0) == member.said
    except OSError:
        return False


def _own_of_forked(forked: list[_Member]) -> dict[int, int]:
    """What each has of its own, among those that have the same pages since a fork; by pid."""
    own = {}
    for member in forked:
        unique = _scan.unique_bytes(member.id.pid)
        own[member.id.pid] = member.own if unique is None else min(member.own, unique)
    for member in forked:
        pid = member.id.pid
        # With vfork the two have one memory, whose pages the kernel does not divide.
        if own[pid] == member.own and _is_waited_for(pid, own):
            own[pid] = 0
    return own


def _is_waited_for(pid: int, among: Container[int]) -> bool:
    """Its parent is one of `among`, and waits for it to start a program."""
    seen = _scan.look(pid)
    return seen is not None and seen.parent in among and _scan.waits_for_child(seen.parent)


def _name(pid: int) -> str:
    try:
        return _scan.command_name(pid)
    except OSError:
        return "?"


def _share() -> int:
    """How many descriptors may be kept open, so that enough are left for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (soft if soft != resource.RLIM_INFINITY else 1 << 20) // KEPT_OPEN


def _is(identity: ProcessId) -> bool:
    """Whether the process is there still."""
    seen = _scan.look(identity.pid)
    return seen is not None and seen.id == identity
