"""How each agent is started, as its files, pool.toml and the user's trust say now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.agents import (
    AgentDefinition,
    BrokenAgent,
    BrokenDefinition,
    Catalogue,
    Folders,
    UnknownAgent,
)
from supervisor.pool.boot import Launch, launch_of
from supervisor.pool.config import Config
from supervisor.pool.launch import (
    CliFinder,
    Role,
    folder_of,
    passed_on,
    role,
)
from supervisor.pool.outcome import PoolError
from supervisor.pool.refusals import broken_error, unknown_error
from supervisor.pool.trust import Trust


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


class Roles:
    """The roles of one project's agents."""

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        folders: Folders,
        config: Callable[[], Config],
    ) -> None:
        """Reads nothing yet.

        Args:
            root: the project.
            environ: the pool's environment.
            folders: where definitions are looked for.
            config: gives the configuration in force.
        """
        self.clis = CliFinder(environ)
        """Finds the CLI, and remembers what each binary can do."""
        self._root = root
        self._environ = environ
        self._catalogue = Catalogue(folders)
        self._trust = Trust(root, environ)
        self._config = config
        self._roles: dict[str, _Made] = {}

    def define(self, name: str) -> Role:
        """The role of the agent `name`.

        Raises:
            PoolError: `unknown_agent` or `agent_broken`, with what to do.
        """
        try:
            return self._role(self._definitions.get(name))
        except UnknownAgent as unknown:
            raise PoolError(unknown_error(unknown)) from None
        except BrokenAgent as broken:
            raise PoolError(broken_error(broken)) from None

    def all(self) -> list[Role | BrokenDefinition]:
        """Those of all agents, by name."""
        return [
            entry if isinstance(entry, BrokenDefinition) else self._role(entry)
            for entry in self._definitions.all()
        ]

    def purposes(self) -> dict[str, str]:
        """What each agent is for, by its name; of a broken one, that it is."""
        return {
            one.name: "Its definition has a mistake, so it cannot be used."
            if isinstance(one, BrokenDefinition)
            else one.description
            for one in self._definitions.all()
        }

    def launch(self, name: str) -> Launch:
        """What a process of the agent `name` is started with.

        Raises:
            PoolError: as `define`; or the CLI is missing or too old.
        """
        definition, settings = self.define(name), self._config().agent(name)
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

    @property
    def _definitions(self) -> Catalogue:
        """All agents; what runs code counts where the user trusts the project, as of now."""
        self._catalogue.trusted = self._trust.now()
        return self._catalogue

    def _role(self, definition: AgentDefinition) -> Role:
        """Made anew only where something has changed."""
        config, trusted = self._config(), self._catalogue.trusted
        known = self._roles.get(definition.name)
        if known is None or not known.is_of(definition, config, trusted):
            made = role(definition, config, self._root, trusted)
            known = self._roles[definition.name] = _Made(definition, config, trusted, made)
        return known.role
