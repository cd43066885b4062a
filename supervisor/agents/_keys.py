"""The keys of an agent's frontmatter: which there are, and what becomes of the others.

The list is that of Claude Code's documentation for sub-agents ("Frontmatter reference", as of
2.1.330), compared with the readers of versions 2.1.197 and 2.1.330, and our own two:
`expertise` and `settingSources`. docs/agents.md says what each comes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ._fields import Fields
from ._finding import closest, did_you_mean, shown
from ._frontmatter import Value

HONOURED = (
    "name",
    "description",
    "tools",
    "disallowedTools",
    "model",
    "effort",
    "maxTurns",
    "permissionMode",
    "skills",
    "expertise",
    "mcpServers",
    "hooks",
    "memory",
    "omitClaudeMd",
    "settingSources",
    "color",
    "experimental",
)
"""Keys that have an effect."""

NOT_HONOURED: Mapping[str, str] = {
    "isolation": "an agent works in the project's own folder. Where it must not, give the task a "
    "copy of its own to work in",
    "background": "whether a task is waited for is its caller's choice",
    "initialPrompt": "Claude Code, too, uses it only for an agent that is the main session; write "
    "what each task is to begin with into the instructions",
}
"""Keys of Claude Code's that have none, and why."""

_RIGHTS = ("tools", "disallowedTools", "permissionMode", "hooks")
"""Ignored, they would leave an agent with more rights than its author meant."""

_CALLED_OTHERWISE = {"allowedtools": "tools"}
"""What skills call it; by spelling alone it is nearest to its opposite."""

_PLAIN_SPELLINGS = {key.casefold(): key for key in (*HONOURED, *NOT_HONOURED)} | _CALLED_OTHERWISE


def settle_keys(fields: Fields) -> None:
    """Take keys that are only spelt in another way for what they mean; report the others.

    `permission-mode`, `disallowed_tools` and `allowed-tools` are `permissionMode`,
    `disallowedTools` and `tools`, with a warning: Claude Code ignores them without a word.
    """
    given = fields.frontmatter.values
    settled = dict(given)
    for key, value in given.items():
        if key in HONOURED:
            continue
        if key in NOT_HONOURED:
            _tell_not_honoured(fields, key, value)
            continue
        meant = _PLAIN_SPELLINGS.get(key.replace("-", "").replace("_", "").casefold())
        if meant is None:
            _tell_unknown(fields, key, value)
        elif meant in settled:
            fields.warn(value.line, key, f'is ignored: "{meant}" is there as well; remove one')
        else:
            fields.warn(value.line, key, f'is taken for "{meant}"; write it so')
            settled[meant] = value
    fields.frontmatter = replace(fields.frontmatter, values=settled)


def cache_lifetime(fields: Fields) -> str | None:
    """`experimental: {cacheTtl: …}`: 5m or 1h."""
    value = fields.value("experimental")
    if value is None:
        return None
    options = dict(value.entries)
    lifetime = options.pop("cacheTtl", None)
    for key, option in options.items():
        fields.warn(option.line, "experimental", f"{shown(key)} is not known, and ignored")
    if value.kind != "mapping" or (lifetime and lifetime.text not in ("5m", "1h")):
        fields.warn(value.line, "experimental", "is ignored; allowed is {cacheTtl: 5m or 1h}")
        return None
    return lifetime.text if lifetime else None


def _tell_not_honoured(fields: Fields, key: str, value: Value) -> None:
    if value.kind == "nothing" or value.text.casefold() == "false":
        return
    fields.warn(value.line, key, f"is not honoured: {NOT_HONOURED[key]}")


def _tell_unknown(fields: Fields, key: str, value: Value) -> None:
    known = (*HONOURED, *NOT_HONOURED)
    near = next(iter(closest(key, known, count=1)), None)
    if near in _RIGHTS:
        fields.error(value.line, key, f'unknown key. Did you mean "{near}"?')
        return
    hint = did_you_mean(key, known) or f" Known keys: {', '.join(HONOURED)}"
    fields.warn(value.line, key, f"unknown key, ignored.{hint}")
