"""What can be told of an agent CLI without starting it: its version, and whether it is logged in.

The versions are measured: on each of them the exchange was run that the pool has with it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from supervisor.cli._report import Report
from supervisor.pool.launch import Cli, CliFinder
from supervisor.pool.outcome import PoolError

FEATURES = (
    (
        (2, 1, 150),
        "warning",
        "cannot clear its context, so each task costs a new process (about a second)",
    ),
    ((2, 1, 197), "note", "cannot take its last task back, so /clear is used instead"),
    ((2, 1, 80), "note", "cannot be asked to end, so it is signalled"),
)
"""Since which version, how grave it is without, and what older ones cannot do."""

LOGIN_VARIABLES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
)
"""By any of these the CLI is logged in."""


def look_at_cli(finder: CliFinder, key: str, path: str | None, report: Report) -> Cli | None:
    """Note which CLI there is, and what it lacks; returns it, or None where there is none.

    Args:
        finder: finds it.
        key: what names it: a variable, or a key of pool.toml.
        path: where that is said.
        report: where to note it.
    """
    try:
        cli = finder.find()
    except PoolError as refused:
        report.error(f"{refused.error.message} {refused.error.advice}", key, path)
        return None
    words = " ".join(cli.argv)
    if cli.version is None:
        report.note(f"{words}: its version cannot be told before it runs", key)
        return cli
    report.note(f"{words}: Claude Code {cli.version}", key)
    for severity, lack in lacks(cli.version):
        advice = "update it: npm install -g @anthropic-ai/claude-code"
        if severity == "warning":
            report.warn(f"Claude Code {cli.version} {lack}; {advice}", key, path)
        else:
            report.note(f"Claude Code {cli.version} {lack}", key)
    return cli


def lacks(version: str) -> Iterator[tuple[str, str]]:
    """What a version cannot do that newer ones can: how grave that is, and what it is."""
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:3])
    for since, severity, lack in FEATURES:
        if len(numbers) == 3 and numbers < since:
            yield severity, lack


def look_at_login(environ: Mapping[str, str], root: Path, report: Report) -> None:
    """Note by what the CLI would log in, or that nothing of it can be seen."""
    login = login_of(environ, root)
    if login is not None:
        report.note(f"logged in by {login}, as far as can be told without starting it", "login")
        return
    report.warn(
        "no sign of a login of Claude Code: run claude once as this user and log in, or set "
        "ANTHROPIC_API_KEY",
        "login",
    )


def login_of(environ: Mapping[str, str], root: Path) -> str | None:
    """By what the CLI would log in, in words; None: there is no sign of it. Tells no secret."""
    for name in LOGIN_VARIABLES:
        if environ.get(name):
            return f"${name}"
    home = Path(environ.get("HOME") or Path.home())
    given = environ.get("CLAUDE_CONFIG_DIR")
    folder = Path(given) if given else home / ".claude"
    if (credentials := folder / ".credentials.json").is_file():
        return str(credentials)
    for settings in (folder / "settings.json", root / ".claude" / "settings.json"):
        if _holds(settings, "apiKeyHelper"):
            return f"the apiKeyHelper in {settings}"
    state = folder / ".claude.json" if given else home / ".claude.json"
    if _holds(state, "oauthAccount", "primaryApiKey"):
        return str(state)
    return None


def _holds(path: Path, *keys: str) -> bool:
    try:
        found: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and any(found.get(key) for key in keys)
