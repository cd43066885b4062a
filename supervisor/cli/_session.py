"""A command's session with the project's pool: MCP over the pool's socket.

A client that sets none of the variables that configure a pool takes the one that runs as it is:
somebody at a shell need not know what the pool was started with. One that sets any is refused by
a pool with others, as every client is.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedRWPair
from typing import Any

from supervisor import __version__, relay
from supervisor.cli._client import Asker, ClientError, LineClient
from supervisor.place import (
    TAG,
    Place,
    PlaceError,
    hello_line,
    parse_hello,
    settled_variables,
)

WITHDRAW_S = 2.0
"""How long the pool may take to hear that a call is cancelled."""


class NoPoolError(Exception):
    """There is no pool to be asked, or it has gone; the message says why, and what to do."""


@contextmanager
def session(
    place: Place, start: bool, environ: Mapping[str, str], asker: Asker | None = None
) -> Iterator[LineClient]:
    """A session with the pool of `place`; `start`: one is started where none runs.

    `asker` shows the pool's questions, where there is somebody who could answer them.

    Where the body is interrupted by Ctrl-C, the call under way is cancelled first.

    Raises:
        NoPoolError: there is none to be had, or it does not answer.
    """
    connection = _joined(place, start, environ)
    with connection, _lines(connection) as lines:
        client = LineClient(lines, lines, asker)
        try:
            client.initialize("agent-pool")
        except (OSError, ValueError, ClientError) as error:
            raise NoPoolError(f"the pool does not answer: {error}") from error
        try:
            yield client
        except KeyboardInterrupt:
            connection.settimeout(WITHDRAW_S)
            with suppress(OSError, ValueError, ClientError):
                client.withdraw()
            raise


@contextmanager
def _lines(connection: socket.socket) -> Iterator[BufferedRWPair]:
    lines = connection.makefile("rwb")
    try:
        yield lines
    finally:
        # It tries once more to send what could not be sent, which its sender knows already.
        with suppress(OSError):
            lines.close()


def _joined(place: Place, start: bool, environ: Mapping[str, str]) -> socket.socket:
    if environ.get(TAG):
        raise NoPoolError(f"an agent of a pool may not ask a pool ({TAG} is set)")
    try:
        found = _running(place, environ)
        if found is None and start:
            found = relay.join_or_start(environ, os.getcwd(), place.root)
    except (relay.PoolRefusedError, PlaceError) as error:
        raise NoPoolError(str(error)) from error
    except OSError as error:
        raise NoPoolError(f"no pool can be started here: {error}") from error
    if found is not None:
        return found
    if place.holder() is not None:
        raise NoPoolError(f"the pool of {place.root} does not answer; agent-pool stop ends it")
    raise NoPoolError(
        f"no pool of {place.root} runs; serve, run, invoke, consult, invoke-many, submit, list, "
        "warmup and reset start one"
    )


def _running(place: Place, environ: Mapping[str, str]) -> socket.socket | None:
    return relay.try_join(place, settled_variables(environ, os.getcwd()) or None)


@contextmanager
def looking(place: Place, answers_s: float) -> Iterator[tuple[dict[str, Any], LineClient]]:
    """What the running pool answers to hello, and a session in which it is only looked at.

    Whatever the pool was started with is taken as it is, and whoever looks may be an agent.

    Args:
        place: the project's.
        answers_s: seconds that the pool may take for an answer.

    Raises:
        OSError, ValueError, ClientError: it does not answer, or not as a pool does.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(answers_s)
        connection.connect(place.socket)
        with _lines(connection) as lines:
            lines.write(hello_line(__version__, place.root, None))
            lines.flush()
            answer = parse_hello(lines.readline())
            if "error" in answer:
                raise ValueError(answer["error"])
            client = LineClient(lines, lines)
            client.initialize("agent-pool")
            yield answer, client
