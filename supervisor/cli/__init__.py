"""Commands and what they print."""

from supervisor.cli._main import main

__all__ = ["main"]
