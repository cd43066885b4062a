"""From what pydantic finds to what a person needs: the value, what is allowed, what was meant."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from supervisor.pool.config.lines import At
from supervisor.pool.config.problems import (
    alternatives,
    did_you_mean,
    dotted,
    nearest,
    written,
)
from supervisor.pool.config.tables import NAMED, Allowed, Config, Table


def reason(at: At, error: Mapping[str, Any]) -> str:
    """What is wrong with the key `at`, by one of the errors of a `ValidationError`."""
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(at)
        case "missing":
            return "missing"
        case "model_type" | "dict_type":
            return _no_table(at, error["input"])
    value = error["input"]
    return f"{written(value)} does not fit: {_because(at, error)}{_hint(at, value)}"


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
    return next(_notes(field)).words


def _hint(at: At, value: object) -> str:
    """What the value may have been meant to be."""
    field = fields_at(at[:-1]).get(at[-1])
    if field is None:
        return ""
    if get_origin(field.annotation) is Literal:
        meant: object = nearest(str(value), get_args(field.annotation)) if value else None
    else:
        meant = next((note.meant(value) for note in _notes(field)), None)
    return "" if meant is None or written(meant) == written(value) else did_you_mean(meant)


def _notes(field: FieldInfo) -> Iterator[Allowed]:
    # The last one is the nearest to the key.
    return (note for note in reversed(field.metadata) if isinstance(note, Allowed))


def _unknown_key(at: At) -> str:
    *table, key = at
    here = sorted(fields_at(tuple(table)))
    if homes := _homes(key):
        return f"no such key {f'in [{dotted(table)}]' if table else 'here'}; it belongs to {homes}"
    return f"no such key{did_you_mean(nearest(key, here))} (allowed: {', '.join(here)})"


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


# what is no TOML at all


def syntax_reason(text: str, line: int | None, error: Exception) -> str:
    """What is wrong where a file is no TOML, with the likely cause."""
    if isinstance(error, RecursionError):
        return "no valid TOML: it is nested too deeply"
    if "set_int_max_str_digits" in str(error):
        return "no valid TOML: a number of too many digits"
    said = re.sub(r" \(at [a-z].*\)$", "", str(error))
    said = re.sub(r"\(('.*?),?\)", lambda names: f"[{_names(names[1])}]", said)
    lines = text.split("\n")
    here = lines[line - 1] if line is not None and line <= len(lines) else ""
    return f"no valid TOML: {said[:1].lower()}{said[1:]}{_cause(text, here, said)}"


def syntax_line(text: str, error: Exception) -> int | None:
    """The line (from 1) at which `tomllib` gave up, where that can be told."""
    said = str(error)
    if match := re.search(r"at line (\d+)", said):
        return int(match[1])
    if "at end of document" in said:
        return text.rstrip("\n").count("\n") + 1
    # A number of so many digits is refused by Python itself, which knows no lines.
    digits = re.search(r"\d{4300}", text) if "digits" in said else None
    return None if digits is None else text.count("\n", 0, digits.start()) + 1


def _names(listed: str) -> str:
    return listed.replace("', '", ".").strip("'")


def _cause(text: str, line: str, said: str) -> str:
    if "overwrite a value" in said:
        return ": the key is in this table already; take one of the two out"
    if "twice" in said:
        return "; put its keys under the first one"
    if text.startswith("\ufeff"):
        return "; the file begins with a byte order mark: save it as UTF-8 without one"
    if re.match(r"\s*\[[^\]]*$", line):
        return '; a table\'s name ends with "]"'
    pair = re.match(r"""\s*[\w."'-]+\s*=\s*([^#]*)""", line)
    if pair is None:
        no_value = re.match(r"\s*([\w.-]+)\s*(:|$)", line)
        return f"; a key is written {no_value[1]} = …" if no_value else ""
    return _cause_in_value(pair[1].strip())


def _cause_in_value(value: str) -> str:
    if not value:
        return "; the value is missing"
    if value.lower() in ("true", "false"):
        return f"; write {value.lower()}"
    if value.lower() in ("none", "null", "nil"):
        return "; there is no such value: leave the key out"
    if re.fullmatch(r"[\w.+-][\w .+-]*", value) and not re.fullmatch(r"[0-9_.+-]+", value):
        return f"; texts, durations and sizes stand in quotes: {written(value)}"
    if value[0] in "\"'" and (len(value) == 1 or value[-1] != value[0]):
        return f"; the closing {value[0]} is missing, or stands in the wrong place"
    return ""
