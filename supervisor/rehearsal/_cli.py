"""The command: flags, start faults, help."""

import os
import sys
import time
from typing import Final

from supervisor.rehearsal import _flags, _store
from supervisor.rehearsal._agent import Agent
from supervisor.rehearsal._directives import MISBEHAVIOUR, SHARED
from supervisor.rehearsal._session import VERSION

USAGE: Final = """\
usage: agent-pool rehearsal [--rehearse MODE[,MODE...]] [any flags of the Claude CLI]

The rehearsal agent: a stand-in for the Claude CLI 2.1.197 in stream-json mode (stdin and stdout),
without network. It answers each task by the directives in its text; without any, `echo: <text>`.
Directives are carried out in order, and the parts of an answer are joined by a newline.
"""
DIFFERENCES: Final = """\
Deliberately different from the real CLI 2.1.197:
  - One request to the model takes no time: messages sent together while it is idle are answered
    one by one. Those that meet a running task are merged, or put into a task that uses a tool,
    as the real one does; `"priority": "now"` counts as no priority.
  - No retries: [[error 529]] is reported at once.
  - An interrupt kills a Bash command's process group at once, whatever it traps; no background
    commands and no timeout for Bash.
  - Of the tools there is only Bash, and its permission rules are a rough copy: a command with
    an operator, or a path outside of the working directory, is refused unless it is allowed.
  - A write to stdout that nobody reads blocks everything but signals.
  - With --permission-prompt-tool stdio it asks its host for what is refused otherwise, in every
    mode but dontAsk.
  - Accepted and without effect: --max-turns, --max-budget-usd,
    --replay-user-messages, --include-partial-messages, --system-prompt-file, MCP, settings,
    agents, and every output format but stream-json. Token counts and prices are invented.
"""


STATUSES: Final = """\
example:
  CLAUDE_CLI='agent-pool rehearsal' agent-pool run

exit status:
  0    its input has ended
  1    it was asked to fail, or refuses as the CLI does; [[crash RC]]: RC
  2    wrong usage
  130  Ctrl-C
"""
"""The end of its help, as of every command's."""


def main(argv: list[str]) -> int:
    """Run the rehearsal agent on stdin and stdout; gives the exit code.

    Args:
        argv: claude's flags, all accepted, and `--rehearse`; without the program's name.
    """
    try:
        flags = _flags.parse(argv)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if flags.has("--help", "-h"):
        print(_help(), end="")
        return 0
    if flags.has("--version", "-v"):
        print(f"{VERSION} (stand-in for Claude Code)")
        return 0
    return _run(flags)


def _run(flags: _flags.Flags) -> int:
    if "crash-at-start" in flags.rehearse:
        print("rehearsal: crashed at start, as asked", file=sys.stderr)
        return 1
    if _is_reckless_root(flags):
        refusal = "cannot be used with root/sudo privileges for security reasons"
        print(f"--dangerously-skip-permissions {refusal}", file=sys.stderr)
        return 1
    resumed = flags.last("--resume")
    if resumed is not None and _store.load(resumed) is None:
        print(f"No conversation found with session ID: {resumed}", file=sys.stderr)
        return 1
    time.sleep(float(flags.rehearse.get("slow-start", 0)))
    return Agent(flags).run()


def _is_reckless_root(flags: _flags.Flags) -> bool:
    skips = flags.has("--dangerously-skip-permissions")
    skips = skips or flags.last("--permission-mode") == "bypassPermissions"
    return skips and os.geteuid() == 0 and os.environ.get("IS_SANDBOX") != "1"


def _help() -> str:
    sections = [
        USAGE,
        "Directives that the tests' loopback API understands too:\n" + _table(SHARED, "[[{}]]"),
        "Directives that misbehave (deaf, ignore-… from the start of the task, wherever they\n"
        "stand; the others where they stand, after the seconds of a [[sleep]] before them):\n"
        + _table(MISBEHAVIOUR, "[[{}]]"),
        "Modes of the whole process:\n" + _table(_flags.MODES, "--rehearse {}", "="),
        DIFFERENCES,
        STATUSES,
    ]
    return "\n".join(sections)


def _table(rows: dict[str, tuple[str, str]], form: str, joint: str = " ") -> str:
    lines = []
    for name, (argument, text) in rows.items():
        written = form.format(f"{name}{joint}{argument}" if argument else name)
        lines.append(f"  {written:<28} {text}\n")
    return "".join(lines)
