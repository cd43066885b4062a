"""`agent-pool run` up to the point where the pool's own program is loaded: lock, then fork.

What is imported here stays in the outer reaper for as long as the pool lives, so it is little.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress

from supervisor import reaper
from supervisor.cli._lock import Busy, sign_lock, take_lock
from supervisor.place import INSTEAD_OF_NESTING, TAG, Place, PlaceError


def run(place: Place, environ: Mapping[str, str], cwd: str, linger: bool) -> int:
    """Be the pool of `place` until told to stop; returns the exit status.

    This process becomes the pool's outer reaper, and returns when nothing of the pool is left;
    the pool is a child of it.

    Args:
        place: whose pool.
        environ: settles how agents are started.
        cwd: what relative paths in `environ` are relative to.
        linger: end by itself, some time after the last client and task.
    """
    if environ.get(TAG):
        return _fail(
            "an agent of a pool may not start a pool, and this process was started by one "
            f"({TAG} is set): {INSTEAD_OF_NESTING}"
        )
    try:
        place.prepare()
        # Before the fork: both are to hold it.
        lock = take_lock(place)
    except PlaceError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"the state folder cannot be used: {error}")
    except Busy:
        if linger:
            return 0  # whoever started this one joins the other
        return _fail(f"a pool of {place.root} runs already; agent-pool stop ends it")

    def pool() -> int:
        sign_lock(lock, place.root, reaper.above())
        from supervisor.cli._run import serve

        return serve(place, environ, cwd, linger)

    return reaper.guard(pool, lambda: _remove_cgroup(place))


def _remove_cgroup(place: Place) -> None:
    """A pool that was killed leaves it; nobody is in it any more."""
    path = place.noted_cgroup()
    for folder, _, _ in os.walk(path, topdown=False) if path is not None else ():
        with suppress(OSError):
            os.rmdir(folder)


def _fail(message: str) -> int:
    sys.stderr.write(f"agent-pool: {message}\n")
    return 1
