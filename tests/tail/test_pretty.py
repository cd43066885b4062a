"""How a line looks to a person."""

import json
import time
from collections.abc import Iterator

import pytest

from supervisor.cli._tail import pretty
from supervisor.logs import LogLine


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local zone is two hours ahead, by a rule that needs no files."""
    monkeypatch.setenv("TZ", "XYZ-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(colour: bool = False, **record: object) -> str:
    return pretty(LogLine.of(json.dumps(record).encode()), colour)


@pytest.mark.usefixtures("berlin")
def test_a_line_shows_local_time_level_agent_event_and_the_fields() -> None:
    line = shown(
        pid=7,
        line="it is late",
        agent="scout",
        event="stderr_line",
        level="info",
        timestamp="2026-03-31T22:30:01.234567Z",
    )

    expected = "2026-04-01 00:30:01.234 info    scout            stderr_line"
    assert line == f'{expected} pid=7 line="it is late"'


def test_what_a_line_does_not_tell_is_a_dash() -> None:
    assert shown(event="pool_started").split() == ["-", "-", "-", "pool_started"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("word", "f=word"),
        ("", 'f=""'),
        ('say "a"', 'f="say \\"a\\""'),
        ("ü", "f=ü"),
        (True, "f=true"),
        (0.123456789, "f=0.1235"),
        (1234567.25, "f=1234567.25"),
        ({"a": [1]}, 'f={"a": [1]}'),
        ("\x1b[31m", "f=\\x1b[31m"),
    ],
)
def test_values_stand_as_briefly_as_they_can(value: object, text: str) -> None:
    assert shown(event="e", f=value).endswith(f" e {text}")


def test_a_text_of_several_lines_stands_below() -> None:
    line = shown(event="fault", exception="Traceback:\n  File\nValueError", pid=7)

    assert line.split("\n")[1:] == [
        "    exception:",
        "      Traceback:",
        "        File",
        "      ValueError",
    ]
    assert line.split("\n")[0].endswith("fault pid=7")


def test_a_line_that_is_no_json_is_shown_as_it_is() -> None:
    assert pretty(LogLine.of(b"Fatal: out of memory \xc3\xa9"), True) == "Fatal: out of memory é"


def test_nothing_that_an_agent_printed_reaches_the_terminal_as_a_command() -> None:
    evil = "\x1b]0;title\x07\x9b2J\r\u202e"
    line = shown(True, event=evil, agent=evil, level=evil, timestamp=evil, **{evil: evil})
    line += pretty(LogLine.of(evil.encode()), True)

    ours = line.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "")
    assert ours.isprintable()


def test_colour_shows_the_level() -> None:
    assert "\x1b[31merror  \x1b[0m" in shown(True, event="e", level="error")
    assert "\x1b" not in shown(False, event="e", level="error")
