"""One file's values by themselves: what is wrong with each, and what is left without that.

Every file is judged on its own, upon the built-in one, so that no file's mistake is hidden by what
another one says. A key that is misspelled is told, and then read as it was meant, so that what it
holds is judged in the same go.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from supervisor.agents import meant_model, meant_tool
from supervisor.pool.config.lines import At
from supervisor.pool.config.messages import meant_key, reason
from supervisor.pool.config.problems import Problem, did_you_mean, dotted, written
from supervisor.pool.config.tables import NAMED, Config

DEPTH_LIMIT = 16
"""Tables within tables; more are a mistake whatever they hold."""


@dataclass(frozen=True)
class Sound:
    """What is right in one file."""

    values: dict[str, Any]
    """By table and key."""
    lines: Mapping[At, int]
    """Where they stand."""
    wrong: frozenset[At] = frozenset()
    """The keys whose values are left out."""


def judge(
    path: Path, given: dict[str, Any], lines: Mapping[At, int], built_in: dict[str, Any]
) -> tuple[Sound, list[Problem]]:
    """What is right of a file's values, and all that is wrong with each by itself.

    Args:
        path: the file.
        given: its values; not changed.
        lines: where they stand.
        built_in: the values of the file that holds every key.
    """
    if (deep := _deep(given)) is not None:
        why = f"tables are nested too deeply: {DEPTH_LIMIT} levels are allowed"
        problem = Problem(path, line_of(deep, lines), f"{dotted(deep[:2])}…", why)
        return Sound({}, lines), [problem]
    judged = _Judged(path, deepcopy(given), dict(lines), built_in)
    while judged.judge_once():
        pass
    judged.warn()
    return Sound(judged.values, judged.lines, frozenset(judged.wrong)), judged.problems


class _Judged:
    def __init__(
        self, path: Path, values: dict[str, Any], lines: dict[At, int], built_in: dict[str, Any]
    ) -> None:
        self.values = values
        self.lines = lines
        self.wrong: set[At] = set()
        self.problems: list[Problem] = []
        self._path = path
        self._built_in = built_in
        self._wrong_lists: dict[At, list[Any]] = {}

    def judge_once(self) -> bool:
        """Take out what is wrong; whether there was anything, and so may be more behind it."""
        try:
            Config.model_validate(filled(upon(self._built_in, self.values)))
        except ValidationError as error:
            # What is wrong in the defaults is found in each table that stands upon them, too.
            found = [
                (tuple(map(str, one["loc"])), one)
                for one in error.errors()
                if one["type"] != "missing"
            ]
        else:
            return False
        found = [(at, one) for at, one in found if _holds(self.values, at)]
        for at, one in found:
            is_item = isinstance(one["loc"][-1], int)
            self._tell(at, reason(at, one), at[:-1] if is_item else at)
        for at, one in found:
            self._mend(at, one["type"] == "extra_forbidden", isinstance(one["loc"][-1], int))
        return bool(found)

    def warn(self) -> None:
        """Tell of what can be, and is hardly meant: tools, models and lists of agents."""
        for at, table in agent_tables(self.values):
            denied = table.get("disallowed_tools", [])
            wrong = {one[-1]: its for one, its in self._wrong_lists.items() if one[:-1] == at}
            for key, listed in (table | wrong).items():
                for number, item in enumerate(listed if isinstance(listed, list) else ()):
                    if not isinstance(item, str):
                        continue
                    if (why := _doubtful(key, listed, number, denied)) is not None:
                        here = (*at, key)
                        self._tell((*here, str(number)), f"{written(item)} {why}", here, "warning")
            if (meant := meant_model(table.get("model", ""))) is not None:
                why = f"{written(table['model'])} is no model that is known{did_you_mean(meant)}"
                self._tell((*at, "model"), why, (*at, "model"), "warning")

    def _tell(self, at: At, message: str, key: At, severity: Any = "error") -> None:
        line = line_of(at, self.lines)
        self.problems.append(Problem(self._path, line, dotted(key), message, severity))

    def _mend(self, at: At, is_unknown: bool, is_item: bool) -> None:
        """Take a wrong value out, or read a key that is not known as the one that was meant."""
        if is_item:
            at = at[:-1]
        table = value_at(self.values, at[:-1])
        if not isinstance(table, dict) or at[-1] not in table:
            return  # another item of the same list was wrong, too
        value = table.pop(at[-1])
        if is_item:
            self._wrong_lists[at] = value
        if not is_unknown:
            self.wrong.add(at)
            if len(at) == 2 and at[0] == "supervisors":
                table[at[-1]] = {}  # that there is such a group is plain
            return
        meant = meant_key(at, value)
        if meant is None:
            self.wrong.add(at)
            return
        if meant not in table:
            table[meant] = value
        elif isinstance(table[meant], dict) and isinstance(value, dict):
            table[meant] = upon(value, table[meant])
        known = [(one, line) for one, line in self.lines.items() if one[: len(at)] == at]
        for one, line in known:
            self.lines.setdefault((*at[:-1], meant, *one[len(at) :]), line)


def _doubtful(key: str, listed: list[Any], number: int, denied: list[str]) -> str | None:
    """What is odd about an item of one of an agent's lists; None: nothing."""
    item = listed[number]
    if key != "extra_arguments" and item in listed[:number]:
        return "is listed twice; take one out"
    if key != "tools":
        return None
    if item in denied:
        return "is denied by disallowed_tools as well, so the agent has it not; take one out"
    meant = meant_tool(item)
    return None if meant is None else f"is no tool that is known{did_you_mean(meant)}"


