"""The relay: what an MCP client starts. It joins the pool of the project, or starts it.

It copies bytes between its stdin and stdout and the pool's socket: the pool outlives it, and
killing it harms nobody. While a pool that it has started is not up yet, it answers by itself what
every client is answered alike (see `greeting`). When the pool goes, so does the relay, so that the
client sees a closed connection at once and starts a new one.

Standard library only, and little of it: about 20 ms to the first answer on a running pool.
"""

import contextlib
import fcntl
import os
import signal
import socket
import sys
import threading
import time

from supervisor import __version__, place
from supervisor.greeting import Answers, ClientGoneError, Greeter, GreetingRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

START_DEADLINE_S = 60.0
"""How long a pool may take to come up; the old one's shutdown may be part of it."""

HELLO_S = 10.0
"""How long a pool may take to answer hello, for which it need not wait for anything."""

LAST_ANSWERS_S = 5.0
"""How long, after the client closed its end, answers that are under way may still come."""

ENDED_FROM_OUTSIDE = (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, -signal.SIGKILL)
"""Exit statuses of a pool that was stopped or killed before it could answer anybody."""

LOOK_S = 0.005
"""Seconds between two looks whether the pool is up."""

CHUNK = 1 << 16


class PoolRefusedError(Exception):
    """There is no pool for this client; the message is one line that says why."""


class PoolSilentError(PoolRefusedError):
    """There is a pool, and it does not answer: it is stopped, or hangs."""


class PoolEndingError(Exception):
    """The pool took the connection and went before it answered: it was just ending."""


