"""What can be told of an agent CLI without giving it a task: its version, and its login.

The versions are measured: on each of them the exchange was run that the pool has with it.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from supervisor.cli._report import Report
from supervisor.pool.launch import Cli, CliFinder, check_version
from supervisor.pool.outcome import PoolError

Version = tuple[int, ...]


@dataclass(frozen=True)
class Lack:
    """Something that CLIs of some versions cannot do."""

    before: Version
    """The first version that was seen to do it."""
    severity: Literal["warning", "note"]
    """A warning: it is felt in daily work."""
    what: str
    """To follow the version: what it cannot do, and what is done instead."""
    since: Version = (0,)
    """The first version of which this is to be told: of older ones, something graver is."""


LACKS = (
    Lack(
        (2, 1, 150),
        "warning",
        "cannot clear its context, so each task costs a new process (0.8 to 2.5 s where it was "
        "measured, the older the longer; spares = 1 under [pool] hides the wait)",
    ),
    Lack(
        (2, 1, 197),
        "note",
        "cannot take its last task back, so its context is cleared by /clear instead",
        since=(2, 1, 150),
    ),
    Lack(
        (2, 1, 175),
        "note",
        "does not tell what a task has cost before it ends, so max_cost_usd interrupts none",
    ),
    Lack((2, 1, 80), "note", "cannot be asked to end, so it is signalled"),
    Lack((2, 1, 50), "note", "knows no effort, so what is said of it is left out"),
    Lack(
        (2, 0, 77),
        "note",
        "cannot be told to keep no session, so it leaves a file of every task below its projects/",
    ),
)
"""What older versions lack, the gravest first.

Measured on 2.0.60, 2.0.77, 2.1.20, 2.1.50, 2.1.80, 2.1.110, 2.1.150, 2.1.175, 2.1.197 and the
newest; one in between may do more than is said of it. What a process of it truly can do is found
out by the pool, and told by `list`.
"""

ASK_S = 10.0
"""How long a CLI may take to tell its version."""

LOGIN_VARIABLES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
)
"""By any of these the CLI is logged in."""


def look_at_cli(
    finder: CliFinder, key: str, path: str | None, report: Report, *, ask: bool = False
) -> Cli | None:
    """Note which CLI there is, and what it lacks; returns it, or None where there is none.

    Args:
        finder: finds it.
        key: what names it: a variable, or a key of pool.toml.
        path: where that is said.
        report: where to note it.
        ask: start it with `--version` where its installation does not tell that.
    """
    try:
        cli = finder.find()
        if ask and cli.version is None and not is_rehearsal(cli):
            cli = replace(cli, version=asked_version(cli))
            check_version(cli.version, " ".join(cli.argv))
    except PoolError as refused:
        report.error(f"{refused.error.message} {refused.error.advice}", key, path)
        return None
    words = " ".join(cli.argv)
    if is_rehearsal(cli):
        what = "agent-pool's own rehearsal agent, a stand-in for Claude Code"
        report.note(f"{words}: {what}; it needs neither a version nor a login", key)
        return cli
    if cli.version is None and ask:
        why = "does not answer --version as Claude Code does, so agents may not start"
        advice = "run it with --version to see why, or have CLAUDE_CLI or command name another"
        report.warn(f"{words} {why}; {advice}", key, path)
        return cli
    if cli.version is None:
        why = "whether it is Claude Code, and which version, its installation does not tell"
        report.note(f"{words}: {why}: agent-pool doctor asks it", key)
        return cli
    report.note(f"{words}: Claude Code {cli.version}", key)
    for lack in lacks(cli.version):
        message = f"Claude Code {cli.version} {lack.what}"
        if lack.severity == "warning":
            advice = "update it: npm install -g @anthropic-ai/claude-code"
            report.warn(f"{message}; {advice}", key, path)
        else:
            report.note(message, key)
    return cli


def is_rehearsal(cli: Cli) -> bool:
    """Whether that is our own stand-in, by its command line."""
    return any(word in ("rehearsal", "supervisor.rehearsal") for word in cli.argv[1:4])


def lacks(version: str) -> Iterator[Lack]:
    """What a version cannot do that newer ones can."""
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:3])
    return (one for one in LACKS if len(numbers) == 3 and one.since <= numbers < one.before)


def asked_version(cli: Cli) -> str | None:
    """The version that a CLI tells of itself; None: it is no Claude Code, or does not say."""
    try:
        done = subprocess.run(
            [*cli.argv, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    told = re.match(r"(\d+\.\d+\.\d+)\S* \(Claude Code\)", done.stdout)
    return told and told[1]


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
