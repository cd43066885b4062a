"""The arguments of the commands that put calls to the pool."""

import argparse
import ipaddress
import math
import re
from collections.abc import Callable

from supervisor.cli import _tail

CONVERSATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a conversation may be called: as the pool has it."""

ROWS = 1000
"""Tasks, or lines of the log, that one call gives."""

DAYS = 3650
"""How far back figures are told."""

SECONDS = ("seconds", "such as 90 or 0.5")
"""What a span is counted in, and examples of it."""

Add = Callable[[str], argparse.ArgumentParser]
"""Adds the command of that name, with what `_manual` has of it."""


def add_calls(add: Add) -> None:
    """Declare the commands of `_calls`."""
    invoke = add("invoke")
    _add_task(invoke)
    invoke.add_argument(
        "--if-longer-than",
        type=seconds_above_0,
        metavar="S",
        help="after so many seconds print the task's id instead, exit status 4, and let it run on",
    )
    _add_text(add("consult"))
    many = add("invoke-many")
    many.add_argument(
        "file",
        metavar="FILE",
        help="one JSON object a line: agent, task, and timeout_s if need be; - is standard input",
    )
    many.add_argument(
        "--max-parallel", type=count, metavar="N", help="run so many at once (default: all)"
    )
    _add_task(add("submit"))
    _add_wait(add("wait"))
    for name in ("result", "cancel"):
        add(name).add_argument("id", type=word, metavar="ID", help=TASK_ID)
    _add_tasks(add("tasks"))
    _add_logs(add("logs"))
    stats = add("stats")
    stats.add_argument(
        "--by",
        choices=("pool", "agent", "conversation", "day"),
        default="agent",
        help="what is told apart (default: agent)",
    )
    stats.add_argument(
        "--days", type=days, default=7, metavar="N", help="how far back (default: 7)"
    )
    stats.add_argument("--agent", type=word, metavar="NAME", help="only this agent's")
    add("list")
    add("warmup").add_argument("agents", nargs="+", type=word, metavar="AGENT", help=AGENT)
    reset = add("reset")
    reset.add_argument("agent", type=word, metavar="AGENT", help=AGENT)
    reset.add_argument(
        "--conversation",
        type=conversation,
        metavar="NAME",
        help="end only this conversation with it",
    )
    add("reload")


STATE = "only those; one that has ended has an outcome as well, which is printed in its place"
AGENT = "its name, as agent-pool list prints it"
TASK_ID = "as submit and tasks print it"


def _add_text(command: argparse.ArgumentParser) -> None:
    command.add_argument("agent", type=word, metavar="AGENT", help=AGENT)
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
        "--conversation",
        type=conversation,
        metavar="NAME",
        help="keep the agent's context under this name",
    )


def _add_wait(wait: argparse.ArgumentParser) -> None:
    wait.add_argument("ids", nargs="+", type=word, metavar="ID", help=TASK_ID)
    wait.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        help="wait no longer than so many seconds; exit status 4: some go on",
    )
    wait.add_argument("--any", action="store_true", help="until one of them has ended")


def _add_tasks(tasks: argparse.ArgumentParser) -> None:
    tasks.add_argument("--agent", type=word, metavar="NAME", help="only this agent's")
    tasks.add_argument("--state", choices=("queued", "running", "ended"), help=STATE)
    tasks.add_argument(
        "--limit",
        type=up_to_a_thousand,
        metavar="N",
        help="so many at most (default: 20, at most 1000)",
    )


def add_choice_of_lines(log: argparse.ArgumentParser) -> None:
    """The options by which `tail` and `logs` choose lines of the log."""
    log.add_argument("--agent", type=word, metavar="NAME", help="only what concerns this agent")
    log.add_argument(
        "--level", type=_tail.level, help=f"this level and graver ones: {', '.join(_tail.LEVELS)}"
    )
    log.add_argument(
        "--since", type=_tail.since, metavar="TIME", help="from then on: 10m, 2h, 2026-03-31T14:05"
    )


def _add_logs(logs: argparse.ArgumentParser) -> None:
    add_choice_of_lines(logs)
    logs.add_argument(
        "--lines",
        type=up_to_a_thousand,
        metavar="N",
        help="the last N lines (default: 50, at most 1000)",
    )


def seconds(text: str) -> float:
    """A span in seconds, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    value = _number(text, SECONDS)
    if value >= 0:
        return value
    raise argparse.ArgumentTypeError(f'"{text}" must not be below 0 ({SECONDS[1]})')


def seconds_above_0(text: str) -> float:
    """The same, but for none.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return _above_0(text, SECONDS)


def days(text: str) -> float:
    """A number of days, up to ten years, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    value = _above_0(text, ("days", "such as 7 or 0.5"))
    if value <= DAYS:
        return value
    raise argparse.ArgumentTypeError(f'"{text}" is too much (at most {DAYS})')


def _above_0(text: str, kind: tuple[str, str]) -> float:
    value = _number(text, kind)
    if value > 0:
        return value
    raise argparse.ArgumentTypeError(f'"{text}" must be above 0 ({kind[1]})')


def _number(text: str, kind: tuple[str, str]) -> float:
    """A number of what `kind` names, which also has examples."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    unit, examples = kind
    raise argparse.ArgumentTypeError(f'"{text}" is no number of {unit} ({examples})')


def count(text: str) -> int:
    """A number of things, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f'"{text}" is no whole number (allowed: 1, 2, 3, …)')
    if int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f'"{text}" must be above 0 (allowed: 1, 2, 3, …)')


def up_to_a_thousand(text: str) -> int:
    """The same, but not of more than the pool gives at once.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    value = count(text)
    if value <= ROWS:
        return value
    raise argparse.ArgumentTypeError(f'"{text}" is too much (allowed: 1 to {ROWS})')


def word(text: str) -> str:
    """A name, or an id, for argparse.

    Raises:
        argparse.ArgumentTypeError: there is nothing in it.
    """
    if text.strip():
        return text
    raise argparse.ArgumentTypeError("it is empty")


def conversation(text: str) -> str:
    """The name of a conversation, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if CONVERSATION.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f'"{text}" is no name of a conversation (allowed: 1 to 64 letters, digits, dots, dashes '
        "and underscores, a letter or a digit first)"
    )


def address(text: str) -> str:
    """Where to serve HTTP, for argparse, as `supervisor.pool.parse_address` takes it.

    That one takes long to load, and what `run` loads stays in the pool's outer reaper.

    Raises:
        argparse.ArgumentTypeError: it is nowhere.
    """
    host, _, port = text.rpartition(":")
    plain = host.removeprefix("[").removesuffix("]")
    bracketed = plain != host and host == f"[{plain}]"
    try:
        version = ipaddress.ip_address("127.0.0.1" if host == "localhost" else plain).version
        fits = 0 <= int(port) < 1 << 16 and bracketed == (version == 6)
    except ValueError:
        fits = False
    if fits:
        return text
    raise argparse.ArgumentTypeError(
        f'"{text}" is no address (allowed: an IP address of this machine and a port, such as '
        "127.0.0.1:8765, [::1]:8765 or localhost:8765)"
    )
