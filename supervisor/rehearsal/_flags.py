"""The command line: claude's flags, all accepted, and `--rehearse` of our own."""

from collections.abc import Mapping
from typing import Final, NamedTuple

MODES: Final = {
    "crash-at-start": ("", "prints a line on stderr and exits with 1 at once"),
    "slow-start": ("S", "reads nothing for the first S seconds"),
    "no-initialize": ("", "never answers `initialize`"),
    "no-rewind": ("", "does not know `rewind_conversation`, as versions before about 2.1.197"),
    "no-clear": ("", "/clear keeps the context, as versions before about 2.1.150"),
    "silent-controls": ("", "never answers a control request that it does not know"),
    "minimal": ("", "a bare stand-in: acknowledges every control request and acts on none, "
                    "prints only assistant and result lines, the latter with few fields"),
}  # fmt: skip
"""What `--rehearse` takes, `name` or `name=argument`: name → (argument, what happens)."""

VALUED: Final = frozenset({
    "--add-dir", "--agent", "--agents", "--allowedTools", "--allowed-tools",
    "--append-system-prompt", "--append-system-prompt-file", "--betas", "--debug-file",
    "--disallowedTools", "--disallowed-tools", "--effort", "--fallback-model", "--file",
    "--input-format", "--json-schema", "--max-budget-usd", "--max-turns", "--mcp-config",
    "--model", "--output-format", "--permission-mode", "--permission-prompt-tool",
    "--plugin-dir", "--rehearse", "--resume", "--session-id", "--setting-sources", "--settings",
    "--system-prompt", "--system-prompt-file", "--tools",
})  # fmt: skip
"""Flags whose next argument is their value, whatever it looks like."""


class Flags(NamedTuple):
    """What the agent was started with."""

    values: Mapping[str, tuple[str, ...]]
    """Flag → its values, in the order given; a flag without a value has none."""
    rehearse: Mapping[str, str]
    """Mode → its argument, of the table above."""

    def has(self, *names: str) -> bool:
        """Whether one of the flags was given."""
        return any(name in self.values for name in names)

    def last(self, name: str) -> str | None:
        """The value given last; None if the flag was not given."""
        return next(reversed(self.values.get(name, ())), None)

    def items(self, *names: str) -> list[str] | None:
        """The values of these list flags, split at commas; None if none was given."""
        if not self.has(*names):
            return None
        given = [value for name in names for value in self.values.get(name, ())]
        return [item for value in given for item in _split(value)]


def parse(argv: list[str]) -> Flags:
    """Read a command line; unknown flags take the words that follow them.

    Raises:
        ValueError: `--rehearse` was given something else than the table above, with what.
    """
    values: dict[str, tuple[str, ...]] = {}
    flag = ""
    takes_any = False
    for word in argv:
        if word.startswith("-") and not takes_any:
            flag, equals, value = word.partition("=")
            values[flag] = (*values.get(flag, ()), *([value] if equals else []))
            takes_any = flag in VALUED and not equals
            continue
        values[flag] = (*values.get(flag, ()), word)
        takes_any = False
    modes = [mode for value in values.get("--rehearse", ()) for mode in value.split(",")]
    return Flags(values, dict(_mode(mode) for mode in modes))


def _mode(written: str) -> tuple[str, str]:
    name, _, argument = written.partition("=")
    if name not in MODES:
        raise ValueError(f"--rehearse {written}: no such mode; there are {', '.join(MODES)}")
    if bool(MODES[name][0]) != bool(argument):
        wanted = f"{name}={MODES[name][0]}" if MODES[name][0] else name
        raise ValueError(f"--rehearse {written}: it is written {wanted}")
    return name, argument


def _split(value: str) -> list[str]:
    """Split at commas and spaces that stand outside of parentheses: `Bash(ls -l:*),Read`."""
    items = [""]
    depth = 0
    for character in value:
        depth += (character == "(") - (character == ")")
        if character in ", " and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item for item in items if item]
