"""One agent file: what each frontmatter key may hold, and the values it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import _name
from ._fields import Fields, Named
from ._finding import Finding, did_you_mean, in_order, shown
from ._frontmatter import split
from ._hooks import hooks
from ._keys import cache_lifetime, settle_keys
from ._servers import ServerWish, server_wishes
from ._text import decode
from ._tools import MEMORY_TOOLS, denied_tools, meant_model, tool_list

Origin = Literal["AGENTS_DIR", "SKILLS_DIR", "EXPERTISE_DIR", "project", "user", "built-in"]
"""Whose folder a file came from; the first three are set by the variable of that name."""

PERMISSION_MODES = (
    "default", "acceptEdits", "plan", "dontAsk", "auto", "ask", "bypassPermissions",
)  # fmt: skip
"""The modes of Claude Code's `--permission-mode` (the CLI itself accepts any word silently), and
`ask`, which is ours: a person is asked for what `default` refuses."""

SETTING_SOURCES = ("user", "project", "local")
"""Where Claude Code takes settings from, and CLAUDE.md files with them."""

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""What `--effort` takes."""

MEMORY_SCOPES = ("user", "project", "local")
"""Where an agent may keep notes."""

COLORS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "cyan")
"""The colours that Claude Code shows an agent in."""

_MODEL = re.compile(r"[A-Za-z0-9][\w.:/@\[\]-]*")
_README = "readme"


@dataclass(frozen=True, slots=True)
class AgentFile:
    """What one agent file says by itself, before the parts that it names are looked up."""

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
    effort: str | None = None
    max_turns: int | None = None
    permission_mode: str | None = None
    skills: tuple[Named, ...] = ()
    expertise: tuple[Named, ...] = ()
    servers: tuple[ServerWish, ...] = ()
    hooks: str | None = None
    """As JSON."""
    hooks_line: int | None = None
    memory: str | None = None
    omit_claude_md: bool = False
    setting_sources: tuple[str, ...] | None = None
    color: str | None = None
    cache_lifetime: str | None = None
    body: str = ""
    findings: tuple[Finding, ...] = ()


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
    fields = Fields(path, frontmatter, [*findings, *frontmatter.findings])
    is_readable = not any(finding.is_error for finding in fields.findings)
    name, is_named = _name_of(fields, is_readable)
    if is_readable:
        settle_keys(fields)
    memory = fields.choice("memory", MEMORY_SCOPES)
    tools = tool_list(fields)
    return AgentFile(
        path=path,
        name=name,
        is_named=is_named,
        name_line=fields.line("name"),
        description=_description(fields, is_readable),
        tools=_with_memory_tools(tools) if memory else tools,
        disallowed_tools=denied_tools(fields),
        model=_model(fields),
        effort=fields.choice("effort", EFFORTS),
        max_turns=fields.count("maxTurns"),
        permission_mode=_permission_mode(fields),
        skills=_skill_names(fields),
        expertise=_part_names(fields, "expertise", fields.words("expertise") or ()),
        servers=server_wishes(fields, tools or ()),
        hooks=hooks(fields),
        hooks_line=fields.line("hooks"),
        memory=memory,
        omit_claude_md=fields.flag("omitClaudeMd"),
        setting_sources=_setting_sources(fields),
        color=fields.choice("color", COLORS),
        cache_lifetime=cache_lifetime(fields),
        body=frontmatter.body,
        findings=in_order(fields.findings),
    )


def unreadable_agent(path: Path, problem: str) -> AgentFile:
    """The agent of a file that could not be read at all."""
    finding = Finding(path, None, None, problem, "error")
    return AgentFile(path, _name.canonical(path.stem), is_named=False, findings=(finding,))


def _name_of(fields: Fields, is_readable: bool) -> tuple[str, bool]:
    stem = _name.canonical(fields.path.stem)
    given = fields.text("name") or (None if is_readable else fields.frontmatter.name_by_sight)
    if given is None:
        return stem, _stem_names_the_agent(fields, stem, is_readable)
    name = _name.canonical(given)
    refusal = _name.refusal(name)
    if refusal is not None:
        if is_readable:
            fields.error(fields.line("name"), "name", _refused(given, refusal))
        return stem, False
    return name, is_readable


def _stem_names_the_agent(fields: Fields, stem: str, is_readable: bool) -> bool:
    if not is_readable or fields.is_wrong("name"):
        return False
    refusal = _name.refusal(stem)
    if refusal is None:
        return True
    advice = "rename the file, or give a `name` in the frontmatter"
    fields.error(None, "name", f"the file's name {_refused(stem, refusal)}; {advice}")
    return False


