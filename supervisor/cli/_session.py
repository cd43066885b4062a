"""A command's session with the project's pool: MCP over the pool's socket.

A client that sets none of the variables that configure a pool takes the one that runs as it is:
somebody at a shell need not know what the pool was started with. One that sets any is refused by
a pool with others, as every client is.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedRWPair
from typing import Any

from supervisor import __version__, relay
from supervisor.cli._client import Asker, ClientError, LineClient
from supervisor.cli._manual import STARTERS
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


START_S = 5.0
"""How long a pool that is starting is waited for."""

POLL_S = 0.02
"""Between two looks for its socket."""


class NoPoolError(Exception):
    """There is no pool to be asked, or it has gone; the message says why, and what to do."""

    def __init__(self, message: str, code: str = "pool_gone", task_id: str | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id
        """The task that was asked for, where that is known."""
        self.code = code
        """For programs: one of the codes that docs/troubleshooting.md lists."""


class NotYetError(OSError):
    """The pool cannot be reached just now."""

    def __init__(self, state: str, pid: object) -> None:
        named = f" (pid {pid})" if isinstance(pid, int) else ""
        advice = "" if state == "ending" else "; if it stays so, agent-pool stop ends it"
        super().__init__(f"the pool{named} is {state}: ask again in a moment{advice}")
        self.state = state
        """`starting` or `ending`."""
        self.pid = pid if isinstance(pid, int) else None
        """The pool's process; None: it has not said yet."""

    @property
    def code(self) -> str:
        """For programs."""
        return f"pool_{self.state}"


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
            message = f"the pool does not answer: {error}; agent-pool stop ends it"
            raise NoPoolError(message, "pool_silent") from error
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
        raise NoPoolError(f"an agent of a pool may not ask a pool ({TAG} is set)", "inside_agent")
    try:
        if start:
            found = _running(place, environ)
            return found or relay.join_or_start(environ, os.getcwd(), place.root)
        return _awaited(place, environ)
    except relay.PoolSilentError as error:
        raise NoPoolError(str(error), "pool_silent") from None
    except relay.PoolRefusedError as error:
        raise NoPoolError(str(error), "pool_refused") from error
    except PlaceError as error:
        raise NoPoolError(str(error), "state_folder_unusable") from error
    except OSError as error:
        message = f"no pool can be started here: {error}"
        raise NoPoolError(message, "state_folder_unusable") from error


def _awaited(place: Place, environ: Mapping[str, str]) -> socket.socket:
    """A connection to the pool that runs, or is starting."""
    deadline = time.monotonic() + START_S
    while place.holder() is not None:
        found = _running(place, environ)
        if found is not None:
            return found
        try:
            _await_change(place, deadline)
        except NotYetError as late:
            raise NoPoolError(str(late), late.code) from None
    raise NoPoolError(none_runs(place), "no_pool")


def _await_change(place: Place, deadline: float) -> None:
    """Let a little time pass for a pool that nobody can reach just now.

    Raises:
        NotYetError: it is about to end, or has been given enough time to start.
    """
    holder = place.holder() or {"ending": True}
    if holder.get("ending") or time.monotonic() > deadline:
        raise NotYetError("ending" if holder.get("ending") else "starting", holder.get("pid"))
    time.sleep(POLL_S)


def none_runs(place: Place) -> str:
    """That no pool runs, and what to do."""
    return f"no pool of {place.root} runs; {STARTERS}"


def _running(place: Place, environ: Mapping[str, str]) -> socket.socket | None:
    return relay.try_join(place, settled_variables(environ, os.getcwd()) or None)


@contextmanager
def looking(
    place: Place, answers_s: float, starts_s: float = START_S
) -> Iterator[tuple[dict[str, Any], LineClient]]:
    """What the running pool answers to hello, and a session in which it is only looked at.

    Whatever the pool was started with is taken as it is, and whoever looks may be an agent.

    Args:
        place: the project's.
        answers_s: seconds that the pool may take for an answer.
        starts_s: seconds that one that is starting may take to be there.

    Raises:
        NotYetError: it is starting still, or about to end.
        OSError, ValueError, ClientError: it does not answer, or not as a pool does.
    """
    with _connected(place, answers_s, starts_s) as connection:
        connection.settimeout(answers_s)
        with _lines(connection) as lines:
            lines.write(hello_line(__version__, place.root, None))
            lines.flush()
            answer = parse_hello(lines.readline())
            if "error" in answer:
                raise ValueError(answer["error"])
            client = LineClient(lines, lines)
            client.initialize("agent-pool")
            yield answer, client


def _connected(place: Place, answers_s: float, starts_s: float) -> socket.socket:
    deadline = time.monotonic() + starts_s
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(answers_s)
        try:
            connection.connect(place.socket)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
        except BaseException:
            connection.close()
            raise
        else:
            return connection
        _await_change(place, deadline)