def agent_tables(values: Mapping[str, Any]) -> Iterator[tuple[At, dict[str, Any]]]:
    """The tables of agents, that of the defaults first, as far as they are tables."""
    default = value_at(values, ("defaults", "agent"))
    if isinstance(default, dict):
        yield ("defaults", "agent"), default
    agents = values.get("agents")
    for name, table in agents.items() if isinstance(agents, dict) else ():
        if isinstance(table, dict):
            yield ("agents", name), table


def line_of(at: At, lines: Mapping[At, int]) -> int | None:
    """The line of a key, or of the nearest table around it."""
    around = (at[:length] for length in range(len(at), 0, -1))
    return next((lines[one] for one in around if one in lines), None)


def default_of(at: At) -> At | None:
    """The key under `[defaults]` that fills the key `at` where that is not given."""
    is_filled = len(at) >= 3 and at[0] in NAMED
    return ("defaults", at[0].removesuffix("s"), *at[2:]) if is_filled else None


def value_at(values: object, at: At) -> Any:
    """The value at a key, or None."""
    for key in at:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def texts_in(value: object) -> Iterator[str]:
    """All texts that are somewhere in a value."""
    if isinstance(value, str):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from texts_in(one)


def filled(values: dict[str, Any]) -> dict[str, Any]:
    """The values with each table of an agent or a group filled up from the defaults."""
    full = {table: {} for table in NAMED} | values
    defaults = values.get("defaults")
    for table in NAMED:
        own, kind = full[table], table.removesuffix("s")
        default = defaults.get(kind) if isinstance(defaults, dict) else None
        if isinstance(own, dict) and isinstance(default, dict):
            full[table] = {name: upon(default, one) for name, one in own.items()}
    return full


def upon(default: object, own: object) -> Any:
    """A value, filled up from another one where both are tables."""
    if not isinstance(default, dict) or not isinstance(own, dict):
        return own
    both = {key: upon(default[key], own[key]) if key in default else own[key] for key in own}
    return both | {key: value for key, value in default.items() if key not in own}


def _holds(values: object, at: At) -> bool:
    """Whether these values themselves have something at a key, or at an item of a list."""
    for key in at:
        if isinstance(values, list):
            return key.isdigit() and int(key) < len(values)
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


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
