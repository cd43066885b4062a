"""The environment variables that come before pool.toml, checked as it is."""

from collections.abc import Mapping
from pathlib import Path

from supervisor.pool.config.problems import ConfigError, Problem

ENVIRONMENT = Path("environment")
"""Stands for a file's path where a variable is wrong."""


def task_timeout_s(environ: Mapping[str, str]) -> float | None:
    """Seconds of `TASK_TIMEOUT_MS`, or None where it is not set.

    Raises:
        ConfigError: it is no number of milliseconds.
    """
    value = environ.get("TASK_TIMEOUT_MS")
    if not value:
        return None
    digits = value.isascii() and value.isdigit() and len(value) <= 15
    if not digits or int(value) == 0:
        reason = f'"{value}" does not fit: a whole number of milliseconds above 0 is allowed'
        raise ConfigError([Problem(ENVIRONMENT, None, "TASK_TIMEOUT_MS", reason)])
    return int(value) / 1000
