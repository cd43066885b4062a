"""pool.toml: typed, frozen, checked whole before anything starts.

Several files may each say a part: what an earlier one leaves open, a later one fills, and the
built-in `config/pool.toml`, which holds every key, comes last. Every finding names its file,
line, key and value, and what is allowed.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

DEPTH_LIMIT = 16
"""Tables within tables; more are a mistake whatever they hold."""

_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS_B = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_duration(value: object) -> float:
    """Seconds of a duration as people write it: `"250ms"`, `"90s"`, `"1.5h"`.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    return _quantity(value, _UNITS_S, 'a duration, such as "250ms", "90s", "30min" or "2h"')


def parse_size(value: object) -> int:
    """Bytes of a size as people write it: `"512MiB"`, `"1.5GiB"`.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    return int(_quantity(value, _UNITS_B, 'a size, such as "64KiB", "512MiB" or "1.5GiB"'))


def _quantity(value: object, units: Mapping[str, float], allowed: str) -> float:
    match = (
        re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)", value)
        if isinstance(value, str)
        else None
    )
    if match is None or match[2] not in units:
        raise ValueError(f"allowed is {allowed}")
    quantity = float(match[1]) * units[match[2]]
    if not math.isfinite(quantity):
        raise ValueError(f"it is too large; allowed is {allowed}")
    return quantity


Duration = Annotated[float, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
Restart = Literal["permanent", "transient", "temporary"]
PermissionMode = Literal["default", "acceptEdits", "plan", "dontAsk", "bypassPermissions"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PoolTable(_Table):
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
    spares: Annotated[int, Field(ge=0, le=16)]
    """Processes without a role that stand by, for each profile that an agent has."""
    spawn_limit: Annotated[int, Field(ge=0)]
    """Processes that may be starting at once; 0: one per core."""


class AgentTable(_Table):
    """`[defaults.agent]`, and `[agents.<name>]` upon it."""

    supervisor: str
    """The group (`[supervisors.<name>]`) that it belongs to; empty: a supervisor of its own."""
    restart: Restart
    """When an agent's worker that ended is restarted, in OTP's words."""
    significant: bool
    """Its end for good may end its group: see the group's auto_shutdown."""
    replicas: Annotated[int, Field(ge=1, le=64)]
    """Workers that serve its queue, each with a process of its own once there is work for it."""
    min_replicas: Annotated[int, Field(ge=0)]
    """Workers that have a process even where there is no work; not more than `replicas`."""
    shutdown: Duration
    """Seconds that a process may take to end in order before it is killed."""
    retries: Annotated[int, Field(ge=0, le=100)]
    """Times that a task is tried again whose process died, or outgrew its hard ceiling."""
    keep_background: bool
    """What a task's commands left running lives on; else it ends with the task."""
    task_timeout: Duration
    """Seconds from a task's acceptance to its deadline."""
    start_timeout: Duration
    """Seconds that a process may take to become ready."""
    control_timeout: Duration
    """Seconds that a process may take to answer a control request or a reset."""
    interrupt_grace: Duration
    """Seconds that an interrupted task may take to end before its process is killed."""
    queue_limit: Annotated[int, Field(ge=1)]
    """Tasks that may wait for one agent."""
    priority: Literal["high", "normal", "low"]
    """How urgent its tasks are, where the caller does not say."""
    max_conversations: Annotated[int, Field(ge=0)]
    """Conversations of it that may have a process at once."""
    soft_ceiling: Size
    """Bytes of memory of the whole process tree above which it is recycled after its task."""
    hard_ceiling: Size
    """Bytes of memory of the whole process tree above which it is killed at once."""
    tmp_limit: Size
    """Bytes of the process's temporary folder above which it is recycled after its task."""
    max_growth: Size
    """Bytes that a process may have grown since it became ready; 0: any."""
    max_tasks: Annotated[int, Field(ge=0)]
    """Tasks after which a process is recycled; 0: any number."""
    max_age: Duration
    """Seconds after which a process is recycled, once it is idle; 0: any."""
    idle_timeout: Duration
    """Seconds without a task after which a process is ended; 0: it is kept."""
    liveness_timeout: Duration
    """Seconds that a process may leave a ping unanswered before it counts as hung; 0: any."""
    permission_mode: PermissionMode
    """The CLI's permission mode, where the definition names none."""

    @field_validator("min_replicas")
    @classmethod
    def _not_above_replicas(cls, least: int, info: ValidationInfo) -> int:
        if least > info.data.get("replicas", least):
            raise ValueError("min_replicas must not be above replicas")
        return least

    @field_validator("hard_ceiling")
    @classmethod
    def _not_below_soft(cls, hard: int, info: ValidationInfo) -> int:
        if hard < info.data.get("soft_ceiling", 0):
            raise ValueError("the hard ceiling must not be below the soft one")
        return hard


