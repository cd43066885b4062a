"""The process's own stdin and stdout as a stream, for a pool that an MCP client starts itself.

Both are taken away from everybody else: whoever reads stdin finds nothing there, and what is
printed goes to stderr, so that nothing but MCP comes by. Neither is made non-blocking, which would
hold for all who share it, a shell or the terminal: a descriptor that is ready takes a little
without waiting. Any wait can be cancelled.
"""

import fcntl
import os
import select
from collections.abc import Awaitable, Callable

import trio


def claim_stdio() -> trio.abc.Stream:
    """What was stdin and stdout until now. Call it once, before anything else uses them."""
    reading, writing = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in (0, 1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return trio.StapledStream(_Writing(writing), _Reading(reading))


class _Reading(trio.abc.ReceiveStream):
    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await _ready(trio.lowlevel.wait_readable, self._fd)
        try:
            return os.read(self._fd, max_bytes or 1 << 16)
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        os.close(self._fd)
        await trio.lowlevel.checkpoint()


class _Writing(trio.abc.SendStream):
    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        left = memoryview(data)
        while left:
            await self.wait_send_all_might_not_block()
            try:
                # What poll calls writable takes so much at once.
                left = left[os.write(self._fd, left[: select.PIPE_BUF]) :]
            except OSError as error:
                raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        await _ready(trio.lowlevel.wait_writable, self._fd)

    async def aclose(self) -> None:
        os.close(self._fd)
        await trio.lowlevel.checkpoint()


async def _ready(wait: Callable[[int], Awaitable[None]], fd: int) -> None:
    try:
        await wait(fd)
    except PermissionError:
        # A file, or /dev/null, which epoll does not know: it never keeps anybody waiting.
        await trio.lowlevel.checkpoint()
