"""The command line: what there is, and where it goes."""

import argparse
import os
import sys

from supervisor import __version__
from supervisor.place import Place, find_root

DESCRIPTION = """\
Keeps AI agents running behind an MCP server, under supervision.

In a project, register it in Claude Code once:
  claude mcp add agent-pool -- agent-pool serve
"""


def parser() -> argparse.ArgumentParser:
    """Every command, with its help."""
    top = argparse.ArgumentParser(
        prog="agent-pool",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"agent-pool {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=f"{summary[:1].upper()}{summary[1:]}.",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    add(
        "serve",
        "what an MCP client starts: joins this project's pool, or starts it (MCP on stdio)",
        "claude mcp add agent-pool -- agent-pool serve",
    )
    run = add("run", "the pool in the foreground, until Ctrl-C or SIGTERM", "agent-pool run")
    run.add_argument("--root", help="the project (default: found from the current folder)")
    run.add_argument(
        "--linger",
        action="store_true",
        help="end by itself some time after the last client and task (pool.toml: linger)",
    )
    for name, summary in (
        ("stop", "stop this project's pool and all its agents, and wait until they are gone"),
        ("status", "say whether this project's pool runs, and how its agents do"),
    ):
        command = add(name, summary, f"agent-pool {name}")
        command.add_argument("--root", help="the project (default: found from the current folder)")
        command.add_argument("--json", action="store_true", help="print one JSON object")
    demo = add(
        "demo",
        "show it: two agents, a crash in mid-task, the restart, the reset",
        "CLAUDE_CLI=claude agent-pool demo",
    )
    demo.add_argument("--json", action="store_true", help="print one JSON object a step")
    add(
        "rehearsal",
        "a stand-in agent CLI: speaks stream-json, needs no account, misbehaves on request",
        "CLAUDE_CLI='agent-pool rehearsal' agent-pool run",
    )
    return top


def main(argv: list[str]) -> int:
    """Run one command; returns its exit status: 0 done, 1 failed, 2 wrong usage."""
    arguments = parser().parse_args(argv)
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has gone; nothing more can be said to anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(arguments: argparse.Namespace) -> int:
    # Each command imports only what it needs: `status` is not to wait for the MCP SDK.
    if arguments.command == "serve":
        from supervisor.relay import main as relay

        return relay()
    if arguments.command == "demo":
        from supervisor.cli._demo import demo

        return demo(arguments.json)
    cwd = os.getcwd()
    root = os.path.realpath(arguments.root) if arguments.root else find_root(os.environ, cwd)
    place = Place(root, os.environ)
    if arguments.command == "run":
        from supervisor.cli._run import run

        return run(place, os.environ, cwd, arguments.linger)
    from supervisor.cli._control import status, stop

    command = stop if arguments.command == "stop" else status
    return command(place, arguments.json)