class BackoffTable(_Table):
    """`[defaults.supervisor.backoff]`."""

    initial: Duration
    """Seconds before the second restart; doubled from there on."""
    maximum: Duration
    """Seconds that a wait grows to; not below `initial`."""
    jitter: Annotated[float, Field(ge=0, le=1)]
    """The part of a wait by which it is longer or shorter at random."""
    reset_after: Duration
    """Seconds of health that forget the restarts before."""

    @field_validator("maximum")
    @classmethod
    def _not_below_initial(cls, maximum: float, info: ValidationInfo) -> float:
        if maximum < info.data.get("initial", 0):
            raise ValueError("the maximum must not be below initial")
        return maximum


class SupervisorTable(_Table):
    """`[defaults.supervisor]`: the supervisor that each agent without a group has."""

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"]
    """Which children are restarted when one ends, in OTP's words."""
    intensity: Annotated[int, Field(ge=0)]
    """Restarts within the period that are borne."""
    period: Annotated[Duration, Field(gt=0)]
    """Seconds."""
    auto_shutdown: Literal["never", "any_significant", "all_significant"]
    """Whether it ends when significant agents have ended for good, in OTP's words."""
    cool_down: Duration
    """Seconds after which a supervisor that gave up, and its agents, are started again."""
    backoff: BackoffTable
    """How long restarts wait."""


class GroupTable(SupervisorTable):
    """`[supervisors.<name>]`, upon `[defaults.supervisor]`: the supervisor of a group of agents."""

    parent: str = ""
    """The group that it is in itself; empty: none."""


class LogsTable(_Table):
    """`[logs]`."""

    level: Literal["debug", "info", "warning", "error"]
    """What is too small is not written."""
    max_size: Size
    """Bytes of one file before the next begins."""
    max_age: Duration
    """Seconds from a file's first line after which the next begins; 0: any."""
    keep: Annotated[int, Field(ge=0)]
    """Older files that are kept."""
    compress: bool
    """Older files, and transcripts, are compressed."""
    total: Size
    """Bytes of everything here together, half of it for the transcripts; 0: any."""
    transcripts: bool
    """What goes to and comes from a CLI in a task is written down, a file a task."""


class Defaults(_Table):
    """`[defaults]`."""

    agent: AgentTable
    """For every agent."""
    supervisor: SupervisorTable
    """For every agent's supervisor."""


class Config(_Table):
    """The whole configuration."""

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


@dataclass(frozen=True)
class Problem:
    """One mistake in one file."""

    path: Path
    """The file."""
    line: int | None
    """Counted from 1; None: it concerns the whole file."""
    key: str
    """Dotted; empty where no key is concerned."""
    message: str
    """What is wrong, and what is allowed."""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        return ": ".join(part for part in (where, self.key, self.message) if part)


