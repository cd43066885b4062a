"""Several files made one: what an earlier one leaves open, a later one fills."""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from supervisor.pool.config.lines import At, locate
from supervisor.pool.config.messages import reason, syntax_line, syntax_reason
from supervisor.pool.config.problems import ConfigError, Problem, dotted, written
from supervisor.pool.config.rules import check_rules
from supervisor.pool.config.tables import NAMED, Config

DEPTH_LIMIT = 16
"""Tables within tables; more are a mistake whatever they hold."""


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
    """Files put upon each other, the one that decides first. `check` makes a `Config` of them."""

    values: dict[str, Any] = field(default_factory=dict)
    """As written, by table and key."""
    files: list[Path] = field(default_factory=list)
    """Those that have been added."""
    last: dict[str, Any] = field(default_factory=dict)
    """The values of the last file, which holds every key."""
    origins: dict[At, Origin] = field(default_factory=dict)
    """Who said it: every key and table that a file holds, and each item of a list."""
    problems: list[Problem] = field(default_factory=list)
    """What is wrong so far."""

    def add(self, path: Path, given: dict[str, Any], lines: Mapping[At, int]) -> None:
        """Fill with the values of one file what those before it leave open.

        Raises:
            ConfigError: its tables are nested too deeply; then it adds nothing.
        """
        if (deep := _deep(given)) is not None:
            why = f"tables are nested too deeply: {DEPTH_LIMIT} levels are allowed"
            key = f"{dotted(deep[:2])}…"
            raise ConfigError([Problem(path, _line(deep, lines), key, why)])
        self.files.append(path)
        self.last = given
        self._fill(self.values, given, lambda at: Origin(path, _line(at, lines)), ())

    def check(self) -> Config:
        """The configuration that all of them make together.

        Raises:
            ConfigError: with every finding in every file.
        """
        # Where a file is missing, what others say of its groups cannot be judged.
        is_whole = not self.problems
        config = self._validate()
        if config is not None and is_whole:
            check_rules(config, self._wrong_together)
        if config is None or self.problems:
            raise ConfigError(self.problems)
        return config.model_copy(update={"agents": self._with_own_keys(config)})

    def _validate(self) -> Config | None:
        """The configuration, without what is wrong; None: too much is.

        So that what does not fit together is told in the same go.
        """
        filled = _filled(self.values)
        try:
            return Config.model_validate(filled)
        except ValidationError as error:
            found = [(tuple(str(part) for part in one["loc"]), one) for one in error.errors()]
        for at, one in found:
            if not self._is_inherited(at):
                self._wrong(at, reason(at, one))
        filled = deepcopy(filled)
        for at, _ in found:
            _mend(filled, at, self.last)
        try:
            return Config.model_validate(filled) if all(len(at) > 1 for at, _ in found) else None
        except ValidationError:
            return None

    def value(self, at: At) -> object:
        """The value of a key as it was written, there or in the defaults; None: nowhere."""
        value: object = _value_at(self.values, at)
        return value if value is not None else _value_at(self.values, _default_of(at) or at)

    def origin(self, at: At) -> Origin:
        """Where the value of a key was written: there, in the defaults, or in a table around it."""
        default = _default_of(at)
        for candidate in (at, default or at):
            if candidate in self.origins:
                return self.origins[candidate]
        around = [at[:length] for length in range(len(at) - 1, 0, -1)]
        known = next((one for one in around if one in self.origins), None)
        # The built-in file holds every key, and is the last.
        return self.origins[known] if known else next(reversed(self.origins.values()))

    def _wrong(self, at: At, message: str) -> None:
        origin = self.origin(at)
        self.problems.append(Problem(origin.path, origin.line, dotted(at), message))

    def _wrong_together(self, message: str, *keys: At) -> None:
        """Note a mistake at that of the keys which was written nearest to what it is about."""
        own = [at for at in keys if not self._is_inherited(at)]
        if not own:  # it is told of the defaults
            return
        at = min(own, key=self._distance)
        if len(keys) > 1:
            said = [f"{one[-1]} = {written(self.value(one))} ({self.origin(one)})" for one in keys]
            message = f"{message}; there is {' and '.join(said)}"
        self._wrong(at, message)

    def _distance(self, at: At) -> int:
        return self.files.index(self.origin(at).path)

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

    def _is_inherited(self, at: At) -> bool:
        """The mistake is in a default that a table was filled up with: it is told there."""
        default = _default_of(at)
        return default is not None and at not in self.origins and default in self.origins

    def _with_own_keys(self, config: Config) -> dict[str, Any]:
        """The agents' tables, each of which knows which of its keys are its own."""
        return {
            name: type(table).model_construct(
                _fields_set={key for key in dict(table) if ("agents", name, key) in self.origins},
                **dict(table),
            )
            for name, table in config.agents.items()
        }


def parse(path: Path, text: str) -> tuple[dict[str, Any], dict[At, int]]:
    """The values of a TOML text, and their lines.

    Raises:
        ConfigError: with the one problem that `tomllib` tells of.
    """
    try:
        return tomllib.loads(text), locate(text)
    except (ValueError, RecursionError) as error:
        line = syntax_line(text, error)
        problem = Problem(path, line, "", syntax_reason(text, line, error))
        raise ConfigError([problem]) from None


def _deep(given: dict[str, Any]) -> At | None:
    """A key that has too many tables around it, or None."""
    level: list[tuple[At, object]] = [((), given)]
    for _ in range(DEPTH_LIMIT + 1):
        level = [
            ((*at, key), below)
            for at, table in level
            if isinstance(table, dict)
            for key, below in table.items()
        ]
    return level[0][0] if level else None


def _line(at: At, lines: Mapping[At, int]) -> int | None:
    around = (at[:length] for length in range(len(at), 0, -1))
    return next((lines[one] for one in around if one in lines), None)


def _default_of(at: At) -> At | None:
    """The key under `[defaults]` that fills the key `at` where that is not given."""
    is_filled = len(at) >= 3 and at[0] in NAMED
    return ("defaults", at[0].removesuffix("s"), *at[2:]) if is_filled else None


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """The values with each table of an agent or a group filled up from the defaults."""
    filled = {table: {} for table in NAMED} | values
    defaults = values.get("defaults")
    for table in NAMED:
        own, kind = filled[table], table.removesuffix("s")
        default = defaults.get(kind) if isinstance(defaults, dict) else None
        if isinstance(own, dict) and isinstance(default, dict):
            filled[table] = {name: _upon(default, one) for name, one in own.items()}
    return filled


def _mend(values: dict[str, Any], at: At, last: dict[str, Any]) -> None:
    """Put in place of a wrong value what the last file has there; take out what it has not."""
    if at[-1].isdigit():
        at = at[:-1]  # of a list, all of it
    # A wrong table of an agent or a group becomes that of the defaults: it is not to be missed.
    default = ("defaults", at[0].removesuffix("s"), *at[2:])
    right = _value_at(last, default if at[0] in NAMED else at)
    table = _value_at(values, at[:-1])
    if isinstance(table, dict):
        table.pop(at[-1], None)
        if right is not None:
            table[at[-1]] = right


def _value_at(values: object, at: At) -> Any:
    for key in at:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _upon(default: object, own: object) -> object:
    if not isinstance(default, dict) or not isinstance(own, dict):
        return own
    both = {key: _upon(default[key], own[key]) if key in default else own[key] for key in own}
    return both | {key: value for key, value in default.items() if key not in own}
