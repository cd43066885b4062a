"""The product: configuration → tree, worker, dispatch, events.

`Pool` accepts tasks and brings each to exactly one outcome. An `Agent` is what the pool keeps
of one agent (its queue outlives any restart); a `Worker` is the supervised actor that owns the
agent's process; an `AgentProcess` is that process and the conversation with it.
"""

from supervisor.pool.config import Config, ConfigError, ConfigFiles, HttpAddress, parse_address
from supervisor.pool.digests import digest, part, parts
from supervisor.pool.events import ConfigurationRefused, ConfigurationReloaded, PoolEvent
from supervisor.pool.outcome import WAITS, PoolError, Task, TaskError, TaskResult
from supervisor.pool.permission import Decision, Desk, Wish
from supervisor.pool.pool import Pool
from supervisor.pool.reload import Reloaded

__all__ = [
    "WAITS",
    "Config",
    "ConfigError",
    "ConfigFiles",
    "ConfigurationRefused",
    "ConfigurationReloaded",
    "Decision",
    "Desk",
    "HttpAddress",
    "Pool",
    "PoolError",
    "PoolEvent",
    "Reloaded",
    "Task",
    "TaskError",
    "TaskResult",
    "Wish",
    "digest",
    "parse_address",
    "part",
    "parts",
]
