"""agent-pool: a supervisor tree that keeps AI agent processes alive behind an MCP server.

The rooms: `tree` (OTP supervision), `process` (OS children), `protocol` (talking to an
agent CLI, without I/O), `agents` (definitions), `pool` (the product), `frontend` (the MCP
server), `relay` (what an MCP client starts), `ledger` (tasks and their outcomes), `logs`,
`cli`, `rehearsal` (a stand-in agent CLI). This module stays empty of imports: the relay must start
in a few milliseconds.
"""

__version__ = "0.1.0"
