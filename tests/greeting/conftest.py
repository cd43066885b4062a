"""A project of its own for each test, with nothing in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client import Project, open_project


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    """Its pool is stopped in the end, and has left nothing."""
    async with open_project(tmp_path) as project:
        yield project
