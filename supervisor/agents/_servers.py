"""MCP servers: those that a definition brings or names, and where named ones are configured.

    mcpServers:
      - github                       # by name: from .mcp.json, or from ~/.claude.json
      - browser:                     # its own
          command: npx
          args: [-y, "@playwright/mcp@latest"]
    tools: Read, mcp__files__search  # names the server `files`

A name is looked up as Claude Code does: what `claude mcp add` keeps for this project in
~/.claude.json, then the project's .mcp.json, then what ~/.claude.json has for all projects.
What cannot be found or used is a warning, and the agent works without it, as it does there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._disk import Content, Disk, FileBytes, Unreadable
from ._fields import Fields
from ._finding import Finding, did_you_mean, shown
from ._frontmatter import Value
from ._tools import named_server

_KEY = "mcpServers"
_REMOTE = ("http", "sse", "ws")
_FORM = "{command: …, args: […]} or {type: http, url: …}"


@dataclass(frozen=True, slots=True)
class ServerWish:
    """A server that an agent file asks for."""

    name: str
    line: int | None
    key: str
    """The frontmatter key that asks for it."""
    config: str | None = None
    """The file's own definition of it, as JSON; None: it is only named."""


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server of an agent."""

    name: str
    """What its tools are called by: `mcp__<name>__<tool>`."""
    config: str
    """A JSON object in the form of .mcp.json, `${VARIABLE}` not yet replaced."""
    is_listed: bool
    """`mcpServers` has it; else it is only in the name of a tool."""

    @property
    def prefix(self) -> str:
        """What the names of its tools begin with; as a rule, it stands for all of them."""
        return f"mcp__{_normal(self.name)}"


@dataclass(frozen=True, slots=True)
class Found:
    """A server that was asked for and found."""

    server: McpServer
    wish: ServerWish
    is_projects: bool
    """It is the project's own file that says what to start."""


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Where servers are configured."""

    root: Path
    """The project, by the name that ~/.claude.json has for it."""
    project: Path
    """Its .mcp.json."""
    user: Path
    """The user's .claude.json."""


def server_wishes(fields: Fields, tools: Iterable[str]) -> tuple[ServerWish, ...]:
    """The servers that an agent file asks for: by `mcpServers`, and by the names of tools."""
    wishes: dict[str, ServerWish] = {}
    for wish in _listed(fields):
        if _normal(wish.name) in wishes:
            fields.warn(wish.line, _KEY, f"{shown(wish.name)} is listed twice; remove one")
        wishes.setdefault(_normal(wish.name), wish)
    for name in filter(None, map(named_server, tools)):
        if name != "*":
            wishes.setdefault(_normal(name), ServerWish(name, fields.line("tools"), "tools"))
    return tuple(wishes.values())


