"""Taking connections from a listening socket, for as long as a front end lives."""

import errno
from collections.abc import Awaitable, Callable

import trio


async def accept_each(
    listener: trio.SocketListener,
    serve: Callable[[trio.SocketStream], Awaitable[None]],
    most: int | None = None,
) -> None:
    """Serve each connection in a task of its own, until cancelled.

    `serve` must not raise. Where the listener is closed meanwhile, those that are connected are
    served on; it is not closed here. While there are `most` connections, the next ones wait to be
    accepted: each that is takes a descriptor, which the pool needs for its processes.
    """
    changed = trio.Event()
    connected = 0

    async def serve_one(stream: trio.SocketStream) -> None:
        nonlocal changed, connected
        try:
            await serve(stream)
        finally:
            connected -= 1
            changed.set()
            changed = trio.Event()

    async with trio.open_nursery() as nursery:
        while True:
            while connected == most:
                await changed.wait()
            stream = await _accept(listener)
            connected += 1
            nursery.start_soon(serve_one, stream)


async def _accept(listener: trio.SocketListener) -> trio.SocketStream:
    while True:
        try:
            return await listener.accept()
        except trio.ClosedResourceError:
            await trio.sleep_forever()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                raise
            await trio.sleep(0.1)  # until a descriptor is free again
