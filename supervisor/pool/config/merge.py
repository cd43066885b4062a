"""Several files made one: what an earlier one leaves open, a later one fills."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from supervisor.pool.config.lines import At
from supervisor.pool.config.messages import MEMBERS, reason
from supervisor.pool.config.problems import ConfigError, Problem, dotted, written
from supervisor.pool.config.rules import Clash, check_rules, unused_groups
from supervisor.pool.config.tables import Config
from supervisor.pool.config.values import Sound, default_of, filled, line_of, texts_in, value_at


@dataclass(frozen=True)
class Origin:
    """Where a value was written."""

    path: Path
    """The file."""
    line: int | None
    """Counted from 1; None: it cannot be told."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


@dataclass
class Layers:
    """Files put upon each other, the one that decides first. `config` is what they make."""

    values: dict[str, Any] = field(default_factory=dict)
    """As written, by table and key, without what is wrong."""
    files: list[Path] = field(default_factory=list)
    """Those that have been added."""
    origins: dict[At, Origin] = field(default_factory=dict)
    """Who said it: every key and table that a file holds, and each item of a list."""
    wrong: set[At] = field(default_factory=set)
    """Keys whose values were wrong in a file, so that nobody knows what they are to be."""
    lost_in: set[At] = field(default_factory=set)
    """Tables of which a file may say more than could be read."""
    is_whole: bool = True
    """Every file could be read to its end; else what they do not say, they may say yet."""

    def add(self, path: Path, sound: Sound) -> None:
        """Fill with the values of one file what those before it leave open."""
        self.files.append(path)
        self.wrong |= sound.wrong
        self._fill(self.values, sound.values, lambda at: Origin(path, line_of(at, sound.lines)), ())

    def config(self) -> Config:
        """The configuration that all of them make together.

        Raises:
            ConfigError: the last file is wrong, which nobody else has judged.
        """
        try:
            config = Config.model_validate(filled(self.values))
        except ValidationError as error:
            found = [(tuple(map(str, one["loc"])), one) for one in error.errors()]
            own = [(at, one) for at, one in found if self.place(at) == at]
            raise ConfigError([self.problem(at, reason(at, one)) for at, one in own]) from None
        return config.model_copy(update={"agents": self._with_own_keys(config)})

    def clashes(self, config: Config) -> Iterator[Problem]:
        """What does not fit together, as far as what is right by itself tells."""
        for clash in check_rules(config):
            if self._is_known(clash) and (problem := self._clash(clash)) is not None:
                yield problem
        if not self.is_whole or self.lost_in:
            return
        named = {text for table in self.values if table != "supervisors"
                 for text in texts_in(self.values[table])}  # fmt: skip
        for name, message in unused_groups(config, named):
            parts = (("supervisors", name), *(("supervisors", name, key) for key in MEMBERS))
            if not self.wrong.intersection(parts):
                yield self.problem(("supervisors", name), message, "warning")

    def value(self, at: At) -> object:
        """The value of a key as it was written, there or in the defaults; None: nowhere."""
        return value_at(self.values, self.place(at))

    def place(self, at: At) -> At:
        """The key at which the value of `at` was written: itself, or the one of the defaults."""
        default = default_of(at)
        return at if default is None or at in self.origins else default

    def origin(self, at: At) -> Origin:
        """Where the value of a key was written: there, in the defaults, or in a table around it."""
        default = default_of(at)
        for candidate in (at, default or at):
            if candidate in self.origins:
                return self.origins[candidate]
        around = [at[:length] for length in range(len(at) - 1, 0, -1)]
        known = next((one for one in around if one in self.origins), None)
        # The built-in file holds every key, and is the last.
        return self.origins[known] if known else next(reversed(self.origins.values()))

    def problem(self, at: At, message: str, severity: Any = "error") -> Problem:
        """A finding at the place where the value of `at` was written."""
        origin = self.origin(at)
        return Problem(origin.path, origin.line, dotted(at), message, severity)

    def _is_known(self, clash: Clash) -> bool:
        """Whether all that a clash depends on is known."""
        said = (*clash.keys, *clash.also)
        concerned = {*said, *map(self.place, said)}
        parts = {at[:length] for at in concerned for length in range(1, len(at) + 1)}
        if parts & self.wrong:
            return False
        if self.is_whole and not parts & self.lost_in:
            return True
        # What is missing may say otherwise, of other keys than those of one file.
        said_by = {self.origin(at).path for at in clash.keys}
        return len(said_by) == 1 and said_by != {self.files[-1]} and not clash.of_absence

    def _clash(self, clash: Clash) -> Problem | None:
        """The finding, at that of the keys which was written nearest to what it is about."""
        own = [at for at in clash.keys if self.place(at) == at]
        if not own:  # it is told of the defaults
            return None
        at = min(own, key=lambda one: self.files.index(self.origin(one).path))
        message = clash.message
        if len(clash.keys) > 1:
            said = [
                f"{one[-1]} = {written(self.value(one))} ({self.origin(one)})" for one in clash.keys
            ]
            message = f"{message}; there is {' and '.join(said)}"
        return self.problem(at, message)

    def _fill(self, into: dict[str, Any], given: dict[str, Any], origin: Any, at: At) -> None:
        for key, value in given.items():
            here = (*at, key)
            self.origins.setdefault(here, origin(here))
            if isinstance(value, dict) and isinstance(into.get(key, {}), dict):
                self._fill(into.setdefault(key, {}), value, origin, here)
            elif key not in into:
                into[key] = value
                self._note_items(value, origin, here)

    def _note_items(self, value: object, origin: Any, at: At) -> None:
        for number in range(len(value) if isinstance(value, list) else 0):
            self.origins.setdefault((*at, str(number)), origin((*at, str(number))))

    def _with_own_keys(self, config: Config) -> dict[str, Any]:
        """The agents' tables, each of which knows which of its keys are its own."""
        return {
            name: type(table).model_construct(
                _fields_set={key for key in dict(table) if ("agents", name, key) in self.origins},
                **dict(table),
            )
            for name, table in config.agents.items()
        }
