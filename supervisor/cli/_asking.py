"""The pool's questions to whoever sits at the terminal: may an agent use a tool?

Each is asked by a thread of its own, one after the other, so that the pool is heard meanwhile: it
may take a question back. A question that nobody here can answer is dismissed, which denies it.
"""

import os
import select
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from supervisor.cli._screen import StatusLine, harmless

CHOICES: Final = {"o": "allow once", "t": "allow for this task", "d": "deny"}
"""What is typed, and what is answered: the form's choices."""

MEANT: Final = {
    "y": "o",
    "yes": "o",
    "n": "d",
    "no": "d",
    "once": "o",
    "task": "t",
    **{choice: key for key, choice in CHOICES.items()},
}
"""What else is typed, and taken for one of them: `yes` is as little as it can mean."""

HINT: Final = (
    "That is none of the answers: type o (or yes) to allow this use, t for the whole task, d (or "
    "no) to deny it; Ctrl-C cancels the task."
)

PROMPT: Final = "[o]nce, for this [t]ask, or [d]eny? "

Reply = Callable[[dict[str, Any]], None]
"""Takes the result of a question: MCP's `action`, and `content` where there is an answer."""

_DISMISSED: Final[dict[str, Any]] = {"action": "cancel"}


@dataclass
class _Question:
    message: str
    reply: Reply
    wake: tuple[int, int] = field(default_factory=os.pipe)
    """Something to read here: it is no longer wanted."""

    def withdraw(self) -> None:
        """It is no longer wanted."""
        os.write(self.wake[1], b"x")


class TerminalAsker:
    """Asks at a terminal. `put` and `withdraw` are for one thread, that which hears the pool."""

    def __init__(self, terminal: int, line: StatusLine) -> None:
        """`terminal` is read from, and `line` is what else is shown there."""
        self._terminal = terminal
        self._line = line
        self._open: dict[object, _Question] = {}
        self._turn = threading.Lock()
        self._state = threading.Lock()

    def put(self, name: object, params: dict[str, Any], reply: Reply) -> None:
        """Ask; `name` is what `withdraw` calls it by."""
        answer = params.get("requestedSchema", {}).get("properties", {}).get("answer", {})
        if answer.get("enum") != list(CHOICES.values()):
            reply(_DISMISSED)  # none of the pool's questions that are known here
            return
        question = _Question(str(params.get("message")), reply)
        with self._state:
            self._open[name] = question
        self._line.hold()
        threading.Thread(target=self._ask, args=(name, question), daemon=True).start()

    def withdraw(self, name: object) -> None:
        """The pool no longer wants an answer to that one."""
        with self._state:
            if name in self._open:
                self._open[name].withdraw()

    def _ask(self, name: object, question: _Question) -> None:
        with self._turn:
            answer = self._answer(question)
            with self._state:
                del self._open[name]
                for end in question.wake:
                    os.close(end)
            self._line.release()
        if answer is not None:
            with suppress(OSError, ValueError):  # the pool has gone, and its caller sees to that
                question.reply(answer)

    def _answer(self, question: _Question) -> dict[str, Any] | None:
        """The result; None: it was withdrawn."""
        if self._is_wanted(question, wait=False) is False:
            return None
        if not self._is_in_foreground():
            return _DISMISSED
        with suppress(termios.error):
            # What was typed before the question was there is no answer to it.
            termios.tcflush(self._terminal, termios.TCIFLUSH)
        self._say(f"{harmless(question.message, sys.stderr)}\n")
        while True:
            self._say(PROMPT)
            if not self._is_wanted(question, wait=True):
                self._say("\n(It is no longer asked.)\n")
                return None
            typed = os.read(self._terminal, 1024)
            if not typed:
                self._say("\n")
                return _DISMISSED
            word = typed.decode(errors="replace").strip().lower()
            chosen = CHOICES.get(MEANT.get(word, word))
            if chosen is not None:
                return {"action": "accept", "content": {"answer": chosen}}
            self._say(f"{HINT}\n")

    def _is_wanted(self, question: _Question, *, wait: bool) -> bool:
        """Whether it still is, at once or as soon as something was typed."""
        listened = [question.wake[0], *([self._terminal] if wait else [])]
        ready, _, _ = select.select(listened, [], [], None if wait else 0)
        return question.wake[0] not in ready

    def _is_in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return True  # it is not the terminal that controls us, so reading it stops nobody

    def _say(self, text: str) -> None:
        # Past sys.stderr: a thread that holds its lock when the program ends would abort that.
        with suppress(OSError):
            os.write(sys.stderr.fileno(), text.encode(sys.stderr.encoding, "backslashreplace"))


def asker_at_terminal(line: StatusLine) -> TerminalAsker | None:
    """Who asks at the terminal that `line` is on; None: there is no person to be asked."""
    if not sys.stderr.isatty():
        return None
    if sys.stdin.isatty():
        return TerminalAsker(sys.stdin.fileno(), line)
    try:
        # The task may come from a pipe, and the person sits at the terminal all the same.
        return TerminalAsker(os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC), line)
    except OSError:
        return None
