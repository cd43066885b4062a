"""What a project's own pool.toml must not decide: a cloned folder is not its user."""

from collections.abc import Iterator
from typing import Any

from supervisor.pool.config.lines import At


def refusals(given: dict[str, Any]) -> Iterator[tuple[At, str]]:
    """The keys in a project's own file that are not its to set, each with what to do instead."""
    for at, table in _agent_tables(given):
        if table.get("permission_mode") == "bypassPermissions":
            yield (
                (*at, "permission_mode"),
                "a project's own file may not bypass permissions; "
                "where you want it, say so in ~/.config/agent-pool/pool.toml",
            )


def _agent_tables(given: dict[str, Any]) -> Iterator[tuple[At, dict[str, Any]]]:
    defaults, agents = given.get("defaults"), given.get("agents")
    if isinstance(defaults, dict) and isinstance(defaults.get("agent"), dict):
        yield ("defaults", "agent"), defaults["agent"]
    for name, table in agents.items() if isinstance(agents, dict) else ():
        if isinstance(table, dict):
            yield ("agents", name), table
