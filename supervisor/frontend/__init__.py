"""The MCP server: tools and progress, on the pool's local socket.

Handlers only put messages to the pool and await outcomes: the pool owns tasks, so a handler
that is cancelled takes nothing with it but its own waiting.
"""

from supervisor.frontend._server import FrontEnd, close, listen

__all__ = ["FrontEnd", "close", "listen"]
