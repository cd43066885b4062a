"""How a command says that it could not do what it was asked: one way for all of them.

For people a line on standard error; with --json an object on standard output, with `error`, what a
person would read, and `code`, for programs.
"""

import json
import sys
from typing import Any


class CommandError(Exception):
    """A command ends here."""

    def __init__(self, status: int, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        """The exit status."""
        self.code = code
        """For programs: one of the codes that docs/troubleshooting.md lists."""
        self.facts = facts
        """What else the object has."""


def fail(as_json: bool, status: int, code: str, message: str, **facts: Any) -> int:
    """Say it; returns `status`."""
    if as_json:
        print(json.dumps({"error": message, "code": code, **facts}))
    else:
        sys.stderr.write(f"agent-pool: {message}\n")
    return status
