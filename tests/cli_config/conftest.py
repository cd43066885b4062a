"""The commands about the configuration, called in this process, in a project of their own."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli import main
from supervisor.place import TAG, VARIABLES


@dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def record(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """What it printed for a person."""
        return self.out.splitlines()


class Desk:
    """A user with a home, a project and an agent CLI that nobody starts."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.home = folder / "home"
        self.own = self.root / ".claude" / "pool.toml"
        self.user = self.home / ".config" / "agent-pool" / "pool.toml"
        self.bin = folder / "bin"

    def write(self, path: Path, text: str, mode: int = 0o600) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def write_agent(self, name: str, *frontmatter: str) -> Path:
        lines = ["---", f"name: {name}", f"description: It is {name}.", *frontmatter, "---", "Do."]
        return self.write(self.root / ".claude" / "agents" / f"{name}.md", "\n".join(lines))

    def install(self, version: str, name: str = "claude") -> Path:
        """An agent CLI as npm installs it, which nobody can start."""
        package = self.bin / "lib" / version
        self.write(
            package / "package.json",
            json.dumps({"name": "@anthropic-ai/claude-code", "version": version}),
        )
        program = self.write(package / "cli", "not to be started", 0o755)
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).symlink_to(program)
        return self.bin / name


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk in order: `check` has nothing to say."""
    desk = Desk(tmp_path)
    for folder in (desk.root / ".claude", desk.home, desk.bin, tmp_path / "tmp"):
        folder.mkdir(parents=True)
    for name in (*VARIABLES, TAG, "CLAUDE_PROJECT_DIR", "XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "CLAUDE_CODE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.setenv("PATH", str(desk.bin))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-to-be-told")
    monkeypatch.chdir(desk.root)
    desk.install("2.1.197")
    return desk


Run = Callable[..., Done]


@pytest.fixture
def run(desk: Desk, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `agent-pool` with some words at the desk."""

    def call(*words: str) -> Done:
        status = main(list(words))
        said = capfd.readouterr()
        return Done(status, said.out, said.err)

    return call
