"""Looking at the machine's processes: who carries a tag, who descends from whom, how large.

On Linux straight from /proc: one pass over 1,000 processes takes a few milliseconds, where
psutil takes many times that. Where /proc is missing (macOS), psutil serves.
"""

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

import psutil

HAS_PROC = sys.platform == "linux"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_CHUNK = 1 << 16
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What a look fails with though the process may be there."""


@dataclass(frozen=True)
class ProcessId:
    """One process for certain: its pid, and the time of its start, since pids are reused."""

    pid: int
    started: float
    """Clock ticks since boot (Linux) or seconds since the epoch: only good for comparing."""


@dataclass(frozen=True)
class Seen:
    """One process as a scan saw it."""

    id: ProcessId
    parent: int
    zombie: bool
    session: int = 0
    """The pid of the leader of its session."""
    group: int = 0
    """The pid that its process group is called by."""


def scan() -> dict[int, Seen]:
    """Every process that can be seen, by pid.

    Raises:
        OSError: no descriptor is left to look with; so does whatever looks.
    """
    seen = (_look(pid) for pid in _pids())
    return {found.id.pid: found for found in seen if found is not None}


Entry = tuple[str, int]
"""A pid and the inode of its folder in /proc: who is given the pid next has another inode."""

_older: set[Entry] = set()
"""What in /proc is older than this program, or no process."""


def scan_younger() -> dict[int, Seen]:
    """Every process that is no older than this program, by pid.

    Whatever this program has started is among them. Most of a machine's processes are older, and
    are looked at but once.
    """
    if not HAS_PROC:
        return scan()
    new, _ = newcomers(set())
    return {seen.id.pid: seen for seen in new.values()}


def newcomers(known: set[Entry]) -> tuple[dict[Entry, Seen], set[Entry]]:
    """Who has come: processes no older than this program that are not `known`; and who has gone.

    Needs /proc, and looks at nobody else.

    Raises:
        OSError: no descriptor is left.
    """
    global _older
    ours = _look(os.getpid())
    assert ours is not None
    with os.scandir("/proc") as found:
        everything = {(one.name, one.inode()) for one in found}
    older = everything & _older
    new: dict[Entry, Seen] = {}
    for entry in everything - older - known:
        if not entry[0].isdigit():
            older.add(entry)
            continue
        seen = _look(int(entry[0]))
        if seen is None:
            continue
        if seen.id.started < ours.id.started:
            older.add(entry)
        else:
            new[entry] = seen
    _older = older
    return new, known - everything


def births() -> int | None:
    """Processes and threads that were started since the machine was; None: nobody tells."""
    return _births() if _births_are_counted() else None


@cache
def _births_are_counted() -> bool:
    """Some that imitate a /proc leave that number as it is."""
    before = _births()
    thread = threading.Thread(target=lambda: None)
    try:
        thread.start()
    except RuntimeError:  # there is no room for one
        return False
    thread.join()
    return before is not None and before != _births()


def _births() -> int | None:
    words = read("/proc/stat").partition(b"\nprocesses ")[2].split(None, 1) if HAS_PROC else []
    return int(words[0]) if words else None


def look(pid: int) -> Seen | None:
    """The process that has `pid` now, or None."""
    return _look(pid)


def descendants(of: Iterable[int], among: dict[int, Seen]) -> set[int]:
    """The pids of all that descend from one of `of`, by the parents that the scan saw."""
    children: dict[int, list[int]] = {}
    for pid, seen in among.items():
        children.setdefault(seen.parent, []).append(pid)
    return _below(of, children)


def _below(of: Iterable[int], children: Mapping[int, list[int]]) -> set[int]:
    found: set[int] = set()
    rest = list(of)
    while rest:
        for child in children.get(rest.pop(), ()):
            if child not in found:
                found.add(child)
                rest.append(child)
    return found


class Census:
    """One look at every process, with whatever is asked of it afterwards looked up at once.

    Many trees that end together share one, so that their end takes no longer than one's.
    """

    def __init__(self, younger: bool = False) -> None:
        """Look at all, or at those only that are no older than this program."""
        self._births = births()
        self.everyone = scan_younger() if younger else scan()
        """By pid."""
        self._children: dict[int, list[int]] = {}
        self._groups: dict[int, set[int]] = {}
        for pid, seen in self.everyone.items():
            self._children.setdefault(seen.parent, []).append(pid)
            self._groups.setdefault(seen.group, set()).add(pid)
        self._tags: dict[str, dict[str, set[int]]] = {}
        self._met_starting = False
        self._is_exact: bool | None = None
        self._looking = threading.Lock()

    def tags(self, variable: str) -> dict[str, set[int]]:
        """The values of an environment variable, and the pids of this user that have each."""
        with self._looking:
            if variable not in self._tags:
                by_value: dict[str, set[int]] = {}
                for pid in self.everyone:
                    value = mark(variable, pid)
                    if isinstance(value, str):
                        by_value.setdefault(value, set()).add(pid)
                    elif value is STARTING:
                        self._met_starting = True
                self._tags[variable] = by_value
                self._is_exact = None
            return self._tags[variable]

    def missed_nobody(self) -> bool:
        """Whether this is all who live now: for certain nobody else does.

        A look takes its time: who forks and ends meanwhile hides its child, and a program has no
        environment at the moment at which it is started. So it is certain where nobody was born
        since it began, and nobody was met at that moment.
        """
        if self._is_exact is None:  # who is born from now on descends from somebody it has found
            born = self._births is None or births() != self._births
            self._is_exact = not born and not self._met_starting
        return self._is_exact

    def group(self, leader: int) -> set[int]:
        """The pids of a process group."""
        return self._groups.get(leader, set())

    def below(self, pids: Iterable[int]) -> set[int]:
        """The pids of all that descend from one of `pids`."""
        return _below(pids, self._children)

    def living(self, pids: Iterable[int]) -> dict[int, Seen]:
        """Those of `pids` that are there and have not ended; never who looks."""
        ours = os.getpid()
        found = ((pid, self.everyone.get(pid)) for pid in pids if pid != ours)
        return {pid: seen for pid, seen in found if seen is not None and not seen.zombie}


def tagged(variable: str, value: str, among: Iterable[int]) -> set[int]:
    """The pids among `among` whose environment holds `variable` with `value`.

    The environment is the one that the program was started with. Processes of other users are
    never found, not by root either: anybody may put anything into an environment of theirs.
    """
    wanted = f"{variable}={value}".encode()
    return {pid for pid in among if wanted in _environment(pid)}


def _pids() -> Iterator[int]:
    if HAS_PROC:
        return (int(name) for name in os.listdir("/proc") if name.isdigit())
    return iter(psutil.pids())


def _look(pid: int) -> Seen | None:
    if not HAS_PROC:
        return _look_psutil(pid)
    stat = read(f"/proc/{pid}/stat")
    # The command's name, in brackets, may hold anything: count from its end.
    fields = stat[stat.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    # A main thread that has ended looks like a zombie, though others may go on.
    zombie = fields[0] in (b"Z", b"X") and int(fields[17]) < 2
    parent, group, session = map(int, fields[1:4])
    return Seen(ProcessId(pid, float(fields[19])), parent, zombie, session, group)


def _look_psutil(pid: int) -> Seen | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            zombie = process.status() == psutil.STATUS_ZOMBIE
            identity = ProcessId(pid, process.create_time())
            return Seen(identity, process.ppid(), zombie, os.getsid(pid), os.getpgid(pid))
    except (psutil.Error, OSError):
        return None


def _environment(pid: int) -> list[bytes]:
    if HAS_PROC:
        return read(f"/proc/{pid}/environ", os.getuid()).split(b"\0")
    try:
        process = psutil.Process(pid)
        pairs = process.environ().items() if process.uids().real == os.getuid() else ()
    except (psutil.Error, OSError):
        return []
    return [f"{name}={value}".encode() for name, value in pairs]


def marks(variable: str, among: Iterable[int]) -> dict[int, str]:
    """The value of `variable` in the environment of each of the pids, of this user, that has it."""
    found = ((pid, mark(variable, pid)) for pid in among)
    return {pid: value for pid, value in found if isinstance(value, str)}


class Starting(Enum):
    """Stands for the mark of a process that may be starting a program: it has none right then."""

    STARTING = auto()


STARTING = Starting.STARTING


def mark(variable: str, pid: int) -> str | Starting | None:
    """The value of `variable` in the environment of a process of this user; None: it has none."""
    prefix = f"{variable}=".encode()
    environment = _environment(pid)
    values = [entry for entry in environment if entry.startswith(prefix)]
    if values:
        return values[-1][len(prefix) :].decode("utf-8", "replace")
    return STARTING if not any(environment) and _runs_as_us(pid) else None


def _runs_as_us(pid: int) -> bool:
    """It is this user's and has memory: neither the kernel's own nor a zombie."""
    try:
        owner = os.stat(f"/proc/{pid}/environ").st_uid
    except OSError:
        return False
    return owner == os.getuid() and not read(f"/proc/{pid}/statm").startswith((b"0 ", b"0\n"))


def in_cgroups(pid: int) -> list[str]:
    """The names of the cgroup (version 2) that the process is in, and of those above it."""
    lines = read(f"/proc/{pid}/cgroup").decode("utf-8", "replace").splitlines()
    return next((line[3:].split("/") for line in lines if line.startswith("0::")), [])


def layout(pid: int) -> tuple[int, ...]:
    """Where the kernel put a program's stack and arguments: at random, once for each start.

    So who has forked has the same as its parent, until it starts a program. Empty: not known.
    """
    stat = read(f"/proc/{pid}/stat") if HAS_PROC else b""
    fields = stat[stat.rfind(b")") + 2 :].split()
    found = tuple(int(fields[place]) for place in (25, 45)) if len(fields) > 45 else ()
    return found if all(found) else ()


def threads(pid: int) -> set[int]:
    """The threads of a process; of a main thread that has ended, that one stays."""
    try:
        return set(map(int, os.listdir(f"/proc/{pid}/task")))
    except (FileNotFoundError, ProcessLookupError):
        return set()


def waits_for_child(pid: int) -> bool:
    """Whether a thread of it can be neither run nor interrupted: as one that has called vfork."""
    stats = (read(f"/proc/{pid}/task/{thread}/stat") for thread in threads(pid))
    return any(stat[stat.rfind(b")") + 2 :].startswith(b"D") for stat in stats)


def unique_bytes(pid: int) -> int | None:
    """Bytes of its own, each page divided by those who have it since a fork; None: not known."""
    lines = read(f"/proc/{pid}/smaps_rollup").splitlines() if HAS_PROC else []
    sizes = (line.split()[1] for line in lines if line.startswith(b"Pss_Anon:"))
    return next((int(size) * 1024 for size in sizes), None)


def command_name(pid: int) -> str:
    """The name of a process's command, at most 15 bytes of it on Linux; "?" once it has gone."""
    if HAS_PROC:
        return read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip() or "?"
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "?"


