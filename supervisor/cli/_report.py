"""What `check` and `doctor` have found, and how it is told."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]

_RANKS = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Found:
    """One finding."""

    severity: Severity
    """An error keeps something from working, a warning need not, a note is a fact."""
    message: str
    """What is wrong, what is allowed, and how to mend it."""
    path: str | None = None
    """The file, or `environment` for a variable; None: it is about no file."""
    line: int | None = None
    """Counted from 1."""
    key: str | None = None
    """The key or the variable concerned; of the machine, what was looked at."""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return ": ".join(part for part in (where, self.key, self.severity, self.message) if part)


@dataclass
class Report:
    """Findings. They are told file by file, each from its top; those with errors come first."""

    found: list[Found] = field(default_factory=list)
    """All of them, as they came."""

    def error(self, message: str, key: str | None = None, path: str | None = None) -> None:
        """Note an error."""
        self.found.append(Found("error", message, path, key=key))

    def warn(self, message: str, key: str | None = None, path: str | None = None) -> None:
        """Note a warning."""
        self.found.append(Found("warning", message, path, key=key))

    def note(self, message: str, key: str | None = None, path: str | None = None) -> None:
        """Note a fact."""
        self.found.append(Found("note", message, path, key=key))

    def number(self, severity: Severity) -> int:
        """How many there are of one kind."""
        return sum(one.severity == severity for one in self.found)

    def tell(self, root: str, strict: bool, as_json: bool) -> int:
        """Print all of it; returns the exit status.

        0 without an error, 1 with warnings where `strict` asks for it, 2 with errors.
        """
        found = _in_order(self.found)
        errors, warnings = self.number("error"), self.number("warning")
        if as_json:
            rows = [asdict(one) for one in found]
            counts = {"root": root, "errors": errors, "warnings": warnings}
            print(json.dumps(counts | {"findings": rows}))
        else:
            print("\n".join(map(_printable, (*map(str, found), _count(errors, warnings)))))
        return 2 if errors else 1 if strict and warnings else 0


def missing_rights(path: str, rights: int = os.W_OK | os.X_OK) -> str | None:
    """Why a folder could not be made or used, as far as can be told without trying; or None."""
    for folder in (Path(path), *Path(path).parents):
        if os.path.lexists(folder):
            if not folder.is_dir():
                return f"{folder} is not a folder"
            return None if os.access(folder, rights) else f"{folder} may not be written by you"
    return None


def _in_order(found: Iterable[Found]) -> list[Found]:
    """By file, those with errors first; each file from its top, each finding once."""
    files: dict[str, list[Found]] = {}
    for one in dict.fromkeys(found):
        # What is about no file stands with its like.
        files.setdefault(one.path or f"/{one.severity}", []).append(one)
    ranked = sorted(files.values(), key=lambda same: min(_RANKS[one.severity] for one in same))
    return [one for same in ranked for one in sorted(same, key=lambda one: one.line or 0)]


def _count(errors: int, warnings: int) -> str:
    parts = [
        f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning"))
    ]
    return ", ".join(parts) if errors or warnings else "nothing is wrong"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
