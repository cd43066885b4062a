"""`agent-pool check`: everything that is written down, checked at once, and nothing started."""

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from supervisor.agents import (
    AgentDefinition,
    BrokenDefinition,
    Catalogue,
    Finding,
    Folders,
    left_without_tools,
)
from supervisor.cli._agent_cli import look_at_cli, look_at_login
from supervisor.cli._report import Found, Report, missing_rights
from supervisor.place import PlaceError, built_in, find_place
from supervisor.pool.config import ConfigError, ConfigFiles, Loaded, Problem, task_timeout_s
from supervisor.pool.config.problems import dotted
from supervisor.pool.launch import CliFinder, Role, ignored_mode, role
from supervisor.pool.startable import missing_folders
from supervisor.pool.trust import TrustError, is_trusted, trusted_roots


def check(root: str, environ: Mapping[str, str], strict: bool, as_json: bool) -> int:
    """Print all that is wrong; 0: no error, 1: warnings (with `strict`), 2: errors.

    Args:
        root: the project.
        environ: what a pool would be started with.
        strict: warnings count.
        as_json: print one JSON object.
    """
    return _Check(Path(root), environ).report().tell(root, strict, as_json)


class _Check:
    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = environ
        self._report = Report()
        shipped = Path(built_in()) / "config" / "pool.toml"
        self._files = ConfigFiles.find(root, environ, shipped)
        self._loaded = self._load()
        home = Path(environ.get("HOME") or Path.home())
        folders = Folders.resolve(root, environ, home, Path(built_in()))
        self._catalogue = Catalogue(folders, is_trusted(root, environ))

    def report(self) -> Report:
        self._check_variables()
        self._check_files()
        agents = self._check_definitions()
        names = [agent.name for agent in agents]
        spoken_of = self._loaded.spoken_of(names)
        self._tell(missing_folders(self._loaded, spoken_of, self._root))
        self._check_clis(agents)
        self._check_state()
        return self._report

    # pool.toml

    def _load(self) -> Loaded:
        try:
            loaded = self._files.read()
        except ConfigError as error:
            self._tell([*error.problems, *error.warnings])
            # So that everything else can still be looked at.
            return error.rest or ConfigFiles(self._files.built_in).read()
        self._tell(loaded.warnings)
        return loaded

    def _tell(self, problems: Iterable[Problem]) -> None:
        for one in problems:
            found = Found(one.severity, one.message, str(one.path), one.line, one.key or None)
            self._report.found.append(found)

    def _check_variables(self) -> None:
        try:
            task_timeout_s(self._environ)
        except ConfigError as error:
            self._tell(error.problems)

    def _check_files(self) -> None:
        for path in self._files.all:
            if path != self._files.built_in and _others_may_write(path):
                why = "others may write this file, and with it say what runs as you"
                self._report.warn(f"{why}: chmod go-w {path}", path=str(path))
        try:
            trusted_roots(self._environ)
        except TrustError as error:
            self._report.error(str(error))

    # agents

    def _check_definitions(self) -> list[AgentDefinition]:
        """Note what is wrong with definitions and what belongs to them; returns the sound ones."""
        self._tell_findings(self._catalogue.folder_findings())
        entries = self._catalogue.all()
        for entry in entries:
            if isinstance(entry, BrokenDefinition):
                self._tell_findings(entry.findings)
            else:
                self._tell_findings(entry.warnings)
        self._tell_findings(self._catalogue.unnamed_findings())
        self._tell(self._loaded.undefined({entry.name for entry in entries}))
        agents = [entry for entry in entries if isinstance(entry, AgentDefinition)]
        made = [self._role(agent) for agent in agents]
        for one in made:
            self._check_mode(one)
            self._check_sub_agents(one, made)
        broken_ones = len(entries) - len(agents)
        self._report.note(f"{len(agents)} can be used, {broken_ones} cannot", "agents")
        return agents

    def _tell_findings(self, findings: Iterable[Finding]) -> None:
        for one in findings:
            found = Found(one.severity, one.message, str(one.path), one.line, one.key)
            self._report.found.append(found)

    def _role(self, agent: AgentDefinition) -> Role:
        trusted = is_trusted(self._root, self._environ)
        return role(agent, self._loaded.config, self._root, trusted)

    def _check_mode(self, made: Role) -> None:
        if (refused := ignored_mode(made)) is not None:
            self._report.warn(refused.removeprefix(f"{made.source}: "), path=str(made.source))
        if made.mode == "bypassPermissions":
            self._report.note(
                "runs without asking for any permission", dotted(("agents", made.name))
            )

    def _check_sub_agents(self, made: Role, agents: list[Role]) -> None:
        if idle := left_without_tools(made, agents):
            message = (
                f"{made.name} may hand work to {', '.join(idle)}, without a tool: a sub-agent has "
                "those of its tools that the agent which calls it has, too, and Claude Code may "
                "refuse one that has none; list tools of theirs here, or have the pool's client "
                "call them"
            )
            self._report.warn(message, "tools", str(made.source))

    # the CLI and the machine's part

    def _check_clis(self, agents: list[AgentDefinition]) -> None:
        finder = CliFinder(self._environ)
        if self._environ.get("CLAUDE_CLI"):
            found = [look_at_cli(finder, "CLAUDE_CLI", "environment", self._report)]
        else:
            found = []
            for command, name in self._commands(agents).items():
                at = ("agents", name, "command") if name else ("defaults", "agent", "command")
                origin = self._loaded.origin(at)
                # The built-in file is nobody's to mend.
                path = None if origin.path == self._files.built_in else str(origin)
                one = finder.otherwise(command, self._root)
                found.append(look_at_cli(one, dotted(at), path, self._report))
        if any(cli is not None and cli.version is not None for cli in found):
            look_at_login(self._environ, self._root, self._report)

    def _commands(self, agents: list[AgentDefinition]) -> dict[str, str]:
        """Every CLI that is to be used, and an agent that uses it; empty: all without their own."""
        config = self._loaded.config
        usual = [agent for agent in agents if "command" not in config.own(agent.name)]
        commands = {config.defaults.agent.command: ""} if usual else {}
        for agent in agents:
            commands.setdefault(config.agent(agent.name).command, agent.name)
        return commands or {config.defaults.agent.command: ""}

    def _check_state(self) -> None:
        try:
            place = find_place(str(self._root), self._environ)
        except PlaceError as error:
            self._report.error(str(error))
            return
        why = missing_rights(place.folder)
        if why is not None:
            advice = "make it writable, or set XDG_STATE_HOME, or state_folder in your pool.toml"
            self._report.error(f"the state folder {place.folder} cannot be used: {why}; {advice}")


def _others_may_write(path: Path) -> bool:
    try:
        facts = path.stat()
    except OSError:
        return False
    return bool(facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
