"""One agent file: what each frontmatter key may hold, and the values it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from . import _name
from ._finding import Finding, closest, did_you_mean, in_order, shown
from ._frontmatter import Frontmatter, Value, split
from ._text import decode

Origin = Literal["AGENTS_DIR", "SKILLS_DIR", "EXPERTISE_DIR", "project", "user", "built-in"]
"""Whose folder a file came from; the first three are set by the variable of that name."""

PERMISSION_MODES = ("default", "acceptEdits", "plan", "dontAsk", "auto", "bypassPermissions")
"""The modes of Claude Code's `--permission-mode` (the CLI itself accepts any word silently)."""

_HONOURED = (
    "name",
    "description",
    "tools",
    "disallowedTools",
    "model",
    "permissionMode",
    "skills",
    "expertise",
)

# Claude Code's own keys for sub-agents that have no effect here (its documentation of the
# frontmatter fields, compared with the reader in version 2.1.197).
_NOT_HONOURED = (
    "background",
    "color",
    "effort",
    "hooks",
    "initialPrompt",
    "isolation",
    "maxTurns",
    "mcpServers",
    "memory",
)

# `allowed-tools` is what skills call it; by spelling alone it is nearest to its opposite.
_RIGHTS = ("tools", "disallowedTools", "permissionMode")

_CONFUSED = {"allowed-tools": "tools", "allowedTools": "tools", "allowed_tools": "tools"}

_MODEL = re.compile(r"[A-Za-z0-9][\w.:/@\[\]-]*")
_TOOL = re.compile(r"\*|[A-Za-z_][\w.*-]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?")
_README = "readme"


