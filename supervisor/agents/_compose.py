"""The system prompt: the agent's text, then its expertise, its skills, and its memory.

    <body>

    # Expertise: <name>

    <text of expertise/<name>.md>

    # Skill: <name>

    <text of skills/<name>/SKILL.md>

    # Memory

    <how to use the folder of `memory:`>

Expertise and skills stand in the order in which the frontmatter lists them. Frontmatter is
left out. Each part loses its leading blank lines and its trailing white space; a part that is
then empty is left out with its heading; one blank line stands between parts, none at the end.
Nothing else gets in: no date, no name of a machine, and no path but those that an agent has to
know, of its memory and of a skill that has files of its own. Identical files in the same place
therefore give identical bytes, and the API's prompt cache keeps hitting over restarts. What is in
the memory is not in the prompt: the agent reads it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

_MEMORY = """\
You remember nothing of the tasks before this one but what you have written to the folder
{folder}
Before you begin a task, read MEMORY.md there, if it exists. When you have learned something that
later tasks will need, write it down before you give your answer: facts in a line or two in
MEMORY.md, which is to stay below 200 lines, and what needs more room in a file beside it that
MEMORY.md names. Correct what has turned out to be wrong."""

_LEADING_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")


def normalised(text: str) -> str:
    """One part without its leading blank lines and its trailing white space."""
    return _LEADING_BLANK_LINES.sub("", text).rstrip()


def compose(
    body: str,
    expertise: Iterable[tuple[str, str]],
    skills: Iterable[tuple[str, str]],
    memory: Path | None = None,
) -> str:
    """The prompt of the given texts, each with `\\n` between lines; names go with theirs."""
    parts = [("", body)]
    parts += [(f"# Expertise: {name}\n\n", text) for name, text in expertise]
    parts += [(f"# Skill: {name}\n\n", text) for name, text in skills]
    if memory is not None:
        parts.append(("# Memory\n\n", _MEMORY.format(folder=memory)))
    texts = [(heading, normalised(text)) for heading, text in parts]
    return "\n\n".join(heading + text for heading, text in texts if text)


def digest(parts: object) -> str:
    """The SHA-256, in hex, of a value that JSON can write, paths included."""
    encoded = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(encoded.encode()).hexdigest()
