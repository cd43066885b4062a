"""Which agents cannot change anything, by their definition: those that may be consulted.

What counts is what the agent can use, not what it is told. Each use of a tool that changes files,
runs programs or reaches another system may have effects, and so may everything that runs code
beside the model: hooks, MCP servers, sub-agents, arguments that nobody knows here.
"""

from collections.abc import Iterator

from supervisor.pool.launch import Role
from supervisor.pool.outcome import PoolError, TaskError

READING_TOOLS = frozenset(
    {
        "Glob", "Grep", "LS", "NotebookRead", "Read",
        # They fetch, and send no more than an address or a query.
        "WebFetch", "WebSearch",
        # The CLI's list of what it still has to do in this very task.
        "TaskCreate", "TaskGet", "TaskList", "TaskUpdate", "TodoRead", "TodoWrite",
    }
)  # fmt: skip
"""Tools of Claude Code that change nothing but what the agent itself knows. What is not among them
changes something: Bash with any rule, LSP (it starts language servers, which build), Skill and
SlashCommand (they may run commands), and every tool that is not known."""

HARMLESS_ARGUMENTS = frozenset({"--fallback-model", "--append-system-prompt", "--betas"})
"""Further arguments of the CLI that give an agent nothing to change things with."""


def ways_to_change(role: Role) -> list[str]:
    """What an agent could change something by, in words; empty: it can only read."""
    return list(_ways(role))


def check_only_reads(role: Role) -> None:
    """Refuse an agent that could change something.

    Raises:
        PoolError: `agent_may_change`, with everything by which it could.
    """
    ways = ways_to_change(role)
    if ways:
        raise PoolError(
            TaskError(
                "agent_may_change",
                f'the agent "{role.name}" can do more than read: {"; ".join(ways)}.',
                "Use invoke for it, or list only tools that read, such as Read, Glob and Grep, "
                f"under `tools:` in its definition ({role.source}).",
                {"ways_to_change": ways},
            )
        )


def _ways(role: Role) -> Iterator[str]:
    listed = role.usual_tools if role.tools is None else role.tools
    if "*" in listed:
        yield "every tool"
    elif changing := _changing(listed, role.disallowed_tools):
        yield f"the tools {', '.join(changing)}"
    if role.mcp_servers:
        yield f"the MCP servers {', '.join(one.name for one in role.mcp_servers)}"
    if role.hooks is not None:
        yield "its hooks"
    if role.mode == "bypassPermissions":
        yield "permission_mode = bypassPermissions"
    if unknown := _unknown(role.extra_arguments):
        yield f"extra_arguments {', '.join(unknown)}"


def _changing(listed: tuple[str, ...], denied: tuple[str, ...]) -> list[str]:
    """By name, each once. A rule such as `Bash(rm:*)` denies some uses, not the tool."""
    names = dict.fromkeys(tool.split("(", 1)[0].strip() for tool in listed)
    return [name for name in names if name not in READING_TOOLS and name not in denied]


def _unknown(arguments: tuple[str, ...]) -> list[str]:
    options = (word.split("=", 1)[0] for word in arguments if word.startswith("-"))
    return [option for option in options if option not in HARMLESS_ARGUMENTS]
