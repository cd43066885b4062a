"""Finding the skills and the expertise that an agent file names.

`skills: [x]` is `x/SKILL.md` in the first folder that has it, there or in a folder below; what is
inside of a skill's own folder is not searched, it is the skill's. `expertise: [x]` is `x.md`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ._definition import AgentFile
from ._disk import Absent, Content, Disk, FileBytes, Listing, Unreadable
from ._fields import Fields, Named
from ._finding import Finding, Severity, closest, did_you_mean, shown
from ._folders import FolderList
from ._frontmatter import Frontmatter, split
from ._text import decode
from ._tools import covers

PartKind = Literal["skill", "expertise"]

SKILL_FILE = "SKILL.md"
"""What makes a folder a skill."""

_SKILL_KEYS = (
    "name", "description", "license", "allowed-tools", "compatibility", "metadata", "version",
    "model", "effort", "context", "agent", "hooks", "paths", "shell", "when_to_use", "arguments",
    "argument-hint", "user-invocable", "disable-model-invocation", "dependencies", "author",
    "tags", "category",
)  # fmt: skip
"""Keys that skills have: those of the standard form, Claude Code's, and some that are common."""

_MOST_FOLDERS = 1000
"""How many folders of one tree are searched for what is not where it is looked for first."""

_ITS_FOLDER = "${CLAUDE_SKILL_DIR}"
_COMMAND = re.compile(r"(?:^|\s)!`[^`\n]+`|^```!", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parts:
    """The texts of one agent's skills, or of its expertise."""

    texts: tuple[tuple[str, str], ...]
    """Name and text, in the order in which they were asked for."""
    findings: tuple[Finding, ...]
    seen: tuple[tuple[str, Content], ...]
    """Every path that was looked at: while these stay the same, so does the result."""
    folders: tuple[Path, ...] = ()
    """Folders whose files the texts send the agent to."""


@dataclass(slots=True)
class _Search:
    """One look-up of the parts of one agent."""

    agent: AgentFile | None
    texts: list[tuple[str, str]]
    findings: list[Finding]
    seen: list[tuple[str, Content]]
    folders: list[Path]


class PartFinder:
    """Looks one kind of part up in its folders, the first folder that has it wins."""

    def __init__(self, kind: PartKind, folders: FolderList, disk: Disk) -> None:
        self._kind = kind
        self._folders = folders
        self._disk = disk

    def find(self, agent: AgentFile, wanted: tuple[Named, ...]) -> Parts:
        """The parts that `agent` names; what is missing or broken is in the findings.

        A missing expertise is an error. A missing skill is a warning: Claude Code leaves it out,
        and files are shared without the skills that they name.
        """
        search = _Search(agent, [], [], [], [])
        for part in wanted:
            paths = self._locate(part.name, search)
            if len(paths) > 1:
                names = " and ".join(map(str, paths))
                message = f"{shown(part.name)} is the name of {names}; give each its own"
                self._note(search, agent.path, part.line, message, "error")
            elif paths:
                self._take(part, paths[0], search)
            else:
                severity: Severity = "warning" if self._kind == "skill" else "error"
                message = self._missing(part.name, search)
                self._note(search, agent.path, part.line, message, severity)
        return Parts(
            tuple(search.texts), tuple(search.findings), tuple(search.seen), tuple(search.folders)
        )

    @property
    def _key(self) -> str:
        return "skills" if self._kind == "skill" else "expertise"

    def _path(self, folder: Path, name: str) -> Path:
        return folder / name / SKILL_FILE if self._kind == "skill" else folder / f"{name}.md"

    def unnamed(self, named: Collection[str]) -> Iterator[Finding]:
        """What is wrong with the parts of the user's and the project's that no agent names.

        Args:
            named: the paths of those that agents name.
        """
        search = _Search(None, [], [], [], [])
        for origin, folder in self._folders:
            for _, path in self._nested(folder, search) if origin != "built-in" else ():
                content = self._disk.look(str(path))
                if str(path) in named or not isinstance(content, FileBytes):
                    continue
                findings = _text_of(path, content.data)[1]
                if self._kind == "skill":
                    findings += tuple(_key_findings(path, content.data))
                # Nobody is kept from working by it.
                yield from (replace(one, severity="warning") for one in findings if one.line)

    def _locate(self, name: str, search: _Search) -> list[Path]:
        """Where the part is: several places, if one tree has it in several folders."""
        for _, folder in self._folders:
            path = self._path(folder, name)
            if not isinstance(self._look(path, search), Absent | Listing):
                return [path]
            nested = [path for other, path in self._nested(folder, search) if other == name]
            if nested:
                return nested
        return []

    def _nested(self, root: Path, search: _Search) -> Iterator[tuple[str, Path]]:
        """Name and path of every part in the folders below `root`, in a stable order."""
        visited: set[str] = set()
        folders = [root]
        while folders and len(visited) < _MOST_FOLDERS:
            folder = folders.pop()
            listing = self._look(folder, search)
            real = os.path.realpath(folder)
            if not isinstance(listing, Listing) or real in visited:
                continue
            visited.add(real)
            if self._kind == "skill" and SKILL_FILE in listing.markdown and folder != root:
                yield folder.name, folder / SKILL_FILE
                continue
            if self._kind == "expertise":
                yield from ((Path(entry).stem, folder / entry) for entry in listing.markdown)
            folders += [folder / name for name in reversed(listing.folders)]

    def _take(self, part: Named, path: Path, search: _Search) -> None:
        content = self._look(path, search)
        if isinstance(content, Unreadable):
            search.findings.append(Finding(path, None, None, content.problem, "error"))
        elif isinstance(content, FileBytes):
            text, findings = _text_of(path, content.data)
            search.findings += findings
            if self._kind == "skill":
                text = self._skill_text(path, text, content.data, search)
            search.texts.append((part.name, text))

    def _skill_text(self, path: Path, text: str, data: bytes, search: _Search) -> str:
        """The text with what a skill's text may rely on: where its folder is."""
        folder = path.parent
        listing = self._look(folder, search)
        search.findings += _key_findings(path, data)
        if search.agent is not None:
            frontmatter = split(path, decode(path, data)[0])
            search.findings += _skill_findings(path, frontmatter, search.agent)
        has_files = isinstance(listing, Listing) and (
            listing.has_others or bool(listing.folders) or len(listing.markdown) > 1
        )
        if not has_files and _ITS_FOLDER not in text:
            return text
        search.folders.append(folder)
        where = f"This skill's own files are in {folder}; names of files below are relative to it."
        return f"{where}\n\n{text.lstrip()}".replace(_ITS_FOLDER, str(folder))

    def _missing(self, name: str, search: _Search) -> str:
        known = {other for _, folder in self._folders for other, _ in self._nested(folder, search)}
        places = ", ".join(str(self._path(folder, name)) for _, folder in self._folders)
        if self._kind == "expertise":
            hint = did_you_mean(name, known)
            return f"no expertise {shown(name)}.{hint} Write one of {places}, or remove the name"
        end = "; the agent works without it"
        for _, folder in self._folders:
            if isinstance(self._look(folder / name, search), Listing):
                what = f"the folder of skill {shown(name)} holds no {SKILL_FILE}"
                return f"{what}{end}. Looked for {places}"
        hint = did_you_mean(name, known)
        return f"no skill {shown(name)}{end}.{hint} Write one of {places}, or remove the name"

    def _note(
        self, search: _Search, path: Path, line: int, message: str, severity: Severity
    ) -> None:
        search.findings.append(Finding(path, line, self._key, message, severity))

    def _look(self, path: Path, search: _Search) -> Content:
        content = self._disk.look(str(path))
        search.seen.append((str(path), content))
        return content


def _text_of(path: Path, data: bytes) -> tuple[str, tuple[Finding, ...]]:
    """A part's text without its frontmatter.

    What is wrong with the frontmatter is a warning, as long as the text is there: nothing in it
    decides anything here.
    """
    text, findings = decode(path, data)
    frontmatter = split(path, text)
    is_lost = not frontmatter.body.strip()
    findings += tuple(
        found if is_lost else replace(found, severity="warning") for found in frontmatter.findings
    )
    if not findings and is_lost:
        message = "is empty; it adds nothing to the prompt. Write its text, or remove its name"
        findings = (Finding(path, None, None, message, "warning"),)
    return frontmatter.body, findings


def _key_findings(path: Path, data: bytes) -> Iterator[Finding]:
    """What is misspelled in a skill's frontmatter."""
    frontmatter = split(path, decode(path, data)[0])
    if not frontmatter.present or any(found.is_error for found in frontmatter.findings):
        return
    for key, value in frontmatter.values.items():
        near = None if key in _SKILL_KEYS else next(iter(closest(key, _SKILL_KEYS, 1)), None)
        if near is not None and near not in frontmatter.values:
            message = f'unknown key, ignored. Did you mean "{near}"?'
            yield Finding(path, value.line, key, message, "warning")


def _skill_findings(path: Path, frontmatter: Frontmatter, agent: AgentFile) -> Iterator[Finding]:
    """What a skill asks for that it does not get here."""
    rules = Fields(path, frontmatter).words("allowed-tools") or ()
    lacking = [rule.name for rule in rules if not covers(agent.tools, rule.name)]
    if lacking:
        message = (
            f"grants nothing here, and {shown(agent.name)} may not use {', '.join(lacking)}; "
            f"where it needs that, list it under `tools` in {agent.path}"
        )
        line = frontmatter.values["allowed-tools"].line
        yield Finding(path, line, "allowed-tools", message, "warning")
    command = _COMMAND.search(frontmatter.body)
    if command is not None:
        message = (
            f"{shown(command[0].strip())} is not run; the agent gets the text as it stands. Say "
            "what it is to run"
        )
        yield Finding(path, None, None, message, "warning")
