"""The whole product on the real Claude CLI: a raw MCP client in front, the loopback API behind."""
