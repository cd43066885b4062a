"""The pool's lock: who holds it is the pool, or still ends what the pool has left."""

import fcntl
import json
import os
import signal
import socket
import time
from contextlib import suppress
from typing import Any

from supervisor import __version__
from supervisor.place import LOCK, Place, PlaceError, signed_by, unusable

LOCK_PATIENCE_S = 60.0
"""How long a new pool waits for one that is ending."""


class Busy(Exception):  # noqa: N818 - what it is, not an error
    """Another pool serves this root already."""


def take_lock(place: Place) -> int:
    """Hold the pool's lock, once an ending pool has let go of it; returns its descriptor.

    It is never to be closed, and every process that has it holds the lock: who finds it free is
    to find all of them gone.

    Raises:
        Busy: the pool that holds it serves.
        PlaceError: it cannot be had.
    """
    fd = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            pass
        if _serves(place):
            os.close(fd)
            raise Busy
        if time.monotonic() > deadline:
            os.close(fd)
            raise PlaceError(f"the pool that holds {place.lock} does not end: {place.holder()}")
        # Its pool may have been killed while its reaper was suspended.
        wake_reaper(place.holder() or {})
        time.sleep(0.01)
    os.ftruncate(fd, 0)
    return fd


def claim_lock(folder: str) -> int | None:
    """Hold the lock of a state folder where no pool does, so that none comes up meanwhile.

    Returns its descriptor, which is to be closed; None: a pool holds it, or none ever was there.
    """
    path = os.path.join(folder, LOCK)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who looks now is not to take the dead pool for the one that holds it.
        signed = signed_by(path)
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"root": signed.get("root")}).encode(), 0)
    except OSError:
        os.close(fd)
        return None
    return fd


class Hold:
    """What a pool has of its place: the lock, in the folder that was there when it came.

    Somebody may remove that folder, and another pool make it anew: all that bears its name is the
    other's then.
    """

    def __init__(self, place: Place, lock: int) -> None:
        """`lock`: from `take_lock`.

        Raises:
            OSError: the folder is gone.
        """
        self._place = place
        self._lock = lock
        # Held open, so that no other folder gets its number.
        self._folder = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def loss(self) -> str | None:
        """How the place was lost, in words; None: it is this pool's yet.

        A lock file that is merely gone counts for nothing: the next pool is told by the new one.
        """
        folder, place = self._place.folder, self._place
        if not _is_there(folder, self._folder):
            return f"its state folder {folder} was removed"
        if os.path.exists(place.lock) and not _is_there(place.lock, self._lock):
            return f"its lock file {place.lock} was removed, and another pool has made its own"
        return None


def _is_there(path: str, fd: int) -> bool:
    """Whether what `fd` has open is found at `path` yet, as far as can be told."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # a disk that does not answer


def sign_lock(fd: int, place: Place, reaper: int | None) -> None:
    """Write into the lock file that this process is the pool of `place`, and who its reaper is.

    Raises:
        PlaceError: it cannot be written.
    """
    holder = {"pid": os.getpid(), "reaper": reaper, "root": place.root, "version": __version__}
    try:
        os.pwrite(fd, json.dumps(holder).encode(), 0)
    except OSError as error:
        raise PlaceError(unusable(place.folder, error)) from error


def sign_ending(lock: str) -> None:
    """Add to the lock file of this pool that it is about to end: who cannot reach it is told so."""
    with suppress(OSError, ValueError), open(lock, "r+b", buffering=0) as file:
        signed = json.loads(file.read())
        os.pwrite(file.fileno(), json.dumps({**signed, "ending": True}).encode(), 0)


def wake_reaper(holder: dict[str, Any]) -> None:
    """Have the reaper of the pool that holds the lock go on, in case it is suspended."""
    pid, reaper = holder.get("pid"), holder.get("reaper")
    # The reaper frees the pool's pid last of all, so as long as the lock is held that pid is the
    # pool's, and its parent's pid tells whether the reaper is still the one that signed.
    if isinstance(pid, int) and isinstance(reaper, int) and _parent(pid) == reaper:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(reaper, signal.SIGCONT)


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def _serves(place: Place) -> bool:
    """Whether somebody listens on the socket; one that a killed pool left does not count."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(place.socket)
        except BlockingIOError:
            return True  # there are more who want to be served than fit into the queue
        except OSError:
            return False
    return True
