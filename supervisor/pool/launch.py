"""How an agent's process is started: which CLI, with which arguments, in which environment."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from supervisor.agents import READ_AND_EDIT, AgentDefinition
from supervisor.place import FOLDER, TAG, VARIABLES, settled_command, split_command
from supervisor.pool.config import Config
from supervisor.pool.outcome import PoolError, TaskError

OLDEST_VERSION = (2, 0, 60)
"""Older CLIs ignore the system prompt that `initialize` hands over (measured)."""

PERSIST_NOT = "--no-session-persistence"
"""The CLI keeps no file of what was said: only a conversation needs that."""

OPTIONAL = (PERSIST_NOT, "--effort")
"""Options that an older CLI does not know, and without which it serves as well."""

ASK = "ask"
"""The permission mode, of ours, in which a person is asked for what the CLI would ask for."""

ASKING = ("--permission-mode", "default", "--permission-prompt-tool", "stdio")
"""How the CLI is told to ask its host."""

PASSED_ON = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "TZ",
        "LANG",
        "LANGUAGE",
        "TMPDIR",
        "TMP",
        "TEMP",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NODE_EXTRA_CA_CERTS",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "CLAUDE_CONFIG_DIR",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY",
        "CLAUDE_CODE_SKIP_BEDROCK_AUTH",
        "CLAUDE_CODE_SKIP_VERTEX_AUTH",
        "CLAUDE_CODE_SKIP_FOUNDRY_AUTH",
        "CLAUDE_CODE_CLIENT_CERT",
        "CLAUDE_CODE_CLIENT_KEY",
        "CLAUDE_CODE_CLIENT_KEY_PASSPHRASE",
        "CLOUD_ML_REGION",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT",
        "GCLOUD_PROJECT",
        "API_TIMEOUT_MS",
        "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_AUTOUPDATER",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "SSH_AUTH_SOCK",
        FOLDER,
    }
)
"""What an agent's process gets of the pool's environment, by name."""

PASSED_ON_PREFIXES = ("LC_", "ANTHROPIC_", "AWS_", "VERTEX_REGION_", "CLOUDSDK_", "AZURE_")
"""And by the beginning of the name: locale, and what the CLI logs in with."""

NEVER = frozenset({*VARIABLES, TAG, "CLAUDECODE", "IS_SANDBOX"})
"""What no agent gets, whoever asks for it: what is ours, and what the CLI takes for its own."""

SETTINGS = {
    # Memory that outlives a task would leak from one task into another.
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    # A background job that ends starts a turn that nobody asked for.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    # Its digits depend on the task, and stand before the part that the prompt cache keeps.
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
}


@dataclass
class Capabilities:
    """What one CLI binary can do, as found out so far; None: not known yet."""

    rewind: bool | None = None
    """It takes its last task out of the context."""
    needs_anchor: bool | None = None
    """It does so only where something of the agent's stands before that task."""
    clear: bool | None = None
    """Its `/clear` clears, by the evidence."""
    clear_failures: int = 0
    """How often it did not, before it ever did."""
    ping: bool | None = None
    """It answers when it is asked whether it lives."""
    usage: bool | None = None
    """It tells what it has spent."""
    late_model: bool | None = None
    """It takes its model by a request, after its start."""
    end_session: bool | None = None
    """It ends in order when it is asked to."""
    unknown_options: set[str] = field(default_factory=set)
    """Options of `OPTIONAL` that it refused to start with."""

    def reset_by(self) -> str:
        """How its context is reset, in words."""
        if self.rewind:
            return "rewind"
        if self.clear:
            return "/clear"
        return "unknown" if self.rewind is None or self.clear is None else "new process"

    def watched_by(self) -> str:
        """How it is found out that a process of it hangs, in words."""
        if self.ping is None:
            return "unknown"
        return "ping" if self.ping else "process state"


@dataclass(frozen=True)
class Cli:
    """The agent CLI that was found."""

    argv: tuple[str, ...]
    """How it is started, before any argument of ours."""
    version: str | None
    """Its version, where its installation tells; a process says it too, later."""
    key: tuple[object, ...]
    """Changes when the files that it consists of do."""


