"""The configuration that a pool goes by: the last one that was right."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from supervisor.pool.config.files import ConfigFiles, Loaded
from supervisor.pool.config.problems import ConfigError, Problem
from supervisor.pool.config.tables import Config
from supervisor.pool.config.variables import task_timeout_s
from supervisor.pool.trust import is_trusted

Check = Callable[[Loaded], Iterable[Problem]]
"""Finds what is wrong with a configuration that can be read."""


class ConfigInForce:
    """A wrong configuration does not stop a pool.

    One that starts with it is degraded, and goes by the built-in one, until its files have been
    mended. One that had a right one goes on with that.
    """

    def __init__(self, files: ConfigFiles, environ: Mapping[str, str]) -> None:
        """Reads `files`; `environ` is the pool's environment."""
        self.error: ConfigError | None = None
        """Why the pool is degraded; None: it is not."""
        self.refused: tuple[Problem, ...] = ()
        """What is wrong with the files as they are now, though an earlier reading is in force."""
        self._files = files
        self._environ = environ
        self._signature: object = None
        self._lacks: Callable[[], list[Problem]] = list  # what keeps the files from being in force
        self._lacked: list[Problem] = []  # the same, as it was when they were read
        self._trusted = False
        self.loaded = self._read(None)
        """What was read, and where it comes from."""

    @property
    def config(self) -> Config:
        """What holds."""
        return self.loaded.config

    @property
    def paths(self) -> set[str]:
        """All files that decide what holds, whether they are there or not."""
        return set(map(str, self._files.places))

    def signature(self) -> object:
        """Changes when one of the files does."""
        return self._files.signature()

    def is_unchanged(self) -> bool:
        """Whether the files are as they were when they were read last, and what they lack too."""
        return self._files.signature() == self._signature and self._lacks() == self._lacked

    def read_again(self, check: Check = lambda _: ()) -> None:
        """Read the files; what is right is in force from now on, what is wrong is noted.

        `check` finds what else is wrong with a configuration. Only what is so since this reading
        is held against it: what the pool has lived with so far keeps nothing else from changing.
        """
        before = self.loaded
        was_trusted = self._trusted
        self.loaded = read = self._read(None if self.error else before, check)
        self._lacks, self._lacked = list, []
        if read is before or self.error is not None:
            return
        if was_trusted and not self._trusted:
            return  # what its user has taken back does not hold on, whatever else comes of it
        known = {(one.key, one.message) for one in check(before)}

        def lacks() -> list[Problem]:
            return [one for one in check(read) if (one.key, one.message) not in known]

        if lacked := lacks():
            # It is no file of ours that has to change, so this is looked at with each call.
            self._lacks, self._lacked = lacks, lacked
            advice = "; then it holds from the next call on"
            told = (replace(one, message=one.message.rstrip(".") + advice) for one in lacked)
            self.refused, self.loaded = tuple(told), before

    def look_closer(self, check: Check) -> None:
        """Add to what keeps a pool degraded what `check` finds, so that all is told at once."""
        if self.error is not None:
            self.error = _with(self.error, check)

    def _read(self, before: Loaded | None, check: Check = lambda _: ()) -> Loaded:
        self._signature = self._files.signature()
        trusted = is_trusted(self._files.root, self._environ)
        withdrawn, self._trusted = self._trusted and not trusted, trusted
        try:
            loaded = self._loaded()
        except ConfigError as wrong:
            error = _with(wrong, check)
            # What was trusted when it was read does not hold on once its project is not.
            if before is not None and not withdrawn:
                self.refused = tuple(error.problems)
                return before
            self.error, self.refused = error, ()
            return ConfigFiles(self._files.built_in).read()
        self.error, self.refused = None, ()
        return loaded

    def _loaded(self) -> Loaded:
        found: list[Problem] = []
        try:
            task_timeout_s(self._environ)
        except ConfigError as error:
            found = error.problems
        try:
            loaded = self._files.read()
        except ConfigError as error:
            raise ConfigError([*error.problems, *found], error.warnings, error.rest) from None
        if found:
            raise ConfigError(found, loaded.warnings, loaded)
        return loaded


def _with(error: ConfigError, check: Check) -> ConfigError:
    """The same error, with what `check` finds in what is right besides."""
    if error.rest is None:
        return error
    built_in = error.rest.layers.files[-1]  # nobody's to mend
    found = [*error.problems, *(one for one in check(error.rest) if one.path != built_in)]
    files = [*dict.fromkeys(one.path for one in found)]
    found = sorted(dict.fromkeys(found), key=lambda one: (files.index(one.path), one.line or 0))
    return ConfigError(found, error.warnings, error.rest)