class ConfigError(Exception):
    """The configuration is wrong; `problems` holds every finding."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class ConfigFiles:
    """Where pool.toml is looked for, the one that decides first."""

    built_in: Path
    """The file that holds every key."""
    asked_for: Path | None
    """`$AGENT_POOL_CONFIG`: it must exist."""
    optional: tuple[Path, ...]
    """The project's and the user's, which may be missing."""

    @staticmethod
    def find(root: Path, environ: Mapping[str, str], built_in: Path) -> "ConfigFiles":
        """The files for the project `root` and the user that `environ` describes."""
        asked_for = environ.get("AGENT_POOL_CONFIG")
        home = Path(environ.get("HOME") or Path.home())
        base = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        optional = (root / ".claude" / "pool.toml", base / "agent-pool" / "pool.toml")
        return ConfigFiles(built_in, Path(asked_for) if asked_for else None, optional)

    def signature(self) -> tuple[object, ...]:
        """A value that changes when a file does."""
        return tuple(_stamp(path) for path in self._all())

    def load(self) -> Config:
        """Read and check all of them.

        Raises:
            ConfigError: with every finding in every file.
        """
        texts: list[tuple[Path, str]] = []
        problems: list[Problem] = []
        for path in dict.fromkeys(self._all()):
            try:
                texts.append((path, path.read_bytes().decode()))
            except (FileNotFoundError, NotADirectoryError):
                if path == self.asked_for:
                    reason = "$AGENT_POOL_CONFIG names this file, and it is not there"
                    problems.append(Problem(path, None, "", reason))
            except UnicodeDecodeError as error:
                line = error.object[: error.start].count(b"\n") + 1
                problems.append(Problem(path, line, "", f"this is no UTF-8: {error.reason}"))
            except OSError as error:
                problems.append(Problem(path, None, "", f"unreadable: {error.strerror}"))
        return _merge(texts, problems, project=self.optional[0] if self.optional else None)

    def _all(self) -> tuple[Path, ...]:
        first = (self.asked_for,) if self.asked_for else ()
        return (*first, *self.optional, self.built_in)


def _stamp(path: Path) -> object:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def _merge(
    texts: list[tuple[Path, str]], problems: list[Problem], project: Path | None = None
) -> Config:
    merged: dict[str, Any] = {}
    origin: dict[tuple[str, ...], int] = {}
    for index, (path, text) in enumerate(texts):
        try:
            given = tomllib.loads(text)
            _fill(merged, given, origin, index, ())
            if path == project:
                problems += _project_may_not(path, text, given, ())
        except (ValueError, RecursionError) as error:
            problems.append(_syntax_problem(path, error))
    if not texts:
        raise ConfigError(problems)
    defaults = merged.get("defaults")
    for tables, of in (("agents", "agent"), ("supervisors", "supervisor")):
        merged.setdefault(tables, {})
        default = defaults.get(of) if isinstance(defaults, dict) else None
        _fill_up(merged[tables], default)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        found = [one for one in error.errors() if not _inherited(origin, one)]
        problems = problems + [_problem(texts, origin, one) for one in found]
        raise ConfigError(problems) from None
    problems = problems + [_problem(texts, origin, one) for one in _group_errors(config)]
    if problems:
        raise ConfigError(problems)
    return config


def _fill_up(tables: object, default: object) -> None:
    """What a table leaves open, its default says; also one within a table."""
    if not isinstance(tables, dict) or not isinstance(default, dict):
        return
    for own in tables.values():
        if not isinstance(own, dict):
            continue
        for key, value in default.items():
            if isinstance(value, dict) and isinstance(own.setdefault(key, {}), dict):
                _fill_up({key: own[key]}, value)
            own.setdefault(key, value)


def _group_errors(config: Config) -> list[dict[str, Any]]:
    """What is wrong between tables: groups that are not there, circles, rules of OTP."""
    errors: list[dict[str, Any]] = []

    def wrong(at: tuple[str, ...], value: object, why: str) -> None:
        errors.append({"loc": at, "type": "value_error", "msg": why, "input": value})

    groups = config.supervisors
    known = ", ".join(sorted(groups)) or "none is configured"
    for name, group in groups.items():
        if group.parent and group.parent not in groups:
            near = _nearest(group.parent, groups)
            wrong(("supervisors", name, "parent"), group.parent, f"no such group{near} ({known})")
        elif name in _ancestors(name, groups):
            why = f"the group is within itself: {' in '.join(_ancestors(name, groups))}"
            wrong(("supervisors", name, "parent"), group.parent, why)
    agents = [(("agents", name), agent) for name, agent in config.agents.items()]
    for at, agent in [(("defaults", "agent"), config.defaults.agent), *agents]:
        above = groups.get(agent.supervisor)
        if agent.supervisor and above is None:
            near = _nearest(agent.supervisor, groups)
            why = f"no such group{near} (allowed: {known}; each is a table [supervisors.<name>])"
            wrong((*at, "supervisor"), agent.supervisor, why)
        if agent.significant and agent.restart == "permanent":
            why = 'restart must be "transient" or "temporary" then: permanent never ends for good'
            wrong((*at, "significant"), True, why)
        if agent.significant and (above is None or above.auto_shutdown == "never"):
            why = "it needs a group (supervisor) whose auto_shutdown is not never"
            wrong((*at, "significant"), True, why)
    return errors


def _ancestors(name: str, groups: Mapping[str, GroupTable]) -> list[str]:
    """The groups that a group is in, the nearest first, up to the first that comes again."""
    found: list[str] = []
    while (group := groups.get(name)) is not None and group.parent not in ("", *found):
        name = group.parent
        found.append(name)
    return found


def _nearest(word: str, words: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, list(words), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def _fill(
    into: dict[str, Any],
    given: dict[str, Any],
    origin: dict[tuple[str, ...], int],
    index: int,
    at: tuple[str, ...],
) -> None:
    if len(at) > DEPTH_LIMIT:
        raise ValueError("tables are nested too deeply")
    for key, value in given.items():
        here = (*at, key)
        origin.setdefault(here, index)
        if isinstance(value, dict) and isinstance(into.get(key, {}), dict):
            _fill(into.setdefault(key, {}), value, origin, index, here)
        else:
            into.setdefault(key, value)


def _project_may_not(
    path: Path, text: str, given: dict[str, Any], at: tuple[str, ...]
) -> list[Problem]:
    """What a project's own file must not decide: a cloned folder is not its user."""
    found: list[Problem] = []
    for key, value in given.items():
        here = (*at, key)
        if isinstance(value, dict):
            found += _project_may_not(path, text, value, here)
        elif key == "permission_mode" and value == "bypassPermissions":
            reason = (
                "a project's own file may not bypass permissions; "
                "where you want it, say so in ~/.config/agent-pool/pool.toml"
            )
            found.append(Problem(path, _line_of(text, here), ".".join(here), reason))
    return found


