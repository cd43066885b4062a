"""The MCP server: tools and progress, on the pool's local socket, on stdio, over HTTP.

`supervisor.frontend.http` is to be imported only by who serves HTTP: it takes long to load.

Handlers only put messages to the pool and await outcomes: the pool owns tasks, so a handler
that is cancelled takes nothing with it but its own waiting.
"""

from supervisor.frontend._server import FrontEnd, close, listen
from supervisor.frontend._stdio import claim_stdio

__all__ = ["FrontEnd", "claim_stdio", "close", "listen"]
