"""The examples of docs/supervision.md run, and print what the page says.

They build on each other: all are executed in one namespace, from the top of the page to its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "supervision.md"
EXAMPLE = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Example:
    line: int
    """Of its first line of code, counted from 0."""
    code: str
    output: str


def examples() -> Iterator[Example]:
    text = PAGE.read_text(encoding="utf-8")
    for found in EXAMPLE.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        yield Example(line, found["code"], found["output"] or "")


def test_the_examples_of_the_page_print_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, object] = {"__name__": "supervision"}
    for example in examples():
        # The empty lines make a traceback point at the line of the page.
        exec(compile("\n" * example.line + example.code, str(PAGE), "exec"), namespace)
        printed = capsys.readouterr().out
        assert printed == example.output, f"docs/supervision.md, line {example.line + 1}"


def test_every_block_of_python_and_of_output_is_taken() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = list(examples())
    assert len(found) == text.count("```python")
    assert len([example for example in found if example.output]) == text.count("```text")
    assert len(found) > 10
