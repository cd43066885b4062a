"""Taking connections from a listening socket, for as long as a front end lives."""

import errno
from collections.abc import Awaitable, Callable

import trio


async def accept_each(
    listener: trio.SocketListener, serve: Callable[[trio.SocketStream], Awaitable[None]]
) -> None:
    """Serve each connection in a task of its own, until cancelled.

    `serve` must not raise. Where the listener is closed meanwhile, those that are connected are
    served on; it is not closed here.
    """
    async with trio.open_nursery() as nursery:
        while True:
            try:
                stream = await listener.accept()
            except trio.ClosedResourceError:
                await trio.sleep_forever()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                    raise
                await trio.sleep(0.1)  # until a descriptor is free again
                continue
            nursery.start_soon(serve, stream)
