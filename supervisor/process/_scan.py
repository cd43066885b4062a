"""Looking at the machine's processes: who carries a tag, who descends from whom, how large.

On Linux straight from /proc: one pass over 1,000 processes takes a few milliseconds, where
psutil takes many times that. Where /proc is missing (macOS), psutil serves.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import psutil

HAS_PROC = sys.platform == "linux"
_PAGE = os.sysconf("SC_PAGE_SIZE")


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
    """Every process that can be seen, by pid."""
    seen = (_look(pid) for pid in _pids())
    return {found.id.pid: found for found in seen if found is not None}


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

    def __init__(self) -> None:
        """Look."""
        self.everyone = scan()
        """By pid."""
        self._children: dict[int, list[int]] = {}
        self._groups: dict[int, set[int]] = {}
        for pid, seen in self.everyone.items():
            self._children.setdefault(seen.parent, []).append(pid)
            self._groups.setdefault(seen.group, set()).add(pid)
        self._tags: dict[str, dict[str, set[int]]] = {}
        self._looking = threading.Lock()

    def tags(self, variable: str) -> dict[str, set[int]]:
        """The values of an environment variable, and the pids of this user that have each."""
        with self._looking:
            if variable not in self._tags:
                by_value: dict[str, set[int]] = {}
                for pid, value in marks(variable, self.everyone).items():
                    by_value.setdefault(value, set()).add(pid)
                self._tags[variable] = by_value
            return self._tags[variable]

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
    stat = _read(f"/proc/{pid}/stat")
    # The command's name, in brackets, may hold anything: count from its end.
    fields = stat[stat.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    zombie = fields[0] in (b"Z", b"X")
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
        return _read(f"/proc/{pid}/environ", os.getuid()).split(b"\0")
    try:
        process = psutil.Process(pid)
        pairs = process.environ().items() if process.uids().real == os.getuid() else ()
    except (psutil.Error, OSError):
        return []
    return [f"{name}={value}".encode() for name, value in pairs]


def marks(variable: str, among: Iterable[int]) -> dict[int, str]:
    """The value of `variable` in the environment of each of the pids, of this user, that has it."""
    prefix = f"{variable}=".encode()
    found = {}
    for pid in among:
        for entry in _environment(pid):
            if entry.startswith(prefix):
                found[pid] = entry[len(prefix) :].decode("utf-8", "replace")
    return found


def command_name(pid: int) -> str:
    """The name of a process's command, at most 15 bytes of it on Linux; "?" once it has gone."""
    if HAS_PROC:
        return _read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip() or "?"
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "?"


def memory_of(pid: int) -> tuple[int, int]:
    """Bytes that are this process's own, and bytes that it shares; zeros once it has gone."""
    if HAS_PROC:
        fields = _read(f"/proc/{pid}/statm").split()
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
        words = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0")
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


def _read(path: str, owner: int | None = None) -> bytes:
    # A process may go between any two calls, so every error means: not there.
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if owner is not None and os.fstat(fd).st_uid != owner:
            return b""
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return b""
    finally:
        os.close(fd)
