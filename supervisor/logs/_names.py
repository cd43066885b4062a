"""What the files of one log are called: `path`, `path.1`, `path.2.gz`, …, the newest first.

Shared by who rotates them and who reads them.
"""

import os
import re
from dataclasses import dataclass

COMPRESSED = ".gz"
"""What the name of a compressed file ends with."""


@dataclass(frozen=True, order=True)
class Name:
    """The name of one file."""

    number: int
    """0 for the newest, 1 for the one before it, …"""
    compressed: bool
    """It is a gzip file."""

    def of(self, path: str) -> str:
        """The file's path, in the log at `path`."""
        numbered = f"{path}.{self.number}" if self.number else path
        return numbered + COMPRESSED * self.compressed


def find_names(path: str) -> list[Name]:
    """Which files the log at `path` has, the newest first.

    A file that has just been compressed may be there in both forms, the plain one first.
    """
    folder, name = os.path.split(path)
    try:
        entries = os.listdir(folder or ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    older = rf"\.(?P<number>[1-9][0-9]{{0,5}})(?P<end>{re.escape(COMPRESSED)})?"
    pattern = re.compile(rf"{re.escape(name)}(?:{older})?")
    matches = (pattern.fullmatch(entry) for entry in entries)
    return sorted(
        Name(int(match["number"] or 0), match["end"] is not None) for match in matches if match
    )
