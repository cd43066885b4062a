"""Finding the skills and the expertise that an agent file names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ._definition import Named
from ._disk import Absent, Content, Disk, FileBytes, Listing, Unreadable
from ._finding import Finding, did_you_mean, shown
from ._folders import FolderList
from ._frontmatter import split
from ._text import decode

PartKind = Literal["skill", "expertise"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The texts of one agent's skills, or of its expertise."""

    texts: tuple[tuple[str, str], ...]
    """Name and text, in the order in which they were asked for."""
    findings: tuple[Finding, ...]
    seen: tuple[tuple[str, Content], ...]
    """Every path that was looked at: while these stay the same, so does the result."""


class PartFinder:
    """Looks one kind of part up in its folders, the first folder that has it wins."""

    def __init__(self, kind: PartKind, folders: FolderList, disk: Disk) -> None:
        self._kind = kind
        self._folders = folders
        self._disk = disk

    def find(self, agent: Path, wanted: tuple[Named, ...]) -> Parts:
        """The parts that the file `agent` names; what is missing or broken is in the findings."""
        texts: list[tuple[str, str]] = []
        findings: list[Finding] = []
        seen: list[tuple[str, Content]] = []
        for part in wanted:
            path, content = self._locate(part.name, seen)
            if isinstance(content, FileBytes):
                text, problems = _text_of(path, content.data)
                texts.append((part.name, text))
                findings += problems
            elif isinstance(content, Unreadable):
                findings.append(Finding(path, None, None, content.problem, "error"))
            else:
                message = self._missing(part.name, seen)
                findings.append(Finding(agent, part.line, self._key, message, "error"))
        return Parts(tuple(texts), tuple(findings), tuple(seen))

    @property
    def _key(self) -> str:
        return "skills" if self._kind == "skill" else "expertise"

    def _path(self, folder: Path, name: str) -> Path:
        return folder / name / "SKILL.md" if self._kind == "skill" else folder / f"{name}.md"

    def _locate(self, name: str, seen: list[tuple[str, Content]]) -> tuple[Path, Content]:
        path, content = Path(), None
        for _, folder in self._folders:
            path = self._path(folder, name)
            content = self._look(path, seen)
            if isinstance(content, FileBytes | Unreadable):
                return path, content
        return path, Absent()

    def _missing(self, name: str, seen: list[tuple[str, Content]]) -> str:
        known: set[str] = set()
        for _, folder in self._folders:
            listing = self._look(folder, seen)
            if isinstance(listing, Listing) and self._kind == "skill":
                known.update(listing.folders)
            elif isinstance(listing, Listing):
                known.update(Path(entry).stem for entry in listing.markdown)
        places = ", ".join(str(self._path(folder, name)) for _, folder in self._folders)
        if name in known and self._kind == "skill":
            return f"the folder of skill {shown(name)} holds no SKILL.md; looked for {places}"
        hint = did_you_mean(name, known)
        return f"no {self._kind} {shown(name)}.{hint} Write one of {places}, or remove the name"

    def _look(self, path: Path, seen: list[tuple[str, Content]]) -> Content:
        content = self._disk.look(str(path))
        seen.append((str(path), content))
        return content


def _text_of(path: Path, data: bytes) -> tuple[str, tuple[Finding, ...]]:
    """A part's text without its frontmatter, whose keys are not ours to judge."""
    text, findings = decode(path, data)
    frontmatter = split(path, text)
    findings += frontmatter.findings
    if not findings and not frontmatter.body.strip():
        message = "is empty; it adds nothing to the prompt. Write its text, or remove its name"
        findings = (Finding(path, None, None, message, "warning"),)
    return frontmatter.body, findings
