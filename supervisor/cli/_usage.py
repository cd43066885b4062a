"""How words are read: wherever they stand, with the nearest spelling of those that there are not.

What is wrong with them comes up as a `UsageError`, so that `main` alone decides how it is told.
"""

import argparse
import difflib
import json
import re
import sys
import textwrap
from collections.abc import Collection, Iterator
from typing import Any, NoReturn


class UsageError(Exception):
    """The words cannot be taken; the message says which, and what is allowed."""

    def __init__(self, message: str, usage: str = "", command: str = "agent-pool") -> None:
        super().__init__(message)
        self.usage = usage
        """How the command is called; may be empty."""
        self.command = command
        """Whose words they are."""


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`; did you mean "…" or "…"?`, where something like `word` is known; else nothing."""
    near = difflib.get_close_matches(word, known, n=2)
    return f"; did you mean {' or '.join(map(json.dumps, near))}?" if near else ""


class Parser(argparse.ArgumentParser):
    """Takes what is no option wherever it stands: `invoke AGENT --timeout 9 TASK`.

    By itself, argparse takes `[TASK]` for missing where an option stands before it.
    """

    _is_mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of the base class, which calls it in turn."""
        if self._is_mixing or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._is_mixing = True
        try:
            found, unknown = self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_mixing = False
        if unknown:
            self._refuse(unknown)
        return found, unknown

    def _parse_optional(self, arg_string: str) -> Any:
        # No option begins with a digit: `--since -5m` is told what is wrong with -5m.
        return None if re.match(r"-[0-9]", arg_string) else super()._parse_optional(arg_string)

    def _refuse(self, unknown: list[str]) -> NoReturn:
        """Here, and not in the parser of all commands, which does not know this one's options."""
        options = list(self._option_string_actions)
        strange = next((word for word in unknown if word.startswith("-")), None)
        if strange is None:
            takes_task = any(action.dest == "task" for action in self._get_positional_actions())
            advice = "; a task of several words stands in quotes" if takes_task else ""
            self.error(f"there is nothing to do with: {' '.join(unknown)}{advice}")
        name = strange.partition("=")[0]
        self.error(f"there is no option {name}{did_you_mean(name, options)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = sorted(map(str, action.choices))
        what = "there is no command" if action.dest == "command" else "not allowed:"
        raise argparse.ArgumentError(
            None if action.dest == "command" else action,
            f'{what} "{value}"{did_you_mean(str(value), known)} (there are: {", ".join(known)})',
        )

    def _print_message(self, message: str, file: Any = None) -> None:
        """The base class keeps to itself that it could not be written."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(message, self.format_usage(), self.prog)


class Formatter(argparse.HelpFormatter):
    """Fits paragraphs into the terminal; what is indented keeps its lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in _filled(text, width))


_LISTED = re.compile(r"( +\S+ {2,})\S")
"""A line of a list with two columns."""


def _filled(text: str, width: int) -> Iterator[str]:
    for line in text.splitlines():
        listed = _LISTED.match(line)
        if line.startswith(" ") and listed is None:
            yield line  # an example, which is copied whole
            continue
        after = " " * len(listed[1]) if listed else ""
        yield from textwrap.wrap(line, max(width, 24), subsequent_indent=after) or [""]
