"""The command line: what there is, and where it goes."""

import argparse
import os
import sys
from pathlib import Path

from supervisor import __version__
from supervisor.cli import _tail
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
    add(
        "hook",
        "what the Claude Code plugin runs before each call of the Agent tool, the call on stdin: "
        "sends sub-agents that files define to the pool; AGENT_POOL_HOOK=off switches it off",
        "AGENT_POOL_HOOK=off claude",
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
        ("tree", "draw the running pool's supervision tree"),
    ):
        command = add(name, summary, f"agent-pool {name}")
        command.add_argument("--root", help="the project (default: found from the current folder)")
        command.add_argument("--json", action="store_true", help="print one JSON object")
    processes = add(
        "ps",
        "list every process of every pool of this user, and strays: what pools have left that were "
        "killed together with their reaper",
        "agent-pool ps --json",
    )
    processes.add_argument("--json", action="store_true", help="print one JSON object")
    strays = add(
        "reap",
        "end strays (see ps) and nothing else; exit status 1: one would not end",
        "agent-pool reap --dry-run",
    )
    strays.add_argument("--dry-run", action="store_true", help="end nothing, say what would be")
    strays.add_argument("--json", action="store_true", help="print one JSON object")
    log = add(
        "tail",
        "show the end of this project's log, whether a pool runs or not",
        "agent-pool tail -f --agent code-reviewer --level warning",
    )
    log.add_argument("--root", help="the project (default: found from the current folder)")
    log.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    log.add_argument("--agent", metavar="NAME", help="only what concerns this agent")
    log.add_argument("--task", metavar="ID", help="only what concerns this task")
    log.add_argument(
        "--grep",
        type=_tail.pattern,
        metavar="X",
        help="only lines with this regular expression",
    )
    log.add_argument(
        "--level", type=_tail.level, help=f"this level and graver ones: {', '.join(_tail.LEVELS)}"
    )
    log.add_argument(
        "--since", type=_tail.since, metavar="TIME", help="from then on: 10m, 2h, 2026-03-31T14:05"
    )
    log.add_argument(
        "--lines",
        type=_tail.lines,
        metavar="N",
        help=f"the last N lines (default: {_tail.LINES}; all that --since gives)",
    )
    log.add_argument("--json", action="store_true", help="print the lines as they are")
    start = add(
        "init",
        "put a commented pool.toml, an example agent, a skill and an expertise file into the "
        "project's .claude, where they are missing; and say how to register the pool",
        "agent-pool init",
    )
    start.add_argument("--root", help="the project (default: found from the current folder)")
    start.add_argument("--dry-run", action="store_true", help="write nothing, say what would be")
    start.add_argument("--json", action="store_true", help="print one JSON object")
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
    if arguments.command == "hook":
        from supervisor.cli._hook import main as hook

        return hook()
    if arguments.command == "demo":
        from supervisor.cli._demo import demo

        return demo(arguments.json)
    cwd = os.getcwd()
    if arguments.command == "init":
        from supervisor.cli import _init

        project = Path(arguments.root) if arguments.root else Path(find_root(os.environ, cwd))
        return _init.init(project.absolute(), arguments.json, arguments.dry_run, os.environ)
    given = getattr(arguments, "root", None)
    root = os.path.realpath(given) if given else find_root(os.environ, cwd)
    place = Place(root, os.environ)
    if arguments.command in ("ps", "reap"):
        from supervisor.cli import _ps

        if arguments.command == "ps":
            return _ps.ps(place.base, arguments.json)
        return _ps.reap(place.base, arguments.json, arguments.dry_run)
    if arguments.command == "tail":
        chosen = _tail.Choice(
            arguments.agent,
            arguments.level,
            arguments.since,
            arguments.lines,
            arguments.task,
            arguments.grep,
        )
        return _tail.tail(place, chosen, arguments.follow, arguments.json)
    if arguments.command == "run":
        from supervisor.cli._start import run

        return run(place, os.environ, cwd, arguments.linger)
    from supervisor.cli._control import status, stop, tree

    command = {"stop": stop, "status": status, "tree": tree}[arguments.command]
    return command(place, arguments.json)
