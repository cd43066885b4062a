"""The JSON Schema of pool.toml, for editors: made of the tables, so that the two cannot differ.

Draft 7, which every editor knows. It holds what a key may be by itself; what must hold between
keys, and what a project's own file may not say, is for `agent-pool check`.
"""

import ast
import inspect
import tomllib
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from supervisor.pool.config import tables
from supervisor.pool.config.tables import NAMED, Config

DRAFT = "http://json-schema.org/draft-07/schema#"


def json_schema(built_in: Path) -> dict[str, Any]:
    """The schema of a pool.toml, in which every key may be left out.

    Args:
        built_in: the file that holds every key with its default.
    """
    schema = Config.model_json_schema(ref_template="#/definitions/{model}", schema_generator=_Plain)
    definitions: dict[str, Any] = schema.pop("$defs")
    documented = _documentation()
    for name, table in {"Config": schema, **definitions}.items():
        table.pop("required", None)
        for key, value in table["properties"].items():
            value["description"] = documented[name].get(key, "")
    _set_defaults(definitions, tomllib.loads(built_in.read_text(encoding="utf-8")))
    for key in NAMED:
        schema["properties"][key]["propertyNames"] = {"pattern": r"^[^\s./\\-][^/\\]*$"}
    about = {"title": "pool.toml of agent-pool", "description": "How the pool behaves."}
    return {"$schema": DRAFT, **schema, **about, "definitions": definitions}


class _Plain(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title that repeats the key tells nobody anything."""
        return False


def _set_defaults(definitions: dict[str, Any], values: dict[str, Any]) -> None:
    defaults = values["defaults"]
    tables_of = {
        "PoolTable": values["pool"],
        "FrontendTable": values["frontend"],
        "HttpTable": values["http"],
        "LedgerTable": values["ledger"],
        "LogsTable": values["logs"],
        "AgentTable": defaults["agent"],
        "SupervisorTable": defaults["supervisor"],
        "GroupTable": defaults["supervisor"],
        "BackoffTable": defaults["supervisor"]["backoff"],
    }
    for name, said in tables_of.items():
        for key, value in definitions[name]["properties"].items():
            if key in said and not isinstance(said[key], dict):
                value["default"] = said[key]


def _documentation() -> dict[str, dict[str, str]]:
    """The text below each key of each table, with those of the tables that it is made of."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(tables)).body:
        if isinstance(node, ast.ClassDef):
            inherited = [
                found.get(base.id, {}) for base in node.bases if isinstance(base, ast.Name)
            ]
            found[node.name] = {key: text for one in inherited for key, text in one.items()}
            found[node.name] |= _texts_below(node)
    return found


def _texts_below(table: ast.ClassDef) -> dict[str, str]:
    return {
        key.target.id: " ".join(text.value.value.split())
        for key, text in zip(table.body, table.body[1:], strict=False)
        if isinstance(key, ast.AnnAssign)
        and isinstance(key.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
