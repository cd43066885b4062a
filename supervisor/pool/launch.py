"""How an agent's process is started: which CLI, with which arguments, in which environment."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.agents import READ_AND_EDIT, AgentDefinition
from supervisor.place import FOLDER, split_command
from supervisor.pool.outcome import PoolError, TaskError

OLDEST_VERSION = (2, 0, 60)
"""Older CLIs ignore the system prompt that `initialize` hands over (measured)."""

OPTIONAL = ("--no-session-persistence", "--effort")
"""Options that an older CLI does not know, and without which it serves as well."""

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
    clear: bool | None = None
    """Its `/clear` clears, by the evidence."""
    clear_failures: int = 0
    """How often it did not, before it ever did."""
    ping: bool | None = None
    """It answers when it is asked whether it lives."""
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


@dataclass
class CliFinder:
    """Finds the CLI that `CLAUDE_CLI` names, and remembers what each binary can do."""

    environ: Mapping[str, str]
    """The pool's environment: `CLAUDE_CLI` and `PATH`."""
    known: dict[tuple[object, ...], Capabilities] = field(default_factory=dict)
    """By binary."""

    def find(self) -> Cli:
        """The CLI as it is installed now.

        Raises:
            PoolError: `cli_missing` or `cli_too_old`, with what to do.
        """
        command = self.environ.get("CLAUDE_CLI") or "claude"
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
                f'the CLI that CLAUDE_CLI names ("{command}") is version {version}; '
                f"agents need {oldest} or newer, since older ones ignore the agent's prompt.",
                "Update it (npm install -g @anthropic-ai/claude-code), or set CLAUDE_CLI to "
                "another one.",
            )
        )


def arguments(
    definition: AgentDefinition, permission_mode: str, capabilities: Capabilities
) -> list[str]:
    """The CLI's arguments for an agent; its system prompt goes by `initialize` instead."""
    words = ["-p", "--input-format", "stream-json", "--output-format", "stream-json"]
    words += ["--verbose", "--strict-mcp-config"]
    if "--no-session-persistence" not in capabilities.unknown_options:
        words.append("--no-session-persistence")
    if definition.setting_sources is not None:
        words += ["--setting-sources", ",".join(definition.setting_sources)]
    if definition.claude_md_folders:
        words += ["--add-dir", *map(str, definition.claude_md_folders)]
    words += ["--permission-mode", permission_mode]
    tools = READ_AND_EDIT if definition.tools is None else definition.tools
    every = "*" in tools
    words += ["--tools", "default" if every else ",".join(_tool_names(tools))]
    if allowed := _allowed(definition):
        words += ["--allowedTools", ",".join(allowed)]
    if definition.disallowed_tools:
        words += ["--disallowedTools", ",".join(map(_rule, definition.disallowed_tools))]
    if definition.model:
        words += ["--model", definition.model]
    if definition.effort and "--effort" not in capabilities.unknown_options:
        words += ["--effort", definition.effort]
    if definition.max_turns:
        words += ["--max-turns", str(definition.max_turns)]
    return words


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


def environment(environ: Mapping[str, str], permission_mode: str) -> dict[str, str]:
    """The environment of an agent's process: an allow-list of `environ`, and our settings."""
    env = {
        name: value
        for name, value in environ.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    env.update(SETTINGS)
    if permission_mode == "bypassPermissions" and os.geteuid() == 0:
        env["IS_SANDBOX"] = "1"  # else the CLI refuses that mode to root
    return env


def permission_mode(definition: AgentDefinition, configured: str) -> str:
    """The permission mode of an agent.

    A definition's own counts, but for bypassing: that is for the user's own files to say.
    """
    wanted = definition.permission_mode
    if wanted is None or (wanted == "bypassPermissions" and definition.origin != "user"):
        return configured
    return wanted


def ignored_bypass(definition: AgentDefinition) -> str | None:
    """What to tell of a definition whose wish to bypass permissions is not granted."""
    if definition.permission_mode != "bypassPermissions" or definition.origin == "user":
        return None
    return (
        f"{definition.source}: permissionMode: bypassPermissions is not granted to a project's own "
        f"file; where you want it, set permission_mode under [agents.{definition.name}] in "
        "~/.config/agent-pool/pool.toml"
    )


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


def _rule(tool: str) -> str:
    """`mcp__server__*` in the form that every version knows."""
    return tool.removesuffix("__*") if tool.startswith("mcp__") else tool


def _missing(command: str, why: str) -> TaskError:
    return TaskError(
        "cli_missing",
        f'the agent CLI "{command}" cannot be started: {why}.',
        "Install Claude Code (npm install -g @anthropic-ai/claude-code), or set CLAUDE_CLI to "
        "its path or command line. The next call tries again.",
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
