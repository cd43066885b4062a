"""The lists `tools` and `disallowedTools`."""

from __future__ import annotations

import re

from ._fields import Fields, Named
from ._finding import closest, shown

KNOWN_TOOLS = (
    "Agent", "Artifact", "AskUserQuestion", "Bash", "BashOutput", "CronCreate", "CronDelete",
    "CronList", "Edit", "EnterPlanMode", "EnterWorktree", "ExitPlanMode", "ExitWorktree", "Glob",
    "Grep", "KillBash", "KillShell", "LS", "LSP", "ListMcpResourcesTool", "Monitor", "MultiEdit",
    "NotebookEdit", "NotebookRead", "PowerShell", "Read", "ReadMcpResourceTool", "SendMessage",
    "Skill", "SlashCommand", "StructuredOutput", "Task", "TaskCreate", "TaskGet", "TaskList",
    "TaskOutput", "TaskStop", "TaskUpdate", "TeamCreate", "TeamDelete", "TodoRead", "TodoWrite",
    "ToolSearch", "WebFetch", "WebSearch", "Workflow", "Write",
)  # fmt: skip
"""What Claude Code calls its tools, or once called them. Others may come: it is for suggestions."""

READ_AND_EDIT = ("Read", "Glob", "Grep", "Edit", "Write", "NotebookEdit", "TodoWrite")
"""The tools of an agent whose definition lists none: reading and editing, no commands."""

MODELS = ("default", "fable", "haiku", "inherit", "opus", "opusplan", "sonnet")
"""Claude Code's aliases for models, and its word for none. It is for suggestions."""

MEMORY_TOOLS = ("Read", "Write", "Edit")
"""What `memory` brings with it."""

_EVERYTHING = ("all", "any", "everything")
"""What people write who mean `*`."""

_TOOL = re.compile(r"\*|[A-Za-z_][\w.*-]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?")
_FOREIGN = re.compile(r"[A-Za-z_@][\w.*:/@-]*")
_FORMS = "a tool is one word such as Read, Bash(git log:*) or mcp__server__tool"


def tool_list(fields: Fields) -> tuple[str, ...] | None:
    """`tools`: what the agent has; None when it has no list.

    A word that can only be another program's name for a tool is left out with a warning, as
    Claude Code leaves it out silently. A list of which nothing is left is an error.
    """
    words = fields.words("tools")
    if words is None:
        return None
    kept = [word for word in words if _is_tool(fields, "tools", word)]
    if words and not kept and not any(f.key == "tools" and f.is_error for f in fields.findings):
        message = f"none of these is a tool, so the agent could do nothing; {_FORMS}"
        fields.error(fields.line("tools"), "tools", message)
    return tuple(word.name for word in kept)


def denied_tools(fields: Fields) -> tuple[str, ...]:
    """`disallowedTools`: a word that denies nothing is an error."""
    words = fields.words("disallowedTools") or ()
    return tuple(w.name for w in words if _is_tool(fields, "disallowedTools", w))


def named_server(tool: str) -> str | None:
    """The server in `mcp__server__tool`, as its name is written there."""
    parts = tool.split("(", 1)[0].split("__", 2)
    return parts[1] if parts[0] == "mcp" and len(parts) > 1 and parts[1] else None


def is_known(rule: str) -> bool:
    """Whether a rule names a tool that Claude Code or a server has, or all of them."""
    name = rule.split("(", 1)[0]
    return name in KNOWN_TOOLS or name == "*" or name.startswith("mcp__")


def meant_tool(rule: str) -> str | None:
    """The tool that a rule such as `Raed` or `Bsh(ls)` was meant to name; None: it names one, or
    one that nobody here knows."""
    name = rule.split("(", 1)[0]
    if is_known(rule):
        return None
    if name.casefold() in _EVERYTHING:
        return "*"
    return next(iter(closest(name, KNOWN_TOOLS, count=1)), None)


def meant_model(model: object) -> str | None:
    """The alias that a model's name was meant to be, such as `sonnett`; None: it may be a model."""
    if not isinstance(model, str) or model.casefold() in MODELS or len(model) < 4:
        return None
    return next(iter(closest(model, MODELS, count=1)), None) if model.isalpha() else None


def covers(tools: tuple[str, ...] | None, rule: str) -> bool:
    """Whether an agent with that list may do what `rule` allows."""
    listed = READ_AND_EDIT if tools is None else tools
    name = rule.split("(", 1)[0]
    server = "__".join(name.split("__")[:2]) if name.startswith("mcp__") else name
    return any(one.removesuffix("__*") in ("*", rule, name, server) for one in listed)


def _is_tool(fields: Fields, key: str, word: Named) -> bool:
    if _TOOL.fullmatch(word.name):
        _tell_misspelt(fields, key, word)
        return True
    if key == "tools" and _FOREIGN.fullmatch(word.name):
        fields.warn(word.line, key, f"{shown(word.name)} is not a tool, and left out; {_FORMS}")
        return False
    fields.error(word.line, key, f"{shown(word.name)} is not a tool; {_FORMS}")
    return False


def _tell_misspelt(fields: Fields, key: str, word: Named) -> None:
    near = meant_tool(word.name)
    if near is None:
        return
    message = (
        f'{shown(word.name.split("(", 1)[0])} is no tool that is known. Did you mean "{near}"?'
    )
    if key == "disallowedTools":
        fields.error(word.line, key, message)  # it denies nothing
    else:
        fields.warn(word.line, key, message)
