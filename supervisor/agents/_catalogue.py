"""All agents of a project, always as the files on disk have them.

A look-up compares the stat of the files that decide it with the stat at their last reading
and reads what differs. Files are read on the calling thread: a few milliseconds for a changed
file. Where nothing changed, a look-up costs one stat a path: every agent file (any of them may
have been edited to take the name that is asked for), and the skills and expertise of the agent in
question. Who wants to keep what was read asks `is_unchanged` whether there is something new.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from . import _name
from ._compose import compose, digest
from ._definition import AgentFile, Origin, read_agent, unreadable_agent
from ._disk import Absent, Content, Disk, FileBytes, Listing, Unreadable
from ._finding import Finding, closest, in_order, shown
from ._folders import Folders
from ._grants import Grants, grant, unread_settings
from ._parts import PartFinder
from ._records import AgentDefinition, BrokenAgent, BrokenDefinition, UnknownAgent
from ._servers import ServerFiles, ServerFinder
from ._sub_agents import can_delegate, sub_agents

_NOT_DECIDING = (
    "name", "description", "skills", "expertise", "source", "origin", "digest", "warnings", "color"
)  # fmt: skip
"""What of a definition changes nothing about its process; the parts are in the prompt."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """The files of one folder tree that define one name: one, unless somebody erred."""

    origin: Origin
    files: tuple[AgentFile, ...]


@dataclass(frozen=True, slots=True)
class _Composed:
    claim: _Claim
    seen: tuple[tuple[str, Content], ...]
    record: AgentDefinition | BrokenDefinition


class Catalogue:
    """The agents that are defined in `folders`.

    Built once, asked often, by one thread at a time. Nothing is read before the first question.
    """

    def __init__(self, folders: Folders, trusted: bool = False) -> None:
        """`trusted`: the user trusts the project. Without that, what its files bring that runs
        code is left out of the definitions, with a warning (see `AgentDefinition.hooks`)."""
        self._folders = folders
        self._trusted = trusted
        self._disk = Disk()
        self._skills = PartFinder("skill", folders.skills, self._disk)
        self._expertise = PartFinder("expertise", folders.expertise, self._disk)
        self._servers = ServerFinder(
            ServerFiles(folders.root, folders.root / ".mcp.json", folders.user_config), self._disk
        )
        self._seen: tuple[tuple[str, Content], ...] | None = None
        self._read: dict[str, tuple[Content, AgentFile | None]] = {}
        self._claims: dict[str, _Claim] = {}
        self._strays: tuple[BrokenDefinition, ...] = ()
        self._composed: dict[str, _Composed] = {}

    @property
    def trusted(self) -> bool:
        """Whether the user trusts the project. When it changes, so do definitions."""
        return self._trusted

    @trusted.setter
    def trusted(self, trusted: bool) -> None:
        if trusted != self._trusted:
            self._trusted = trusted
            self._composed.clear()

    def get(self, name: str) -> AgentDefinition:
        """The agent of that name, as its files are now.

        Raises:
            UnknownAgent: No file defines it.
            BrokenAgent: Its files have errors.
        """
        self._refresh()
        name = _name.canonical(name)
        claim = self._claims.get(name)
        if claim is None:
            raise self.unknown(name)
        record = self._whole(self._record(name, claim))
        if isinstance(record, BrokenDefinition):
            raise BrokenAgent(record.name, record.findings)
        return record

    def all(self) -> list[AgentDefinition | BrokenDefinition]:
        """Every agent by name, the broken ones with what is wrong.

        A name can appear twice: once for an agent, once for a file so broken that only its
        file name says whose it is.
        """
        self._refresh()
        records = [self._whole(self._record(n, claim)) for n, claim in self._claims.items()]
        return sorted([*records, *self._strays], key=lambda r: (r.name, str(r.source)))

    def unknown(self, name: str) -> UnknownAgent:
        """What to tell of a name that no agent has, by what was read last."""
        searched = tuple(folder for _, folder in self._folders.agents)
        return UnknownAgent(name, closest(name, self._claims), searched)

    def is_unchanged(self) -> bool:
        """Whether every file that `all` looked at last is as it was then."""
        seen = [*(self._seen or ()), *self._parts_seen()]
        return self._seen is not None and self._disk.is_unchanged(seen)

    def signature(self) -> object:
        """Changes whenever one of the paths in `looked_at` does; reads no file."""
        return [self._disk.stamp(path) for path in sorted(self.looked_at())]

    def looked_at(self) -> set[str]:
        """The paths that decide what `all` returns, also those at which there is nothing yet."""
        return {path for path, _ in (*(self._seen or ()), *self._parts_seen())}

    def _parts_seen(self) -> Iterator[tuple[str, Content]]:
        return itertools.chain.from_iterable(one.seen for one in self._composed.values())

    def folder_findings(self) -> tuple[Finding, ...]:
        """What is wrong with the folders themselves: one that cannot be listed, a file in the
        place of one, one named by a variable that does not exist, settings that are not read."""
        folders = (*self._folders.agents, *self._folders.skills, *self._folders.expertise)
        found = [_folder_finding(origin, p, self._disk.look(str(p))) for origin, p in folders]
        if not self._trusted:
            found += unread_settings(self._folders.root)
        return tuple(finding for finding in found if finding is not None)

    def unnamed_findings(self) -> tuple[Finding, ...]:
        """What is wrong with skills and expertise that no agent names."""
        self.all()
        named = {path for path, _ in self._parts_seen()}
        found = [*self._skills.unnamed(named), *self._expertise.unnamed(named)]
        return in_order(found)

    def _refresh(self) -> None:
        if self._seen is not None and self._disk.is_unchanged(self._seen):
            return
        seen: list[tuple[str, Content]] = []
        trees = [
            (origin, list(self._agent_files(folder, seen)))
            for origin, folder in self._folders.agents
        ]
        self._claims, self._strays = _claims(trees)
        self._composed = {
            name: composed
            for name, composed in self._composed.items()
            if self._claims.get(name) == composed.claim
        }
        self._forget_what_is_gone(seen)
        self._seen = tuple(seen)

    def _agent_files(self, root: Path, seen: list[tuple[str, Content]]) -> Iterator[AgentFile]:
        """The agent files of one tree, in a stable order; all that is looked at goes to `seen`."""
        visited: set[str] = set()
        folders = [str(root)]
        while folders:
            folder = folders.pop()
            real = os.path.realpath(folder)
            if real in visited:
                continue  # a link that leads back up
            visited.add(real)
            listing = self._look(folder, seen)
            if not isinstance(listing, Listing):
                continue
            for entry in listing.markdown:
                agent = self._agent_file(os.path.join(folder, entry), seen)
                if agent is not None:
                    yield agent
            folders += [os.path.join(folder, entry) for entry in reversed(listing.folders)]

    def _agent_file(self, path: str, seen: list[tuple[str, Content]]) -> AgentFile | None:
        content = self._look(path, seen)
        known = self._read.get(path)
        if known is not None and known[0] is content:
            return known[1]
        agent = _read_agent(Path(path), content)
        self._read[path] = (content, agent)
        return agent

    def _look(self, path: str, seen: list[tuple[str, Content]]) -> Content:
        content = self._disk.look(path)
        seen.append((path, content))
        return content

    def _record(self, name: str, claim: _Claim) -> AgentDefinition | BrokenDefinition:
        known = self._composed.get(name)
        if known is not None and self._disk.is_unchanged(known.seen):
            return known.record
        composed = self._compose(name, claim)
        self._composed[name] = composed
        return composed.record

    def _compose(self, name: str, claim: _Claim) -> _Composed:
        agent = claim.files[0]
        skills = self._skills.find(agent, agent.skills)
        expertise = self._expertise.find(agent, agent.expertise)
        found, missing, looked_at = self._servers.find(agent.path, agent.servers)
        grants = grant(agent, claim.origin, found, self._trusted, self._folders.root)
        findings = [*agent.findings, *skills.findings, *expertise.findings]
        findings += [*missing, *grants.findings]
        if len(claim.files) > 1:
            findings = [*_same_name(name, claim.files)]
            findings += itertools.chain.from_iterable(file.findings for file in claim.files)
        memory = self._memory_folder(agent)
        prompt = compose(agent.body, expertise.texts, skills.texts, memory)
        is_empty = not compose(agent.body, expertise.texts, skills.texts)
        if is_empty and not any(finding.is_error for finding in findings):
            message = "the prompt is empty; write the agent's instructions under the frontmatter"
            findings.append(Finding(agent.path, None, None, message, "error"))
        seen = (*skills.seen, *expertise.seen, *looked_at)
        ordered = in_order(findings)
        if any(finding.is_error for finding in ordered):
            broken = BrokenDefinition(name, agent.path, claim.origin, ordered)
            return _Composed(claim, seen, broken)
        definition = _definition(agent, claim.origin, prompt, ordered, grants, skills.folders)
        return _Composed(claim, seen, definition)

    def _whole(
        self, record: AgentDefinition | BrokenDefinition
    ) -> AgentDefinition | BrokenDefinition:
        """With the agents that it may hand work to, where the CLI does not find them itself."""
        if isinstance(record, BrokenDefinition) or self._trusted or not can_delegate(record):
            return record
        claims = [(n, claim) for n, claim in self._claims.items() if claim.origin == "project"]
        others = [self._record(name, claim) for name, claim in claims]
        offered = sub_agents(other for other in others if isinstance(other, AgentDefinition))
        if offered is None:
            return record
        return replace(record, sub_agents=offered, digest=digest([record.digest, offered]))

    def _memory_folder(self, agent: AgentFile) -> Path | None:
        """Where Claude Code keeps the memory of a sub-agent of that name."""
        match agent.memory:
            case "user":
                return self._folders.home / ".claude" / "agent-memory" / agent.name
            case "project":
                return self._folders.root / ".claude" / "agent-memory" / agent.name
            case "local":
                return self._folders.root / ".claude" / "agent-memory-local" / agent.name
        return None

    def _forget_what_is_gone(self, seen: list[tuple[str, Content]]) -> None:
        here = {path for path, _ in seen}
        self._read = {path: known for path, known in self._read.items() if path in here}
        for composed in self._composed.values():
            here.update(path for path, _ in composed.seen)
        self._disk.keep_only(here)


def _read_agent(path: Path, content: Content) -> AgentFile | None:
    if isinstance(content, FileBytes):
        return read_agent(path, content.data)
    if isinstance(content, Unreadable):
        return unreadable_agent(path, content.problem)
    if isinstance(content, Absent) and path.is_symlink():
        return unreadable_agent(path, "is a link to nothing; repair or remove it")
    return None  # gone since its folder was listed


def _claims(
    trees: Iterable[tuple[Origin, list[AgentFile]]],
) -> tuple[dict[str, _Claim], tuple[BrokenDefinition, ...]]:
    """Who defines which name, and the broken files that could not be heard.

    The first tree that knows a name decides it. Within a tree, a file that is too broken to
    give its own name counts for its file's name only where no sound file has that name.
    """
    claims: dict[str, _Claim] = {}
    strays: list[BrokenDefinition] = []
    for origin, files in trees:
        here: dict[str, list[AgentFile]] = {}
        for file in sorted(files, key=lambda f: not f.is_named):
            others = here.setdefault(file.name, [])
            if file.is_named or not others:
                others.append(file)
            else:
                strays.append(BrokenDefinition(file.name, file.path, origin, file.findings))
        for name, same in here.items():
            claims.setdefault(name, _Claim(origin, tuple(same)))
    return claims, tuple(strays)


def _same_name(name: str, files: tuple[AgentFile, ...]) -> Iterator[Finding]:
    for file in files:
        others = ", ".join(str(other.path) for other in files if other is not file)
        message = f"{shown(name)} is also the name of {others}; give each agent its own name"
        yield Finding(file.path, file.name_line, "name", message, "error")


def _definition(
    agent: AgentFile,
    origin: Origin,
    prompt: str,
    warnings: tuple[Finding, ...],
    grants: Grants,
    skill_folders: tuple[Path, ...],
) -> AgentDefinition:
    definition = AgentDefinition(
        name=agent.name,
        description=agent.description,
        system_prompt=prompt,
        tools=agent.tools,
        disallowed_tools=agent.disallowed_tools,
        model=agent.model,
        permission_mode=agent.permission_mode,
        skills=tuple(skill.name for skill in agent.skills),
        expertise=tuple(part.name for part in agent.expertise),
        source=agent.path,
        origin=origin,
        digest="",
        warnings=warnings,
        effort=agent.effort,
        max_turns=agent.max_turns,
        mcp_servers=grants.servers,
        hooks=grants.hooks,
        omit_claude_md=agent.omit_claude_md,
        setting_sources=grants.setting_sources,
        claude_md_folders=() if agent.omit_claude_md else grants.claude_md_folders,
        readable_folders=skill_folders,
        cache_lifetime=agent.cache_lifetime,
        color=agent.color,
    )
    deciding = asdict(definition)
    for key in _NOT_DECIDING:
        del deciding[key]
    return replace(definition, digest=digest(deciding))


def _folder_finding(origin: Origin, path: Path, content: Content) -> Finding | None:
    if isinstance(content, Unreadable):
        return Finding(path, None, None, content.problem, "error")
    if isinstance(content, FileBytes):
        return Finding(path, None, None, "is a file where a folder is expected", "error")
    if isinstance(content, Absent) and origin.endswith("_DIR"):
        message = f"{origin} names a folder that does not exist; create it, or unset {origin}"
        return Finding(path, None, None, message, "warning")
    return None
