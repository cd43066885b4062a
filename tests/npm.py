"""Programs from npm for the tests, pinned, each installed once per checkout.

A set of packages is installed into `.cache/npm/<name>/`, without npm's install scripts. The folder
gets its name only when it is complete, and a lock lets one process at a time work on it, so neither
a kill nor a second test run leaves half of one behind.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

CACHE: Final = Path(__file__).resolve().parents[1] / ".cache"
INSTALL_TIMEOUT_S: Final = 180.0

NODE_VERSION: Final = "22.23.3"
"""Of the node that npm brings, where the machine's own is older than that major version."""


class Unavailable(Exception):  # noqa: N818 (a circumstance of the machine, not a fault)
    """This machine cannot have those packages; the message says what is missing."""


def install(
    folder: Path,
    packages: Sequence[str],
    check: Callable[[Path], object] = lambda _: None,
    timeout_s: float = INSTALL_TIMEOUT_S,
) -> None:
    """Install the packages into `folder`, unless it is there.

    Blocks while another process does so. `check` is given the folder before it gets its name.

    Raises:
        Unavailable: npm is missing, or failed, or took longer than `timeout_s` seconds.
    """
    if folder.is_dir():
        return
    with _lock(folder):
        if folder.is_dir():
            return
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _run_npm(packages, partial, timeout_s)
            check(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def ensure(*packages: str) -> Path:
    """The `node_modules` that holds these packages (`name@version`).

    Raises:
        Unavailable: as `install`.
    """
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    first = packages[0].rpartition("/")[2].replace("@", "-")
    folder = CACHE / "npm" / f"{first}-{digest}"
    install(folder, packages)
    return folder / "node_modules"


def require(*packages: str) -> Path:
    """`ensure`, for a test: where they cannot be had, fail under `CI=true` and skip elsewhere."""
    try:
        return ensure(*packages)
    except Unavailable as reason:
        missing = f"NPM'S {', '.join(packages)} ARE MISSING: {reason}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(f"{missing}. NOT TESTED: this counts as skipped, not as passed")


def node() -> str:
    """A node of `NODE_VERSION`'s major version or newer.

    Raises:
        Unavailable: there is none, and npm has none for this machine.
    """
    found = shutil.which("node")
    if found is not None and _major(found) >= int(NODE_VERSION.partition(".")[0]):
        return found
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, sys.platform)
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"node-{system}-{machine}"
    return str(ensure(f"{package}@{NODE_VERSION}") / package / "bin" / "node")


def _major(path: str) -> int:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    number = said.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run_npm(packages: Sequence[str], prefix: Path, timeout_s: float) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not on PATH")
    prefix.mkdir(parents=True)
    command = [npm, "install", "--prefix", str(prefix), "--ignore-scripts", "--no-save"]
    command += ["--no-audit", "--no-fund", "--loglevel=error", *packages]
    wanted = ", ".join(packages)
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm did not install {wanted} within {timeout_s:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = "; ".join(error.stderr.splitlines()[:2]) or f"exit status {error.returncode}"
        raise Unavailable(f"npm could not install {wanted}: {said}") from None
