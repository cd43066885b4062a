"""The real Claude CLI: installed on demand, driven against the loopback API, never the real one."""
