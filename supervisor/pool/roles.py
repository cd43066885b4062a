"""How each agent is started, as its files, pool.toml and the user's trust say now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.agents import (
    AgentDefinition,
    BrokenDefinition,
    Catalogue,
    Finding,
    Folders,
    canonical,
)
from supervisor.pool.boot import Launch, launch_of
from supervisor.pool.config import Config, Loaded, Problem
from supervisor.pool.launch import (
    CliFinder,
    Role,
    folder_of,
    passed_on,
    role,
)
from supervisor.pool.outcome import PoolError
from supervisor.pool.refusals import broken_error, removed_error, unknown_error
from supervisor.pool.startable import not_startable
from supervisor.pool.trust import is_trusted


@dataclass(frozen=True)
class _Made:
    """A role, and what it was made of."""

    definition: AgentDefinition
    config: Config
    trusted: bool
    role: Role

    def is_of(self, definition: AgentDefinition, config: Config, trusted: bool) -> bool:
        """Whether it was made of the very same."""
        same = self.definition is definition and self.config is config
        return same and self.trusted is trusted


Entry = AgentDefinition | BrokenDefinition
"""An agent, or why there is none."""


class Roles:
    """The roles of one project's agents, as their files were when they were read last.

    An edit that is wrong costs no agent its role: the one that it had stays, until the file is
    mended or removed.
    """

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        folders: Folders,
        config: Callable[[], Config],
    ) -> None:
        """Read the definitions.

        Args:
            root: the project.
            environ: the pool's environment.
            folders: where definitions are looked for.
            config: gives the configuration in force.
        """
        self.clis = CliFinder(environ)
        """Finds the CLI, and remembers what each binary can do."""
        self.refused: dict[str, BrokenDefinition] = {}
        """What is wrong with the files of agents whose earlier definition is in force."""
        self._root = root
        self._environ = environ
        self._catalogue = Catalogue(folders)
        self._config = config
        self._roles: dict[str, _Made] = {}
        self._entries: dict[str, Entry] = {}
        self._strays: list[BrokenDefinition] = []
        self._leaving: dict[str, AgentDefinition] = {}
        self.read_again()

    # files

    @property
    def paths(self) -> set[str]:
        """All paths that decide what agents there are, whether anything is there or not."""
        return self._catalogue.looked_at()

    def is_unchanged(self) -> bool:
        """Whether the files are as they were when they were read last."""
        return self._catalogue.is_unchanged()

    def signature(self) -> object:
        """Changes when one of the files does."""
        return self._catalogue.signature()

    def read_again(self) -> None:
        """Read the definitions; those that are sound are in force from now on."""
        trusted = is_trusted(self._root, self._environ)
        withdrawn = self._catalogue.trusted and not trusted
        self._catalogue.trusted = trusted
        found = self._catalogue.all()
        if withdrawn:  # nobody is served any more by what was read while it was trusted
            self._leaving.clear()
        before = {} if withdrawn else self._sound()
        entries: dict[str, Entry] = {e.name: e for e in found if isinstance(e, AgentDefinition)}
        self._strays, self.refused = [], {}
        for broken in found:
            if isinstance(broken, AgentDefinition):
                continue
            kept = _had_been(broken, before)
            if kept is not None and kept.name not in entries:
                entries[kept.name], self.refused[kept.name] = kept, broken
            elif broken.name in entries:
                self._strays.append(broken)
            else:
                entries[broken.name] = broken
        self._entries = entries
        for name, definition in before.items():
            if not isinstance(entries.get(name), AgentDefinition):
                self._leaving[name] = definition
        for name in self._sound():
            self._leaving.pop(name, None)

    def _sound(self) -> dict[str, AgentDefinition]:
        entries = self._entries.items()
        return {name: entry for name, entry in entries if isinstance(entry, AgentDefinition)}

    def not_startable(self, loaded: Loaded) -> list[Problem]:
        """What no process could be started with, if a configuration held."""
        return list(not_startable(loaded, self.names, self._root, self.clis))

    # roles

    def define(self, name: str) -> Role:
        """The role of the agent `name`.

        Raises:
            PoolError: `unknown_agent` or `agent_broken`, with what to do.
        """
        name = canonical(name)
        entry = self._entries.get(name)
        if entry is None and name in self._leaving:
            raise PoolError(removed_error(name))
        if entry is None:
            raise PoolError(unknown_error(self._catalogue.unknown(name)))
        if isinstance(entry, BrokenDefinition):
            raise PoolError(broken_error(entry))
        return self._role(entry)

    def serving(self, name: str) -> Role:
        """The role in which tasks of the agent `name` are served: the last, if it is removed.

        Raises:
            PoolError: as `define`.
        """
        leaving = self._leaving.get(name)
        return self.define(name) if leaving is None else self._role(leaving)

    @property
    def names(self) -> set[str]:
        """Of all agents, broken ones included."""
        return set(self._entries)

    @property
    def lack(self) -> str | None:
        """That no agent is defined, and where was looked; None: there are some."""
        if self._entries or self._strays:
            return None
        folders = ", ".join(map(str, self._catalogue.unknown("").folders_searched))
        return f"no agent is defined: there is no file <name>.md in {folders}"

    @property
    def leaving(self) -> set[str]:
        """Of agents that were removed, and may have tasks to serve yet."""
        return set(self._leaving)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the files as they were read last, so that they do not count."""
        wrong = [*self.refused.values(), *self._entries.values(), *self._strays]
        broken = (one for one in wrong if isinstance(one, BrokenDefinition))
        return tuple(dict.fromkeys(f for one in broken for f in one.findings if f.is_error))

    def has_left(self, name: str) -> None:
        """Of an agent that was removed, the last task has been served."""
        self._leaving.pop(name, None)
        if name not in self._entries:
            self._roles.pop(name, None)

    def all(self) -> list[Role | BrokenDefinition]:
        """Those of all agents, by name."""
        entries = sorted(
            [*self._entries.values(), *self._strays], key=lambda e: (e.name, str(e.source))
        )
        return [
            entry if isinstance(entry, BrokenDefinition) else self._role(entry) for entry in entries
        ]

    def purposes(self) -> dict[str, str]:
        """What each agent is for, by its name; of a broken one, that it is."""
        return {
            one.name: "Its definition has a mistake, so it cannot be used."
            if isinstance(one, BrokenDefinition)
            else one.description
            for one in self.all()
        }

    def launch(self, name: str) -> Launch:
        """What a process of the agent `name` is started with.

        Raises:
            PoolError: as `define`; or the CLI is missing or too old.
        """
        definition, settings = self.serving(name), self._config().agent(name)
        cli = self.clis.otherwise(settings.command, self._root).find()
        return launch_of(
            definition,
            cli,
            definition.mode,
            self.clis.capabilities(cli),
            memory_limit=settings.hard_ceiling,
            folder=folder_of(settings.working_directory, self._root),
            environ=passed_on(self._environ, settings.environment),
            whole_environ=self._environ,
        )

    def _role(self, definition: AgentDefinition) -> Role:
        """Made anew only where something has changed."""
        config, trusted = self._config(), self._catalogue.trusted
        known = self._roles.get(definition.name)
        if known is None or not known.is_of(definition, config, trusted):
            made = role(definition, config, self._root, trusted)
            known = self._roles[definition.name] = _Made(definition, config, trusted, made)
        return known.role


def _had_been(
    broken: BrokenDefinition, before: Mapping[str, AgentDefinition]
) -> AgentDefinition | None:
    """The agent that a broken file has defined: one of its name, or from the very file."""
    same = before.get(broken.name)
    return same or next((one for one in before.values() if one.source == broken.source), None)
