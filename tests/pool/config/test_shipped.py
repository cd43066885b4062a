"""The shipped pool.toml: every key, with its default and an explanation."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from supervisor.pool.config import Config
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


def test_without_files_the_shipped_one_holds(files: Files) -> None:
    config = files.load()

    assert config.pool.linger == 60
    assert config.defaults.supervisor.intensity == 5
    assert config.logs.max_size == 10 * 2**20
