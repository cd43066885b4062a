"""The tool Bash: who may use it, and one command of it."""

import os
import signal
from contextlib import suppress
from typing import Final, NamedTuple

from supervisor.rehearsal._conversation import new_uuid

ALWAYS_ALLOWED: Final = frozenset({"cat", "echo", "head", "ls", "pwd", "tail", "true", "wc"})
ALLOWED_BY_ACCEPT_EDITS: Final = frozenset({"cp", "mkdir", "mv", "rm", "rmdir", "sed", "touch"})
NO_OUTPUT: Final = "(Bash completed with no output)"


def is_allowed(command: str, mode: str, rules: list[str]) -> bool:
    """Whether a command may run without asking.

    Roughly as the real CLI decides: plain reading commands always, plain editing commands inside
    the working directory in the mode `acceptEdits`, and what an `--allowedTools` rule covers
    (`Bash`, `Bash(git log)`, `Bash(git:*)`).
    """
    if mode == "bypassPermissions" or any(_covers(rule, command) for rule in rules):
        return True
    words = command.split()
    if not words or any(character in command for character in ";&|<>$`()\n"):
        return False
    if any(word.startswith(("/", "~")) or ".." in word for word in words[1:]):
        return False
    if words[0] in ALWAYS_ALLOWED:
        return True
    return mode == "acceptEdits" and words[0] in ALLOWED_BY_ACCEPT_EDITS


def _covers(rule: str, command: str) -> bool:
    if rule == "Bash":
        return True
    if not (rule.startswith("Bash(") and rule.endswith(")")):
        return False
    pattern = rule[5:-1]
    if pattern.endswith(":*"):
        return command == pattern[:-2] or command.startswith(pattern[:-2] + " ")
    return pattern in ("*", command)


class Ended(NamedTuple):
    """What a command left."""

    output: str
    """Both streams in the order written, without the newlines at the end."""
    exit_code: int
    """128 + the signal's number if a signal ended it."""

    def __str__(self) -> str:
        """The text of the tool's result."""
        if self.exit_code:
            return f"Exit code {self.exit_code}\n{self.output}".rstrip("\n")
        return self.output or NO_OUTPUT


class Command:
    """One running command, in a session of its own, as the real CLI runs it.

    Its output goes to an unlinked file, so that it has ended when the shell has, and not when the
    last background process closes a pipe.
    """

    def __init__(self, command: str) -> None:
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"rehearsal-{new_uuid()}")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        os.unlink(path)
        self._status: int | None = None
        self.pid = fork_session(["/bin/sh", "-c", command], self._file)

    def has_ended(self) -> bool:
        """Reap the shell if it has ended; never blocks."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def ended(self) -> Ended:
        """What it left; only after `has_ended()`."""
        if self._status is None:
            raise RuntimeError("the command still runs")
        size = os.fstat(self._file).st_size
        output = os.pread(self._file, size, 0).decode(errors="replace").rstrip("\n")
        os.close(self._file)
        code = os.waitstatus_to_exitcode(self._status)
        return Ended(output, code if code >= 0 else 128 - code)

    def kill(self) -> None:
        """Kill its process group and reap the shell."""
        if self._status is None:
            with suppress(ProcessLookupError, PermissionError):  # it has just ended by itself
                os.killpg(self.pid, signal.SIGKILL)
            _, self._status = os.waitpid(self.pid, 0)


def fork_session(argv: list[str], output: int) -> int:
    """Start a process in a session of its own, both streams on `output`, and give its pid."""
    ready, exec_closes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            for ignored in (signal.SIGTERM, signal.SIGPIPE):
                signal.signal(ignored, signal.SIG_DFL)
            os.environ["CLAUDECODE"] = "1"
            os.execv(argv[0], argv)
        finally:
            os._exit(127)
    os.close(exec_closes)
    os.read(ready, 1)  # until the session is there: a group killed earlier would be ours
    os.close(ready)
    return pid
