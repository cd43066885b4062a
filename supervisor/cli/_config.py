"""`config` and `schema`: what a pool would be configured with, and what pool.toml may hold."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from supervisor.cli._manual import MISUSED
from supervisor.place import VARIABLES, built_in
from supervisor.pool.config import ConfigError, ConfigFiles, Loaded
from supervisor.pool.config.problems import dotted, written
from supervisor.pool.config.tables import NAMED

COLUMN = 50
"""Where the origin of a value begins, if the value leaves room."""

DEFAULT = "default"
"""The origin of what no file says."""

_OVERRIDDEN = {"task_timeout": "TASK_TIMEOUT_MS", "command": "CLAUDE_CLI"}
"""Keys of agents that a variable comes before."""


def schema() -> int:
    """Print the JSON Schema of pool.toml; returns 0."""
    from supervisor.pool.config.schema import json_schema

    print(json.dumps(json_schema(_shipped()), indent=2))
    return 0


def config(root: str, environ: Mapping[str, str], as_json: bool) -> int:
    """Print each value and where it comes from; 2 where the configuration is wrong.

    Args:
        root: the project.
        environ: what a pool would be started with.
        as_json: print one JSON object.
    """
    files = ConfigFiles.find(Path(root), environ, _shipped())
    try:
        loaded = files.read()
    except ConfigError as error:
        problems = [str(one) for one in (*error.problems, *error.warnings)]
        if as_json:
            wrong = {"error": "; ".join(problems), "code": "config_invalid", "problems": problems}
            print(json.dumps({**wrong, "root": root, "files": _files(files)}))
        else:
            sys.stderr.write("\n".join((*problems, "")))
        return MISUSED
    values = list(_values(loaded, environ))
    warnings = [str(one) for one in loaded.warnings]
    variables = {name: environ[name] for name in VARIABLES if environ.get(name)}
    if as_json:
        facts: dict[str, Any] = {"root": root, "files": _files(files), "variables": variables}
        facts["values"] = {
            dotted(at): {"value": value, "from": origin} for at, value, origin in values
        }
        print(json.dumps(facts | {"warnings": warnings}, default=str))
        return 0
    print("\n".join(_text(files, variables, values, warnings)))
    return 0


def _shipped() -> Path:
    return Path(built_in()) / "config" / "pool.toml"


def _files(files: ConfigFiles) -> list[dict[str, Any]]:
    return [{"path": str(path), "exists": path.exists()} for path in files.all]


_Value = tuple[tuple[str, ...], object, str]
"""A key, its value as it was written, and where."""


def _values(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[_Value]:
    """Every value that holds, the agents' and groups' complete."""
    dumped = loaded.config.model_dump()
    for at in _keys(dumped):
        value, origin = loaded.layers.value(at), str(loaded.origin(at))
        if at[0] == "agents" or at[:2] == ("defaults", "agent"):
            name = _OVERRIDDEN.get(at[-1], "")
            if environ.get(name):
                value = f"{environ[name]}ms" if name == "TASK_TIMEOUT_MS" else environ[name]
                origin = f"${name}"
        if value is None:  # a group's parent, which has no default in any file
            value, origin = "", DEFAULT
        yield at, value, origin


def _keys(table: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _keys(value, (*at, key))
        else:
            yield (*at, key)


def _text(
    files: ConfigFiles, variables: dict[str, str], values: list[_Value], warnings: list[str]
) -> Iterator[str]:
    """As a pool.toml that would do the same, each value with its origin as a comment."""
    yield "# What a pool that is started here would have; the first of these files decides:"
    yield from (f"#   {path}{'' if path.exists() else ' (not there)'}" for path in files.all)
    yield from (f"# ${name} = {written(value)}" for name, value in variables.items())
    yield from (f"# warning: {warning}" for warning in warnings)
    defaults = {at: origin for at, _, origin in values if at[0] == "defaults"}
    table: tuple[str, ...] = ()
    for at, value, origin in values:
        around = at[:2] if at[0] in NAMED else at[:-1]
        if around != table:
            table = around
            yield f"\n[{dotted(table)}]"
        inherited = defaults.get(("defaults", at[0].removesuffix("s"), *at[2:]), DEFAULT)
        if at[0] in NAMED and origin == inherited:
            continue  # it is above already
        where = "built in" if origin.startswith(str(files.built_in)) else origin
        said = f"{dotted(at[len(table) :])} = {_whole(value)}"
        yield f"{said:<{COLUMN}} # {where}"


def _whole(value: object) -> str:
    return (
        json.dumps(value, ensure_ascii=False) if isinstance(value, str | list) else written(value)
    )
