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
    return bool(_names(definition.tools) & {*_DELEGATING} - {*definition.disallowed_tools})


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


def left_without_tools(
    definition: AgentDefinition, others: Iterable[AgentDefinition]
) -> tuple[str, ...]:
    """The agents that it may hand work to, and that would have no tool in its hands.

    A sub-agent has those of its tools that the agent which calls it has, too. Without any, some
    versions of the CLI run it all the same, 2.1.332 refuses it (measured).
    """
    own = _names(definition.tools) - {*definition.disallowed_tools}
    if not can_delegate(definition) or "*" in own:
        return ()
    named = {one for tool in definition.tools or () for one in _sub_agents_named(tool)}
    return tuple(
        other.name
        for other in others
        if other.origin in ("user", "project")
        and other.name != definition.name
        and (not named or other.name in named)
        and other.tools
        and not _names(other.tools) & {*own, "*"}
    )


def _names(tools: Iterable[str] | None) -> set[str]:
    return {tool.split("(", 1)[0] for tool in tools or ()}


def _sub_agents_named(tool: str) -> list[str]:
    """`Agent(one, two)` is the tool for these alone."""
    name, _, inner = tool.removesuffix(")").partition("(")
    return [one.strip() for one in inner.split(",")] if name in _DELEGATING and inner else []
