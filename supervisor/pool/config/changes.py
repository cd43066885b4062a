"""What differs between two configurations, in words."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from supervisor.pool.config.problems import dotted, written
from supervisor.pool.config.tables import NAMED, Config, notes


def changes_between(before: Config, after: Config) -> list[str]:
    """One line a key whose value is another: `pool.linger: "1min" → "5s"`.

    Of the table of an agent or a group only what differs from the defaults is told there: the rest
    is told of those.
    """
    old, new = dict(_values(before)), dict(_values(after))
    return [
        f"{dotted(at)}: {_shown(old, at)} → {_shown(new, at)}"
        for at in dict.fromkeys([*old, *new])
        if old.get(at, _ABSENT) != new.get(at, _ABSENT)
    ]


_ABSENT = object()


def _shown(values: dict[tuple[str, ...], Any], at: tuple[str, ...]) -> str:
    return written(values[at]) if at in values else "not said"


def _values(config: Config) -> Iterator[tuple[tuple[str, ...], Any]]:
    for table in type(config).model_fields:
        if table not in NAMED:
            yield from _flat((table,), getattr(config, table), None)
            continue
        for name, one in getattr(config, table).items():
            # That there is such a table is something, whatever it says.
            yield (table, name), {}
            default = getattr(config.defaults, table.removesuffix("s"))
            yield from _flat((table, name), one, _own(one, default))


def _own(table: BaseModel, default: BaseModel) -> set[str]:
    keys = type(table).model_fields
    return {key for key in keys if getattr(table, key) != getattr(default, key, "")}


def _flat(
    at: tuple[str, ...], table: BaseModel, only: set[str] | None
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key in type(table).model_fields:
        value = getattr(table, key)
        if only is not None and key not in only:
            continue
        if isinstance(value, BaseModel):
            yield from _flat((*at, key), value, None)
        else:
            yield (*at, key), _as_written(type(table).model_fields[key], value)


def _as_written(field: FieldInfo, value: object) -> object:
    note = next(notes(field), None)
    return value if note is None else note.value(value)
