"""The real Claude Code as the client of a pool whose agents are the real CLI too."""
