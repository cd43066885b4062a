"""`ps`: every process of every pool of this user, and those that dead pools have left.

Whose a process is, it says itself: by its tag, and the state folder that it names. That is
believed only of this user's processes, and only where the two agree. It is a *stray* if nobody
holds the lock of that folder any more, and nobody has the lock file open; the lock is looked at
after the process, so its pool cannot have come up since. Who carries no tag is a stray if it is in
the cgroup of such a pool, or descends from a stray.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from supervisor.cli._screen import columns, table
from supervisor.logs import redact
from supervisor.place import FOLDER, LOCK, TAG, holder_of, mark_of, noted_cgroup, signed_by
from supervisor.process import (
    Census,
    Seen,
    age_s,
    cgroup_members,
    command_line,
    descendants,
    marks,
    memory_of,
    open_files,
)
from supervisor.temporary import SPARE, agent_of


@dataclass(frozen=True)
class Row:
    """One process."""

    pid: int
    ppid: int
    role: str
    """reaper, pool, agent (its process and all that this started), stray, or unknown: it carries
    a tag that names no state folder, so nobody can say whether its pool lives."""
    agent: str | None
    """The agent that it is, or that started it; None: the pool's own, or nobody knows."""
    tag: str | None
    """What marks it; None: it carries no mark, and belongs to the pool by its descent."""
    pool: str | None
    """The state folder of its pool."""
    root: str | None
    """The project of its pool, where that folder tells."""
    memory_bytes: int
    """Resident bytes."""
    age_s: float
    """Seconds since its start."""
    command: str
    """Its command line, without what looks like a secret."""


class Survey:
    """One look at the machine."""

    def __init__(self, base: str, only: str | None = None) -> None:
        """Look.

        Args:
            base: holds this user's state folders; those that processes name count as well.
            only: the state folder that matters; None: all.
        """
        self._only = only
        self.census = Census()
        self.seen = {pid: one for pid, one in self.census.everyone.items() if not one.zombie}
        self.tags = marks(TAG, self.seen)
        known = {mark_of(folder): folder for folder in _state_folders(base)}
        self.folders = self._find_folders(known)
        """The state folder that a tagged process belongs to; None: it names none."""
        # The locks last: see above.
        self.open: dict[str, set[int]] = {}
        """State folder → who has its lock file open."""
        for pid, paths in open_files(LOCK).items():
            for path in paths:
                self.open.setdefault(os.path.dirname(path), set()).add(pid)
        self.live: dict[str, dict[str, Any]] = {}
        """State folder of a pool that lives → what it says of itself."""
        named = {folder for folder in self.folders.values() if folder is not None}
        for folder in {*known.values(), *named, *self.open}:
            holder = holder_of(os.path.join(folder, LOCK))
            if holder is not None or folder in self.open:
                self.live[folder] = holder or {}
        self.members = {folder: self._find_members(folder) for folder in self.live}
        """Its processes."""
        gone = {*known.values(), *named} - set(self.live)
        self.dead = sorted(folder for folder in gone if only in (None, folder))
        """State folders whose pools are gone, those that matter."""
        self.inside = {
            pid: folder
            for folder in self.dead
            for pid in cgroup_members(Path(noted_cgroup(folder) or os.devnull))
            if pid in self.seen
        }
        """Who is in the cgroup of a dead pool → its state folder."""

    def rows(self) -> list[Row]:
        """All processes of live pools, then strays; each pool's together."""
        found: dict[int, Row] = {}
        for folder in sorted(self.live):
            found |= {pid: self._row(pid, folder) for pid in sorted(self.members[folder])}
        rest = {pid for pid in {*self.tags, *self.inside} if pid not in found}
        rest |= descendants(rest, self.seen) - set(found)
        for pid in sorted(rest, key=lambda pid: (self._folder(pid) or "", pid)):
            found[pid] = self._row(pid, self._folder(pid))
        return [row for row in found.values() if self._only in (None, row.pool)]

    def stray_instances(self) -> set[str]:
        """What the tags of dead pools begin with: each names one pool, which cannot come back."""
        dead = {pid for pid, folder in self.folders.items() if folder in self.dead}
        # Whatever it says of itself, who descends from a pool that lives is that pool's.
        dead -= {pid for members in self.members.values() for pid in members}
        return {".".join(self.tags[pid].split(".")[:2]) + "." for pid in dead}

    def _find_folders(self, known: Mapping[str, str]) -> dict[int, str | None]:
        named = marks(FOLDER, self.tags)
        found: dict[int, str | None] = {}
        for pid, tag in self.tags.items():
            mark = tag.split(".")[0]
            folder = named.get(pid)
            agree = folder is not None and mark_of(folder) == mark
            found[pid] = folder if agree else known.get(mark)
        return found

    def _find_members(self, folder: str) -> set[int]:
        said = {self.live[folder].get(name) for name in ("pid", "reaper")}
        # A command that only looks at the lock has it open for a moment, too.
        heads = {pid for pid in said if isinstance(pid, int)} or self.open.get(folder, set())
        if folder in self.open:
            heads &= self.open[folder]
        heads &= set(self.seen)
        tagged = {pid for pid, its in self.folders.items() if its == folder}
        return heads | tagged | descendants(heads | tagged, self.seen)

    def _ancestor(self, pid: int) -> int | None:
        """The nearest process upwards, itself included, that carries a tag or is in the cgroup of
        a dead pool."""
        on_the_way = set()
        while pid in self.seen and pid not in on_the_way:
            if pid in self.tags or pid in self.inside:
                return pid
            on_the_way.add(pid)
            pid = self.seen[pid].parent
        return None

    def _folder(self, pid: int) -> str | None:
        marked = self._ancestor(pid)
        return self.folders.get(marked, self.inside.get(marked)) if marked is not None else None

    def _row(self, pid: int, folder: str | None) -> Row:
        one: Seen = self.seen[pid]
        marked = self._ancestor(pid)
        return Row(
            pid=pid,
            ppid=one.parent,
            role=self._role(pid, folder),
            agent=_agent_of(marked, self.tags.get(marked, "")) if marked is not None else None,
            tag=self.tags.get(pid),
            pool=folder,
            root=None if folder is None else _root(folder),
            memory_bytes=sum(memory_of(pid)),
            age_s=round(age_s(one.id), 1),
            command=redact(_printable(" ".join(command_line(pid)))),
        )

    def _role(self, pid: int, folder: str | None) -> str:
        if folder is None:
            return "unknown"
        if folder not in self.live:
            return "stray"
        said = self.live[folder]
        return {said.get("pid"): "pool", said.get("reaper"): "reaper"}.get(pid, "agent")


