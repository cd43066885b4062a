"""The command line: what is asked for, and where it goes."""

import argparse
import json
import os
import sys
from pathlib import Path

from supervisor.cli import _streams as streams
from supervisor.cli import _tail
from supervisor.cli._failure import CommandError, fail
from supervisor.cli._manual import FAILED, INTERRUPTED, MISUSED
from supervisor.cli._parser import parser
from supervisor.cli._usage import UsageError
from supervisor.place import (
    Place,
    PlaceError,
    find_place,
    find_root,
    settled_variables,
    with_config,
)

WORKS_IN_PROJECT = (
    "run", "check", "config", "doctor", "invoke", "consult", "invoke-many", "submit", "list",
    "warmup", "reset",
)  # fmt: skip
"""Commands that need the project's folder; the others only its pool, or what that has left."""


def main(argv: list[str]) -> int:
    """Run one command; returns its exit status, as `_manual` has it of that command."""
    if argv[:1] == ["help"]:  # as many other programs have it
        argv = [*argv[1:2], "--help"]
    if not streams.complete() and argv[:1] != ["run"]:
        return streams.tell_closed()
    if argv[:1] not in (["run"], ["serve"]):  # who speaks MCP must know when nobody hears it
        streams.outlive_readers()
    try:
        return _flushed(argv)
    except BrokenPipeError:
        # Whoever read `run` has gone; nothing more can be said to anybody.
        streams.abandon_output()
        return FAILED
    except OSError as error:
        if not streams.is_output_stuck(error):
            raise
        return streams.tell_stuck(error)


def _flushed(argv: list[str]) -> int:
    """Run it, and have all of its output written: else Python would at its own end, and fail."""
    try:
        status = _run(argv)
    except SystemExit:  # argparse has printed the help
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return status


def _run(argv: list[str]) -> int:
    as_json = "--json" in argv
    try:
        return _dispatch(parser().parse_args(argv))
    except UsageError as error:
        return _misused(error, as_json)
    except CommandError as failure:
        return fail(as_json, failure.status, failure.code, str(failure), **failure.facts)
    except PlaceError as error:
        return fail(as_json, FAILED, "state_folder_unusable", str(error))
    except KeyboardInterrupt:
        return INTERRUPTED


def _misused(error: UsageError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": str(error), "code": "usage"}))
    else:
        advice = f"{error.command} --help says more"
        sys.stderr.write(f"{error.usage}{error.command}: error: {error}\n{advice}\n")
    return MISUSED


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

            root = Path(arguments.root or find_root(os.environ, _cwd()))
            _check_folder(str(root), "init")
            return _init.init(root.absolute(), arguments.json, arguments.dry_run, os.environ)
        case "trust":
            from supervisor.cli._trust import trust

            root = Path(arguments.path or find_root(os.environ, _cwd()))
            if not (arguments.list or arguments.remove):
                _check_folder(str(root), "trust")
            return trust(root, os.environ, arguments.list, arguments.remove, arguments.json)
    return _dispatch_in_project(arguments)


def _dispatch_in_project(arguments: argparse.Namespace) -> int:
    cwd = _cwd()
    environ = with_config(os.environ, arguments.config, cwd)
    given = arguments.root
    root = os.path.realpath(given) if given else find_root(environ, cwd)
    if arguments.command in WORKS_IN_PROJECT:
        _check_folder(root, arguments.command)
    settled = {**environ, **settled_variables(environ, cwd)}
    if arguments.command == "check":
        from supervisor.cli._check import check

        return check(root, settled, arguments.strict, arguments.json)
    _check_config(arguments, cwd)
    match arguments.command:
        case "config":
            from supervisor.cli._config import config

            return config(root, settled, arguments.json)
        case "doctor":
            from supervisor.cli._doctor import doctor

            return doctor(root, settled, arguments.strict, arguments.json)
    place = find_place(root, settled)
    if given:
        _check_known(place, arguments.command)
    match arguments.command:
        case "ps":
            from supervisor.cli._ps import ps

            return ps(place.base, place.folder if given else None, arguments.json)
        case "reap":
            from supervisor.cli._reap import reap

            only = place.folder if given else None
            return reap(place.base, only, settled, arguments.json, arguments.dry_run)
        case "tail":
            return _tail.tail(place, arguments, settled)
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


def _cwd() -> str:
    """The working directory.

    Raises:
        UsageError: somebody has removed it.
    """
    try:
        return os.getcwd()
    except OSError as error:
        # The shell knows what it was called.
        gone = os.environ.get("PWD", "the current folder")
        what = f"{gone} is no longer there ({error.strerror}); change to another folder"
        raise UsageError(what, command="agent-pool") from None


def _check_folder(root: str, command: str) -> None:
    """The project is to be there.

    Raises:
        UsageError: it is not.
    """
    if not os.path.isdir(root):
        what = "no folder" if os.path.lexists(root) else "not there"
        raise UsageError(f'the project "{root}" is {what}', command=f"agent-pool {command}")


def _check_known(place: Place, command: str) -> None:
    """The project is to be there, or to have had a pool: that can still be stopped.

    Raises:
        UsageError: it is not.
    """
    if not os.path.isdir(place.folder):
        _check_folder(place.root, command)


def _check_config(arguments: argparse.Namespace, cwd: str) -> None:
    """What --config names is to be a file.

    Raises:
        UsageError: it is none.
    """
    given = arguments.config
    if given is None:
        return
    path = os.path.join(cwd, os.path.expanduser(given))
    if not os.access(path, os.R_OK) or os.path.isdir(path):
        what = "cannot be read" if os.path.isfile(path) else "is no file"
        what = what if os.path.lexists(path) else "is not there"
        command = f"agent-pool {arguments.command}"
        raise UsageError(f'argument --config: "{given}" {what}', command=command)
