"""Handing work to the CLI's own sub-agents, in a project that is not trusted.

The CLI finds `.claude/agents` by itself where it reads the project's settings. Where it must not,
an agent that has the tool `Agent` (once `Task`) is told of the project's agents, each without what
would run code: version 2.1.197 runs the hooks of such a file whether the project is trusted or not
(measured). The user's own agents the CLI finds in any case.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ._records import AgentDefinition

_DELEGATING = ("Agent", "Task", "*")


def can_delegate(definition: AgentDefinition) -> bool:
    """Whether an agent has the tool that hands work to a sub-agent."""
    listed = {tool.split("(", 1)[0] for tool in definition.tools or ()}
    return bool(listed & {*_DELEGATING} - {*definition.disallowed_tools})


def sub_agents(definitions: Iterable[AgentDefinition]) -> str | None:
    """These agents as the CLI takes them, as JSON; None: there are none."""
    offered = {one.name: _offered(one) for one in definitions if one.description}
    return json.dumps(offered, sort_keys=True) if offered else None


def _offered(one: AgentDefinition) -> dict[str, object]:
    given = {
        "tools": None if one.tools is None or "*" in one.tools else list(one.tools),
        "disallowedTools": list(one.disallowed_tools) or None,
        "model": one.model,
        "effort": one.effort,
        "maxTurns": one.max_turns,
    }
    kept = {key: value for key, value in given.items() if value is not None}
    return {"description": one.description, "prompt": one.system_prompt, **kept}