@dataclass(frozen=True, slots=True)
class Role(AgentDefinition):
    """A definition, with what pool.toml says of how its agent is started."""

    usual_tools: tuple[str, ...] = READ_AND_EDIT
    """What it has where nobody lists its tools; each use is for its permission mode to judge."""
    directories: tuple[str, ...] = ()
    """Folders besides its own in which its tools may work."""
    extra_arguments: tuple[str, ...] = ()
    """Further arguments for the CLI."""
    trusted: bool = False
    """The user trusts the project that it is of, if it is of one."""
    mode: str = ""
    """The permission mode that it runs in, whoever said so."""


def role(definition: AgentDefinition, config: Config, root: Path, trusted: bool) -> Role:
    """A definition as it is started here.

    What `[agents.<name>]` says of model, effort, tools and permission mode comes before the
    definition; what `[defaults.agent]` says holds where the definition is silent. Denied tools
    are those of both. The digest covers all of it.

    Args:
        definition: what its files say.
        config: what pool.toml says.
        root: the project.
        trusted: whether the user trusts it.
    """
    said, own = config.agent(definition.name), config.own(definition.name)
    denied = (*definition.disallowed_tools, *said.disallowed_tools)
    both = _values(definition) | {
        "tools": said.tools if "tools" in own else definition.tools,
        "disallowed_tools": tuple(dict.fromkeys(denied)),
        "model": said.model if "model" in own else definition.model or said.model,
        "effort": said.effort if "effort" in own else definition.effort or said.effort,
        "permission_mode": None if "permission_mode" in own else definition.permission_mode,
    }
    made = Role(
        **both,
        usual_tools=said.tools,
        directories=tuple(str(folder_of(one, root)) for one in said.extra_directories),
        extra_arguments=said.extra_arguments,
        trusted=trusted,
    )
    made = _with_mode(made, permission_mode(made, said.permission_mode))
    place = (said.working_directory, said.environment, said.command)
    facts = {one: getattr(made, one) for one in _DECIDING} | {"place": place}
    text = json.dumps(facts, sort_keys=True)
    return replace(made, digest=hashlib.sha256(text.encode()).hexdigest())


def _with_mode(made: Role, mode: str) -> Role:
    usual = made.usual_tools
    if mode == ASK and usual == READ_AND_EDIT:
        usual = (*usual, "Bash")  # each command is asked for
    return replace(made, mode=mode, usual_tools=usual)


def _values(definition: AgentDefinition) -> dict[str, Any]:
    return {one.name: getattr(definition, one.name) for one in fields(AgentDefinition)}


_DECIDING = (
    "digest", "tools", "disallowed_tools", "model", "permission_mode", "usual_tools", "effort",
    "directories", "extra_arguments", "mode",
)  # fmt: skip


def folder_of(written: str, root: Path) -> Path:
    """A folder that pool.toml names: relative to the project `root`, `~` is the user's home."""
    return root / os.path.expanduser(written)


@dataclass
class CliFinder:
    """Finds the CLI that `CLAUDE_CLI` names, and remembers what each binary can do."""

    environ: Mapping[str, str]
    """The pool's environment: `CLAUDE_CLI` and `PATH`."""
    known: dict[tuple[object, ...], Capabilities] = field(default_factory=dict)
    """By binary."""
    command: str = "claude"
    """The CLI where `CLAUDE_CLI` says nothing."""

    def otherwise(self, command: str, root: Path) -> "CliFinder":
        """The same, for an agent whose `command` in pool.toml is this one.

        What binaries can do is remembered together; files in the command that are relative to
        `root`, the project, are made absolute.
        """
        return CliFinder(self.environ, self.known, settled_command(command, str(root)))

    def find(self) -> Cli:
        """The CLI as it is installed now.

        Raises:
            PoolError: `cli_missing` or `cli_too_old`, with what to do.
        """
        command = self.environ.get("CLAUDE_CLI") or self.command
        try:
            words = split_command(command)
        except ValueError as error:
            raise PoolError(_missing(command, f"it cannot be split into words: {error}")) from None
        program = shutil.which(words[0], path=self.environ.get("PATH"))
        if program is None:
            raise PoolError(_missing(command, _why_not(words[0])))
        argv = (os.path.abspath(program), *words[1:])
        files = tuple(os.path.realpath(word) for word in argv if os.path.isfile(word))
        cli = Cli(argv, _installed_version(files), tuple(_stamp(file) for file in files))
        check_version(cli.version, command)
        return cli

    def capabilities(self, cli: Cli) -> Capabilities:
        """What is known of `cli`: one shared record a binary."""
        return self.known.setdefault((cli.argv, cli.key), Capabilities())


