"""What a definition gets of what it asks for.

A cloned repository must not run code by being opened. Hooks and MCP servers are code that runs as
soon as the agent's process starts. The user's own definitions, and the built-in ones, may bring
them. Those of a project (and of a folder that `AGENTS_DIR` names) may as soon as the user trusts
the project. So may settings: the CLI runs the hooks and the helpers of a project's
`.claude/settings.json`, and takes its environment, where it is started without a terminal, trusted
or not (measured). So these files are not read before that. The project's CLAUDE.md is text, and is
read all the same: as that of an additional folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ._definition import AgentFile, Origin
from ._finding import Finding, shown
from ._servers import Found, McpServer

HOW_TO_TRUST = "until this project is trusted: agent-pool trust"
"""The end of every message that refuses something for lack of trust."""

_OWN: tuple[Origin, ...] = ("user", "built-in")
_SETTINGS = (".claude/settings.json", ".claude/settings.local.json")


@dataclass(frozen=True, slots=True)
class Grants:
    """What a definition gets."""

    servers: tuple[McpServer, ...]
    hooks: str | None
    setting_sources: tuple[str, ...] | None
    claude_md_folders: tuple[Path, ...]
    findings: tuple[Finding, ...]
    """What it does not get, and why."""


def grant(
    agent: AgentFile, origin: Origin, found: tuple[Found, ...], trusted: bool, root: Path
) -> Grants:
    """What `agent` gets, as a file of `origin` in the project `root`, trusted or not."""
    is_own = trusted or origin in _OWN
    given = tuple(f.server for f in found if trusted or (is_own and not f.is_projects))
    refused = [_server_refused(agent, f) for f in found if f.server not in given]
    if agent.hooks is not None and not is_own:
        message = f"are not honoured {HOW_TO_TRUST}"
        refused.append(Finding(agent.path, agent.hooks_line, "hooks", message, "warning"))
    hooks = agent.hooks if is_own else None
    wanted = agent.setting_sources
    if trusted:
        return Grants(given, hooks, wanted, (), tuple(refused))
    folders = (root,) if wanted is None or "project" in wanted else ()
    sources = ("user",) if wanted is None or "user" in wanted else ()
    return Grants(given, hooks, sources, folders, tuple(refused))


def unread_settings(root: Path) -> Iterator[Finding]:
    """The settings files of an untrusted project: they are there, and are not read."""
    for name in _SETTINGS:
        if (root / name).is_file():
            yield Finding(root / name, None, None, f"is not read {HOW_TO_TRUST}", "warning")


def _server_refused(agent: AgentFile, found: Found) -> Finding:
    whose = ", which the project's .mcp.json defines," if found.is_projects else ""
    message = f"the MCP server {shown(found.server.name)}{whose} is not honoured {HOW_TO_TRUST}"
    return Finding(agent.path, found.wish.line, found.wish.key, message, "warning")
