"""The JSON Schema of pool.toml: it takes what is right, and marks what an editor can mark."""

import tomllib
from collections.abc import Iterator
from typing import Any, Final

import pytest
from jsonschema import Draft7Validator

from supervisor.pool.config.quantities import UNITS_B, UNITS_S, parse_duration, parse_size, pattern
from supervisor.pool.config.schema import json_schema
from tests.pool.config.conftest import SHIPPED
from tests.pool.config.test_mistakes import (
    DURATIONS,
    FRONTEND,
    GROUPS,
    KEYS,
    LAUNCH,
    NUMBERS,
    SIZES,
    WORDS,
    Mistake,
)
from tests.pool.config.test_shipped import keys_of_model

SCHEMA: Final = json_schema(SHIPPED)
VALIDATOR: Final = Draft7Validator(SCHEMA)

UNSEEN: Final = frozenset(
    {
        # what must hold between keys
        "a hard ceiling below the soft one",
        "a soft ceiling above the hard one that another file gives",
        "an agent's hard ceiling below everybody's soft one",
        # what a pattern cannot say, or says otherwise
        "too large",
        "a size that is too large",
        "a period of no time",
        "no number",
        "a whole number with a point",
        # what the text in a value means
        "a model of several words",
        "no tool",
        "a denied tool that there is not",
        "a variable with its value",
        "all variables",
        "an argument that has a key of its own",
        "an argument with its value in one word",
        "an argument that would break the conversation",
        "arguments without an option",
        "a command whose quotes do not match",
        "no command",
        "a state folder that is relative",
        "a name of several lines",
    }
)
"""Mistakes that only `agent-pool check` can tell."""

PARTS: Final = (DURATIONS, SIZES, NUMBERS, WORDS, KEYS, LAUNCH, FRONTEND)
VISIBLE: Final = {
    name: mistake for part in PARTS for name, mistake in part.items() if name not in UNSEEN
}


def wrong(text: str) -> list[str]:
    """The keys that an editor marks."""
    return [
        ".".join(map(str, error.absolute_path)) for error in VALIDATOR.iter_errors(_parsed(text))
    ]


def _parsed(text: str) -> Any:
    return tomllib.loads(text)


def test_it_is_a_valid_schema_that_names_its_draft() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_the_shipped_file_fits() -> None:
    assert wrong(SHIPPED.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[pool]\n",
        '[agents.x]\nmodel = "opus"\ntools = []\n[agents."my agent"]\nsupervisor = "g"\n',
        '[supervisors.g]\nparent = ""\nbackoff.initial = "1.5 s"\n',
    ],
)
def test_a_part_of_a_file_fits(text: str) -> None:
    assert wrong(text) == []


@pytest.mark.parametrize("name", VISIBLE)
def test_what_is_wrong_by_itself_is_marked(name: str) -> None:
    mistake: Mistake = VISIBLE[name]

    assert wrong(mistake.text)


def test_what_is_left_to_the_check_is_among_the_mistakes() -> None:
    assert {name for part in PARTS for name in part} >= UNSEEN


def test_names_of_groups_that_are_paths_are_marked() -> None:
    assert wrong(GROUPS["a group's name with a slash"].text)
    assert wrong(GROUPS["a group without a name"].text)


def properties(at: str = "", schema: Any = SCHEMA) -> Iterator[tuple[str, Any]]:
    for key, value in schema["properties"].items():
        name = value.get("$ref", "").rpartition("/")[2]
        if name:
            yield from properties(f"{at}{key}.", SCHEMA["definitions"][name])
        elif key not in ("agents", "supervisors"):
            yield f"{at}{key}", value


def test_every_key_is_there_with_its_explanation_and_its_default() -> None:
    found = dict(properties())
    shipped = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))

    assert sorted(found) == sorted(keys_of_model())
    for key, value in found.items():
        said: Any = shipped
        for part in key.split("."):
            said = said[part]
        assert len(value["description"]) > 5, key
        assert value["default"] == said, key


@pytest.mark.parametrize("text", ["1s", "1.5 h", "0ms", "30min", "1d", "1S", "s", "1 week", ""])
def test_a_duration_fits_the_schema_where_the_pool_takes_it(text: str) -> None:
    marked = Draft7Validator({"pattern": pattern(UNITS_S)}).is_valid(text)

    assert marked == takes(parse_duration, text)


@pytest.mark.parametrize("text", ["1B", "1.5 GiB", "0kB", "1gib", "MiB", "1 TB", "1,5GiB"])
def test_a_size_fits_the_schema_where_the_pool_takes_it(text: str) -> None:
    assert Draft7Validator({"pattern": pattern(UNITS_B)}).is_valid(text) == takes(parse_size, text)


def takes(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True
