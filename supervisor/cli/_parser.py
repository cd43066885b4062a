"""Every command with its options; what is said of each stands in `_manual`."""

import argparse

from supervisor import __version__
from supervisor.cli import _tail
from supervisor.cli._manual import MANUAL, list_of_commands
from supervisor.cli._usage import Formatter, Parser
from supervisor.cli._words import add_calls, add_choice_of_lines, address, word

DESCRIPTION = """\
Keeps AI agents running behind an MCP server, under supervision.

In a project, register it in Claude Code once:
  claude mcp add agent-pool -- agent-pool serve

or use it at the shell, which starts this project's pool where none runs:
  agent-pool list
  agent-pool invoke code-explorer "Where are timeouts set?"
"""

EPILOG = "agent-pool COMMAND --help has its options, examples and exit statuses."

ALONE = ("serve", "hook", "schema", "trust", "init", "demo", "rehearsal")
"""Commands that are told no project by --root, or in another way."""


def parser() -> argparse.ArgumentParser:
    """Every command, with its help."""
    top = Parser(
        prog="agent-pool",
        usage="%(prog)s COMMAND ...",
        description=f"{DESCRIPTION}\n{list_of_commands()}",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    top.add_argument("--version", action="version", version=f"agent-pool {__version__}")
    # They stand in the description, by what they are for.
    commands = top.add_subparsers(
        dest="command",
        metavar="COMMAND",
        required=True,
        prog="agent-pool",
        parser_class=Parser,
        help=argparse.SUPPRESS,
    )

    def add(name: str) -> argparse.ArgumentParser:
        entry = MANUAL[name]
        command: argparse.ArgumentParser = commands.add_parser(
            name,
            description=entry.description(),
            epilog=entry.epilog(),
            formatter_class=Formatter,
        )
        if name not in ALONE:
            command.add_argument("--root", type=word, metavar="FOLDER", help=ROOT)
        if name not in ALONE or name == "serve":
            command.add_argument("--config", type=word, metavar="FILE", help=CONFIG)
        return command

    def add_telling(name: str, form: str = "print one JSON object") -> argparse.ArgumentParser:
        command = add(name)
        command.add_argument("--json", action="store_true", help=form)
        return command

    for name in ("serve", "hook", "schema", "rehearsal"):
        add(name)
    _add_run(add("run"))
    add_calls(lambda name: add_telling(name, JSON_FORMS.get(name, JSON)))
    for name in ("status", "tree", "stop", "ps", "config"):
        add_telling(name)
    add_telling("top", "print one JSON object, and end").add_argument(
        "--once", action="store_true", help="print one table, and end"
    )
    for name in ("check", "doctor"):
        add_telling(name).add_argument(
            "--strict", action="store_true", help="exit status 1 where there are warnings"
        )
    add_telling("reap").add_argument(
        "--dry-run", action="store_true", help="end nothing, say what would be"
    )
    _add_tail(add_telling("tail", "print the lines as they are, one JSON object a line"))
    init = add_telling("init")
    init.add_argument("--root", type=word, metavar="FOLDER", help=ROOT)
    init.add_argument("--dry-run", action="store_true", help="write nothing, say what would be")
    add_telling("demo", "print one JSON object a step")
    _add_trust(add_telling("trust"))
    return top


ROOT = "the project (default: found from the current folder)"
JSON = "print JSON, figures included"
JSON_FORMS = {
    "logs": "print the lines as they are in the log, one JSON object a line",
    "warmup": "print JSON, one object a line for each agent",
}
CONFIG = "a pool.toml that comes before all others"


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--linger",
        action="store_true",
        help="end by itself some time after the last client and task (pool.toml: linger)",
    )
    run.add_argument(
        "--http",
        type=address,
        metavar="ADDRESS",
        help="serve MCP over HTTP as well, at 127.0.0.1:8765 for example; agent-pool status says "
        "where the token is that clients need",
    )
    run.add_argument(
        "--http-allow-remote",
        action="store_true",
        help="let ADDRESS be one that other machines reach; what goes over it is not encrypted",
    )
    run.add_argument(
        "--stdio",
        action="store_true",
        help="serve MCP on stdin and stdout as well, and end with that client (not with --linger)",
    )


def _add_tail(log: argparse.ArgumentParser) -> None:
    log.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    add_choice_of_lines(log)
    log.add_argument("--task", type=word, metavar="ID", help="only what concerns this task")
    log.add_argument(
        "--grep",
        type=_tail.pattern,
        metavar="X",
        help="only lines with this regular expression",
    )
    log.add_argument(
        "--lines",
        type=_tail.lines,
        metavar="N",
        help=f"the last N lines (default: {_tail.LINES}; all that --since gives)",
    )


def _add_trust(trust: argparse.ArgumentParser) -> None:
    trust.add_argument(
        "path", nargs="?", type=word, help="the project (default: found from the current folder)"
    )
    what = trust.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print which projects are trusted")
    what.add_argument("--remove", action="store_true", help="trust it no longer")
