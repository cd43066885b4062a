"""The shipped pool.toml: every key, with its default and an explanation."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from supervisor.pool.config import AgentTable, Config, GroupTable, LogsTable, SupervisorTable
from supervisor.pool.config.lines import locate
from tests.pool.config.conftest import SHIPPED, Files

TEXT: Final = SHIPPED.read_text(encoding="utf-8")


def keys_of_model(table: type[BaseModel] = Config, at: str = "") -> Iterator[str]:
    for name, field in table.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys_of_model(kind, f"{at}{name}.")
        elif name not in ("agents", "supervisors"):  # tables of tables, under the user's names
            yield f"{at}{name}"


def keys_of_toml(table: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from keys_of_toml(value, f"{at}{name}.")
        else:
            yield f"{at}{name}"


def test_the_shipped_file_holds_every_key_of_the_model_and_no_other() -> None:
    assert sorted(keys_of_toml(tomllib.loads(TEXT))) == sorted(keys_of_model())


def test_every_key_of_the_shipped_file_is_explained() -> None:
    """In its own line, or in a comment that goes on right below it."""
    lines = TEXT.split("\n")
    keys = {at: line for at, line in locate(TEXT).items() if ".".join(at) in keys_of_model()}

    assert len(keys) > 40
    for at, line in keys.items():
        _, _, comment = lines[line - 1].partition(" # ")
        below = lines[line].strip()
        assert len(comment) > 8 or below.startswith("# "), at


def test_the_keys_that_only_groups_have_are_shown_in_the_example() -> None:
    own = GroupTable.model_fields.keys() - SupervisorTable.model_fields.keys()

    assert own == {"parent"}
    assert re.search(r'^# parent = ""  .*# ', TEXT, re.MULTILINE)


def test_each_word_that_a_key_may_hold_is_in_the_shipped_file() -> None:
    words = [
        word
        for table in (AgentTable, SupervisorTable, LogsTable)
        for field in table.model_fields.values()
        if get_origin(field.annotation) is Literal
        for word in get_args(field.annotation)
    ]

    assert words
    assert [word for word in words if word not in TEXT] == []


def test_without_files_the_shipped_one_holds(files: Files) -> None:
    config = files.load()

    assert config.pool.linger == 60
    assert config.defaults.supervisor.intensity == 5
    assert config.logs.max_size == 10 * 2**20
