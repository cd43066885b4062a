"""The tables of pool.toml: which keys there are, and what each may hold.

All values are required: the built-in `config/pool.toml` says each of them, and every other file
says what differs. The text below a key is its documentation also in the JSON Schema.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from supervisor.pool.config.quantities import (
    DURATION,
    SIZE,
    UNITS_B,
    UNITS_S,
    meant_duration,
    meant_size,
    parse_duration,
    parse_size,
    pattern,
)


@dataclass(frozen=True)
class Allowed:
    """What a key may hold, for whoever has written something else."""

    words: str
    """In words: `a whole number, 0 or more`."""
    meant: Callable[[object], object] = lambda value: None
    """What a wrong value may have been meant to be; None: nobody knows."""


_SWITCHES = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False, "no": False, "off": False, "0": False
}  # fmt: skip


def _meant_number(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        return int(value)
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return int(value) if is_whole and isinstance(value, float) else None


def _meant_share(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]?\.?[0-9]{1,15}", value):
        return float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value / 100 if is_number and 2 <= value <= 100 else None  # type: ignore[operator]


def _meant_switch(value: object) -> object:
    return _SWITCHES.get(str(value).lower()) if isinstance(value, int | str) else None


def _meant_texts(value: object) -> object:
    words = [word for word in re.split(r"[,\s]+", value) if word] if isinstance(value, str) else []
    return words or None


def _texts(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError("allowed is a list of texts")  # noqa: TRY004 - what pydantic expects
    return tuple(value)


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": pattern(UNITS_S), "examples": ["90s", "30min"]}),
    Allowed(DURATION, meant_duration),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": pattern(UNITS_B), "examples": ["512MiB"]}),
    Allowed(SIZE, meant_size),
]
Count = Annotated[int, Field(ge=0), Allowed("a whole number, 0 or more", _meant_number)]
Number = Annotated[int, Field(ge=1), Allowed("a whole number, 1 or more", _meant_number)]
Share = Annotated[float, Field(ge=0, le=1), Allowed("a number from 0 to 1", _meant_share)]
Switch = Annotated[bool, Allowed("true or false", _meant_switch)]
Text = Annotated[str, Allowed('a text in quotes, such as "…"')]
Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(_texts),
    Allowed('a list of texts, such as ["…", "…"]', _meant_texts),
]
Restart = Literal["permanent", "transient", "temporary"]
PermissionMode = Literal["default", "acceptEdits", "plan", "dontAsk", "bypassPermissions"]
Effort = Literal["", "low", "medium", "high", "xhigh", "max"]


class Table(BaseModel):
    """What all tables have in common: frozen, no key that is not declared, no conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PoolTable(Table):
    """`[pool]`."""

    linger: Duration
    """Seconds that the pool stays after its last client and its last task."""
    disconnect_grace: Duration
    """Seconds that a task runs on after its client's connection was lost."""
    shutdown_grace: Duration
    """Seconds that tasks in hand may take to finish when the pool is stopped."""
    budget: Size
    """Bytes of memory that all processes of the pool may take together; 0: any."""
    min_available: Size
    """Bytes of the machine's memory that have to be left, for a process to be started; 0: any."""
    spawn_limit: Count
    """Processes that may be starting at once; 0: one per core."""


class AgentTable(Table):
    """`[defaults.agent]`, and `[agents.<name>]` upon it."""

    supervisor: Text
    """The group (`[supervisors.<name>]`) that it belongs to; empty: a supervisor of its own."""
    restart: Restart
    """When an agent's worker that ended is restarted, in OTP's words."""
    significant: Switch
    """Its end for good may end its group: see the group's auto_shutdown."""
    shutdown: Duration
    """Seconds that a process may take to end in order before it is killed."""
    task_timeout: Duration
    """Seconds from a task's acceptance to its deadline."""
    start_timeout: Duration
    """Seconds that a process may take to become ready."""
    control_timeout: Duration
    """Seconds that a process may take to answer a control request or a reset."""
    interrupt_grace: Duration
    """Seconds that an interrupted task may take to end before its process is killed."""
    queue_limit: Number
    """Tasks that may wait for one agent."""
    soft_ceiling: Size
    """Bytes of memory of the whole process tree above which it is recycled after its task."""
    hard_ceiling: Size
    """Bytes of memory of the whole process tree above which it is killed at once."""
    tmp_limit: Size
    """Bytes of the process's temporary folder above which it is recycled after its task."""
    max_growth: Size
    """Bytes that a process may have grown since it became ready; 0: any."""
    max_tasks: Count
    """Tasks after which a process is recycled; 0: any number."""
    max_age: Duration
    """Seconds after which a process is recycled, once it is idle; 0: any."""
    max_idle: Duration
    """Seconds without a task after which a process is ended; 0: it is kept."""
    liveness_timeout: Duration
    """Seconds that a process may leave a ping unanswered before it counts as hung; 0: any."""
    permission_mode: PermissionMode
    """The CLI's permission mode, where the definition names none."""


class BackoffTable(Table):
    """`[defaults.supervisor.backoff]`."""

    initial: Duration
    """Seconds before the second restart; doubled from there on."""
    maximum: Duration
    """Seconds that a wait grows to; not below `initial`."""
    jitter: Share
    """The part of a wait by which it is longer or shorter at random."""
    reset_after: Duration
    """Seconds of health that forget the restarts before."""


class SupervisorTable(Table):
    """`[defaults.supervisor]`: the supervisor that each agent without a group has."""

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"]
    """Which children are restarted when one ends, in OTP's words."""
    intensity: Count
    """Restarts within the period that are borne."""
    period: Annotated[Duration, Field(gt=0), Allowed(f"{DURATION}, above 0", meant_duration)]
    """Seconds within which restarts count together."""
    auto_shutdown: Literal["never", "any_significant", "all_significant"]
    """Whether it ends when significant agents have ended for good, in OTP's words."""
    cool_down: Duration
    """Seconds after which a supervisor that gave up, and its agents, are started again."""
    backoff: BackoffTable
    """How long restarts wait."""


class GroupTable(SupervisorTable):
    """`[supervisors.<name>]`, upon `[defaults.supervisor]`: the supervisor of a group of agents."""

    parent: Text = ""
    """The group that it is in itself; empty: none."""


class LogsTable(Table):
    """`[logs]`."""

    level: Literal["debug", "info", "warning", "error"]
    """What is too small is not written."""
    max_size: Size
    """Bytes of one file before the next begins."""
    keep: Count
    """Older files that are kept."""


class Defaults(Table):
    """`[defaults]`."""

    agent: AgentTable
    """For every agent."""
    supervisor: SupervisorTable
    """For every agent's supervisor."""


class Config(Table):
    """The whole configuration. Two of them are equal where nothing differs but tables' order."""

    pool: PoolTable
    """`[pool]`."""
    defaults: Defaults
    """`[defaults]`."""
    supervisors: dict[str, GroupTable]
    """`[supervisors.<name>]`, each upon the defaults."""
    agents: dict[str, AgentTable]
    """`[agents.<name>]`, each upon the defaults."""
    logs: LogsTable
    """`[logs]`."""

    def agent(self, name: str) -> AgentTable:
        """The settings of the agent `name`."""
        return self.agents.get(name, self.defaults.agent)

    def own(self, name: str) -> frozenset[str]:
        """The keys that `[agents.<name>]` itself gives: those come before its definition."""
        table = self.agents.get(name)
        return frozenset() if table is None else frozenset(table.model_fields_set)


NAMED: dict[str, type[Table]] = {"agents": AgentTable, "supervisors": GroupTable}
"""Tables of tables, each under a name of the user's."""
