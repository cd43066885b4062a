"""One contract for two programs: the rehearsal agent, and the real CLI with the loopback API."""
