"""The tables of pool.toml: which keys there are, and what each may hold.

All values are required: the built-in `config/pool.toml` says each of them, and every other file
says what differs. The text below a key is its documentation also in the JSON Schema.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
)
from pydantic.fields import FieldInfo

from supervisor.agents import meant_tool
from supervisor.place import STATE_FOLDER, is_state_folder, split_command
from supervisor.pool.config.addresses import ADDRESS, PATTERN, meant_address, parse_address
from supervisor.pool.config.problems import did_you_mean, nearest, written
from supervisor.pool.config.quantities import (
    DURATION,
    SIZE,
    UNITS_B,
    UNITS_S,
    duration_text,
    meant_duration,
    meant_size,
    parse_duration,
    parse_size,
    pattern,
    size_text,
)


@dataclass(frozen=True)
class Allowed:
    """What a key may hold, for whoever has written something else."""

    words: str
    """In words: `a whole number, 0 or more`."""
    meant: Callable[[object], object] = lambda value: None
    """What a wrong value may have been meant to be; None: nobody knows."""
    value: Callable[[Any], object] = lambda value: value
    """From what it holds to what is written for it."""


def notes(field: FieldInfo) -> Iterator[Allowed]:
    """What is said of the values of a key; that which is nearest to it comes first."""
    return (note for note in reversed(field.metadata) if isinstance(note, Allowed))


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


def _meant_money(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\$?[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return float(value.removeprefix("$"))
    return None


def _meant_switch(value: object) -> object:
    return _SWITCHES.get(str(value).lower()) if isinstance(value, int | str) else None


def _meant_texts(value: object) -> object:
    words = [word for word in re.split(r"[,\s]+", value) if word] if isinstance(value, str) else []
    return words or None


def _without_nul(text: str) -> str:
    if "\0" in text:  # no path, name or argument can hold it
        raise ValueError("it holds a NUL character; take it out")
    return text


_TEXTS = 'a list of texts, such as ["…", "…"]'


def _texts(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError(f"allowed is {_TEXTS}")  # noqa: TRY004 - what pydantic expects
    return tuple(value)


USUAL_TOOLS = (
    "invoke", "invoke_many", "submit", "wait", "result", "list", "warmup", "reset",
)  # fmt: skip
"""The tools of the MCP server that a model is told of where nothing else is said."""

TOOLS = (*USUAL_TOOLS, "consult", "cancel", "tasks", "tree", "logs", "stats", "reload")
"""All of them."""

_TOOLS = '"usual", "all", or a list of tools, such as ["invoke", "consult", "list"]'


def _listed_tools(value: object) -> tuple[object, ...]:
    if value == "usual":
        return USUAL_TOOLS
    if value == "all":
        return TOOLS
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"allowed is {_TOOLS}")
    return tuple(value)


def _is_listed(name: str) -> str:
    if name not in TOOLS:
        hint = did_you_mean(nearest(name, TOOLS))
        raise ValueError(f"{written(name)} is no tool{hint} (allowed: {', '.join(TOOLS)})")
    return name


def _in_order(tools: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in TOOLS if name in tools)


def _meant_tools(value: object) -> object:
    if not isinstance(value, str):
        return None
    return [value] if value in TOOLS else nearest(value, ("usual", "all"))


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": pattern(UNITS_S), "examples": ["90s", "30min"]}),
    Allowed(DURATION, meant_duration, duration_text),
]
Deadline = Annotated[
    Duration, Field(gt=0), Allowed(f"{DURATION}, above 0", meant_duration, duration_text)
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": pattern(UNITS_B), "examples": ["512MiB"]}),
    Allowed(SIZE, meant_size, size_text),
]
Count = Annotated[int, Field(ge=0), Allowed("a whole number, 0 or more", _meant_number)]
Number = Annotated[int, Field(ge=1), Allowed("a whole number, 1 or more", _meant_number)]
Share = Annotated[float, Field(ge=0, le=1), Allowed("a number from 0 to 1", _meant_share)]
Money = Annotated[float, Field(ge=0), Allowed("a number, 0 or more, such as 2.5", _meant_money)]
Switch = Annotated[bool, Allowed("true or false", _meant_switch)]
Plain = Annotated[str, AfterValidator(_without_nul)]
Text = Annotated[Plain, Allowed('a text in quotes, such as "…"')]
Texts = Annotated[tuple[Plain, ...], BeforeValidator(_texts), Allowed(_TEXTS, _meant_texts)]
ListedTools = Annotated[
    tuple[Annotated[str, AfterValidator(_is_listed)], ...],
    BeforeValidator(_listed_tools),
    AfterValidator(_in_order),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": ["usual", "all"]},
                {"type": "array", "items": {"type": "string", "enum": [*TOOLS]}, "minItems": 1},
            ]
        }
    ),
    Allowed(_TOOLS, _meant_tools),
]
Restart = Literal["permanent", "transient", "temporary"]
PermissionMode = Literal[
    "default", "acceptEdits", "plan", "dontAsk", "auto", "ask", "bypassPermissions"
]  # fmt: skip
Effort = Literal["", "low", "medium", "high", "xhigh", "max"]


_TALK = "without it the pool cannot talk to the CLI; leave it out"
_SESSION = "an agent's session is the pool's; leave it out"
TAKEN_OPTIONS = {
    **dict.fromkeys(("-p", "--print", "--input-format", "--output-format", "--verbose"), _TALK),
    **dict.fromkeys(
        ("-c", "--continue", "-r", "--resume", "--session-id", "--fork-session"), _SESSION
    ),
    "--bg": _SESSION,
    "--background": _SESSION,
    "--disable-slash-commands": "without them no context can be cleared; leave it out",
    "--permission-mode": "use the key permission_mode",
    "--permission-prompt-tool": 'set permission_mode = "ask"',
    "--dangerously-skip-permissions": 'set permission_mode = "bypassPermissions"',
    "--model": "use the key model",
    "--effort": "use the key effort",
    "--tools": "use the key tools",
    **dict.fromkeys(("--allowedTools", "--allowed-tools"), "use the key tools"),
    **dict.fromkeys(("--disallowedTools", "--disallowed-tools"), "use the key disallowed_tools"),
    "--add-dir": "use the key extra_directories",
    "--system-prompt": "the agent's definition is its prompt",
    "--system-prompt-file": "the agent's definition is its prompt",
    "--no-session-persistence": "it is set where the CLI knows it; leave it out",
    "--strict-mcp-config": "it is always set; leave it out",
}
"""Options that `extra_arguments` may not hold, and what to do instead."""


def _is_tool(tool: str) -> str:
    if not re.fullmatch(r"\*|[A-Za-z_][\w.*-]*(\(.*\))?", tool):
        allowed = '"Read", "Bash(git log:*)" or "mcp__server__tool"'
        raise ValueError(f"{written(tool)} is no tool; a tool is one word such as {allowed}")
    return tool


def _is_denied_tool(tool: str) -> str:
    _is_tool(tool)
    if (meant := meant_tool(tool)) is not None:  # it denies nothing
        raise ValueError(f"{written(tool)} is no tool that is known{did_you_mean(meant)}")
    return tool


def _is_variable(name: str) -> str:
    if "=" in name:
        raise ValueError(
            f"{written(name)} holds a value; name the variable alone, "
            f"{written(name.split('=')[0])}, and set it where the pool is started"
        )
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\*?", name):
        allowed = '"MY_TOKEN", or "MY_*" for all that begin so'
        raise ValueError(f"{written(name)} is no variable's name; allowed is {allowed}")
    return name


def _is_free_argument(word: str) -> str:
    _without_nul(word)
    option = word.split("=", 1)[0]
    if option in TAKEN_OPTIONS:
        raise ValueError(f"{written(option)} is agent-pool's to set: {TAKEN_OPTIONS[option]}")
    return word


_LIST = (BeforeValidator(_texts), Allowed(_TEXTS, _meant_texts))
Tools = Annotated[tuple[Annotated[str, AfterValidator(_is_tool)], ...], *_LIST]
DeniedTools = Annotated[tuple[Annotated[str, AfterValidator(_is_denied_tool)], ...], *_LIST]
Variables = Annotated[tuple[Annotated[str, AfterValidator(_is_variable)], ...], *_LIST]
Arguments = Annotated[tuple[Annotated[str, AfterValidator(_is_free_argument)], ...], *_LIST]


class Table(BaseModel):
    """What all tables have in common: frozen, no key that is not declared, no conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PoolTable(Table):
    """`[pool]`."""

    name: Text
    """What the pool is called in its log and by `agent-pool status`; empty: as its folder is."""
    state_folder: Text
    """The folder of all pools' state folders (lock, socket, logs); empty: the usual place."""
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
    max_cost_usd_per_day: Money
    """US dollars of all tasks since midnight (UTC) above which none is accepted; 0: any."""
    spares: Annotated[int, Field(ge=0, le=16), Allowed("a whole number, 0 to 16", _meant_number)]
    """Processes without a role that stand by, for each profile that an agent has."""
    spawn_limit: Count
    """Processes that may be starting at once; 0: one per core."""

    @field_validator("name")
    @classmethod
    def _is_line(cls, name: str) -> str:
        if len(name) > 100 or not name.isprintable():
            raise ValueError("allowed is one line of 100 characters at most")
        return name

    @field_validator("state_folder")
    @classmethod
    def _is_folder(cls, folder: str) -> str:
        if not is_state_folder(folder):
            raise ValueError(f"allowed is {STATE_FOLDER}")
        return folder


