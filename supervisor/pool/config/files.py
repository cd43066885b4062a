"""Where pool.toml is looked for, and what all the files found make together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.pool.config.lines import At
from supervisor.pool.config.merge import Layers, Origin, parse
from supervisor.pool.config.problems import ConfigError, Problem, dotted
from supervisor.pool.config.project import refusals
from supervisor.pool.config.tables import Config


@dataclass(frozen=True)
class Loaded:
    """A configuration that is right, and where it comes from."""

    config: Config
    """What holds."""
    layers: Layers
    """Every value as it was written, with its place."""
    warnings: tuple[Problem, ...]
    """What was left out, and why."""

    def origin(self, at: At) -> Origin:
        """Where the value that holds for the key `at` was written."""
        return self.layers.origin(at)


@dataclass(frozen=True)
class ConfigFiles:
    """Where pool.toml is looked for, the one that decides first."""

    built_in: Path
    """The file that holds every key."""
    asked_for: Path | None
    """`$AGENT_POOL_CONFIG`: it must exist."""
    optional: tuple[Path, ...]
    """The project's and the user's, which may be missing."""

    @staticmethod
    def find(root: Path, environ: Mapping[str, str], built_in: Path) -> "ConfigFiles":
        """The files for the project `root` and the user that `environ` describes."""
        asked_for = environ.get("AGENT_POOL_CONFIG")
        home = Path(environ.get("HOME") or Path.home())
        base = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        optional = (root / ".claude" / "pool.toml", base / "agent-pool" / "pool.toml")
        return ConfigFiles(built_in, Path(asked_for) if asked_for else None, optional)

    @property
    def project(self) -> Path | None:
        """The project's own file."""
        return self.optional[0] if self.optional else None

    @property
    def all(self) -> tuple[Path, ...]:
        """Every place, each once, whether there is a file or not."""
        first = (self.asked_for,) if self.asked_for else ()
        return tuple(dict.fromkeys((*first, *self.optional, self.built_in)))

    def signature(self) -> tuple[object, ...]:
        """A value that changes when a file does."""
        return tuple(_stamp(path) for path in self.all)

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
        for path in self.all:
            try:
                text = self._text(path)
                if text is not None:
                    self._add(layers, path, text)
            except ConfigError as error:
                layers.problems += error.problems
        return Loaded(layers.check(), layers, ())

    def _add(self, layers: Layers, path: Path, text: str) -> None:
        given, lines = parse(path, text)
        layers.add(path, given, lines)
        for at, message in refusals(given) if path == self.project else ():
            layers.problems.append(Problem(path, lines.get(at), dotted(at), message))

    def _text(self, path: Path) -> str | None:
        """What is in a file; None where there is none, and need not be one."""
        try:
            return path.read_bytes().decode()
        except (FileNotFoundError, NotADirectoryError):
            if path != self.asked_for:
                return None
            reason = "$AGENT_POOL_CONFIG names this file, and it is not there"
            raise ConfigError([Problem(path, None, "", reason)]) from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            reason = f"this is no UTF-8: {error.reason}"
            raise ConfigError([Problem(path, line, "", reason)]) from None
        except OSError as error:
            raise ConfigError([Problem(path, None, "", f"unreadable: {error.strerror}")]) from None


def _stamp(path: Path) -> object:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
