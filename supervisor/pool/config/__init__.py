"""pool.toml: typed, frozen, checked whole before anything starts.

Several files may each say a part: what an earlier one leaves open, a later one fills, and the
built-in `config/pool.toml`, which holds every key, comes last. Every finding names its file,
line, key and value, and what is allowed. `ConfigFiles` knows the places, `Config` is what holds.
"""

from supervisor.pool.config.addresses import HttpAddress, parse_address
from supervisor.pool.config.changes import changes_between
from supervisor.pool.config.files import ConfigFiles, Loaded
from supervisor.pool.config.in_force import ConfigInForce
from supervisor.pool.config.lines import At
from supervisor.pool.config.merge import Origin
from supervisor.pool.config.problems import ConfigError, Problem, dotted
from supervisor.pool.config.quantities import parse_duration, parse_size
from supervisor.pool.config.tables import (
    TOOLS,
    USUAL_TOOLS,
    AgentTable,
    BackoffTable,
    Config,
    Defaults,
    FrontendTable,
    GroupTable,
    HttpTable,
    LedgerTable,
    LogsTable,
    PoolTable,
    SupervisorTable,
)
from supervisor.pool.config.variables import ENVIRONMENT, task_timeout_s

__all__ = [
    "ENVIRONMENT",
    "TOOLS",
    "USUAL_TOOLS",
    "AgentTable",
    "At",
    "BackoffTable",
    "Config",
    "ConfigError",
    "ConfigFiles",
    "ConfigInForce",
    "Defaults",
    "FrontendTable",
    "GroupTable",
    "HttpAddress",
    "HttpTable",
    "LedgerTable",
    "Loaded",
    "LogsTable",
    "Origin",
    "PoolTable",
    "Problem",
    "SupervisorTable",
    "changes_between",
    "dotted",
    "parse_address",
    "parse_duration",
    "parse_size",
    "task_timeout_s",
]
