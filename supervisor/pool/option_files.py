"""What a process of an agent is told by files: its MCP servers, its hooks, what it may read.

Not by arguments, which everybody on the machine can see: a server's definition may hold a key.
The files lie in the process's own temporary folder, and go with it.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.agents import AgentDefinition

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class OptionFile:
    """An option of the CLI whose value is a file that only the process's user may read."""

    option: str
    """The option."""
    name: str
    """What the file is called in the process's own folder."""
    text: str
    """What is in it; where there is no folder, the option's value itself."""


def option_files(definition: AgentDefinition, environ: Mapping[str, str]) -> tuple[OptionFile, ...]:
    """The files for an agent.

    `${VARIABLE}` in a server's definition is replaced from `environ`, the pool's whole environment,
    of which the process itself gets only a part.
    """
    files = []
    servers = [s for s in definition.mcp_servers if "mcp__*" not in definition.disallowed_tools]
    if servers:
        configs = {s.name: _replaced(json.loads(s.config), environ) for s in servers}
        files.append(OptionFile("--mcp-config", "mcp.json", json.dumps({"mcpServers": configs})))
    settings: dict[str, object] = {}
    if definition.hooks is not None:
        settings["hooks"] = json.loads(definition.hooks)
    if definition.readable_folders:
        # An absolute path begins with two slashes in a rule.
        rules = [f"Read(/{folder}/**)" for folder in definition.readable_folders]
        settings["permissions"] = {"allow": rules}
    if settings:
        files.append(OptionFile("--settings", "settings.json", json.dumps(settings)))
    return tuple(files)


def written(files: tuple[OptionFile, ...], folder: Path | None) -> tuple[str, ...]:
    """The arguments that name these files, once they are in `folder`."""
    words: list[str] = []
    for file in files:
        value = file.text
        if folder is not None:
            value = str(folder / file.name)
            with open(value, "w", opener=_private) as opened:
                opened.write(file.text)
        words += [file.option, value]
    return tuple(words)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _replaced(value: object, environ: Mapping[str, str]) -> object:
    """A value with `${NAME}` and `${NAME:-default}` replaced, as far as there is something."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda m: environ.get(m[1], m[0] if m[2] is None else m[2]), value)
    if isinstance(value, list):
        return [_replaced(item, environ) for item in value]
    if isinstance(value, dict):
        return {key: _replaced(item, environ) for key, item in value.items()}
    return value