class ServerFinder:
    """Looks up the servers that agent files name."""

    def __init__(self, files: ServerFiles, disk: Disk) -> None:
        self._files = files
        self._disk = disk
        self._parsed: dict[str, tuple[Content, Mapping[str, Any], tuple[Finding, ...]]] = {}

    def find(
        self, agent: Path, wishes: tuple[ServerWish, ...]
    ) -> tuple[tuple[Found, ...], tuple[Finding, ...], tuple[tuple[str, Content], ...]]:
        """What was found, what is wrong, and every path that was looked at."""
        found: list[Found] = []
        findings: list[Finding] = []
        seen: list[tuple[str, Content]] = []
        is_named = any(wish.config is None for wish in wishes)
        candidates = list(self._configured(seen, findings)) if is_named else []
        for wish in wishes:
            listed = wish.key == _KEY
            if wish.config is not None:
                found.append(Found(McpServer(wish.name, wish.config, listed), wish, False))
                continue
            match = next((c for c in candidates if _normal(c[0]) == _normal(wish.name)), None)
            if match is None:
                names = {name for name, _, _ in candidates}
                findings.append(self._missing(agent, wish, names))
                continue
            name, config, path = match
            if not isinstance(config, dict) or not ("command" in config or "url" in config):
                message = f"the server {shown(name)} has neither `command` nor `url`; it is ignored"
                findings.append(Finding(path, None, None, message, "warning"))
                continue
            server = McpServer(name, json.dumps(config, sort_keys=True), listed)
            found.append(Found(server, wish, path == self._files.project))
        return tuple(found), tuple(findings), tuple(seen)

    def _configured(
        self, seen: list[tuple[str, Content]], findings: list[Finding]
    ) -> Iterator[tuple[str, Any, Path]]:
        """Every server that is configured, in order of precedence."""
        files = self._files
        user = self._read(files.user, seen, findings)
        local = _table(_table(user.get("projects")).get(str(files.root)))
        project = self._read(files.project, seen, findings)
        for table, path in ((local, files.user), (project, files.project), (user, files.user)):
            for name, config in _table(table.get("mcpServers")).items():
                yield name, config, path

    def _read(
        self, path: Path, seen: list[tuple[str, Content]], findings: list[Finding]
    ) -> Mapping[str, Any]:
        content = self._disk.look(str(path))
        seen.append((str(path), content))
        known = self._parsed.get(str(path))
        if known is None or known[0] is not content:
            known = self._parsed[str(path)] = (content, *_parse(path, content))
        findings += known[2]
        return known[1]

    def _missing(self, agent: Path, wish: ServerWish, names: set[str]) -> Finding:
        hint = did_you_mean(wish.name, names)
        places = f"{self._files.project} and {self._files.user}"
        message = (
            f"no MCP server {shown(wish.name)} is configured, and the agent works without it."
            f"{hint} Looked in {places}; `claude mcp add` configures one"
        )
        return Finding(agent, wish.line, wish.key, message, "warning")


def _listed(fields: Fields) -> Iterator[ServerWish]:
    value = fields.value(_KEY)
    if value is None:
        return
    if value.kind != "list":
        fields.warn(value.line, _KEY, "Claude Code reads a list here: - name, or - name: {…}")
        value = Value("list", "", value.line, (value,))
    for item in value.items:
        if item.kind == "mapping":
            for name, config in item.entries:
                yield from _own(fields, name.strip(), config)
        elif item.kind == "text" and _is_name(item.text.strip()):
            yield ServerWish(item.text.strip(), item.line, _KEY)
        else:
            fields.warn(item.line, _KEY, f"{shown(item.text)} is no name of a server; ignored")


def _own(fields: Fields, name: str, config: Value) -> Iterator[ServerWish]:
    """A server with its definition, if that is one."""
    if not _is_name(name):
        fields.warn(config.line, _KEY, f"{shown(name)} is no name of a server; ignored")
        return
    entries = dict(config.entries)
    kind = entries["type"].text if "type" in entries else "stdio" if "command" in entries else ""
    start = entries.get("command" if kind == "stdio" else "url")
    if not kind and start is not None:
        kind = "http"
        fields.warn(config.line, _KEY, f"{shown(name)} has no `type`; taken for http")
    if start is None or start.kind != "text" or kind not in ("stdio", *_REMOTE):
        message = f"the server {shown(name)} is ignored; its definition must be {_FORM}"
        fields.warn(config.line, _KEY, message)
        return
    plain = {key: _texts(key, value) for key, value in config.entries} | {"type": kind}
    yield ServerWish(name, config.line, _KEY, json.dumps(plain, sort_keys=True))


def _texts(key: str, value: Value) -> object:
    """A value in which the CLI wants nothing but text, however YAML took it: a port, `yes`."""
    if key == "args" and value.kind == "list":
        return [item.text for item in value.items]
    if key in ("env", "headers") and value.kind == "mapping":
        return {name: item.text for name, item in value.entries}
    return value.plain()


def _parse(path: Path, content: Content) -> tuple[Mapping[str, Any], tuple[Finding, ...]]:
    if isinstance(content, Unreadable):
        return {}, (Finding(path, None, None, content.problem, "warning"),)
    if not isinstance(content, FileBytes):
        return {}, ()
    try:
        parsed = json.loads(content.data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deeply nested"
        message = f"is no valid JSON ({reason}), and ignored; mend it"
        return {}, (Finding(path, line, None, message, "warning"),)
    return _table(parsed), ()


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_name(name: str) -> bool:
    return bool(name) and len(name) <= 100 and name.isprintable()


def _normal(name: str) -> str:
    """A server's name as it stands in the names of its tools."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)
