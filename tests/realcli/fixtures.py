"""Fixtures for tests that drive the real CLI; a conftest imports them by name."""

import os
from collections.abc import Iterator

import pytest

from tests.loopback import LoopbackAPI
from tests.realcli.install import DEFAULT_VERSION, RealCLI, Unavailable, ensure

__all__ = ["loopback", "real_cli", "require"]


_missing: dict[str, Unavailable] = {}
"""What could not be had: asking again would only wait as long again."""


def require(version: str) -> RealCLI:
    """The installed version; where it cannot be had, fail under `CI=true` and skip elsewhere."""
    try:
        if version in _missing:
            raise _missing[version]
        return ensure(version)
    except Unavailable as reason:
        _missing[version] = reason
        missing = f"THE REAL CLI {version} IS MISSING: {reason}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(f"{missing}. NOT TESTED: this counts as skipped, not as passed")


@pytest.fixture(scope="session")
def real_cli() -> RealCLI:
    """The real Claude CLI in the version that everything was measured with."""
    return require(DEFAULT_VERSION)


@pytest.fixture
def loopback() -> Iterator[LoopbackAPI]:
    """A fresh Messages API on the loopback device, scripted by the tasks' texts."""
    with LoopbackAPI() as api:
        yield api