def main(config: str | None = None) -> int:
    """Relay until either side closes; returns the exit status (0: the client closed first).

    `config` is a pool.toml that comes before all others.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.isatty(0):
        sys.stderr.write(
            "agent-pool: serve is for MCP clients, which start it and speak on its stdin; Ctrl-D "
            "ends it. At a shell: agent-pool --help\n"
        )
    greeter = Greeter()
    try:
        cwd = os.getcwd()
        pool = join_or_start(place.with_config(os.environ, config, cwd), cwd, greeter=greeter)
    except (PoolRefusedError, place.PlaceError) as error:
        return refuse(greeter, str(error))
    except ClientGoneError:
        return 0
    except OSError as error:
        return refuse(greeter, f"no pool can be started here: {error}")
    return copy_both_ways(pool, greeter)


def refuse(greeter: Greeter, message: str) -> int:
    """Tell the person on stderr, and the client in answer to what it asks; returns 1."""
    sys.stderr.write(f"agent-pool: {message}\n")
    sys.stderr.flush()
    if not os.isatty(0):  # nobody there sends a request
        with contextlib.suppress(ClientGoneError):
            greeter.turn_away(f"agent-pool: {message}")
    return 1


def join_or_start(
    environ: "Mapping[str, str]",
    cwd: str,
    root: str | None = None,
    greeter: Greeter | None = None,
) -> socket.socket:
    """A connection to the pool of this project, on which hello has been said and answered.

    The project is that of `cwd`, or `root`. The `greeter` sees to the client while a pool is
    being started.

    Raises:
        PoolRefusedError: no pool can be had, or the one that runs is set differently.
        PlaceError: the state folder cannot be used.
        ClientGoneError: the greeter has nobody to see to any more.
    """
    if environ.get(place.TAG):
        raise PoolRefusedError(
            "an agent of a pool may not start or join a pool, and this process was started by one "
            f"({place.TAG} is set): {place.INSTEAD_OF_NESTING}"
        )
    variables = place.settled_variables(environ, cwd)
    where = place.find_place(root or place.find_root(environ, cwd), {**environ, **variables})
    where.prepare()
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        pool = try_join(where, variables)
        if pool is None:
            pause: Callable[[float], None] = time.sleep
            if greeter is not None:
                greeter.begin(Answers(where, {**environ, **variables}))
                pause = greeter.attend
            pool = start(where, variables, environ, deadline, pause)
        if pool is not None:
            return pool
    raise PoolRefusedError(
        f"the pool did not come up within {START_DEADLINE_S:.0f} s; see {where.errors}"
    )


def try_join(where: place.Place, variables: "Mapping[str, str] | None") -> socket.socket | None:
    """A connection to the running pool, or None where none answers.

    Raises:
        PoolRefusedError: the pool that runs is of another version, or set differently.
        PoolSilentError: it took the connection, and did not answer.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(where.socket)
        say_hello(connection, where.root, variables, HELLO_S)
    except TimeoutError:
        connection.close()
        raise PoolSilentError(
            f"the pool has not answered within {HELLO_S:.0f} s; agent-pool stop ends it"
        ) from None
    except (OSError, PoolEndingError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def say_hello(
    connection: socket.socket,
    root: str,
    variables: "Mapping[str, str] | None",
    within_s: float,
) -> "dict[str, object]":
    """Say hello and read the answer; returns it.

    Raises:
        PoolEndingError: the pool closed the connection instead.
        PoolRefusedError: the pool says no.
        OSError: the connection broke.
    """
    connection.settimeout(within_s)
    connection.sendall(place.hello_line(__version__, root, variables))
    line = b""
    while not line.endswith(b"\n"):
        # One byte at a time: what follows the newline belongs to the client.
        byte = connection.recv(1)
        if not byte or len(line) > place.HELLO_LIMIT:
            raise PoolEndingError
        line += byte
    connection.settimeout(None)
    try:
        answer = place.parse_hello(line)
    except ValueError:
        raise PoolRefusedError("what answers on the pool's socket is no agent-pool") from None
    if "error" in answer:
        raise PoolRefusedError(str(answer["error"]))
    return answer


def start(
    where: place.Place,
    variables: "Mapping[str, str]",
    environ: "Mapping[str, str]",
    deadline: float,
    pause: "Callable[[float], None]",
) -> socket.socket | None:
    """Start a pool and join it; None where another relay's start or an ending pool came between.

    `pause` lets seconds pass, as `time.sleep` does.

    Raises:
        PoolRefusedError: the pool ended before it answered; the message carries its last words.
    """
    lock = os.open(where.start_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try_flock(lock):
            if time.monotonic() > deadline:
                return None
            pause(LOOK_S)
            pool = try_join(where, variables)
            if pool is not None:
                return pool
        pool = try_join(where, variables)
        if pool is not None:
            return pool
        process = spawn(where, variables, environ)
        return await_pool(where, variables, process, deadline, pause)
    finally:
        os.close(lock)


def _try_flock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def spawn(
    where: place.Place, variables: "Mapping[str, str]", environ: "Mapping[str, str]"
) -> "subprocess.Popen[bytes]":
    """Start `agent-pool run` for `where`, in a session of its own, with no descriptor of ours."""
    import subprocess

    # The pool's own words go to a file: this process's stdout and stderr are the client's.
    with open(where.errors, "wb", opener=_private) as errors:
        return subprocess.Popen(
            # -P: the project's folder must not come into the module search path.
            [sys.executable, "-P", "-m", "agent_pool", "run", "--root", where.root, "--linger"],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            cwd=where.root,
            env={**environ, **variables},
            start_new_session=True,
        )


def _private(path: str, flags: int) -> int:
    # Appending: a pool that is still about keeps writing where the next one has begun anew.
    return os.open(path, flags | os.O_APPEND, 0o600)


def await_pool(
    where: place.Place,
    variables: "Mapping[str, str]",
    process: "subprocess.Popen[bytes]",
    deadline: float,
    pause: "Callable[[float], None]",
) -> socket.socket | None:
    """Join the pool that `process` becomes.

    Raises:
        PoolRefusedError: it ended with an error.
    """
    while time.monotonic() < deadline:
        pool = try_join(where, variables)
        if pool is not None:
            process.returncode = 0  # it outlives us: nobody is to wait for it
            return pool
        status = process.poll()
        if status in (0, *ENDED_FROM_OUTSIDE):
            return None  # another pool was there first, or it was told to stop
        if status is not None:
            raise PoolRefusedError(
                f"the pool ended at its start (status {status}): {last_words(where)}"
            )
        pause(LOOK_S)
    return None


def last_words(where: place.Place) -> str:
    """The last line that the pool printed before its log was open."""
    try:
        with open(where.errors, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        lines = []
    if lines:
        return lines[-1]
    try:
        _write_something(where.folder)
    except OSError as error:
        return place.unusable(where.folder, error)
    if os.path.exists(where.log):
        return f"it left no word; see {where.log}"
    return "it left no word; at a terminal, agent-pool run says more"


def _write_something(folder: str) -> None:
    """See whether `folder` has room for a file; raises OSError."""
    path = os.path.join(folder, f"room.{os.getpid()}")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, b" " * 4096)
    finally:
        os.close(fd)
        os.unlink(path)


def copy_both_ways(pool: socket.socket, greeter: Greeter) -> int:
    """Copy stdin to the pool and the pool to stdout until one side closes."""
    closed = threading.Event()
    first = greeter.hand_over()
    threading.Thread(
        target=_copy_in, args=(pool, first, greeter.closed, closed), daemon=True
    ).start()
    try:
        _write_all(greeter.unsent)
        while chunk := pool.recv(CHUNK):
            _write_all(greeter.pass_on(chunk))
    except GreetingRefusedError as error:
        sys.stderr.write(f"agent-pool: the pool does not serve this client: {error}\n")
        return _leave(1)
    except OSError:
        pass  # the pool broke the connection, or the client no longer reads
    if closed.is_set():
        return _leave(0)
    sys.stderr.write("agent-pool: the pool has gone; the next connection starts a new one\n")
    return _leave(1)


def _copy_in(pool: socket.socket, first: bytes, is_all: bool, closed: threading.Event) -> None:
    try:
        pool.sendall(first)
        while not is_all and (chunk := os.read(0, CHUNK)):
            pool.sendall(chunk)
        closed.set()
        pool.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other direction sees the same end, and reports it
    time.sleep(LAST_ANSWERS_S)
    os._exit(0)


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _leave(status: int) -> int:
    # The other thread may sit in a read that nothing interrupts.
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
