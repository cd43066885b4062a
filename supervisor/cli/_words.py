"""The arguments of the commands that put calls to the pool."""

import argparse
import math
from collections.abc import Callable
from typing import Any

from supervisor.cli import _tail

EXIT_STATUS = """\
exit status:
  0    it is done; on standard output is the result
  1    it ended with an error, which standard error tells
  2    wrong usage
  3    no pool runs, none could be started or joined, or it went in the middle
  4    the task goes on: it has no outcome yet
  130  Ctrl-C; what invoke, consult and invoke-many handed over is cancelled"""

RELOAD_STATUS = """\
exit status:
  0    what the files say holds now
  1    it ended with an error, which standard error tells
  2    something in them is wrong, which standard error tells: it stays as it was
  3    no pool runs, or it went in the middle; the next one reads them anyway"""

Add = Callable[..., argparse.ArgumentParser]
"""Adds a command: its name, a summary, an example, and what follows that in its help."""


class Intermixed(argparse.ArgumentParser):
    """Takes what is no option wherever it stands: `invoke AGENT --timeout 9 TASK`.

    By itself, argparse takes `[TASK]` for missing where an option stands before it.
    """

    _is_mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of the base class, which calls it in turn."""
        if self._is_mixing:
            return super().parse_known_args(args, namespace)
        self._is_mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_mixing = False


def add_calls(add: Add) -> None:
    """Declare the commands of `_calls`."""

    def command(
        name: str, summary: str, example: str, exit_status: str = EXIT_STATUS
    ) -> argparse.ArgumentParser:
        found = add(name, summary, example, exit_status)
        found.add_argument("--root", help="the project (default: found from the current folder)")
        found.add_argument(
            "--config", metavar="FILE", help="a pool.toml that comes before all others"
        )
        found.add_argument("--json", action="store_true", help="print JSON, figures included")
        return found

    invoke = command(
        "invoke",
        "hand a task to an agent and print its answer, with progress on a terminal's stderr; "
        "Ctrl-C cancels the task",
        "git diff | agent-pool invoke code-reviewer > review.md\n"
        '  agent-pool invoke code-explorer "Where are timeouts set?" --timeout 300',
    )
    _add_task(invoke)
    invoke.add_argument(
        "--if-longer-than",
        type=seconds_above_0,
        metavar="S",
        help="after so many seconds print the task's id instead, exit status 4, and let it run on",
    )
    consult = command(
        "consult",
        "as invoke, but only for an agent that cannot change anything; refused for others",
        'agent-pool consult code-explorer "Where are timeouts set?"',
    )
    _add_text(consult)
    many = command(
        "invoke-many",
        "hand over many tasks, and print every answer in their order; exit status 1: one failed",
        "agent-pool invoke-many tasks.jsonl --max-parallel 4\n"
        '  echo \'{"agent": "code-explorer", "task": "List the tests."}\' | '
        "agent-pool invoke-many -",
    )
    many.add_argument(
        "file",
        metavar="FILE",
        help="one JSON object a line: agent, task, and timeout_s if need be; - is standard input",
    )
    many.add_argument(
        "--max-parallel", type=count, metavar="N", help="run so many at once (default: all)"
    )
    _add_task(
        command(
            "submit",
            "hand a task to an agent, print the task's id, and let it run in the background",
            'id=$(agent-pool submit test-writer "Cover src/parser.py.")\n'
            '  agent-pool wait "$id" && agent-pool result "$id"',
        )
    )
    _add_wait(command)
    result = command(
        "result",
        "print the outcome of a task that has ended, as invoke does",
        "agent-pool result t-0123456789ab",
    )
    result.add_argument("id", metavar="ID", help="as submit and tasks print it")
    cancel = command("cancel", "end a task that waits or runs", "agent-pool cancel t-0123456789ab")
    cancel.add_argument("id", metavar="ID", help="as submit and tasks print it")
    _add_tasks(command)
    _add_logs(command)
    stats = command(
        "stats",
        "tell tokens, the share that the prompt cache served, costs, outcomes and durations",
        "agent-pool stats --by day --days 30",
    )
    stats.add_argument(
        "--by",
        choices=("pool", "agent", "conversation", "day"),
        default="agent",
        help="what is told apart (default: agent)",
    )
    stats.add_argument(
        "--days", type=seconds_above_0, default=7, metavar="N", help="how far back (default: 7)"
    )
    stats.add_argument("--agent", metavar="NAME", help="only this agent's")
    command(
        "list",
        "list the agents that tasks can be given to, and what each is for",
        "agent-pool list --json",
    )
    warmup = command(
        "warmup",
        "start the processes of agents ahead of their first tasks",
        "agent-pool warmup code-reviewer debugger",
    )
    warmup.add_argument("agents", nargs="+", metavar="AGENT", help="as list names it")
    reset = command(
        "reset",
        "kill an agent's process and all that it started; brings up one that is down",
        "agent-pool reset debugger",
    )
    reset.add_argument("agent", metavar="AGENT", help="as list names it")
    reset.add_argument("--conversation", metavar="NAME", help="end only this conversation with it")
    command(
        "reload",
        "have the running pool read pool.toml and all definitions again, tell what has changed and "
        "what is wrong; it also notices by itself",
        "agent-pool reload",
        RELOAD_STATUS,
    )


def _add_text(command: argparse.ArgumentParser) -> None:
    command.add_argument("agent", metavar="AGENT", help="as list names it")
    command.add_argument(
        "task",
        nargs="?",
        default="-",
        metavar="TASK",
        help="what it is to do; without it, or with -, standard input is read",
    )
    command.add_argument(
        "--timeout",
        type=seconds_above_0,
        metavar="S",
        help="seconds until it is given up, waiting included (default: as the pool is set)",
    )


def _add_task(command: argparse.ArgumentParser) -> None:
    _add_text(command)
    command.add_argument(
        "--priority",
        choices=("high", "normal", "low"),
        help="whose turn it is first where tasks wait (default: normal)",
    )
    command.add_argument(
        "--conversation", metavar="NAME", help="keep the agent's context under this name"
    )


def _add_wait(command: Add) -> None:
    wait = command(
        "wait",
        "wait until tasks have ended, and tell how",
        "agent-pool wait t-0123456789ab t-ba9876543210 --any --timeout 60",
    )
    wait.add_argument("ids", nargs="+", metavar="ID", help="as submit and tasks print it")
    wait.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        help="wait no longer than so many seconds; exit status 4: some go on",
    )
    wait.add_argument("--any", action="store_true", help="until one of them has ended")


def _add_tasks(command: Add) -> None:
    tasks = command(
        "tasks",
        "list the newest tasks: state or outcome, times, cost",
        "agent-pool tasks --agent code-reviewer --state running",
    )
    tasks.add_argument("--agent", metavar="NAME", help="only this agent's")
    tasks.add_argument("--state", choices=("queued", "running", "ended"), help="only those")
    tasks.add_argument("--limit", type=count, metavar="N", help="so many at most (default: 20)")


def _add_logs(command: Add) -> None:
    logs = command(
        "logs",
        "the last lines of the log, from the pool that runs; tail reads the files, and follows",
        "agent-pool logs --agent code-reviewer --level warning --since 10m",
    )
    logs.add_argument("--agent", metavar="NAME", help="only what concerns this agent")
    logs.add_argument(
        "--level", type=_tail.level, help=f"this level and graver ones: {', '.join(_tail.LEVELS)}"
    )
    logs.add_argument(
        "--since", type=_tail.since, metavar="TIME", help="from then on: 10m, 2h, 2026-03-31T14:05"
    )
    logs.add_argument(
        "--lines", type=count, metavar="N", help="the last N lines (default: 50, at most 1000)"
    )


def seconds(text: str) -> float:
    """A span in seconds, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and value >= 0:
        return value
    raise argparse.ArgumentTypeError(f'"{text}" is no number of seconds (such as 90 or 0.5)')


def seconds_above_0(text: str) -> float:
    """The same, but for none.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    value = seconds(text)
    if value > 0:
        return value
    raise argparse.ArgumentTypeError(f'"{text}" must be above 0 (such as 90 or 0.5)')


def count(text: str) -> int:
    """A number of things, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f'"{text}" is no number (allowed: 1, 2, 3, …)')
