"""Where in a TOML text a key or a value stands. `tomllib` tells values, and no places."""

import re
from contextlib import suppress

At = tuple[str, ...]
"""A key with the tables around it; the items of a list are numbered from "0"."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_VALUE = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'" r"|[^\s,\]}#]+(?: [0-9][^\s,\]}#]*)?",
    re.DOTALL,
)  # fmt: skip
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|([btnfre"\\]))')
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def locate(text: str) -> dict[At, int]:
    """The line (from 1) of each key and list item of a valid TOML text.

    Of a key that is written in several places (a table that is opened by its own header and by
    one below it) it is the first. Of a text that is no TOML it is whatever can be told.
    """
    scanner = _Scanner(text)
    with suppress(_Lost, RecursionError):  # the rest has no places
        scanner.document()
    return scanner.found


class _Lost(Exception):  # noqa: N818 - a turn of the scan, told to nobody
    """Here stands something that cannot stand in a valid text."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.found: dict[At, int] = {}
        self._text = text
        self._at = 0
        self._line = 1

    def document(self) -> None:
        table: At = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._takes("["):
                is_array = self._takes("[")
                table = self._key(())
                self._expect("]]" if is_array else "]")
            else:
                self._pair(table)
            self._skip_blank()

    def _pair(self, table: At) -> None:
        here = self._key(table)
        self._expect("=")
        self._skip_blank()
        self._value(here)

    def _key(self, table: At) -> At:
        here = table
        while True:
            word = self._match(_KEY)
            here = (*here, _plain(word.strip()))
            self.found.setdefault(here, self._line)
            if not self._takes("."):
                return here

    def _value(self, here: At) -> None:
        if self._takes("{"):
            self._inline_table(here)
        elif self._takes("["):
            self._array(here)
        else:
            self._match(_VALUE)

    def _inline_table(self, here: At) -> None:
        self._skip_blank()
        while not self._takes("}"):
            self._pair(here)
            self._skip_blank()
            if self._takes(","):
                self._skip_blank()

    def _array(self, here: At) -> None:
        number = 0
        self._skip_blank()
        while not self._takes("]"):
            self.found.setdefault((*here, str(number)), self._line)
            self._value((*here, str(number)))
            number += 1
            self._skip_blank()
            if self._takes(","):
                self._skip_blank()

    # the text

    def _skip_blank(self) -> None:
        self._match(_BLANK)

    def _takes(self, word: str) -> bool:
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        return True

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise _Lost

    def _match(self, what: re.Pattern[str]) -> str:
        match = what.match(self._text, self._at)
        if match is None:
            raise _Lost
        self._at = match.end()
        self._line += match[0].count("\n")
        return match[0]


def _plain(word: str) -> str:
    """A key without its quotes."""
    if word.startswith("'"):
        return word[1:-1]
    return _ESCAPE.sub(_character, word[1:-1]) if word.startswith('"') else word


def _character(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _ESCAPED.get(match[4], match[4])