class AgentTable(Table):
    """`[defaults.agent]`, and `[agents.<name>]` upon it."""

    supervisor: Text
    """The group (`[supervisors.<name>]`) that it belongs to; empty: a supervisor of its own."""
    restart: Restart
    """When an agent's worker that ended is restarted, in OTP's words."""
    significant: Switch
    """Its end for good may end its group: see the group's auto_shutdown."""
    replicas: Annotated[int, Field(ge=1, le=64), Allowed("a whole number, 1 to 64", _meant_number)]
    """Workers that serve its queue, each with a process of its own once there is work for it."""
    min_replicas: Count
    """Workers that have a process even where there is no work; not more than `replicas`."""
    retries: Annotated[int, Field(ge=0, le=100), Allowed("a whole number, 0 to 100", _meant_number)]
    """Times that a task is tried again whose process died, or outgrew its hard ceiling."""
    keep_background: Switch
    """What a task's commands left running lives on; else it ends with the task."""
    on_restart: Literal["interrupt", "run"]
    """What becomes of queued tasks when the pool was killed: they end, or are run by the next."""
    reply_limit: Size
    """Bytes above which a reply goes into a file, and its caller gets a digest; 0: never."""
    max_cost_usd: Money
    """US dollars at which a task is interrupted; 0: any."""
    max_cost_usd_per_day: Money
    """US dollars of all of its tasks since midnight (UTC) above which none is accepted; 0: any."""
    priority: Literal["high", "normal", "low"]
    """How urgent its tasks are, where the caller does not say."""
    max_conversations: Count
    """Conversations of it that may have a process at once."""
    shutdown: Duration
    """Seconds that a process may take to end in order before it is killed."""
    task_timeout: Deadline
    """Seconds from a task's acceptance to its deadline."""
    start_timeout: Deadline
    """Seconds that a process may take to become ready."""
    control_timeout: Deadline
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
    idle_timeout: Duration
    """Seconds without a task after which a process is ended; 0: it is kept."""
    liveness_timeout: Duration
    """Seconds that a process may leave a ping unanswered before it counts as hung; 0: any."""
    permission_mode: PermissionMode
    """The CLI's permission mode."""
    model: Text
    """The model, an alias or a full name; empty: the CLI's own choice."""
    effort: Effort
    """How much the model thinks, for a CLI and a model that know it; empty: their own choice."""
    tools: Tools
    """The tools that it has: `Read`, `Bash(git log:*)`, `mcp__server__tool`; `*`: all."""
    disallowed_tools: DeniedTools
    """Tools that it is denied, whatever else is said."""
    extra_directories: Texts
    """Folders besides its own in which its tools may work; relative ones start in the project."""
    working_directory: Text
    """The folder that it runs in; relative: below the project; empty: the project."""
    environment: Variables
    """Variables of the pool's environment that it gets besides the usual ones; `X_*`: all that
    begin so."""
    extra_arguments: Arguments
    """Further arguments for the CLI."""
    command: Text
    """The agent CLI: a program or a command line; the variable CLAUDE_CLI comes before it."""

    @field_validator("model")
    @classmethod
    def _is_model(cls, model: str) -> str:
        if model and not re.fullmatch(r"[A-Za-z0-9][\w.:/@\[\]-]*", model):
            raise ValueError('allowed is one word, such as "sonnet" or "claude-sonnet-4-5"')
        return model

    @field_validator("extra_arguments")
    @classmethod
    def _begin_with_an_option(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if words and not words[0].startswith("-"):
            raise ValueError(f"{written(words[0])} is no option; the first word begins with -")
        return words

    @field_validator("command")
    @classmethod
    def _is_command(cls, command: str) -> str:
        try:
            split_command(command)
        except ValueError as error:
            reason = str(error)[:1].lower() + str(error)[1:]
            raise ValueError(
                f'{reason}; allowed is a program or a command line, such as "claude"'
            ) from None
        return command


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
    period: Deadline
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


class FrontendTable(Table):
    """`[frontend]`."""

    tools: ListedTools
    """What models are told of: `usual`, eight tools; `all` of them; or those that are listed."""


class LogsTable(Table):
    """`[logs]`."""

    level: Literal["debug", "info", "warning", "error"]
    """What is too small is not written."""
    max_size: Size
    """Bytes of one file before the next begins."""
    max_age: Duration
    """Seconds from a file's first line after which the next begins; 0: any."""
    keep: Count
    """Older files that are kept."""
    compress: Switch
    """Older files, and transcripts, are compressed."""
    total: Size
    """Bytes of everything here together, half of it for the transcripts; 0: any."""
    transcripts: Switch
    """What goes to and comes from a CLI in a task is written down, a file a task."""


class HttpTable(Table):
    """`[http]`."""

    address: Annotated[
        str,
        WithJsonSchema({"type": "string", "pattern": PATTERN}),
        Allowed(f'{ADDRESS}, or ""', meant_address),
    ]
    """Where MCP is served over HTTP, besides the local socket; empty: nowhere."""
    allow_remote: Switch
    """The address may be one that other machines reach."""
    allowed_hosts: Texts
    """Names that the server may be called by, besides the address and loopback's names."""
    idle_timeout: Deadline
    """Seconds without a request after which a session ends."""

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        if address:
            parse_address(address)
        return address


class LedgerTable(Table):
    """`[ledger]`."""

    enabled: Switch
    """Every task is put on record before it is accepted."""
    keep_text: Switch
    """The text of a task stays on record after its end."""
    texts_for: Duration
    """Seconds after a task's end for which its text and its reply are kept."""
    texts_total: Size
    """Bytes that they may take together; the oldest go first."""
    tasks_for: Duration
    """Seconds after its end for which a task is known, and counts in the figures."""


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
    frontend: FrontendTable
    """`[frontend]`."""
    http: HttpTable
    """`[http]`."""
    ledger: LedgerTable
    """`[ledger]`."""
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
