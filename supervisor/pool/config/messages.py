"""From what pydantic finds to what a person needs: the value, what is allowed, what was meant."""

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from supervisor.agents import HONOURED
from supervisor.pool.config.lines import At
from supervisor.pool.config.problems import (
    alternatives,
    did_you_mean,
    dotted,
    nearest,
    written,
)
from supervisor.pool.config.tables import NAMED, AgentTable, Config, GroupTable, Table, notes


def reason(at: At, error: Mapping[str, Any]) -> str:
    """What is wrong with the key `at`, by one of the errors of a `ValidationError`."""
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(at, error["input"])
        case "missing":
            return "missing"
        case "model_type" | "dict_type":
            return _no_table(at, error["input"])
    value = error["input"]
    because = _because(at, error)
    if isinstance(error["loc"][-1], int) and because.startswith(written(value)[:1]):
        return because  # of one item, which it names
    return f"{written(value)} does not fit: {because}{_hint(at, value)}"


def fields_at(at: At) -> Mapping[str, FieldInfo]:
    """The keys of the table `at`; none where it is no table, or one of tables."""
    table = _table_at(at)
    return {} if table is None else table.model_fields


def _because(at: At, error: Mapping[str, Any]) -> str:
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    is_item = at[-1].isdigit() and not fields_at(at[:-1])
    return "a text in quotes is expected here" if is_item else f"allowed is {_allowed(at)}"


def _allowed(at: At) -> str:
    field = fields_at(at[:-1])[at[-1]]
    if get_origin(field.annotation) is Literal:
        return alternatives(get_args(field.annotation))
    return next(notes(field)).words


def _hint(at: At, value: object) -> str:
    """What the value may have been meant to be."""
    field = fields_at(at[:-1]).get(at[-1])
    if field is None:
        return ""
    if get_origin(field.annotation) is Literal:
        meant: object = nearest(str(value), get_args(field.annotation)) if value else None
    else:
        meant = next((note.meant(value) for note in notes(field)), None)
    return "" if meant is None or written(meant) == written(value) else did_you_mean(meant)


def meant_key(at: At, value: object) -> str | None:
    """What the last part of a key that there is not may have been meant to be; None: nobody knows.

    A table is meant to be a table, and a value none.
    """
    *table, key = at
    fields = fields_at(tuple(table))
    is_elsewhere = _belongs_elsewhere(at, value) is not None
    if is_elsewhere or (not isinstance(value, dict) and _homes(key)):
        return None
    tables = {name for name in fields if _is_table((*table, name))}
    here = tables if isinstance(value, dict) else fields
    called = CALLED_OTHERWISE.get(key.casefold().replace("-", "_"))
    return called if called in here else nearest(key, here)


CALLED_OTHERWISE = {
    "env": "environment", "env_vars": "environment", "cwd": "working_directory",
    "workdir": "working_directory", "working_dir": "working_directory", "args": "extra_arguments",
    "cli": "command", "cli_path": "command", "timeout": "task_timeout", "deadline": "task_timeout",
    "task_timeout_ms": "task_timeout", "timeout_ms": "task_timeout", "workers": "replicas",
    "instances": "replicas", "concurrency": "replicas", "memory_limit": "hard_ceiling",
    "max_memory": "hard_ceiling", "memory": "hard_ceiling", "group": "supervisor",
    "allowed_tools": "tools", "denied_tools": "disallowed_tools", "max_restarts": "intensity",
    "window": "period", "max_seconds": "period", "port": "address", "host": "address",
    "listen": "address", "bind": "address", "logging": "logs",
    "add_dirs": "extra_directories", "directories": "extra_directories", "mode": "permission_mode",
    "max_retries": "retries", "memory_budget": "budget", "max_cost": "max_cost_usd",
}  # fmt: skip
"""What other programs call things, or people by heart, where the spelling is no help."""

MEMBERS = ("agents", "children", "members")
"""What nobody says of a group: each agent says it of itself."""


def _is_table(at: At) -> bool:
    return at in {(name,) for name in NAMED} or _table_at(at) is not None


def _unknown_key(at: At, value: object) -> str:
    *table, key = at
    here = sorted(fields_at(tuple(table)))
    if (elsewhere := _belongs_elsewhere(at, value)) is not None:
        return f"no such key in [{dotted(table)}]; {elsewhere}"
    homes = _homes(key)
    meant = meant_key(at, value)
    if homes and meant is None:
        return f"no such key {f'in [{dotted(table)}]' if table else 'here'}; it belongs to {homes}"
    return f"no such key{did_you_mean(meant)} (allowed: {', '.join(here)})"


def _belongs_elsewhere(at: At, value: object) -> str | None:
    """Where a key belongs that is known by its name, and is none of this table's."""
    *table, key = at
    tables = [name for name in fields_at(tuple(table)) if _is_table((*table, name))]
    is_top = isinstance(value, dict) and bool(table) and key in Config.model_fields
    if isinstance(value, dict) and is_top and nearest(key, tables) is None:
        return f"the table stands by itself: [{dotted((key, *value)[:2])}]"
    kind = _table_at(tuple(table))
    if kind is GroupTable and key in MEMBERS:
        return (
            "an agent says itself which group it is in: "
            f"supervisor = {written(at[1])} under [agents.<name>]"
        )
    if kind is AgentTable and key in _DEFINITIONS:
        return f"the agent's own file says it, in its frontmatter: {key}: …"
    return None


_DEFINITIONS = (
    frozenset(HONOURED) - {"tools", "model", "effort", "permissionMode"} - {"disallowedTools"}
)


def _homes(key: str) -> str:
    """The tables that have a key of this name, in words; empty where none has."""
    tables = {
        "[pool]": ("pool",),
        "[defaults.agent] or [agents.<name>]": ("agents", ""),
        "[defaults.supervisor] or [supervisors.<name>]": ("defaults", "supervisor"),
        "[supervisors.<name>]": ("supervisors", ""),
        "[defaults.supervisor.backoff]": ("defaults", "supervisor", "backoff"),
        "[frontend]": ("frontend",),
        "[ledger]": ("ledger",),
        "[http]": ("http",),
        "[logs]": ("logs",),
    }
    found = [name for name, at in tables.items() if key in fields_at(at)]
    # A key of every supervisor is a key of groups as well.
    return found[0] if found else ""


def _no_table(at: At, value: object) -> str:
    said = f"{written(value)} does not fit: a table is expected here"
    if isinstance(value, list):
        return f"{said}, and only one: write [{dotted(at)}], in single brackets"
    if len(at) == 2 and at[0] in NAMED:
        kind = at[0].removesuffix("s")
        if at[1] in fields_at(at):
            return (
                f"{said}, since each key of [{at[0]}] is the name of an {kind}; "
                f"what holds for every {kind} belongs to [defaults.{kind}]"
            ).replace("an supervisor", "a group")
    return f"{said}: [{dotted(at)}]"


def _table_at(at: At) -> type[Table] | None:
    table: type[Table] = Config
    if at and at[0] in NAMED:
        if len(at) == 1:
            return None
        table, at = NAMED[at[0]], at[2:]
    for key in at:
        found = table.model_fields[key].annotation if key in table.model_fields else None
        if not (isinstance(found, type) and issubclass(found, Table)):
            return None
        table = found
    return table
