"""What is wrong in a configuration file, told for whoever has to mend it."""

import difflib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from supervisor.pool.config.files import Loaded

SHOWN = 100
"""Characters of a wrong value that are repeated."""


@dataclass(frozen=True)
class Problem:
    """One finding in one file. `str` of it is `file:line: key: message`."""

    path: Path
    """The file; `environment` where a variable is meant."""
    line: int | None
    """Counted from 1; None: it concerns the whole file."""
    key: str
    """Dotted; empty where no key is concerned."""
    message: str
    """What is wrong, what is allowed, and what to do."""
    severity: Literal["error", "warning"] = "error"
    """An error keeps the configuration from being used; a warning does not."""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return ": ".join(part for part in (where, self.key, self.message) if part)


class ConfigError(Exception):
    """The configuration is wrong; `problems` holds all that makes it so, `warnings` the rest."""

    def __init__(
        self,
        problems: list[Problem],
        warnings: tuple[Problem, ...] = (),
        rest: "Loaded | None" = None,
    ) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems
        self.warnings = warnings
        self.rest = rest
        """What the files say besides: for finding what else is wrong, and for nothing more."""


def dotted(at: Iterable[str]) -> str:
    """A key with its tables, as TOML writes it: `agents."my agent".model`."""
    return ".".join(part if _is_bare(part) else written(part) for part in at)


def written(value: object) -> str:
    """A value as TOML writes it, in one line, and not too long."""
    text = _written(value)
    quote = text[0] if isinstance(value, str) else ""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…{quote}"


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that `word` may have been meant to be, or None."""
    spellings = {_folded(one): one for one in sorted(words, reverse=True)}
    found = difflib.get_close_matches(_folded(word), spellings, n=1)
    return spellings[found[0]] if found else None


def did_you_mean(meant: object) -> str:
    """`'; did you mean …?'` with the value as TOML writes it; nothing for None."""
    return "" if meant is None else f"; did you mean {written(meant)}?"


def alternatives(words: Iterable[str]) -> str:
    """`"a", "b" or "c"`."""
    *first, last = (written(word) for word in words)
    return f"{', '.join(first)} or {last}" if first else last


def _folded(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")


def _is_bare(part: str) -> bool:
    return part.isascii() and bool(part) and part.replace("_", "").replace("-", "").isalnum()


def _written(value: object) -> str:
    if isinstance(value, str):
        head = value[: SHOWN + 1]
        # What cannot be shown, and half of a surrogate pair, as an escape sequence.
        return json.dumps(head, ensure_ascii=not head.isprintable())
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return "{ … }" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(one) for one in value[:SHOWN])}]"
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return "a number of more than a hundred digits"
    return str(value)
