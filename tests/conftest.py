"""What holds for every test."""

import re
import signal
from pathlib import Path

import pytest

# A shell has its background jobs ignore these, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, but shorter: sockets are below, whose paths may have a hundred bytes."""
    return tmp_path_factory.mktemp(re.sub(r"\W", "_", request.node.name)[:16])