def ps(base: str, only: str | None, as_json: bool) -> int:
    """Print every process of every live pool of this user, and strays; returns 0.

    Args:
        base: holds this user's state folders.
        only: the state folder of the one pool that is asked for; None: all.
        as_json: as one JSON object, for programs.
    """
    rows = Survey(base, only).rows()
    if as_json:
        print(json.dumps({"processes": [asdict(row) for row in rows]}))
    elif rows:
        print(table_of(rows, columns(sys.stdout)))
    else:
        print(f"{_nobody(only)} runs, and none has left anything")
    return 0


def _nobody(only: str | None) -> str:
    return "no pool of this user" if only is None else f"no pool of {_root(only) or only}"


def table_of(rows: list[Row], width: int | None) -> str:
    """Rows, as people read them, in lines of `width` columns; None: as many as they need."""
    lines = [("POOL", "ROLE", "AGENT", "PID", "PPID", "MEMORY", "AGE", "COMMAND")]
    lines += [
        (
            row.root or row.pool or "?",
            row.role,
            row.agent or "-",
            str(row.pid),
            str(row.ppid),
            f"{row.memory_bytes / 2**20:.1f} MiB",
            _age(row.age_s),
            row.command,
        )
        for row in rows
    ]
    return "\n".join(table(lines, width))


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def _state_folders(base: str) -> Iterable[str]:
    try:
        return [entry.path for entry in os.scandir(base) if entry.is_dir()]
    except OSError:
        return []


def _agent_of(pid: int, tag: str) -> str | None:
    parts = tag.split(".", 3)
    if len(parts) < 4:
        return None
    agent = parts[3]
    if agent == SPARE:
        agent = agent_of(marks("TMPDIR", [pid]).get(pid, "")) or SPARE
    return _printable(agent)


def _root(folder: str) -> str | None:
    """The project whose pool signed the folder's lock last."""
    root = signed_by(os.path.join(folder, LOCK)).get("root")
    return root if isinstance(root, str) else None


def _printable(text: str) -> str:
    """A process may call itself anything, and a terminal obeys what it is shown."""
    return "".join(c if c.isprintable() else "?" for c in text)
