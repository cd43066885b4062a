"""`agent-pool run` up to the point where the pool's own program is loaded: lock, then fork.

What is imported here stays in the outer reaper for as long as the pool lives, so it is little.
"""

import gc
import os
import sys
from collections.abc import Mapping
from contextlib import suppress

from supervisor import reaper
from supervisor.cli._lock import Busy, Hold, sign_lock, take_lock
from supervisor.place import INSTEAD_OF_NESTING, TAG, Place, PlaceError, unusable


class Ways:
    """How a pool is to be reached, besides its socket, and when it ends."""

    def __init__(
        self,
        linger: bool = False,
        http: str | None = None,
        http_allow_remote: bool = False,
        stdio: bool = False,
    ) -> None:
        self.linger = linger
        """It ends by itself, some time after the last client and task."""
        self.http = http
        """Where it serves HTTP; None: where pool.toml says, if it does."""
        self.http_allow_remote = http_allow_remote
        """Other machines may reach it."""
        self.stdio = stdio
        """It serves whoever started it, and, unless it lingers, ends with it."""


def run(place: Place, environ: Mapping[str, str], cwd: str, ways: Ways) -> int:
    """Be the pool of `place` until told to stop; returns the exit status.

    This process becomes the pool's outer reaper, and returns when nothing of the pool is left;
    the pool is a child of it.

    Args:
        place: whose pool.
        environ: settles how agents are started.
        cwd: what relative paths in `environ` are relative to.
        ways: how it is to be reached.
    """
    fail = _refuse if ways.stdio else _say
    if environ.get(TAG):
        return fail(
            "an agent of a pool may not start a pool, and this process was started by one "
            f"({TAG} is set): {INSTEAD_OF_NESTING}"
        )
    try:
        place.prepare()
        # Before the fork: both are to hold it.
        lock = take_lock(place)
        hold = Hold(place, lock)
    except PlaceError as error:
        return fail(str(error))
    except OSError as error:
        return fail(unusable(place.folder, error))
    except Busy:
        if ways.linger and not ways.stdio:
            return 0  # whoever started this one joins the other
        join = "agent-pool serve joins it, " if ways.stdio else ""
        return fail(f"a pool of {place.root} runs already; {join}agent-pool stop ends it")

    def pool() -> int:
        try:
            sign_lock(lock, place, reaper.above())
        except PlaceError as error:
            return fail(str(error))
        # All that is loaded stays: to look through it for garbage takes a tenth of the start.
        gc.disable()
        from supervisor.cli._run import serve

        gc.enable()
        return serve(place, environ, cwd, ways, hold)

    return reaper.guard(pool, lambda: _remove_cgroup(place, hold))


def _remove_cgroup(place: Place, hold: Hold) -> None:
    """A pool that was killed leaves it; nobody is in it any more."""
    if hold.loss() is not None:
        return  # what is noted there is another pool's
    path = place.noted_cgroup()
    for folder, _, _ in os.walk(path, topdown=False) if path is not None else ():
        with suppress(OSError):
            os.rmdir(folder)


def _refuse(message: str) -> int:
    """The client that started this process is told, too."""
    from supervisor.greeting import Greeter
    from supervisor.relay import refuse

    return refuse(Greeter(), message)


def _say(message: str) -> int:
    # It may be a file, on the disk that is full.
    with suppress(OSError):
        sys.stderr.write(f"agent-pool: {message}\n")
        sys.stderr.flush()
    return 1
