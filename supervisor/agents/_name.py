"""The rule for the names of agents, skills and expertise.

A name becomes a part of a path, a key of pool.toml and a word on a command line. So it is
letters, digits, `-`, `_`, `.` and spaces inside (Claude Code's own files have such names)
and nothing else; that alone keeps `../agents-evil/x`,
absolute paths and control characters out, whatever a path join would make of them.
"""

from __future__ import annotations

import re
import unicodedata

ALLOWED = 'letters, digits, "-", "_", "." and spaces inside, starting with a letter, a digit or "_"'

_MAX_CHARACTERS = 100


def canonical(name: str) -> str:
    """One spelling for one name, which can be encoded.

    Some file systems store `é` as `e` and an accent; a file name need not be text at all.
    """
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())


def refusal(name: str) -> str | None:
    """Why `name` is not allowed as a name; None when it is."""
    if not name:
        return "a name must not be empty"
    if "/" in name or "\\" in name:
        return "a name must not be a path"
    if ".." in name:
        return 'a name must not contain ".."'
    if len(name) > _MAX_CHARACTERS:
        return f"a name has at most {_MAX_CHARACTERS} characters"
    if name[0] in "-. ":
        return f'a name must not start with "{name[0]}"'
    if name.endswith(" ") or not all(_is_allowed(character) for character in name):
        return f"a name is made of {ALLOWED}"
    return None


def repaired(name: str) -> str | None:
    """The nearest allowed name, to be suggested; None when nothing sensible is left."""
    last_part = re.split(r"[/\\]", canonical(name).rstrip("/\\"))[-1]
    candidate = re.sub(r"[^\w. ]+", "-", last_part)
    candidate = re.sub(r"\.{2,}", ".", candidate).strip("-. ")
    return candidate if refusal(candidate) is None else None


def _is_allowed(character: str) -> bool:
    # Marks belong to letters: without them whole scripts could not be written.
    return character in "-_. " or unicodedata.category(character)[0] in "LMN"
