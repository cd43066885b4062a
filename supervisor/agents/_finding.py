"""What is wrong with a definition, and where."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one file. An error stops the agent; a warning does not.

    `str(finding)` is `path:line: key: message`, without the parts that are not known.
    """

    path: Path
    """The file to open in order to repair it: the agent's, a skill's or an expertise's."""
    line: int | None
    """Counted from 1 in the file (not in the frontmatter); None: the file as a whole."""
    key: str | None
    """The frontmatter key concerned, if one is."""
    message: str
    """What is wrong with which value, what is allowed, what to do next."""
    severity: Severity

    def __str__(self) -> str:
        path = os.fsencode(self.path).decode("utf-8", "replace")
        place = path if self.line is None else f"{path}:{self.line}"
        key = "" if self.key is None else f"{_visible(self.key)}: "
        return f"{place}: {key}{self.message}"

    @property
    def is_error(self) -> bool:
        """Whether it stops the agent."""
        return self.severity == "error"


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings by file and line, each once."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda f: (str(f.path), f.line or 0)))


def closest(word: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to `count` of the known words that `word` may have been meant to be, best first."""
    spellings = {candidate.casefold(): candidate for candidate in sorted(known)}
    found = difflib.get_close_matches(word.casefold(), spellings, n=count, cutoff=0.7)
    return tuple(spellings[spelling] for spelling in found)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`' Did you mean "x"?'`, or nothing when no known word is near."""
    near = closest(word, known, count=1)
    return f" Did you mean {shown(near[0])}?" if near else ""


def shown(value: str) -> str:
    """A value as a message shows it: one line, quoted, unprintable characters escaped, cut."""
    return f'"{_visible(value)}"'


def _visible(value: str) -> str:
    head = value[:_SHOWN_CHARACTERS]
    visible = "".join(c if c.isprintable() else repr(c)[1:-1] for c in head)
    return f"{visible}…" if len(value) > _SHOWN_CHARACTERS else visible
