"""What a project's own pool.toml must not decide: a cloned folder is not its user.

A repository must not run code, or reach beyond itself, by being opened. So these keys are left
out of a project's own file until its user trusts the project (`supervisor.pool.trust`), with a
warning that says so; everything else in the file counts at once.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from supervisor.pool.config.lines import At

_CODE = {
    "command": "choose the program that agents run",
    "extra_arguments": "choose arguments of the agent CLI",
    "environment": "hand your variables to agents",
}


def take_refused(
    given: dict[str, Any], root: Path, trusted: bool, user_file: Path
) -> list[tuple[At, str]]:
    """Take out of a project's own values what is not its to say.

    Args:
        given: what its file holds; changed.
        root: the project.
        trusted: whether its user trusts it.
        user_file: where the user may say these things.

    Returns:
        The keys that were taken out, each with why and what to do instead.
    """
    refused = [*_always_refused(given, user_file)]
    if not trusted:
        advice = (
            f'if you trust this project, run "agent-pool trust {root}", '
            f"or say it yourself in {user_file}"
        )
        for at, table in _agent_tables(given):
            for key, what in _untrusted(table, root):
                refused.append(
                    ((*at, key), f"left out: a project's own file may not {what}; {advice}")
                )
        for key in _opens(given):
            why = "left out: a project's own file may not open the pool to the network"
            refused.append((("http", key), f"{why}; {advice}"))
    for (*around, key), _ in refused:
        table = given
        for name in around:
            table = table[name]
        del table[key]
    return refused


def _always_refused(given: dict[str, Any], user_file: Path) -> Iterator[tuple[At, str]]:
    pool = given.get("pool")
    if isinstance(pool, dict) and pool.get("state_folder"):
        why = "left out: only your own file may choose where pools keep their state"
        yield ("pool", "state_folder"), f"{why}; say it in {user_file}"


def _untrusted(table: dict[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    for key, what in _CODE.items():
        if table.get(key):
            yield key, what
    if table.get("permission_mode") == "bypassPermissions":
        yield "permission_mode", "bypass permissions"
    if table.get("permission_mode") in ("acceptEdits", "auto"):
        yield "permission_mode", "take away questions that its user may want to be asked"
    if any(not _is_inside(one, root) for one in _texts(table.get("extra_directories"))):
        yield "extra_directories", "open folders outside of the project to agents"
    if any(not _is_inside(one, root) for one in _texts([table.get("working_directory")])):
        yield "working_directory", "have agents run outside of the project"


def _opens(given: dict[str, Any]) -> Iterator[str]:
    """The keys by which it would let others in."""
    table = given.get("http")
    if isinstance(table, dict):
        yield from (key for key in ("address", "allow_remote", "allowed_hosts") if table.get(key))


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _is_inside(folder: str, root: Path) -> bool:
    if "\0" in folder:
        return True  # it is no folder at all, which is told
    real = os.path.realpath(os.path.join(root, os.path.expanduser(folder)))
    return Path(real).is_relative_to(os.path.realpath(root))


def _agent_tables(given: dict[str, Any]) -> Iterator[tuple[At, dict[str, Any]]]:
    defaults, agents = given.get("defaults"), given.get("agents")
    if isinstance(defaults, dict) and isinstance(defaults.get("agent"), dict):
        yield ("defaults", "agent"), defaults["agent"]
    for name, table in agents.items() if isinstance(agents, dict) else ():
        if isinstance(table, dict):
            yield ("agents", name), table
