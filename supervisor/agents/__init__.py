"""Definitions: markdown with YAML frontmatter becomes agents with a system prompt.

    folders = Folders.resolve(root, os.environ, Path.home(), built_in)
    catalogue = Catalogue(folders)
    definition = catalogue.get("code-reviewer")

An agent is `<name>.md`: frontmatter (name, description, tools, disallowedTools, model,
permissionMode, skills, expertise) and, under it, the instructions. `skills/<name>/SKILL.md` and
`expertise/<name>.md` are injected into its system prompt (see `compose` for the form). Files
that were written for Claude Code's own sub-agents work as they are. Whatever is wrong with a
file is a located `Finding` of that agent and of no other.

Pure functions and files: nothing here knows a process, a task or an event loop.
"""

from __future__ import annotations

from ._catalogue import AgentDefinition, BrokenAgent, BrokenDefinition, Catalogue, UnknownAgent
from ._compose import compose
from ._definition import PERMISSION_MODES, Origin
from ._finding import Finding, Severity
from ._folders import FolderList, Folders

__all__ = [
    "PERMISSION_MODES",
    "AgentDefinition",
    "BrokenAgent",
    "BrokenDefinition",
    "Catalogue",
    "Finding",
    "FolderList",
    "Folders",
    "Origin",
    "Severity",
    "UnknownAgent",
    "compose",
]