def memory_of(pid: int) -> tuple[int, int]:
    """Bytes that are this process's own, and bytes that it shares; zeros once it has gone."""
    if HAS_PROC:
        fields = read(f"/proc/{pid}/statm").split()
        if len(fields) < 3:
            return 0, 0
        resident, shared = int(fields[1]), int(fields[2])
        return (resident - shared) * _PAGE, shared * _PAGE
    try:
        return int(psutil.Process(pid).memory_info().rss), 0
    except psutil.Error:
        return 0, 0


def command_line(pid: int) -> list[str]:
    """The program and its arguments; empty once it has gone, and of a zombie."""
    if HAS_PROC:
        words = read(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0")
        return [word.decode("utf-8", "replace") for word in words if words != [b""]]
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def age_s(process: ProcessId) -> float:
    """Seconds since its start."""
    if HAS_PROC:
        booted_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        return max(booted_s - process.started / os.sysconf("SC_CLK_TCK"), 0.0)
    return max(time.time() - process.started, 0.0)


def open_files(name: str) -> dict[int, set[str]]:
    """The files called `name` that processes of this user have open: pid → their paths.

    A file that has been removed keeps the path that it had. Only where /proc is.
    """
    found: dict[int, set[str]] = {}
    for pid in _pids() if HAS_PROC else ():
        for path in _links(f"/proc/{pid}/fd"):
            path = path.removesuffix(" (deleted)")
            if os.path.basename(path) == name:
                found.setdefault(pid, set()).add(path)
    return found


def _links(folder: str) -> Iterator[str]:
    try:
        if os.stat(folder).st_uid != os.getuid():
            return
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            yield os.readlink(f"{folder}/{name}")


def read(path: str, owner: int | None = None) -> bytes:
    """What a file in /proc holds; nothing where it is not there, or not `owner`'s.

    Raises:
        OSError: no descriptor is left.
    """
    # A process may go between any two calls, so most errors mean: not there.
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _SCARCE:
            raise
        return b""
    try:
        if owner is not None and os.fstat(fd).st_uid != owner:
            return b""
        chunks = [os.read(fd, _CHUNK)]
        while len(chunks[-1]) == _CHUNK:  # /proc gives all that there is at once
            chunks.append(os.read(fd, _CHUNK))
        return b"".join(chunks)
    except OSError:
        return b""
    finally:
        os.close(fd)
