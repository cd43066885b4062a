"""Which projects their user trusts.

A cloned repository must not run code by being opened, so what would let it (see
`supervisor.pool.config.project`) counts in a project's own files only where the user has said, once
and outside of it, that this project may: `agent-pool trust`. What was said is kept in the
user's own configuration, `${XDG_CONFIG_HOME:-~/.config}/agent-pool/trusted.json`, mode 0600.
"""

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supervisor.place import trust_list


class TrustError(Exception):
    """The list of trusted projects cannot be used; the message says why and what to do."""


def trust_file(environ: Mapping[str, str]) -> Path:
    """Where the list is, for the user that `environ` describes."""
    return Path(trust_list(environ))


def is_trusted(root: Path | str, environ: Mapping[str, str]) -> bool:
    """Whether the user trusts the project `root`: that folder itself, by its real path.

    Never raises: where the list cannot be used, nobody is trusted, and `agent-pool check` says
    why.
    """
    try:
        return os.path.realpath(root) in trusted_roots(environ)
    except TrustError:
        return False


def trusted_roots(environ: Mapping[str, str]) -> list[str]:
    """The real paths of all trusted projects, in the order in which they were added.

    Raises:
        TrustError: the list is somebody else's, or cannot be understood.
    """
    path = trust_file(environ)
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            found = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise TrustError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise TrustError(f"{path} is no JSON; mend it, or remove it and trust anew") from None
    if facts.st_uid not in (os.getuid(), 0) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise TrustError(f"others may write {path}, so it is not used: chmod 600 {path}")
    return _roots_in(path, found)


def trust(root: Path | str, environ: Mapping[str, str]) -> bool:
    """Trust the project `root` from now on; False: it is trusted already.

    Raises:
        TrustError: the list cannot be read or written.
    """
    roots, real = trusted_roots(environ), os.path.realpath(root)
    if real in roots:
        return False
    _write(trust_file(environ), [*roots, real])
    return True


def distrust(root: Path | str, environ: Mapping[str, str]) -> bool:
    """Trust the project `root` no longer; False: it was not trusted.

    Raises:
        TrustError: the list cannot be read or written.
    """
    roots, real = trusted_roots(environ), os.path.realpath(root)
    if real not in roots:
        return False
    _write(trust_file(environ), [one for one in roots if one != real])
    return True


def _roots_in(path: Path, found: Any) -> list[str]:
    roots = found.get("roots") if isinstance(found, dict) else None
    if isinstance(roots, list) and all(isinstance(root, str) for root in roots):
        return roots
    raise TrustError(f'{path} does not hold {{"roots": ["…"]}}; remove it and trust anew')


def _write(path: Path, roots: list[str]) -> None:
    """Whole or not at all: who reads at the same time sees the list before or after."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            try:
                json.dump({"roots": roots}, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except OSError:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise TrustError(f"{path} cannot be written: {error.strerror}") from None
