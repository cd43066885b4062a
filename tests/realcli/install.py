"""Install published versions of the Claude CLI for the tests, each once per checkout.

    python -m tests.realcli.install 2.1.197 2.1.330

A version is installed by `tests.npm` into `.cache/claude-code/<version>/`: new versions bring a
native binary in a package of its own for each platform, older ones are a `cli.js` for node.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests import npm
from tests.npm import CACHE as ALL
from tests.npm import INSTALL_TIMEOUT_S, Unavailable

__all__ = ["RealCLI", "Unavailable", "ensure", "environment"]

DEFAULT_VERSION: Final = "2.1.197"
VERSIONS: Final = ("2.0.60", "2.1.50", "2.1.150", "2.1.332")
"""The oldest that is served, two from the middle, the newest that was tried."""
PACKAGE: Final = "@anthropic-ai/claude-code"
CACHE: Final = ALL / "claude-code"


@dataclass(frozen=True, slots=True)
class RealCLI:
    """One installed version."""

    version: str
    """As published: `2.1.197`."""
    argv: tuple[str, ...]
    """What starts it, without any option: the binary, or node and `cli.js`."""
    path: Path
    """The binary, or `cli.js`."""


def ensure(version: str = DEFAULT_VERSION, timeout_s: float = INSTALL_TIMEOUT_S) -> RealCLI:
    """Give the installed version, installing it first where it is not there.

    Blocks while another process installs the same version.

    Raises:
        Unavailable: npm or node is missing, or npm failed or took longer than `timeout_s` seconds.
    """
    folder = CACHE / version
    npm.install(folder, [f"{PACKAGE}@{version}"], lambda made: _installed(version, made), timeout_s)
    return _installed(version, folder)


def asked_for(versions: Sequence[str]) -> tuple[str, ...]:
    """The oldest and the newest; all of them where AGENT_POOL_TEST_ALL_VERSIONS=1 asks for it."""
    if os.environ.get("AGENT_POOL_TEST_ALL_VERSIONS") == "1":
        return tuple(versions)
    return versions[0], versions[-1]


def environment(home: Path, base_url: str, **extra: str) -> dict[str, str]:
    """The whole environment for a CLI under test: nothing of the caller's but PATH.

    Args:
        home: an existing folder; the CLI's files and its temporary folder go there.
        base_url: the loopback API's.
        extra: more variables, or other values for these.
    """
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TMPDIR": str(temporary),
        "ANTHROPIC_API_KEY": "dummy",
        "ANTHROPIC_BASE_URL": base_url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        **extra,
    }


def _installed(version: str, folder: Path) -> RealCLI:
    packages = folder / "node_modules" / "@anthropic-ai"
    for binary in sorted(packages.glob("claude-code-*/claude")):
        return RealCLI(version, (str(binary),), binary)
    script = packages / "claude-code" / "cli.js"
    if not script.is_file():
        raise Unavailable(f"{PACKAGE}@{version} has neither a binary for this platform nor cli.js")
    node = shutil.which("node")
    if node is None:
        raise Unavailable(f"{version} is run by node, and node is not on PATH")
    return RealCLI(version, (node, str(script)), script)


def main(versions: list[str]) -> int:
    """Install each version and print one line each; 1 if one is unavailable."""
    failed = 0
    for version in versions or [DEFAULT_VERSION]:
        before = (CACHE / version).is_dir()
        try:
            cli = ensure(version)
        except Unavailable as reason:
            print(f"{version}: unavailable: {reason}")
            failed = 1
        else:
            print(f"{version}: {'was there' if before else 'installed'}: {' '.join(cli.argv)}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
