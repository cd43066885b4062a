from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.process.trees import Stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Where children are started; all of them are ended with it."""
    stage = Stage(tmp_path)
    yield stage
    await stage.close()
