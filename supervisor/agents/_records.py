"""What the catalogue answers: an agent, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ._definition import Origin
from ._finding import Finding, shown
from ._servers import McpServer


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """One agent, complete: all that is needed to start a process in its role."""

    name: str
    """The identifier: the frontmatter's `name`, else the file's name without `.md`."""
    description: str
    """What the agent is for; by it a caller chooses. May have several lines, may be empty."""
    system_prompt: str
    """Body, expertise and skills in one text, byte-identical for identical files."""
    tools: tuple[str, ...] | None
    """The tools that the definition lists, possibly none; None: it has no list.
    `*` is Claude Code's word for every tool."""
    disallowed_tools: tuple[str, ...]
    """Tools that are taken away again."""
    model: str | None
    """An alias or a full name; None: the CLI's own choice (`inherit` means this too)."""
    permission_mode: str | None
    """One of `PERMISSION_MODES`; None: not given."""
    skills: tuple[str, ...]
    """In the order of the frontmatter and of the prompt."""
    expertise: tuple[str, ...]
    """In the order of the frontmatter and of the prompt."""
    source: Path
    """The agent's file."""
    origin: Origin
    """Whose folder it was found in."""
    digest: str
    """SHA-256, in hex, of all that decides the process: everything here but name, description,
    colour, and where it comes from. A process that was started for another digest has to be
    replaced."""
    warnings: tuple[Finding, ...]
    """What should be put right but stops nothing, by file and line."""
    effort: str | None = None
    """How hard the model is to think: low, medium, high, xhigh, max; None: as the CLI has it."""
    max_turns: int | None = None
    """Requests to the model within one task; None: any number."""
    mcp_servers: tuple[McpServer, ...] = ()
    """The MCP servers that it has: those that it asks for, as far as they may be started."""
    hooks: str | None = None
    """Its hooks, as JSON in the form of settings.json; None: none, or they may not run."""
    omit_claude_md: bool = False
    """No CLAUDE.md is read."""
    setting_sources: tuple[str, ...] | None = None
    """Whose settings and CLAUDE.md are read: `user`, `project`, `local`; None: as the CLI does."""
    claude_md_folders: tuple[Path, ...] = ()
    """Folders whose CLAUDE.md is read as well, without their settings."""
    readable_folders: tuple[Path, ...] = ()
    """Folders of skills that it has to be able to read, wherever they are."""
    cache_lifetime: str | None = None
    """How long the API is to keep the prompt: `5m`, `1h`; None: as the CLI has it."""
    color: str | None = None
    """The colour to show it in."""
    sub_agents: str | None = None
    """The project's agents that it may hand work to, as JSON in the form of the CLI's `--agents`;
    None: it may hand on nothing, or the CLI finds them itself (see `claude_md_folders`)."""


@dataclass(frozen=True, slots=True)
class BrokenDefinition:
    """An agent that cannot be used until its files are repaired."""

    name: str
    """The frontmatter's `name` if it could be read, else the file's name without `.md`."""
    source: Path
    """The agent's file; of two with the same name, the first."""
    origin: Origin
    """Whose folder it was found in."""
    findings: tuple[Finding, ...]
    """All that is wrong, by file and line; at least one error, and the warnings."""


class UnknownAgent(LookupError):  # noqa: N818 (no error of the pool: an answer)
    """No file defines this agent.

    Attributes:
        name: What was asked for.
        suggestions: Agents with nearly this name, the best first.
        folders_searched: In order of precedence; some may not exist.
    """

    def __init__(
        self, name: str, suggestions: tuple[str, ...], folders_searched: tuple[Path, ...]
    ) -> None:
        self.name = name
        self.suggestions = suggestions
        self.folders_searched = folders_searched
        hint = f" Did you mean {' or '.join(map(shown, suggestions))}?" if suggestions else ""
        places = ", ".join(map(str, folders_searched))
        super().__init__(f"no agent {shown(name)}.{hint} Searched for .md files in {places}")


class BrokenAgent(Exception):  # noqa: N818 (as UnknownAgent)
    """The agent is defined, but its files have errors.

    Attributes:
        name: What was asked for.
        findings: All that is wrong, by file and line; at least one error, and the warnings.
    """

    def __init__(self, name: str, findings: tuple[Finding, ...]) -> None:
        self.name = name
        self.findings = findings
        lines = [f"  {finding.severity}: {finding}" for finding in findings]
        super().__init__("\n".join([f"agent {shown(name)} cannot be used:", *lines]))