@dataclass(frozen=True, slots=True)
class Named:
    """A skill or an expertise as the frontmatter names it."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class AgentFile:
    """What one agent file says by itself, before skills and expertise are looked up."""

    path: Path
    name: str
    """The identifier: the frontmatter's `name`, else the file's name without `.md`."""
    is_named: bool
    """False when the file is so broken that its own name for the agent is a guess."""
    name_line: int | None = None
    """Where the frontmatter gives it."""
    description: str = ""
    tools: tuple[str, ...] | None = None
    disallowed_tools: tuple[str, ...] = ()
    model: str | None = None
    permission_mode: str | None = None
    skills: tuple[Named, ...] = ()
    expertise: tuple[Named, ...] = ()
    body: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Fields:
    """Reads typed fields out of one frontmatter; notes every finding, stops at none."""

    path: Path
    frontmatter: Frontmatter
    findings: list[Finding] = field(default_factory=list)

    def text(self, key: str) -> str | None:
        """The text of a key; None when it is not there, empty or wrong."""
        value = self.frontmatter.values.get(key)
        if value is None or value.kind == "nothing":
            return None
        if value.kind != "text":
            self._wrong_type(key, value, f'text; in quotes if need be: {key}: "…"')
            return None
        return value.text.strip() or None

    def words(self, key: str) -> tuple[Named, ...] | None:
        """The words of a YAML list or of a text with commas; None when the key is not there."""
        value = self.frontmatter.values.get(key)
        if value is None:
            return None
        if value.kind == "nothing":
            self.warn(value.line, key, "is empty and ignored; for none of them write []")
            return None
        if value.kind == "text":
            return self._once(key, (Named(w, value.line) for w in _split_words(value.text)))
        if value.kind == "list":
            return self._once(key, self._items(key, value))
        self._wrong_type(key, value, f"a list, [a, b], or a text with commas: {key}: a, b")
        return None

    def error(self, line: int | None, key: str | None, message: str) -> None:
        self.findings.append(Finding(self.path, line, key, message, "error"))

    def warn(self, line: int | None, key: str | None, message: str) -> None:
        self.findings.append(Finding(self.path, line, key, message, "warning"))

    def line(self, key: str) -> int | None:
        value = self.frontmatter.values.get(key)
        return value.line if value else None

    def _items(self, key: str, value: Value) -> Iterable[Named]:
        for item in value.items:
            if item.kind == "text" and item.text.strip():
                yield Named(item.text.strip(), item.line)
            elif item.kind in ("text", "nothing"):
                self.error(item.line, key, "an item is empty; give it a name or remove its line")
            else:
                self._wrong_type(key, item, "text, in quotes if need be")

    def _once(self, key: str, words: Iterable[Named]) -> tuple[Named, ...]:
        kept: dict[str, Named] = {}
        for word in words:
            if word.name in kept:
                self.warn(word.line, key, f"{shown(word.name)} is listed twice; remove one")
            kept.setdefault(word.name, word)
        return tuple(kept.values())

    def _wrong_type(self, key: str, value: Value, allowed: str) -> None:
        given = value.text if value.kind in ("list", "mapping") else shown(value.text)
        kind = "" if value.kind in ("list", "mapping") else f" ({value.kind})"
        self.error(value.line, key, f"{given}{kind} is not allowed; it must be {allowed}")


def read_agent(path: Path, data: bytes) -> AgentFile | None:
    """What an agent file says.

    Args:
        path: Its place; only its name is used, it is not opened.
        data: Its bytes.

    Returns:
        Always a value, with all that is wrong in its `findings`; None for a `README.md`
        without frontmatter, which is not an agent.
    """
    text, findings = decode(path, data)
    frontmatter = split(path, text)
    if not frontmatter.present and not findings and path.stem.casefold() == _README:
        return None
    fields = _Fields(path, frontmatter, [*findings, *frontmatter.findings])
    is_readable = not any(finding.is_error for finding in fields.findings)
    name, is_named = _name_of(fields, is_readable)
    if is_readable:
        _check_keys(fields)
    return AgentFile(
        path=path,
        name=name,
        is_named=is_named,
        name_line=fields.line("name"),
        description=_description(fields, is_readable),
        tools=_tools(fields, "tools"),
        disallowed_tools=_tools(fields, "disallowedTools") or (),
        model=_model(fields),
        permission_mode=_permission_mode(fields),
        skills=_part_names(fields, "skills"),
        expertise=_part_names(fields, "expertise"),
        body=frontmatter.body,
        findings=in_order(fields.findings),
    )


def unreadable_agent(path: Path, problem: str) -> AgentFile:
    """The agent of a file that could not be read at all."""
    finding = Finding(path, None, None, problem, "error")
    return AgentFile(path, _name.canonical(path.stem), is_named=False, findings=(finding,))


def _name_of(fields: _Fields, is_readable: bool) -> tuple[str, bool]:
    stem = _name.canonical(fields.path.stem)
    given = fields.text("name") or (None if is_readable else fields.frontmatter.name_by_sight)
    if given is None:
        return stem, _stem_names_the_agent(fields, stem, is_readable)
    name = _name.canonical(given)
    line = fields.line("name")
    refusal = _name.refusal(name)
    if refusal is not None:
        if is_readable:
            fields.error(line, "name", _refused(given, refusal))
        return stem, False
    if name != stem:
        message = f"{shown(name)} is the agent's name, the file is {shown(fields.path.name)}"
        fields.warn(line, "name", f"{message}; rename one of them")
    return name, is_readable


def _stem_names_the_agent(fields: _Fields, stem: str, is_readable: bool) -> bool:
    if not is_readable or _is_wrong(fields, "name"):
        return False
    refusal = _name.refusal(stem)
    if refusal is None:
        return True
    advice = "rename the file, or give a `name` in the frontmatter"
    fields.error(None, "name", f"the file's name {_refused(stem, refusal)}; {advice}")
    return False


def _is_wrong(fields: _Fields, key: str) -> bool:
    value = fields.frontmatter.values.get(key)
    return value is not None and value.kind not in ("text", "nothing")


def _refused(given: str, refusal: str) -> str:
    suggestion = _name.repaired(given)
    advice = f"; write {shown(suggestion)}" if suggestion else ""
    return f"{shown(given)} is not allowed: {refusal}{advice}"


def _check_keys(fields: _Fields) -> None:
    known = (*_HONOURED, *_NOT_HONOURED)
    for key, value in fields.frontmatter.values.items():
        if key in _HONOURED:
            continue
        if key in _NOT_HONOURED:
            message = "Claude Code knows this key, agent-pool does not use it yet; it is ignored"
        elif meant := _rights_key(key, known):
            # Ignored, it would leave the agent with more rights than its author meant.
            fields.error(value.line, key, f'unknown key. Did you mean "{meant}"?')
            continue
        else:
            hint = did_you_mean(key, known) or f" Known keys: {', '.join(_HONOURED)}"
            message = f"unknown key, ignored.{hint}"
        fields.warn(value.line, key, message)


def _rights_key(key: str, known: tuple[str, ...]) -> str | None:
    """The key that decides what the agent may do, where `key` was meant to be one."""
    near = _CONFUSED.get(key) or next(iter(closest(key, known, count=1)), None)
    return near if near in _RIGHTS else None


def _description(fields: _Fields, is_readable: bool) -> str:
    # Claude Code's generator writes line breaks as the two characters "\n".
    description = (fields.text("description") or "").replace("\\n", "\n")
    if description or not is_readable or _is_wrong(fields, "description"):
        return description
    first_line = _first_line(fields.frontmatter.body)
    if not fields.frontmatter.present:
        message = "no frontmatter; name and description are taken from the file's name and first "
        fields.warn(1, None, message + "line. Start it with --- / name: … / description: … / ---")
        return first_line
    message = "missing; a caller chooses an agent by it. Say in one sentence what it is for"
    fields.warn(fields.line("description"), "description", message)
    return first_line


def _first_line(body: str) -> str:
    lines = (line.strip(" \t#") for line in body.split("\n"))
    return next((line for line in lines if line), "")


def _tools(fields: _Fields, key: str) -> tuple[str, ...] | None:
    words = fields.words(key)
    if words is None:
        return None
    for word in words:
        if not _TOOL.fullmatch(word.name):
            allowed = "a tool is one word such as Read, Bash(git log:*) or mcp__server__tool"
            fields.error(word.line, key, f"{shown(word.name)} is not a tool; {allowed}")
    return tuple(word.name for word in words)


def _model(fields: _Fields) -> str | None:
    model = fields.text("model")
    if model is None or model.casefold() == "inherit":
        return None
    if not _MODEL.fullmatch(model):
        allowed = "an alias (sonnet, opus, haiku), a model's full name, or inherit"
        fields.error(fields.line("model"), "model", f"{shown(model)} is not a model; {allowed}")
    return model


def _permission_mode(fields: _Fields) -> str | None:
    mode = fields.text("permissionMode")
    if mode is None or mode in PERMISSION_MODES:
        return mode
    message = f"{shown(mode)} is not a mode; allowed are {', '.join(PERMISSION_MODES)}."
    hint = did_you_mean(mode, PERMISSION_MODES)
    fields.error(fields.line("permissionMode"), "permissionMode", message + hint)
    return None


def _part_names(fields: _Fields, key: str) -> tuple[Named, ...]:
    kept = []
    for word in fields.words(key) or ():
        name = _name.canonical(word.name)
        refusal = _name.refusal(name)
        if refusal is None:
            kept.append(Named(name, word.line))
        else:
            fields.error(word.line, key, _refused(word.name, refusal))
    return tuple(kept)


def _split_words(text: str) -> Iterable[str]:
    """The words between commas and blanks; `Bash(git log:*, git diff:*)` stays one word."""
    word, depth = "", 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth <= 0 and (character == "," or character.isspace()):
            if word:
                yield word
            word = ""
        else:
            word += character
    if word:
        yield word