def _syntax_problem(path: Path, error: Exception) -> Problem:
    match = re.search(r"line (\d+)", str(error))
    return Problem(path, int(match[1]) if match else None, "", f"no valid TOML: {error}")


def _inherited(origin: dict[tuple[str, ...], int], error: Any) -> bool:
    """The mistake is in a default that a table was filled up with."""
    at = tuple(str(part) for part in error["loc"])
    if at[:1] not in (("agents",), ("supervisors",)) or at in origin:
        return False
    return ("defaults", at[0].removesuffix("s"), *at[2:]) in origin


def _problem(
    texts: list[tuple[Path, str]], origin: dict[tuple[str, ...], int], error: Any
) -> Problem:
    at = tuple(str(part) for part in error["loc"])
    known = next((at[:n] for n in range(len(at), 0, -1) if at[:n] in origin), ())
    path, text = texts[origin.get(known, len(texts) - 1)]
    return Problem(path, _line_of(text, known), ".".join(at), _reason(at, error))


def _reason(at: tuple[str, ...], error: Any) -> str:
    if error["type"] == "extra_forbidden":
        allowed = sorted(_fields_at(at[:-1]))
        near = difflib.get_close_matches(at[-1], allowed, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        return f"no such key{hint} (allowed: {', '.join(allowed)})"
    if error["type"] == "missing":
        return "missing"
    if error["type"] in ("model_type", "dict_type"):
        return f"{error['input']!r:.100} does not fit: a table is expected here"
    message = str(error["msg"]).removeprefix("Value error, ")
    words = re.findall(r"'([^']+)'", message) if error["type"] == "literal_error" else []
    near = difflib.get_close_matches(str(error["input"]), words, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f"{error['input']!r:.100} does not fit: {message[:1].lower()}{message[1:]}{hint}"


_NAMED: Mapping[str, type[BaseModel]] = {"agents": AgentTable, "supervisors": GroupTable}
"""Tables of tables, each under a name of the user's."""


def _fields_at(at: tuple[str, ...]) -> Mapping[str, FieldInfo]:
    table: type[BaseModel] = Config
    if at and at[0] in _NAMED:
        if len(at) == 1:
            return {}
        table, at = _NAMED[at[0]], at[2:]
    for key in at:
        found = table.model_fields[key].annotation if key in table.model_fields else None
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            return {}
        table = found
    return table.model_fields


def _line_of(text: str, at: tuple[str, ...]) -> int | None:
    """The line of the key `at` in a TOML text, or that of the table around it."""
    table: tuple[str, ...] = ()
    best: int | None = None
    for number, line in enumerate(text.split("\n"), 1):
        header = re.match(r"\s*\[\[?([^\]]+)\]\]?\s*(?:#.*)?$", line)
        pair = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
        if header:
            table = _key_path(header[1])
            if table == at[: len(table)] or (best is None and table[: len(at)] == at):
                best = number
        elif pair:
            here = (*table, *_key_path(pair[1]))
            if here == at:
                return number
            if here == at[: len(here)] or (best is None and here[: len(at)] == at):
                best = number  # an inline table that it is in, or a dotted key that begins so
    return best


def _key_path(written: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in written.split("."))
