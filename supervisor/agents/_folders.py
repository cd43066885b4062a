"""Where agents, skills and expertise are looked for, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ._definition import Origin

FolderList = tuple[tuple[Origin, Path], ...]
"""Folders and whose they are; the first that defines a name wins. None of them needs to exist."""

_Variable = Literal["AGENTS_DIR", "SKILLS_DIR", "EXPERTISE_DIR"]


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders to search, each kind in order of precedence."""

    agents: FolderList
    """Hold `<name>.md`, also in folders below."""
    skills: FolderList
    """Hold `<name>/SKILL.md`, also in folders below."""
    expertise: FolderList
    """Hold `<name>.md`, also in folders below."""
    root: Path
    """The project."""
    home: Path
    """The user's home folder."""
    user_config: Path
    """Where Claude Code keeps the user's MCP servers."""

    @classmethod
    def resolve(cls, root: Path, environ: Mapping[str, str], home: Path, built_in: Path) -> Folders:
        """The folders of one project. Opens nothing.

        Each of `AGENTS_DIR`, `SKILLS_DIR` and `EXPERTISE_DIR` that is set and not empty is the
        only folder of its kind; a relative one starts from `root`, a leading `~/` from `home`.
        The others are the project's `.claude/…`, the user's `.claude/…` and the built-in ones.

        Args:
            root: The project.
            environ: The variables of the program that the user started.
            home: The user's home folder.
            built_in: The folder that holds the shipped `agents`, `skills` and `expertise`.
        """

        def of(variable: _Variable, kind: str) -> FolderList:
            given = environ.get(variable, "")
            if given:
                return ((variable, _absolute(given, root, home)),)
            project, user = root / ".claude" / kind, home / ".claude" / kind
            folders: FolderList = (("project", project),)
            if user != project:
                folders += (("user", user),)
            return (*folders, ("built-in", built_in / kind))

        return cls(
            agents=of("AGENTS_DIR", "agents"),
            skills=of("SKILLS_DIR", "skills"),
            expertise=of("EXPERTISE_DIR", "expertise"),
            root=root,
            home=home,
            user_config=Path(environ.get("CLAUDE_CONFIG_DIR") or home) / ".claude.json",
        )


def _absolute(given: str, root: Path, home: Path) -> Path:
    if given == "~" or given.startswith("~/"):
        return home / given[2:]
    return root / given