def _refused(given: str, refusal: str) -> str:
    suggestion = _name.repaired(given)
    advice = f"; write {shown(suggestion)}" if suggestion else ""
    return f"{shown(given)} is not allowed: {refusal}{advice}"


def _description(fields: Fields, is_readable: bool) -> str:
    # Claude Code's generator writes line breaks as the two characters "\n".
    description = (fields.text("description") or "").replace("\\n", "\n")
    if description or not is_readable or fields.is_wrong("description"):
        return description
    first_line = _first_line(fields.frontmatter.body)
    if not fields.frontmatter.present:
        message = "no frontmatter; name and description are taken from the file's name and first "
        fields.warn(1, None, message + "line. Start it with --- / name: … / description: … / ---")
        return first_line
    if any(did_you_mean(key, ("description",)) for key in fields.frontmatter.values):
        return first_line  # it is told that this is misspelled
    message = "missing; a caller chooses an agent by it. Say in one sentence what it is for"
    fields.warn(fields.line("description") or 1, "description", message)
    return first_line


def _first_line(body: str) -> str:
    lines = (line.strip(" \t#") for line in body.split("\n"))
    return next((line for line in lines if line), "")


def _with_memory_tools(tools: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Claude Code adds what an agent needs in order to keep its memory, and so do we."""
    if tools is None or "*" in tools:
        return tools
    return (*tools, *(tool for tool in MEMORY_TOOLS if tool not in tools))


def _model(fields: Fields) -> str | None:
    model = fields.text("model")
    if model is None or model.casefold() == "inherit":
        return None
    if not _MODEL.fullmatch(model):
        allowed = "an alias (sonnet, opus, haiku), a model's full name, or inherit"
        fields.error(fields.line("model"), "model", f"{shown(model)} is not a model; {allowed}")
    elif (meant := meant_model(model)) is not None:
        message = f'{shown(model)} is no model that is known. Did you mean "{meant}"?'
        fields.warn(fields.line("model"), "model", message)
    return model


def _permission_mode(fields: Fields) -> str | None:
    mode = fields.text("permissionMode")
    if mode is None or mode in PERMISSION_MODES:
        return mode
    if mode == "manual":
        return "default"  # its name from 2.1.200 on, which an older CLI does not know
    message = f"{shown(mode)} is not a mode; allowed are {', '.join(PERMISSION_MODES)}."
    hint = did_you_mean(mode, PERMISSION_MODES)
    fields.error(fields.line("permissionMode"), "permissionMode", message + hint)
    return None


def _setting_sources(fields: Fields) -> tuple[str, ...] | None:
    words = fields.words("settingSources")
    if words is None:
        return None
    for word in words:
        if word.name not in SETTING_SOURCES:
            hint = did_you_mean(word.name, SETTING_SOURCES)
            message = f"{shown(word.name)} is no source; allowed: {', '.join(SETTING_SOURCES)}."
            fields.error(word.line, "settingSources", message + hint)
    return tuple(source for source in SETTING_SOURCES if any(w.name == source for w in words))


def _skill_names(fields: Fields) -> tuple[Named, ...]:
    kept = []
    for word in fields.words("skills") or ():
        if ":" in word.name and _name.refusal(word.name.replace(":", "-")) is None:
            message = (
                f"{shown(word.name)} is a plugin's skill, and the agent works without it; copy its "
                "folder to .claude/skills, and name that"
            )
            fields.warn(word.line, "skills", message)
        elif (refusal := _foreign(word.name)) is not None:
            # As Claude Code does: files are shared without the skills that they name.
            end = "; the agent works without it"
            fields.warn(word.line, "skills", _refused(word.name, refusal) + end)
        else:
            kept.append(word)
    return _part_names(fields, "skills", kept)


def _foreign(skill: str) -> str | None:
    """Why no skill can be called so, though it is no attempt to leave the folder; else None."""
    leaves = ".." in skill or "\\" in skill or skill.startswith("/")
    return None if leaves else _name.refusal(_name.canonical(skill))


def _part_names(fields: Fields, key: str, words: Iterable[Named]) -> tuple[Named, ...]:
    kept = []
    for word in words:
        name = _name.canonical(word.name)
        refusal = _name.refusal(name)
        if refusal is None:
            kept.append(Named(name, word.line))
        else:
            fields.error(word.line, key, _refused(word.name, refusal))
    return tuple(kept)