def check_version(version: str | None, command: str) -> None:
    """Refuse a CLI that is too old to be given a role.

    Raises:
        PoolError: `cli_too_old`.
    """
    numbers = tuple(int(n) for n in re.findall(r"\d+", version or "")[:3])
    if len(numbers) == 3 and numbers < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise PoolError(
            TaskError(
                "cli_too_old",
                f'the agent CLI "{command}" is version {version}; '
                f"agents need {oldest} or newer, since older ones ignore the agent's prompt.",
                "Update it (npm install -g @anthropic-ai/claude-code), or name another one by "
                "CLAUDE_CLI, or by command in pool.toml.",
            )
        )


def arguments(
    definition: AgentDefinition, permission_mode: str, capabilities: Capabilities
) -> list[str]:
    """The CLI's arguments for an agent; its system prompt goes by `initialize` instead."""
    made = definition if isinstance(definition, Role) else Role(**_values(definition))
    unknown = capabilities.unknown_options
    words = ["-p", "--input-format", "stream-json", "--output-format", "stream-json"]
    words += ["--verbose", "--strict-mcp-config"]
    if PERSIST_NOT not in unknown:
        words.append(PERSIST_NOT)
    if made.setting_sources is not None:
        words += ["--setting-sources", ",".join(made.setting_sources)]
    if made.claude_md_folders:
        words += ["--add-dir", *map(str, made.claude_md_folders)]
    asks = permission_mode == ASK
    words += ASKING if asks else ["--permission-mode", permission_mode]
    tools = made.usual_tools if made.tools is None else made.tools
    every = "*" in tools
    words += ["--tools", "default" if every else ",".join(_tool_names(tools))]
    if allowed := _allowed_unasked(made) if asks else _allowed(made):
        words += ["--allowedTools", ",".join(allowed)]
    if made.disallowed_tools:
        words += ["--disallowedTools", ",".join(map(_rule, made.disallowed_tools))]
    if made.model:
        words += ["--model", made.model]
    if made.effort and "--effort" not in unknown:
        words += ["--effort", made.effort]
    if made.max_turns:
        words += ["--max-turns", str(made.max_turns)]
    for folder in made.directories:
        words += ["--add-dir", folder]
    return [*words, *made.extra_arguments]


def variables_of(definition: AgentDefinition) -> dict[str, str]:
    """What a definition says that the CLI takes by environment variables."""
    wanted = {
        "CLAUDE_CODE_DISABLE_CLAUDE_MDS": definition.omit_claude_md,
        "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": bool(definition.claude_md_folders),
        "ENABLE_PROMPT_CACHING_1H": definition.cache_lifetime == "1h",
    }
    variables = {name: "1" for name, is_wanted in wanted.items() if is_wanted}
    if definition.mcp_servers:
        # Else the first task may be begun before its tools are there (measured).
        variables["MCP_CONNECTION_NONBLOCKING"] = "0"
    return variables


