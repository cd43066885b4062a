"""Where the keys of a TOML text stand."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from supervisor.pool.config.lines import locate
from tests.pool.config.conftest import SHIPPED

KEYS = st.text("ab-_1", min_size=1, max_size=3) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=4
).map(lambda text: json.dumps(text).replace("\x7f", "\\u007f"))
TEXTS = st.sampled_from(['"a"', "'#'", '"\\""', '"""\n[x]\ny = 1"""', "'''a\n'b'''", '""""a""""'])
SIMPLE = TEXTS | st.sampled_from(["1", "true", "1.5", "1979-05-27 07:32:00Z", "07:32:00", "-inf"])
GAPS = st.sampled_from(["", " ", "\n", " # ] } '\n", "\r\n"])


@st.composite
def values(draw: st.DrawFn, depth: int = 3) -> str:
    if not depth or draw(st.booleans()):
        return draw(SIMPLE)
    if draw(st.booleans()):
        gap = draw(GAPS)
        items = draw(st.lists(values(depth - 1), max_size=3))
        return "[" + f",{gap}".join([gap + item + gap for item in items]) + "]"
    pairs = draw(st.dictionaries(KEYS, values(depth - 1), max_size=3))
    return "{ " + ", ".join(f"{key} = {value}" for key, value in pairs.items()) + " }"


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = []
    for header in draw(st.lists(st.tuples(KEYS, KEYS), unique=True, max_size=3)):
        lines.append(f"[{' . '.join(header)}] # [none]")
        pairs = draw(st.dictionaries(KEYS, values(), max_size=3))
        lines += [f"{key} = {value}" for key, value in pairs.items()]
    return draw(st.sampled_from(["\n", "\n\n", "\r\n"])).join(lines)


def paths(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, below in items:
        yield (*at, str(key))
        yield from paths(below, (*at, str(key)))


@given(documents())
def test_every_key_and_item_of_any_valid_text_has_a_line(text: str) -> None:
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # two spellings of one key

    assert set(paths(parsed)) == set(locate(text))


def test_the_line_is_that_of_the_key() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    lines = text.split("\n")

    keys = {at: line for at, line in locate(text).items() if not at[-1].isdigit()}
    assert all(at[-1] in lines[line - 1] for at, line in keys.items())


def test_of_a_key_in_several_places_it_is_the_first() -> None:
    assert locate("[a.b]\nx = 1\n[a]\ny = 1\n") == {
        ("a",): 1,
        ("a", "b"): 1,
        ("a", "b", "x"): 2,
        ("a", "y"): 4,
    }


def test_items_have_lines_of_their_own() -> None:
    found = locate('x = [\n  "a",\n  # none\n  "b",\n]\n')

    assert found == {("x",): 1, ("x", "0"): 2, ("x", "1"): 4}


@given(st.text())
def test_of_what_is_no_toml_it_tells_what_it_can(text: str) -> None:
    assert all(line >= 1 for line in locate(text).values())
