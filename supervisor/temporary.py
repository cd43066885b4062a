"""Private folders for temporary files: one a worker, emptied with its process.

The CLI leaves the whole output of many a command behind, and its tools leave what they like. So
each worker's process has a folder of its own (mode 0700) in place of /tmp, and the folder goes
when the process does. What a killed pool has left, the next one of the same place removes.

The folders are in `$TMPDIR` or /tmp, where paths are short enough for sockets; only if somebody
else holds that name, in the state folder. A worker's folder always has the same path: the CLI may
tell the model of it, and what the model is told is to stay the same from process to process.
"""

import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import trio

from supervisor.place import PlaceError, mark_of, private_folder

VARIABLES = ("TMPDIR", "TMP", "TEMP", "CLAUDE_CODE_TMPDIR")
"""What tells programs where temporary files go; the last one tells the CLI, first of all."""

LINK = "tmp"
"""In the state folder: leads to where a place's folders are, also after a change of `$TMPDIR`."""


SPARE = "spare"
"""What a process that has no agent yet is called."""


class TemporaryFolders:
    """The temporary folders of one place's pool."""

    def __init__(self, state_folder: str, environ: Mapping[str, str]) -> None:
        """Touches no file; `environ` may name a folder for temporary files."""
        self._link = Path(state_folder) / LINK
        shared = environ.get("TMPDIR") or ""
        shared = shared if os.path.isabs(shared) else "/tmp"
        self._own = Path(shared) / f"agent-pool-{os.getuid()}" / mark_of(state_folder)
        self._fallback = Path(state_folder) / "temporary"
        self._folder: Path | None = None
        self._placing = threading.Lock()  # several workers may start at once

    async def clean(self) -> int:
        """Remove what pools before this one have left; returns how many folders that were."""
        return await trio.to_thread.run_sync(self._clean)

    async def make(self, worker: str) -> Path:
        """An empty folder for the process of `worker`, private to this user.

        Raises:
            PlaceError: it cannot be made.
        """
        return await trio.to_thread.run_sync(self._make, worker)

    async def remove(self, folder: Path) -> None:
        """Remove it and all that is in it, as far as that can be. Not cancellable."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_remove, folder)
            _note_of(folder).unlink(missing_ok=True)

    def now_of(self, folder: Path, agent: str) -> None:
        """Note for `ps` whose a folder has become: its process was started without a role."""
        with suppress(OSError):
            _note_of(folder).write_text(agent)

    def left(self) -> list[Path]:
        """The folders that there are: where no pool of the place runs, what one has left."""
        found: list[Path] = []
        for place in self._places():
            with suppress(OSError):
                found += (entry for entry in place.iterdir() if entry.is_dir())
        return sorted(found)

    def _places(self) -> list[Path]:
        """Wherever pools of this place may have put them."""
        places = {self._fallback, self._own}
        with suppress(OSError):
            linked = Path(os.readlink(self._link))
            # By its name too: what it leads to gets removed.
            if linked.name == self._own.name and linked.parent.name == self._own.parent.name:
                places.add(linked)
        return [place for place in places if _is_ours(place)]

    def _clean(self) -> int:
        removed = len(self.left())
        parents = {self._own.parent}
        for place in self._places():
            _remove(place)
            parents.add(place.parent)
        for parent in filter(_is_ours, parents):
            with suppress(OSError):  # other pools of this user may have theirs there, or a socket
                os.rmdir(parent)
        self._link.unlink(missing_ok=True)
        self._folder = None
        return removed

    def _make(self, worker: str) -> Path:
        with self._placing:
            place = self._place()
        folder = place / _path_name(worker)
        _remove(folder)
        private_folder(str(folder))
        return folder

    def _place(self) -> Path:
        """Where they go; made anew where somebody has removed it meanwhile."""
        place = self._folder or self._own
        try:
            private_folder(str(place.parent))
            private_folder(str(place))
            # Again: another pool of ours may have removed it, and somebody else made it anew.
            private_folder(str(place.parent))
        except PlaceError:
            place = self._fallback
            private_folder(str(place))
        if place != self._folder:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(place)
            self._folder = place
        return place


def agent_of(folder: str) -> str | None:
    """The agent that a process with these temporary files has become; None: nobody noted it."""
    try:
        return _note_of(Path(folder)).read_text()
    except (OSError, ValueError):
        return None


def _note_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".agent")


def variables(folder: Path) -> dict[str, str]:
    """What is set for a process that is to have its temporary files in `folder`."""
    return dict.fromkeys(VARIABLES, str(folder))


async def size_of(folder: Path) -> int:
    """Bytes that `folder` takes on its disk, all that is below it included."""
    return await trio.to_thread.run_sync(_size, folder, abandon_on_cancel=True)


def _size(folder: Path) -> int:
    size, rest = 0, [str(folder)]
    while rest:
        # Whatever is looked at may go meanwhile.
        with suppress(OSError), os.scandir(rest.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        rest.append(entry.path)
    return size


def _path_name(worker: str) -> str:
    """A name without spaces and the like, of which many programs make two words."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in worker)
    return f"{plain[:30]}-{hashlib.sha256(worker.encode()).hexdigest()[:6]}"


def _is_ours(folder: Path) -> bool:
    try:
        facts = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if _is_ours(folder):
        # Caches are often made read-only, their folders as well.
        _open_up(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _open_up(folder: Path) -> None:
    rest = [str(folder)]
    while rest:
        path = rest.pop()
        with suppress(OSError):
            os.chmod(path, 0o700)
            with os.scandir(path) as entries:
                rest += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
