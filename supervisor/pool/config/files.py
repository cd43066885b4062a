"""Where pool.toml is looked for, and what all the files found make together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.place import asked_for, project_config, user_config
from supervisor.pool.config.lines import At
from supervisor.pool.config.merge import Layers, Origin
from supervisor.pool.config.problems import (
    ConfigError,
    Problem,
    did_you_mean,
    dotted,
    nearest,
    written,
)
from supervisor.pool.config.project import take_refused
from supervisor.pool.config.rules import is_name
from supervisor.pool.config.syntax import Parsed, parse
from supervisor.pool.config.tables import Config
from supervisor.pool.config.values import Sound, judge, line_of
from supervisor.pool.trust import is_trusted, trust_file


@dataclass(frozen=True)
class Loaded:
    """A configuration that is right, and where it comes from."""

    config: Config
    """What holds."""
    layers: Layers
    """Every value as it was written, with its place."""
    warnings: tuple[Problem, ...]
    """What was left out, and why."""
    user_file: Path | None
    """The user's own pool.toml, which speaks of agents in all projects."""

    def origin(self, at: At) -> Origin:
        """Where the value that holds for the key `at` was written."""
        return self.layers.origin(at)

    def spoken_of(self, defined: Collection[str]) -> list[str]:
        """The `defined` agents, and those that a file of this project speaks of besides."""
        others = [
            name
            for name in self.config.agents
            if name not in defined and self.origin(("agents", name)).path != self.user_file
        ]
        return [*defined, *others]

    def undefined(self, defined: Collection[str]) -> list[Problem]:
        """A warning for each agent that has a table, and is none of the `defined` ones.

        What the user's own file says of an agent that this project does not have is no mistake,
        unless it has one of nearly that name.
        """
        found = []
        for name in self.config.agents:
            if name in defined or not is_name(name):  # which is told already
                continue
            origin = self.origin(("agents", name))
            # One that has no table of its own yet, rather than another.
            near = nearest(name, set(defined) - set(self.config.agents)) or nearest(name, defined)
            if near is None and origin.path == self.user_file:
                continue
            message = f"no file defines an agent {written(name)}{did_you_mean(near)}"
            if near is None:
                message += f" (there are: {', '.join(sorted(defined)) or 'none'})"
            key = dotted(("agents", name))
            found.append(Problem(origin.path, origin.line, key, message, "warning"))
        return found


@dataclass(frozen=True)
class ConfigFiles:
    """Where pool.toml is looked for, the one that decides first."""

    built_in: Path
    """The file that holds every key."""
    asked_for: tuple[Path, ...] = ()
    """Those that `--config` and `$AGENT_POOL_CONFIG` name: they must exist."""
    project: Path | None = None
    """The project's own, which may be missing, and may not say everything."""
    user: Path | None = None
    """The user's own, which may be missing."""
    root: Path = Path("/")
    """The project."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Describes the user, whose list of trusted projects counts."""

    @staticmethod
    def find(root: Path, environ: Mapping[str, str], built_in: Path) -> "ConfigFiles":
        """The files for the project `root` and the user that `environ` describes."""
        return ConfigFiles(
            built_in,
            tuple(map(Path, asked_for(environ))),
            Path(project_config(str(root))),
            Path(user_config(environ)),
            root,
            environ,
        )

    @property
    def all(self) -> tuple[Path, ...]:
        """Every place, each once, whether there is a file or not."""
        optional = (one for one in (self.project, self.user) if one is not None)
        return tuple(dict.fromkeys((*self.asked_for, *optional, self.built_in)))

    @property
    def places(self) -> tuple[Path, ...]:
        """Every place, and the list of trusted projects, which decides what counts."""
        return (*self.all, trust_file(self.environ))

    def signature(self) -> tuple[object, ...]:
        """A value that changes when a file does, or whether the project is trusted."""
        return tuple(map(_stamp, self.places))

    def load(self) -> Config:
        """What all of them say together.

        Raises:
            ConfigError: with every finding in every file.
        """
        return self.read().config

    def read(self) -> Loaded:
        """Read and check all of them.

        Raises:
            ConfigError: with every finding in every file.
        """
        layers, found = Layers(), []
        built_in = parse(self._text(self.built_in) or "")
        for path in self.all:
            if path == self.built_in:  # what it holds is judged with the whole
                found += [Problem(path, line, "", why) for line, why in built_in.mistakes]
                layers.add(path, Sound(built_in.values, built_in.lines))
                continue
            try:
                text = self._text(path)
            except ConfigError as error:
                found += error.problems
                layers.is_whole = False
                continue
            if text is not None:
                found += self._add(layers, path, parse(text), built_in.values)
        config = layers.config()
        found = self._in_order([*found, *layers.clashes(config)])
        errors = [one for one in found if one.severity == "error"]
        warnings = tuple(one for one in found if one.severity == "warning")
        loaded = Loaded(config, layers, warnings, self.user)
        if errors:
            raise ConfigError(errors, warnings, loaded)
        return loaded

    def _in_order(self, problems: list[Problem]) -> list[Problem]:
        once = dict.fromkeys(problems)
        return sorted(once, key=lambda one: (self.all.index(one.path), one.line or 0))

    def _add(
        self, layers: Layers, path: Path, parsed: Parsed, built_in: dict[str, Any]
    ) -> list[Problem]:
        """Put a file below those before it; returns what is wrong in it, or left out of it."""
        found = [Problem(path, line, "", why) for line, why in parsed.mistakes]
        layers.is_whole = layers.is_whole and parsed.is_whole
        layers.wrong |= parsed.lost
        layers.lost_in |= parsed.lost_in
        sound, wrong = judge(path, parsed.values, parsed.lines, built_in)
        if path == self.project and self.user is not None:
            trusted = is_trusted(self.root, self.environ)
            # What is left out is told also of a value that is wrong as well.
            said = take_refused(parsed.values, self.root, trusted, self.user)
            said += take_refused(sound.values, self.root, trusted, self.user)
            found += [
                Problem(path, line_of(at, sound.lines), dotted(at), why, "warning")
                for at, why in said
            ]
        layers.add(path, sound)
        return [*found, *wrong]

    def _text(self, path: Path) -> str | None:
        """What is in a file; None where there is none, and need not be one."""
        try:
            return path.read_bytes().decode()
        except (FileNotFoundError, NotADirectoryError):
            if path not in self.asked_for:
                return None
            reason = "this file is asked for (--config or $AGENT_POOL_CONFIG), and is not there"
            raise ConfigError([Problem(path, None, "", reason)]) from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            reason = f"this is no UTF-8: {error.reason}; save it as UTF-8"
            raise ConfigError([Problem(path, line, "", reason)]) from None
        except OSError as error:
            raise ConfigError([Problem(path, None, "", f"unreadable: {error.strerror}")]) from None


def _stamp(path: Path) -> object:
    try:
        facts = path.stat()
    except OSError:
        return None
    # The change time also tells of edits that put the old time back.
    return facts.st_ctime_ns, facts.st_mtime_ns, facts.st_size, facts.st_ino
