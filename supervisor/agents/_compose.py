"""The system prompt: the agent's text, then its expertise, then its skills.

    <body>

    # Expertise: <name>

    <text of expertise/<name>.md>

    # Skill: <name>

    <text of skills/<name>/SKILL.md>

Expertise and skills stand in the order in which the frontmatter lists them. Frontmatter is
left out. Each part loses its leading blank lines and its trailing white space; a part that is
then empty is left out with its heading; one blank line stands between parts, none at the end.
Nothing else gets in: no date, no path, no name of a machine. Identical files therefore give
identical bytes everywhere, and the API's prompt cache keeps hitting over restarts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping

_LEADING_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")


def normalised(text: str) -> str:
    """One part without its leading blank lines and its trailing white space."""
    return _LEADING_BLANK_LINES.sub("", text).rstrip()


def compose(
    body: str, expertise: Iterable[tuple[str, str]], skills: Iterable[tuple[str, str]]
) -> str:
    """The prompt of the given texts, each with `\\n` between lines; names go with theirs."""
    parts = [("", body)]
    parts += [(f"# Expertise: {name}\n\n", text) for name, text in expertise]
    parts += [(f"# Skill: {name}\n\n", text) for name, text in skills]
    texts = [(heading, normalised(text)) for heading, text in parts]
    return "\n\n".join(heading + text for heading, text in texts if text)


def digest(parts: Mapping[str, object]) -> str:
    """The SHA-256, in hex, of values that JSON can write."""
    encoded = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode()).hexdigest()
