"""The configuration that a pool goes by: the user's, or the built-in one while that is wrong."""

from collections.abc import Mapping

from supervisor.pool.config.files import ConfigFiles, Loaded
from supervisor.pool.config.problems import ConfigError
from supervisor.pool.config.tables import Config
from supervisor.pool.config.variables import task_timeout_s


class ConfigInForce:
    """A wrong configuration does not stop a pool: it is degraded, until its files have changed."""

    def __init__(self, files: ConfigFiles, environ: Mapping[str, str]) -> None:
        """Reads `files`; `environ` is the pool's environment."""
        self.error: ConfigError | None = None
        """Why the pool is degraded; None: it is not."""
        self._files = files
        self._environ = environ
        self._signature: object = None
        self.loaded = self._read()
        """What was read, and where it comes from."""

    @property
    def config(self) -> Config:
        """What holds."""
        return self.loaded.config

    def try_again(self) -> bool:
        """Degraded, and a file has changed: read again; returns whether that was done."""
        if self.error is None or self._files.signature() == self._signature:
            return False
        self.error = None
        self.loaded = self._read()
        return True

    def _read(self) -> Loaded:
        self._signature = self._files.signature()
        try:
            loaded = self._files.read()
            task_timeout_s(self._environ)
        except ConfigError as error:
            self.error = error
            return ConfigFiles(self._files.built_in).read()
        return loaded
