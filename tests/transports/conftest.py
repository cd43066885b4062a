"""A pool that the gentle tests share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.transports.stage import Served, serving

AT_ONCE = '[pool]\ndisconnect_grace = "1ms"\nshutdown_grace = "0s"\n'


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Nobody stops it, or keeps its agent at work."""
    with serving(tmp_path_factory.mktemp("t")) as served:
        yield served


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Another; whoever goes away has its tasks cancelled at once."""
    with serving(tmp_path_factory.mktemp("t"), AT_ONCE) as served:
        yield served


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a pool of the test's own: `serve(pool_toml)`."""
    with ExitStack() as stack:
        yield lambda config="", *flags: stack.enter_context(serving(tmp_path, config, *flags))
