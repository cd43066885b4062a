"""What is told of uses of tools that were refused, and of what would allow them.

Who could allow it depends: on the CLI's rules, which the agent's file can extend, or on a person.
"""

from collections.abc import Iterator, Sequence

from supervisor.agents import AgentDefinition, covers
from supervisor.pool.permission import DENIED, IN_BACKGROUND, rule_for
from supervisor.protocol import Denial


def told_denials(denials: Sequence[Denial], agent: AgentDefinition | None) -> Iterator[str]:
    """A line about those that rules refused, and one about those that a person was to decide.

    `agent` is the definition of who wanted to use them; None: there is none any more.
    """
    ruled = [one for one in denials if not one.reason]
    asked = [one for one in denials if one.reason]
    if ruled:
        uses = "; ".join(map(_use, ruled))
        yield f"Refused for lack of permission: {uses}. {_advice(agent, ruled)}"
    if asked:
        uses = "; ".join(f"{_use(one)}: {one.reason}" for one in asked)
        yield f"Refused: {uses}.{_advice_if_asked(agent, asked)}"


def _advice(agent: AgentDefinition | None, ruled: list[Denial]) -> str:
    """What to do about refusals by the CLI's rules."""
    tools = list(dict.fromkeys(one.tool for one in ruled))
    # What it has without a list is used by its permission mode; what is listed, it may use.
    listed = (agent and agent.tools) or ()
    missing = [tool for tool in tools if not covers(listed, tool)]
    if not missing:
        return (
            f"It has {', '.join(tools)} already, so something else forbids it: the permission "
            f"mode, or a rule of {_where(agent)} or of Claude Code's settings."
        )
    rules = ", or only rules, such as Bash(git log:*)" if "Bash" in missing else ""
    return f"To allow it, list {', '.join(missing)} under `tools:` in {_where(agent)}{rules}."


def _advice_if_asked(agent: AgentDefinition | None, asked: list[Denial]) -> str:
    """The same about uses of which a person was to decide; what was denied stays denied."""
    unanswered = [one for one in asked if one.reason != DENIED]
    if not unanswered:
        return ""
    rules = ", ".join(dict.fromkeys(rule_for(one.tool) for one in unanswered))
    waits = any(IN_BACKGROUND in one.reason for one in unanswered)
    return (
        f"{' A task that invoke waits for is asked about.' if waits else ''}"
        f" To allow such uses unasked, list a rule under `tools:` in {_where(agent)}, such as "
        f"{rules}, or choose another permission_mode."
    )


def _where(agent: AgentDefinition | None) -> str:
    """The file to be changed."""
    if agent is None:
        return "its definition"
    if agent.origin == "built-in":  # an update would put back what was changed there
        return f"a copy of {agent.source} in the project's .claude/agents/"
    return str(agent.source)


def _use(one: Denial) -> str:
    return f"{one.tool} ({one.detail})" if one.detail else one.tool