def passed_on(environ: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """What an agent's process gets of the pool's environment.

    Args:
        environ: all of it.
        also: names besides the usual ones; `MY_*` is every name that begins so.
    """
    names = PASSED_ON.union(also)
    prefixes = (*PASSED_ON_PREFIXES, *(one[:-1] for one in also if one.endswith("*")))
    return {
        name: value
        for name, value in environ.items()
        if name not in NEVER and (name in names or name.startswith(prefixes))
    }


def environment(passed: Mapping[str, str], permission_mode: str) -> dict[str, str]:
    """The environment of an agent's process: what is `passed_on`, and our settings."""
    env = {**passed, **SETTINGS}
    if permission_mode == "bypassPermissions" and os.geteuid() == 0:
        env["IS_SANDBOX"] = "1"  # else the CLI refuses that mode to root
    return env


_FREEDOM = {
    "plan": 0, "dontAsk": 1, "default": 2, ASK: 2, "acceptEdits": 3, "auto": 3,
    "bypassPermissions": 4,
}  # fmt: skip
"""Permission modes by how much is done unasked."""


def permission_mode(definition: AgentDefinition, configured: str) -> str:
    """The permission mode of an agent.

    A definition's own counts. Of one that is not the user's, and not of a project that the user
    trusts, only where it leaves no more undone by asking than what is configured.
    """
    wanted = definition.permission_mode
    if wanted is None:
        return configured
    strangers = not _is_trusted(definition)
    if strangers and _FREEDOM.get(wanted, 3) > _FREEDOM.get(configured, 3):
        return configured
    return configured if strangers and wanted == "bypassPermissions" else wanted


def ignored_mode(definition: AgentDefinition) -> str | None:
    """What to tell of a definition whose wish for a freer permission mode is not granted."""
    wanted, mode = definition.permission_mode, getattr(definition, "mode", "")
    if wanted is None or wanted == mode or _is_trusted(definition):
        return None
    return (
        f"{definition.source}: permissionMode: {wanted} is not granted to a project's own "
        "file; if you trust this project, run agent-pool trust there, or set permission_mode under "
        f"[agents.{definition.name}] in ~/.config/agent-pool/pool.toml"
    )


def _is_trusted(definition: AgentDefinition) -> bool:
    trusted = isinstance(definition, Role) and definition.trusted
    return definition.origin == "user" or (definition.origin == "project" and trusted)


def _tool_names(tools: tuple[str, ...]) -> list[str]:
    """`Bash(git log:*)` is a permission; the tool that it needs is `Bash`.

    An MCP server's tools are there with the server.
    """
    names = dict.fromkeys(tool.split("(", 1)[0].strip() for tool in tools)
    if names.keys() & {"Agent", "Task"}:
        names |= {"Agent": None, "Task": None}  # its name since 2.1.63, and before
    return [name for name in names if not name.startswith("mcp__")]


def _allowed(definition: AgentDefinition) -> list[str]:
    """What the agent may do unasked: what it lists, and all of a server of which it lists none."""
    listed = [_rule(tool) for tool in definition.tools or () if tool != "*"]
    whole = [
        server.prefix
        for server in definition.mcp_servers
        if server.is_listed
        and not any(one == server.prefix or one.startswith(f"{server.prefix}__") for one in listed)
    ]
    return [*listed, *whole]


def _allowed_unasked(definition: AgentDefinition) -> list[str]:
    """What it may do where a person is asked for the rest: what a rule in its list says.

    A name alone only says what it has, as Claude Code itself takes it: were all of that allowed,
    nothing would be left to ask for. `Bash(*)`, or `mcp__server__*`, is all that a tool does.
    """
    rules = (tool for tool in definition.tools or () if "(" in tool or tool.endswith("__*"))
    # Of some tools, the CLI does not take `(*)` for everything (measured).
    return [_rule(rule).removesuffix("(*)") for rule in rules]


def _rule(tool: str) -> str:
    """`mcp__server__*` in the form that every version knows."""
    return tool.removesuffix("__*") if tool.startswith("mcp__") else tool


def _missing(command: str, why: str) -> TaskError:
    return TaskError(
        "cli_missing",
        f'the agent CLI "{command}" cannot be started: {why}.',
        "Install Claude Code (npm install -g @anthropic-ai/claude-code), or set CLAUDE_CLI, or "
        "command in pool.toml, to its path or command line. The next call tries again.",
    )


def _why_not(word: str) -> str:
    if "/" not in word:
        return "no such program on the PATH of the pool"
    if os.path.isdir(word):
        return "it is a folder"
    return "it is not executable" if os.path.exists(word) else "no such file"


def _stamp(file: str) -> tuple[object, ...]:
    facts = os.stat(file)
    return file, facts.st_size, facts.st_mtime_ns


def _installed_version(files: tuple[str, ...]) -> str | None:
    """The version that the installation tells: npm's package.json, or the file's own name."""
    for file in files:
        path = Path(file)
        if re.fullmatch(r"\d+\.\d+\.\d+", path.name):
            return path.name  # the native installer names the binary by its version
        for folder in list(path.parents)[:3]:
            version = _package_version(folder / "package.json")
            if version is not None:
                return version
    return None


def _package_version(path: Path) -> str | None:
    try:
        package = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(package, dict):
        return None
    if not str(package.get("name")).startswith("@anthropic-ai/claude-code"):
        return None
    return str(package.get("version"))
