"""How a child is started so that it dies with this program, whoever kills that.

A *parent-death signal* is set by `setpriv`, which then becomes the program. To set it between
fork and exec would make Python fork where it otherwise shares its memory with the child for a
moment (vfork): five times slower, and the slower the larger this program is. It belongs to the
thread that started the child, so that thread must never end.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path


def dying_with_us(argv: tuple[str, ...]) -> tuple[str, ...]:
    """What starts `argv` with SIGKILL as its parent-death signal; `argv` where that cannot be."""
    setpriv = _setpriv()
    return argv if setpriv is None else (setpriv, "--pdeathsig", "KILL", "--", *argv)


def has_parent_death_signal() -> bool:
    """Whether children can be started so that they die with this program. Starts one to see."""
    return _setpriv() is not None


def check_program(program: str, cwd: Path, env: Mapping[str, str]) -> None:
    """See that `program` can be started, as far as can be told before.

    What starts it for us could only tell by an exit status.

    Raises:
        OSError: it cannot; `filename` and `strerror` say what and why.
    """
    if "/" in program:
        found = os.path.join(cwd, program)
    else:
        found = shutil.which(program, path=env.get("PATH", os.defpath)) or ""
    if not os.path.exists(found):
        # Where the folder is not there either, the start itself says so.
        if cwd.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    elif os.path.isdir(found) or not os.access(found, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
    elif not os.path.exists(_interpreter(found)):
        raise FileNotFoundError(errno.ENOENT, "its interpreter is missing", program)


def _interpreter(path: str) -> str:
    """The interpreter that a script names; `path` itself where it is none."""
    try:
        with open(path, "rb") as file:
            line = file.readline(256)
    except OSError:
        return path
    words = line[2:].split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else path


@cache
def _setpriv() -> str | None:
    if sys.platform != "linux":
        return None
    program = shutil.which("setpriv")
    if program is None:
        return None
    # There are some that know no such option.
    probe = [program, "--pdeathsig", "KILL", "--", "true"]
    try:
        done = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return None
    return program if done.returncode == 0 else None
