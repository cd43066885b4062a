"""pool.toml in all of its places, under one folder."""

from pathlib import Path
from typing import Final

import pytest

from supervisor.pool.config import Config, ConfigError, ConfigFiles, Problem

SHIPPED: Final = Path(__file__).resolve().parents[3] / "config" / "pool.toml"


class Files:
    """The four places of pool.toml under one folder."""

    def __init__(self, folder: Path) -> None:
        self.asked_for = folder / "asked" / "mine.toml"
        self.project = folder / "project" / ".claude" / "pool.toml"
        self.user = folder / "home" / ".config" / "agent-pool" / "pool.toml"
        self.root = folder / "project"
        self.environ = {"HOME": str(folder / "home")}

    def write(self, path: Path, text: str | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        if path == self.asked_for:
            self.environ["AGENT_POOL_CONFIG"] = str(path)
        return path

    def ask_for(self, path: Path) -> None:
        self.environ["AGENT_POOL_CONFIG"] = str(path)

    def find(self) -> ConfigFiles:
        return ConfigFiles.find(self.root, self.environ, SHIPPED)

    def load(self) -> Config:
        return self.find().load()

    def error(self) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            self.load()
        return caught.value

    def problems(self) -> list[Problem]:
        return self.error().problems

    def warnings(self) -> list[Problem]:
        return list(self.find().read().warnings)

    def warning(self) -> str:
        (one,) = self.warnings()
        return str(one)

    def problem(self) -> str:
        (one,) = self.problems()
        return str(one)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)
