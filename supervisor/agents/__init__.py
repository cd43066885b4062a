"""Definitions: markdown with YAML frontmatter becomes agents with a system prompt.

    folders = Folders.resolve(root, os.environ, Path.home(), built_in)
    catalogue = Catalogue(folders)
    definition = catalogue.get("code-reviewer")

An agent is `<name>.md`: frontmatter and, under it, the instructions. `skills/<name>/SKILL.md` and
`expertise/<name>.md` are injected into its system prompt (see `compose` for the form). Files
that were written for Claude Code's own sub-agents work as they are; docs/agents.md says what each
key comes to. What a project's own files bring that would run code is left out until the user
trusts the project (`Catalogue.trusted`). Whatever is wrong with a file is a located `Finding` of
that agent and of no other.

Pure functions and files: nothing here knows a process, a task or an event loop.
"""

from __future__ import annotations

from ._catalogue import Catalogue
from ._compose import compose
from ._definition import PERMISSION_MODES, Origin
from ._finding import Finding, Severity
from ._folders import FolderList, Folders
from ._grants import HOW_TO_TRUST
from ._keys import HONOURED, NOT_HONOURED
from ._name import canonical
from ._records import AgentDefinition, BrokenAgent, BrokenDefinition, UnknownAgent
from ._servers import McpServer
from ._sub_agents import left_without_tools
from ._tools import KNOWN_TOOLS, READ_AND_EDIT, covers, meant_model, meant_tool

__all__ = [
    "HONOURED",
    "HOW_TO_TRUST",
    "KNOWN_TOOLS",
    "NOT_HONOURED",
    "PERMISSION_MODES",
    "READ_AND_EDIT",
    "AgentDefinition",
    "BrokenAgent",
    "BrokenDefinition",
    "Catalogue",
    "Finding",
    "FolderList",
    "Folders",
    "McpServer",
    "Origin",
    "Severity",
    "UnknownAgent",
    "canonical",
    "compose",
    "covers",
    "left_without_tools",
    "meant_model",
    "meant_tool",
]
