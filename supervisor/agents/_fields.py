"""Typed values out of one frontmatter, each mistake noted with its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ._finding import Finding, did_you_mean, shown
from ._frontmatter import Frontmatter, Value


@dataclass(frozen=True, slots=True)
class Named:
    """A word of a list, as the frontmatter has it: a skill, a tool, a server."""

    name: str
    line: int


@dataclass(slots=True)
class Fields:
    """Reads one frontmatter key by key; notes every finding, stops at none."""

    path: Path
    frontmatter: Frontmatter
    findings: list[Finding] = field(default_factory=list)

    def value(self, key: str) -> Value | None:
        """What stands behind a key; None when the key is not there or has nothing behind it."""
        value = self.frontmatter.values.get(key)
        return None if value is None or value.kind == "nothing" else value

    def text(self, key: str) -> str | None:
        """The text of a key; None when it is not there, empty or wrong."""
        value = self.value(key)
        if value is None:
            return None
        if value.kind != "text":
            written = "…" if value.items or value.entries or not value.text else value.text
            self._wrong_type(key, value, f'text; in quotes if need be: {key}: "{written}"')
            return None
        return value.text.strip() or None

    def words(self, key: str) -> tuple[Named, ...] | None:
        """The words of a YAML list or of a text with commas; None when the key is not there."""
        value = self.frontmatter.values.get(key)
        if value is None:
            return None
        if value.kind == "nothing":
            self.warn(value.line, key, "is empty and ignored; for none of them write []")
            return None
        if value.kind == "text":
            return self._once(key, (Named(w, value.line) for w in _split_words(value.text)))
        if value.kind == "list":
            return self._once(key, self._items(key, value))
        self._wrong_type(key, value, f"a list, [a, b], or a text with commas: {key}: a, b")
        return None

    def choice(self, key: str, allowed: Sequence[str]) -> str | None:
        """One of the words that are allowed; anything else is ignored with a warning."""
        value = self.value(key)
        if value is None:
            return None
        word = value.text.strip()
        if value.items or value.entries or word.casefold() not in allowed:
            self._ignored(key, value, ", ".join(allowed), did_you_mean(word, allowed))
            return None
        return word.casefold()

    def count(self, key: str) -> int | None:
        """A whole number above 0; anything else is ignored with a warning."""
        value = self.value(key)
        if value is None:
            return None
        digits = value.text.strip() if value.kind in ("number", "text") else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 9 and int(digits) > 0):
            self._ignored(key, value, "a whole number above 0")
            return None
        return int(digits)

    def flag(self, key: str) -> bool:
        """Whether a key is true; anything but true and false is ignored with a warning."""
        value = self.value(key)
        if value is None:
            return False
        word = value.text.strip().casefold()
        if value.kind not in ("true/false", "text") or word not in ("true", "false"):
            self._ignored(key, value, "true or false")
            return False
        return word == "true"

    def error(self, line: int | None, key: str | None, message: str) -> None:
        """Note what stops the agent."""
        self.findings.append(Finding(self.path, line, key, message, "error"))

    def warn(self, line: int | None, key: str | None, message: str) -> None:
        """Note what stops nothing."""
        self.findings.append(Finding(self.path, line, key, message, "warning"))

    def line(self, key: str) -> int | None:
        """The line of a key."""
        value = self.frontmatter.values.get(key)
        return value.line if value else None

    def is_wrong(self, key: str) -> bool:
        """Whether what ought to be text is something else."""
        value = self.value(key)
        return value is not None and value.kind != "text"

    def _items(self, key: str, value: Value) -> Iterable[Named]:
        for item in value.items:
            if item.kind == "text" and item.text.strip():
                yield Named(item.text.strip(), item.line)
            elif item.kind in ("text", "nothing"):
                self.error(item.line, key, "an item is empty; give it a name or remove its line")
            else:
                self._wrong_type(key, item, "text, in quotes if need be")

    def _once(self, key: str, words: Iterable[Named]) -> tuple[Named, ...]:
        kept: dict[str, Named] = {}
        for word in words:
            if word.name in kept:
                self.warn(word.line, key, f"{shown(word.name)} is listed twice; remove one")
            kept.setdefault(word.name, word)
        return tuple(kept.values())

    def _wrong_type(self, key: str, value: Value, allowed: str) -> None:
        message = f"{_given(value)} is not allowed; it must be {allowed}"
        self.error(value.line, key, message)

    def _ignored(self, key: str, value: Value, allowed: str, hint: str = "") -> None:
        self.warn(value.line, key, f"{_given(value)} is ignored; allowed: {allowed}.{hint}")


def _given(value: Value) -> str:
    if value.kind in ("list", "mapping"):
        return value.text
    return shown(value.text) + ("" if value.kind == "text" else f" ({value.kind})")


def _split_words(text: str) -> Iterable[str]:
    """The words between commas and blanks; `Bash(git log:*, git diff:*)` stays one word."""
    word, depth = "", 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth <= 0 and (character == "," or character.isspace()):
            if word:
                yield word
            word = ""
        else:
            word += character
    if word:
        yield word
