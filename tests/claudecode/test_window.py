"""The form in Claude Code's own window, by which its user is asked what an agent may do.

The newest version speaks MCP 2026-07-28 there, in which a call is made again with the answer.
"""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.claudecode.conftest import opened
from tests.claudecode.stage import BY_CONFIG, Stage, invoke
from tests.client import LIMIT_S
from tests.realcli.fixtures import require
from tests.realcli.install import VERSIONS

CONTROL: Final = re.compile(r"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
SPACE: Final = re.compile(r"\s+")
AGAIN_S: Final = 10.0
"""Seconds after which a key without effect is pressed once more."""

HERE: Final = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT} "
"""Stands before where the form's cursor is."""

DOWN, RIGHT, ESCAPE = "\x1b[B", "\x1b[C", "\x1b"


class Window:
    """Claude Code at a terminal."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: Path) -> None:
        self._shown = b""
        self._terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        self._process = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)

    def press(self, keys: str) -> None:
        """Type them; what was shown before no longer counts."""
        self._shown = b""
        os.write(self._terminal, keys.encode())

    def press_until(self, keys: str, text: str) -> None:
        """Type them until that is shown: a form that has just changed takes no keys yet."""
        self.press(keys)
        for _ in range(int(LIMIT_S / AGAIN_S)):
            if self._shows(text, AGAIN_S):
                return
            os.write(self._terminal, keys.encode())  # what comes late of the first still counts
        raise AssertionError(f"{text!r} is not shown, but {self._text()[-2000:]!r}")

    def await_text(self, text: str) -> None:
        """Read on until that has been shown; white space is not looked at."""
        assert self._shows(text, LIMIT_S), f"{text!r} is not in {self._text()[-2000:]!r}"

    def _shows(self, text: str, limit_s: float) -> bool:
        wanted = SPACE.sub("", text)
        deadline = time.monotonic() + limit_s
        while wanted not in self._text():
            left = deadline - time.monotonic()
            readable, _, _ = select.select([self._terminal], [], [], max(0.0, left))
            if not readable:
                return False
            self._shown += os.read(self._terminal, 65536)
        return True

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def _text(self) -> str:
        return SPACE.sub("", CONTROL.sub("", self._shown.decode(errors="replace")))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A pool of the newest version, with an agent that asks."""
    for stage in opened(tmp_path, require(VERSIONS[-1])):
        stage.project.write_agent("asker", "You ask.", "tools: Bash", "permissionMode: ask")
        yield stage


@pytest.fixture
def window(stage: Stage) -> Iterator[Window]:
    """Claude Code as it is when its first questions have been answered, ready for a task."""
    folder = stage.project.folder.resolve()
    known = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    answered = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": ["dummy"], "rejected": []},
        "projects": {str(folder): known},
    }
    (stage.project.home / ".claude.json").write_text(json.dumps(answered))
    env = stage.environment(TERM="xterm-256color")
    # With the same variables, else the pool refuses Claude Code's relay.
    command = [str(stage.bin / "agent-pool"), "warmup", "asker"]
    subprocess.run(command, env=env, cwd=folder, check=True, timeout=LIMIT_S, capture_output=True)
    window = Window([*stage.cli, *BY_CONFIG], env, folder)
    try:
        yield window
    finally:
        window.close()


def ask(window: Window) -> None:
    """Have Claude Code call an agent that asks, and wait for the form."""
    window.await_text("shift+tab to cycle")
    window.press(invoke("asker", "[[bash touch made]]"))
    window.await_text("touch made")
    window.press("\r")
    window.await_text("requests your input")
    window.await_text('May the agent "asker" use the tool Bash?')
    window.await_text("| touch made")
    window.await_text("→ to expand")


def test_the_user_sees_what_the_agent_wants_and_can_allow_it(stage: Stage, window: Window) -> None:
    ask(window)
    window.press_until(RIGHT, "allow for this task")
    window.press_until("\r", f"{HERE}Accept")
    window.press_until("\r", "completed with no output")

    assert (stage.project.folder / "made").exists()


def test_the_user_can_decline_it(stage: Stage, window: Window) -> None:
    ask(window)
    window.press_until(DOWN, f"{HERE}Accept")
    window.press_until(DOWN, f"{HERE}Decline")
    window.press_until("\r", "the user was asked, and denied it")

    assert not (stage.project.folder / "made").exists()


def test_the_user_can_dismiss_it(stage: Stage, window: Window) -> None:
    ask(window)
    window.press_until(ESCAPE, "the question was dismissed without an answer")

    assert not (stage.project.folder / "made").exists()
