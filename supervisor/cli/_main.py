"""The command line: what there is, and where it goes."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from supervisor import __version__
from supervisor.cli import _tail
from supervisor.cli._words import Intermixed, add_calls
from supervisor.place import (
    PlaceError,
    find_place,
    find_root,
    settled_variables,
    with_config,
)

_Add = Callable[[str, str, str], argparse.ArgumentParser]

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
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Intermixed
    )

    def add(name: str, summary: str, example: str, more: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=f"{summary[:1].upper()}{summary[1:]}.",
            epilog=f"example:\n  {example}\n\n{more}".rstrip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def add_in_project(name: str, summary: str, example: str) -> argparse.ArgumentParser:
        command = add(name, summary, example)
        command.add_argument("--root", help="the project (default: found from the current folder)")
        _add_config(command)
        return command

    serve = add(
        "serve",
        "what an MCP client starts: joins this project's pool, or starts it (MCP on stdio)",
        "claude mcp add agent-pool -- agent-pool serve",
    )
    _add_config(serve)
    add(
        "hook",
        "what the Claude Code plugin runs before each call of the Agent tool, the call on stdin: "
        "sends sub-agents that files define to the pool; AGENT_POOL_HOOK=off switches it off",
        "AGENT_POOL_HOOK=off claude",
    )
    run = add_in_project(
        "run", "the pool in the foreground, until Ctrl-C or SIGTERM", "agent-pool run"
    )
    run.add_argument(
        "--linger",
        action="store_true",
        help="end by itself some time after the last client and task (pool.toml: linger)",
    )
    run.add_argument(
        "--http",
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
    add_calls(add)
    for name, summary in (
        ("stop", "stop this project's pool and all its agents, and wait until they are gone"),
        (
            "status",
            "say whether this project's pool runs, and how its agents do; exit status 3: it does "
            "not run, 1: it is degraded, agents are down, or it does not answer",
        ),
        ("tree", "draw the running pool's supervision tree"),
    ):
        command = add_in_project(name, summary, f"agent-pool {name}")
        command.add_argument("--json", action="store_true", help="print one JSON object")
    live = add_in_project(
        "top",
        "show agents, what each does now and what it uses, once a second, until q or Ctrl-C; in a "
        "pipe once, with the exit status of status",
        "agent-pool top\n  agent-pool top --once",
    )
    live.add_argument("--once", action="store_true", help="print one table, and end")
    live.add_argument("--json", action="store_true", help="print one JSON object, and end")
    _add_configuration(add, add_in_project)
    processes = add_in_project(
        "ps",
        "list every process of every pool of this user, and strays: what pools have left that were "
        "killed together with their reaper",
        "agent-pool ps --json",
    )
    processes.add_argument("--json", action="store_true", help="print one JSON object")
    strays = add_in_project(
        "reap",
        "end strays (see ps), remove the temporary folders and cgroups that their pools had, and "
        "nothing else; exit status 1: something would not go",
        "agent-pool reap --dry-run",
    )
    strays.add_argument("--dry-run", action="store_true", help="end nothing, say what would be")
    strays.add_argument("--json", action="store_true", help="print one JSON object")
    log = add_in_project(
        "tail",
        "show the end of this project's log, whether a pool runs or not",
        "agent-pool tail -f --agent code-reviewer --level warning",
    )
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


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", metavar="FILE", help="a pool.toml that comes before all others"
    )


def _add_configuration(add: _Add, add_in_project: _Add) -> None:
    """The commands that are about the configuration, and start nothing."""
    check = add_in_project(
        "check",
        "check pool.toml, every agent, skill and expertise, the CLI and the folders, and start "
        "nothing; exit status 0: no error, 1: warnings, with --strict, 2: errors",
        "agent-pool check --strict",
    )
    check.add_argument(
        "--strict", action="store_true", help="exit status 1 where there are warnings"
    )
    doctor = add_in_project(
        "doctor",
        "look whether this machine has what a pool needs, and say how to mend what it has not; "
        "exit status 0: no error, 1: warnings, with --strict, 2: errors",
        "agent-pool doctor",
    )
    doctor.add_argument(
        "--strict", action="store_true", help="exit status 1 where there are warnings"
    )
    config = add_in_project(
        "config",
        "print what a pool would be configured with, and where each value comes from",
        "agent-pool config --json",
    )
    for command in (check, doctor, config):
        command.add_argument("--json", action="store_true", help="print one JSON object")
    add(
        "schema",
        "print the JSON Schema of pool.toml, for editors",
        "agent-pool schema > .claude/pool.schema.json",
    )
    trust = add(
        "trust",
        "trust a project: its own pool.toml and agents may then also say what runs code (command, "
        "extra_arguments, environment, bypassPermissions, hooks, MCP servers)",
        "agent-pool trust .",
    )
    trust.add_argument(
        "path", nargs="?", help="the project (default: found from the current folder)"
    )
    what = trust.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print which projects are trusted")
    what.add_argument("--remove", action="store_true", help="trust it no longer")
    trust.add_argument("--json", action="store_true", help="print one JSON object")


def main(argv: list[str]) -> int:
    """Run one command; returns its exit status: 0 done, 1 failed, 2 wrong usage ...

    The commands that call the pool have more of them, see `_words.EXIT_STATUS`.
    """
    arguments = parser().parse_args(argv)
    try:
        return _dispatch(arguments)
    except PlaceError as error:
        sys.stderr.write(f"agent-pool: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has gone; nothing more can be said to anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(arguments: argparse.Namespace) -> int:
    # Each command imports only what it needs: `status` is not to wait for the MCP SDK.
    match arguments.command:
        case "serve":
            from supervisor.relay import main as relay

            return relay(arguments.config)
        case "hook":
            from supervisor.cli._hook import main as hook

            return hook()
        case "demo":
            from supervisor.cli._demo import demo

            return demo(arguments.json)
        case "schema":
            from supervisor.cli._config import schema

            return schema()
        case "init":
            from supervisor.cli import _init

            root = Path(arguments.root or find_root(os.environ, os.getcwd()))
            return _init.init(root.absolute(), arguments.json, arguments.dry_run, os.environ)
        case "trust":
            from supervisor.cli._trust import trust

            root = Path(arguments.path or find_root(os.environ, os.getcwd()))
            return trust(root, os.environ, arguments.list, arguments.remove, arguments.json)
    return _dispatch_in_project(arguments)


def _dispatch_in_project(arguments: argparse.Namespace) -> int:
    cwd = os.getcwd()
    environ = with_config(os.environ, arguments.config, cwd)
    given = arguments.root
    root = os.path.realpath(given) if given else find_root(environ, cwd)
    settled = {**environ, **settled_variables(environ, cwd)}
    match arguments.command:
        case "check":
            from supervisor.cli._check import check

            return check(root, settled, arguments.strict, arguments.json)
        case "config":
            from supervisor.cli._config import config

            return config(root, settled, arguments.json)
        case "doctor":
            from supervisor.cli._doctor import doctor

            return doctor(root, settled, arguments.strict, arguments.json)
    place = find_place(root, settled)
    match arguments.command:
        case "ps":
            from supervisor.cli._ps import ps

            return ps(place.base, place.folder if given else None, arguments.json)
        case "reap":
            from supervisor.cli._reap import reap

            only = place.folder if given else None
            return reap(place.base, only, settled, arguments.json, arguments.dry_run)
        case "tail":
            return _tail.tail(place, arguments)
        case "top":
            from supervisor.cli._top import top

            return top(place, arguments.once, arguments.json)
        case "run":
            from supervisor.cli._start import Ways, run

            ways = Ways(
                arguments.linger, arguments.http, arguments.http_allow_remote, arguments.stdio
            )
            return run(place, environ, cwd, ways)
    if arguments.command in ("stop", "status", "tree"):
        from supervisor.cli._control import status, stop, tree

        if arguments.command == "stop":
            return stop(place, settled, arguments.json)
        return (status if arguments.command == "status" else tree)(place, arguments.json)
    from supervisor.cli._calls import call

    return call(place, arguments, environ)
