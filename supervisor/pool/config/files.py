"""Where pool.toml is looked for, and what all the files found make together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.place import asked_for, user_folder
from supervisor.pool.config.lines import At
from supervisor.pool.config.merge import Layers, Origin, parse
from supervisor.pool.config.problems import (
    ConfigError,
    Problem,
    did_you_mean,
    dotted,
    nearest,
    written,
)
from supervisor.pool.config.project import take_refused
from supervisor.pool.config.tables import Config
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

    def undefined(self, defined: Collection[str]) -> list[Problem]:
        """A warning for each agent that has a table, and is none of the `defined` ones.

        What the user's own file says of an agent that this project does not have is no mistake,
        unless it has one of nearly that name.
        """
        found = []
        for name in self.config.agents:
            if name in defined:
                continue
            origin = self.origin(("agents", name))
            near = nearest(name, set(defined) - set(self.config.agents))
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
            root / ".claude" / "pool.toml",
            Path(user_folder(environ)) / "pool.toml",
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
        layers = Layers()
        warnings: list[Problem] = []
        for path in self.all:
            try:
                text = self._text(path)
                if text is not None:
                    warnings += self._add(layers, path, text)
            except ConfigError as error:
                layers.problems += error.problems
        try:
            return Loaded(layers.check(), layers, tuple(warnings), self.user)
        except ConfigError as error:
            raise ConfigError(self._in_order(error.problems), tuple(warnings)) from None

    def _in_order(self, problems: list[Problem]) -> list[Problem]:
        return sorted(problems, key=lambda one: (self.all.index(one.path), one.line or 0))

    def _add(self, layers: Layers, path: Path, text: str) -> list[Problem]:
        """Put a file below those before it; returns what of it is left out."""
        given, lines = parse(path, text)
        refused = []
        if path == self.project and self.user is not None:
            trusted = is_trusted(self.root, self.environ)
            refused = take_refused(given, self.root, trusted, self.user)
        layers.add(path, given, lines)
        return [
            Problem(path, lines.get(at), dotted(at), message, "warning") for at, message in refused
        ]

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
