from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from supervisor.agents import BrokenAgent, Catalogue, Finding, Folders


@dataclass(frozen=True)
class Project:
    """A project, a home and a set of built-in files in a temporary folder."""

    base: Path

    def folders(self, **environ: str) -> Folders:
        return Folders.resolve(
            self.base / "project", environ, self.base / "home", self.base / "built-in"
        )

    def catalogue(self, **environ: str) -> Catalogue:
        return Catalogue(self.folders(**environ))

    def write(self, place: str, content: str | bytes) -> Path:
        """`place` is `agents/x.md` in the project's .claude, or starts with home/ or built-in/."""
        path = self.base / self._folder(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(data)
        return path

    def _folder(self, place: str) -> str:
        if place.startswith("home/"):
            return place.replace("home/", "home/.claude/", 1)
        if place.startswith("built-in/"):
            return place
        return f"project/.claude/{place}"


def agent(name: str = "a", *lines: str, body: str = "Do it.") -> str:
    head = [f"name: {name}", "description: Does it.", *lines]
    return "\n".join(["---", *head, "---", body, ""])


def findings_of(catalogue: Catalogue, name: str) -> tuple[Finding, ...]:
    with pytest.raises(BrokenAgent) as caught:
        catalogue.get(name)
    return caught.value.findings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
