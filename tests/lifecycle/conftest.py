"""A project of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client import Project, open_project


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    """A project with one agent, `coder`; its pool is stopped in the end, and has left nothing."""
    async with open_project(tmp_path) as project:
        project.write_agent("coder", "Do it.", "tools: Bash")
        yield project
