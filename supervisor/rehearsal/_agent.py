"""The loop: one thread waits for stdin, for a child's end and for the next point of time.

A turn is a generator that yields what it waits for, so that an interrupt reaches it wherever it
is, and nothing needs a lock. Signals act at once, also while a write to stdout blocks.
"""

import json
import os
import select
import signal
import time
from collections import deque
from types import FrameType
from typing import Final, NamedTuple

from supervisor.rehearsal import _controls, _output
from supervisor.rehearsal._conversation import CannotRewindError, new_uuid
from supervisor.rehearsal._flags import Flags
from supervisor.rehearsal._session import Line, Outcome, Session
from supervisor.rehearsal._turn import Turn

CLEAR: Final = frozenset({"clear", "reset", "new"})
CHUNK: Final = 1 << 16
LOCAL: Final = Outcome(terminal_reason=None, num_turns=0)


class _Queued(NamedTuple):
    """A user line that waits for its turn."""

    text: str
    uuid: str
    is_later: bool
    """`"priority": "later"`: it is never put into a turn that runs."""
    asks: bool
    """False for `"shouldQuery": false`: only the text is added."""

    def is_plain(self) -> bool:
        return self.asks and not self.text.startswith("/")


class BadLineError(Exception):
    """A line that the real CLI ends for; the message is what it prints."""


class Agent:
    """One run of the rehearsal agent."""

    def __init__(self, flags: Flags) -> None:
        self._session = Session(flags)
        self._modes = flags.rehearse
        self._turn: Turn | None = None
        self._queue: deque[_Queued] = deque()
        self._seen: set[str] = set()
        self._late: list[float] = []
        self._unread = bytearray()
        self._is_listening = True
        self._is_running = False
        """As `session_state_changed` tells it: not idle between tasks that waited."""
        self._has_ended = False
        self._exit: int | None = None
        self._wakeup, write = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._die_of)

    def run(self) -> int:
        """Work until the session ends; gives the exit code."""
        while self._exit is None:
            self._select()
            self._print_late_results()
            self._work()
            if self._has_ended and self._turn is None:
                self._leave(1 if self._session.last_result_was_error else 0)
        return self._exit

    def _select(self) -> None:
        """Block until there is something to do, and take what stdin has."""
        listened = [0] if self._is_listening else []
        times = [*self._late, *([self._turn.wait.until] if self._turn else [])]
        until = min((at for at in times if at is not None), default=None)
        timeout = None if until is None else max(0.0, until - time.monotonic())
        readable, _, _ = select.select([*listened, self._wakeup], [], [], timeout)
        if self._wakeup in readable:
            os.read(self._wakeup, CHUNK)
        if 0 in readable:
            self._read()

    def _read(self) -> None:
        chunk = os.read(0, CHUNK)
        # At the end, a last line without its newline counts too.
        for line in self._lines_with(chunk or b"\n"):
            if self._is_listening and self._exit is None:
                self._take(line)
        if not chunk:
            self._end_input()

    def _lines_with(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete with this chunk."""
        *whole, rest = chunk.split(b"\n")
        if not whole:
            self._unread += rest
            return []
        whole[0] = bytes(self._unread) + whole[0]
        self._unread = bytearray(rest)
        return whole

    def _end_input(self) -> None:
        self._is_listening = False
        self._has_ended = True
        if self._turn is not None:
            self._turn.lose_host()

    def _take(self, line: bytes) -> None:
        try:
            self._dispatch(_parsed(line))
        except BadLineError as error:
            _output.write(2, f"{error}\n".encode(errors="replace"))
            self._leave(1)

    def _dispatch(self, line: Line) -> None:
        match line.get("type"):
            case "user":
                self._take_user(line)
            case "assistant":
                text = _text(_message(line).get("content"))
                self._session.conversation.add("assistant", text, _given_uuid(line))
            case "control_request":
                request = line.get("request")
                if not isinstance(request, dict):
                    raise BadLineError(_bad(line, "TypeError: undefined is not an object"))
                self._take_control(str(line.get("request_id")), request)
            case "control_response":
                response = line.get("response")
                if isinstance(response, dict) and self._turn is not None:
                    self._turn.hear_host(response)

    # Tasks

    def _take_user(self, line: Line) -> None:
        message = _message(line)
        if message.get("role") != "user":
            got = message.get("role")
            raise BadLineError(f"Error: Expected message role 'user', got '{got}'")
        uuid = _given_uuid(line)
        if uuid in self._seen:
            return  # never answered, not even after a /clear
        if uuid is not None:
            self._seen.add(uuid)
        content = message.get("content")
        if not isinstance(content, str | list):
            outcome = Outcome(is_error=True, num_turns=0, error="content is neither text nor list")
            self._session.print_result(outcome)
            self._leave(1)
            return
        asks = line.get("shouldQuery") is not False
        later = line.get("priority") == "later"
        self._queue.append(_Queued(_text(content), uuid or new_uuid(), later, asks))
        self._work()

    def _work(self) -> None:
        """Go on with the turn in hand, then with the queue, as far as that goes now."""
        while self._exit is None:
            if self._turn is not None:
                self._turn.advance()
                if self._turn.outcome is None:
                    return
                self._end_turn(self._turn, self._turn.outcome)
            elif self._queue:
                self._start(self._next())
            else:
                return

    def _next(self) -> _Queued:
        """The first of the queue; plain texts that wait next to each other are one task."""
        first = self._queue.popleft()
        texts = [first.text]
        while first.is_plain() and self._queue and self._queue[0].is_plain():
            texts.append(self._queue.popleft().text)
        return first._replace(text="\n".join(texts))

    def _take_steered(self) -> list[str]:
        """The plain messages that came while a tool ran; they never get a result of their own."""
        steered = [queued for queued in self._queue if queued.is_plain() and not queued.is_later]
        self._queue = deque(queued for queued in self._queue if queued not in steered)
        return [queued.text for queued in steered]

    def _start(self, task: _Queued) -> None:
        if not self._is_running:
            self._is_running = True
            self._session.print_state("running")
        command = _slash_command(task.text)
        if command is not None:
            self._run_command(command)
            return
        self._session.conversation.add("user", task.text, task.uuid)
        self._session.print_init()
        if not task.asks:
            self._end_with(LOCAL)
            return
        self._turn = Turn(self._session, task.text, self._take_steered)
        if self._turn.asks_for("deaf"):
            self._is_listening = False

    def _run_command(self, name: str) -> None:
        said, answer = f"Unknown command: /{name}", None
        if name in CLEAR and self._session.flags.has("--disable-slash-commands"):
            said = f"/{name} isn't available in this environment."
        elif name in CLEAR and "no-clear" in self._modes:
            said = f"Unknown skill: {name}"
        elif name in CLEAR:
            self._session.clear()
            said, answer = "(no content)", ""
        self._session.print_init()
        self._session.print_synthetic(said)
        self._end_with(LOCAL._replace(text=said if answer is None else answer))

    def _end_turn(self, turn: Turn, outcome: Outcome) -> None:
        self._turn = None
        self._end_with(outcome, times=2 if turn.asks_for("twice") else 1)
        now = time.monotonic()
        self._late += [now + seconds for seconds in turn.seconds_until_late_results()]
        if turn.asks_for("unsolicited"):
            self._run_unsolicited()
        if turn.asks_for("die-after"):
            self._leave(0)

    def _end_with(self, outcome: Outcome, times: int = 1) -> None:
        self._session.print_result(outcome, times=times)
        if not self._queue:
            self._is_running = False
            self._session.print_state("idle")

    def _run_unsolicited(self) -> None:
        """What follows when a command that a task left in the background has ended."""
        text = "unsolicited: a background task has ended"
        self._session.print_state("running")
        self._session.print_init()
        self._session.conversation.add("assistant", text, uuid := new_uuid())
        self._session.print_assistant({"type": "text", "text": text}, uuid)
        self._session.print_result(Outcome(text, origin="task-notification"))
        self._session.print_state("idle")

    def _print_late_results(self) -> None:
        now = time.monotonic()
        for _ in [at for at in self._late if at <= now]:
            self._session.print_result(Outcome("late: nobody asked for this"))
        self._late = [at for at in self._late if at > now]

    # Control requests

    def _take_control(self, request_id: str, request: Line) -> None:
        if "minimal" in self._modes:
            self._reply(request_id, {})
            return
        match request.get("subtype"):
            case "initialize" if "no-initialize" in self._modes:
                return
            case "interrupt":
                self._reply(request_id, {})
                self._interrupt()
            case "end_session":
                self._reply(request_id, {})
                self._interrupt()
                self._end_input()  # what waits is still carried out, as the real one does
            case "cancel_async_message":
                self._reply(request_id, {"cancelled": self._cancel(request.get("message_uuid"))})
            case "rewind_conversation" if "no-rewind" not in self._modes:
                self._take_rewind(request_id, request)
            case subtype:
                answer = _controls.answer(self._session, request)
                if answer is not None:
                    self._reply(request_id, answer)
                elif "silent-controls" not in self._modes:
                    name = subtype if isinstance(subtype, str) else "undefined"
                    self._refuse(request_id, f"Unsupported control request subtype: {name}")

    def _interrupt(self) -> None:
        if self._turn is not None:
            self._turn.interrupt()

    def _cancel(self, uuid: object) -> bool:
        """Take a message out of the queue; whether it was there."""
        before = len(self._queue)
        self._queue = deque(queued for queued in self._queue if queued.uuid != uuid)
        return len(self._queue) < before

    def _take_rewind(self, request_id: str, request: Line) -> None:
        target = request.get("target_message_uuid")
        if not isinstance(target, str):
            self._is_listening = False  # the real CLI never reads another line either
            return
        if request.get("interrupt_if_running") is True and not self._queue:
            self._interrupt()
            self._work()
        self._reply(request_id, self._rewound(target))

    def _rewound(self, target: str) -> Line:
        nothing: Line = {"rewound": False, "prefillText": None, "precedingAssistantUuid": None}
        if self._queue:
            return nothing | {"error": "commands queued"}
        if self._turn is not None:
            return nothing | {"error": "turn running"}
        try:
            rewound = self._session.conversation.rewind(target)
        except CannotRewindError as error:
            return nothing | {"error": str(error)}
        answer: Line = {"rewound": True, "targetMessageUuid": rewound.target.uuid}
        answer["prefillText"] = rewound.target.text
        anchor = rewound.anchor.uuid
        return answer | ({"precedingAssistantUuid": anchor} if anchor else {})

    def _reply(self, request_id: str, answer: Line) -> None:
        response: Line = {"subtype": "success", "request_id": request_id}
        response |= {"response": answer} if answer else {}
        self._session.print({"type": "control_response", "response": response})

    def _refuse(self, request_id: str, error: str) -> None:
        response: Line = {"subtype": "error", "request_id": request_id, "error": error}
        self._session.print({"type": "control_response", "response": response})

    # The end

    def _leave(self, exit_code: int) -> None:
        """End the process as soon as this step is done, and the command in hand with it."""
        self._queue.clear()
        self._work()
        if self._turn is not None:
            self._turn.kill_command()
        self._exit = exit_code

    def _die_of(self, number: int, _frame: FrameType | None) -> None:
        """As measured: SIGTERM and SIGHUP leave the command in hand behind, SIGINT does not."""
        if number == signal.SIGINT and self._turn is not None:
            self._turn.kill_command()
        os._exit(0 if number == signal.SIGINT else 128 + number)


def _parsed(line: bytes) -> Line:
    """The object of one line; an empty one for what is ignored."""
    if line in (b"", b"\r"):
        return {}
    text = line.decode(errors="replace")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadLineError(_bad(text, f"SyntaxError: {error}")) from None
    if value is None:
        raise BadLineError(_bad(text, "TypeError: null is not an object"))
    return value if isinstance(value, dict) else {}


def _message(line: Line) -> Line:
    message = line.get("message")
    if not isinstance(message, dict):
        raise BadLineError(_bad(line, "TypeError: undefined is not an object"))
    return message


def _bad(line: object, why: str) -> str:
    written = line if isinstance(line, str) else json.dumps(line)
    return f"Error parsing streaming input line: {written[:1000]}: {why}"


def _given_uuid(line: Line) -> str | None:
    uuid = line.get("uuid")
    return uuid if isinstance(uuid, str) else None


def _text(content: object) -> str:
    """The text of a message's content, blocks joined by a newline."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(b.get("text", "")) for b in blocks if isinstance(b, dict))


def _slash_command(text: str) -> str | None:
    """The name that a leading slash calls, if it looks like one: `/tmp/x` does not."""
    if not text.startswith("/") or len(text) == 1 or text[1].isspace():
        return None
    name = text[1:].split(maxsplit=1)[0]
    return name if name.replace("-", "").replace("_", "").replace(":", "").isalnum() else None
