"""One CLI process's conversation in stream-json, without I/O: bytes in, events out.

The rules come from measuring many versions of the real CLI:

* a line of ours is answered by at most one `result`, but results also come unasked (a
  background job that ends starts a turn of its own), may be repeated, and may come late. A
  result is taken for the task in hand only where nothing speaks against it, see `_stray`;
* `subtype: "success"` alone is no success: an API failure is one with `is_error`, an abort one
  with another `terminal_reason`;
* cost is a running total of the process, tokens are of the turn;
* only a *new* session id together with an empty text proves that `/clear` cleared: older
  versions answer success and keep the context.
"""

import json
import math
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from supervisor.protocol._events import (
    Activity,
    ClearEnded,
    ControlReply,
    Denial,
    Event,
    Garbage,
    Question,
    TaskEnded,
    TurnResult,
    TurnStarted,
    Unsolicited,
    Usage,
)
from supervisor.protocol._lines import LINE_LIMIT, LineSplitter, line_of
from supervisor.protocol._permission import QuestionWithdrawn, answer_line, tool_question

SAMPLE = 200
"""Characters of a text that is only quoted."""

REMEMBERED = 64
"""Results and sessions that are remembered, to know a late or repeated result by."""

UNASKED = "nothing was asked"
BACKGROUND = "it reports a background job"

ANNOUNCED_ENOUGH = 2
"""Tasks in a row that an `init` line announced, until a result without one is not believed.

One would not do: a simple stand-in may print its only `init` with the first task.
"""

MOST_TOKENS = 10**12
"""More than one task can take; thousands of such tasks can be added up in SQLite's 64 bits."""

SPOKEN_ENOUGH = 1
"""Tasks in a row whose answer was said before its result, until a result of a turn in which nothing
was said is not believed. One will do: before the first task of a process there is no other whose
result could be late.
"""

REFUSAL = "This agent runs without a person who could be asked, so it is refused."


class ClaudeSession:
    """The state of one process's conversation.

    Requests are made by methods that return the bytes to write; what the process prints goes
    to `receive`, which returns what it means. One task at a time: `begin_task` and
    `begin_clear` are only for an idle session.
    """

    def __init__(
        self,
        new_uuid: Callable[[], str] = lambda: str(uuid.uuid4()),
        line_limit: int = LINE_LIMIT,
    ) -> None:
        """`new_uuid` names lines and requests; `line_limit`: see `LineSplitter`."""
        self.session_id: str | None = None
        """The CLI's session, as it last said."""
        self.garbage_lines = 0
        """Lines that were no JSON object."""
        self.unsolicited_results = 0
        """Results that belonged to no task in hand."""
        self.total_cost_usd = 0.0
        """The process's running total, as it last said."""
        self.task_uuid: str | None = None
        """The name of the last task's line: what a rewind goes back to."""
        self.turn_tokens = 0
        """Tokens of this turn so far, of all kinds and sub-agents', as its messages tell them.

        Less than the result's in the end: what a message still writes is not in it.
        """
        self._new_uuid = new_uuid
        self._lines = LineSplitter(line_limit)
        self._turn: Literal["none", "task", "clear"] = "none"
        self._turn_started = False
        self._announced = 0  # tasks in a row that were announced
        self._spoken = 0  # tasks in a row whose answer was also said during the turn
        self._stale_sessions: deque[str] = deque(maxlen=REMEMBERED)
        self._seen_results: deque[tuple[object, ...]] = deque(maxlen=REMEMBERED)
        self._answer_so_far = ""
        self._counted_message = ""  # its tokens are in `turn_tokens`

    @property
    def skipped_lines(self) -> int:
        """Lines that were longer than the limit."""
        return self._lines.skipped

    @property
    def idle(self) -> bool:
        """No task and no clear is awaiting its result."""
        return self._turn == "none"

    # requests

    def control(self, subtype: str, **fields: Any) -> tuple[str, bytes]:
        """A control request; returns its id and its line. Some versions never answer some."""
        request_id = self._new_uuid()
        request = {"subtype": subtype, **fields}
        message = {"type": "control_request", "request_id": request_id, "request": request}
        return request_id, line_of(message)

    def anchor(self) -> bytes:
        """The line that gives a rewind of the first task something to go back to."""
        content = [{"type": "text", "text": "Ready."}]
        return line_of({"type": "assistant", "message": {"role": "assistant", "content": content}})

    def begin_task(self, text: str) -> bytes:
        """The line that hands over `text`, literally: it is never taken for a command.

        Raises:
            RuntimeError: a turn is under way.
        """
        # A repeated uuid would be dropped by the CLI without a word: each line has its own.
        name = self._new_uuid()
        line = self._begin("task", " " + text if text.startswith("/") else text, name)
        self.task_uuid = name
        return line

    def begin_clear(self) -> bytes:
        """The line that clears the context, where the CLI can.

        Raises:
            RuntimeError: a turn is under way.
        """
        return self._begin("clear", "/clear", None)

    def _begin(self, turn: Literal["task", "clear"], text: str, name: str | None) -> bytes:
        if not self.idle:
            raise RuntimeError(f"a {self._turn} is under way")
        self._turn = turn
        self._turn_started = False
        self._answer_so_far = ""
        self.turn_tokens, self._counted_message = 0, ""
        message: dict[str, Any] = {
            "type": "user",
            "message": {"role": "user", "content": text},
        }
        if name is not None:
            message["uuid"] = name
        return line_of(message)

    # what comes back

    def receive(self, data: bytes) -> list[Event]:
        """What `data`, cut anywhere, means. Never raises for anything that a process prints."""
        return [event for line in self._lines.feed(data) for event in self._receive_line(line)]

    def _receive_line(self, line: bytes) -> Iterator[Event]:
        if not line.strip():
            return
        message = _parse(line)
        if message is None:
            self.garbage_lines += 1
            yield Garbage(line[:SAMPLE].decode("utf-8", "replace"))
            return
        kind = message.get("type")
        if kind == "result":
            yield self._receive_result(message)
        elif kind == "control_response":
            yield from _control_reply(message)
        elif kind == "control_request":
            yield from _question(message)
        elif kind == "control_cancel_request":
            yield from _withdrawn(message)
        elif kind == "system":
            yield from self._receive_system(message)
        elif kind == "assistant":
            self._count_tokens(_dict(message.get("message")))
            if not message.get("parent_tool_use_id"):
                yield from self._receive_assistant(message)

    def _receive_system(self, message: Mapping[str, Any]) -> Iterator[Event]:
        subtype = message.get("subtype")
        if subtype == "init":
            self._turn_started = True
            session = _text_or_none(message.get("session_id"))
            if self._turn != "clear":
                # While clearing, the old id is still needed, to compare.
                self._move_to(session)
            yield TurnStarted(session, _text_or_none(message.get("claude_code_version")))
        elif subtype == "api_retry":
            attempt, of = message.get("attempt"), message.get("max_retries")
            yield Activity(f"the API failed; retry {attempt} of {of}")
        elif subtype == "compact_boundary":
            yield Activity("compacting its context")

    def _count_tokens(self, message: Mapping[str, Any]) -> None:
        # A message of several blocks comes as several lines, each with all of its usage.
        name = str(message.get("id"))
        if name != self._counted_message:
            self._counted_message = name
            self.turn_tokens += sum(vars(_usage(_dict(message.get("usage")))).values())

    def _receive_assistant(self, message: Mapping[str, Any]) -> Iterator[Event]:
        for block in _dicts(_dict(message.get("message")).get("content")):
            if block.get("type") == "text" and isinstance(block.get("text"), str):
                self._answer_so_far = block["text"]
                yield Activity("writing")
            elif block.get("type") == "tool_use":
                detail = _detail(_dict(block.get("input")))
                name = str(block.get("name"))
                yield Activity(f"{name}: {detail}" if detail else name)
            elif block.get("type") == "thinking":
                yield Activity("thinking")

    def _receive_result(self, message: Mapping[str, Any]) -> Event:
        stray = self._stray(message)
        if stray is not None:
            self.unsolicited_results += 1
            if stray in (UNASKED, BACKGROUND):
                # What that turn spent is not the next task's.
                self._spent(message.get("total_cost_usd"))
            return Unsolicited(stray, str(message.get("result") or "")[:SAMPLE])
        turn, self._turn = self._turn, "none"
        result = self._result(message)
        if isinstance(message.get("uuid"), str):
            self._seen_results.append(_fingerprint(message))
        if turn == "clear":
            return ClearEnded(self._cleared(result, message))
        self._announced = self._announced + 1 if self._turn_started else 0
        if _says_something(message):
            self._spoken = self._spoken + 1 if self._answer_so_far else 0
        self._move_to(result.session_id)
        return TaskEnded(result)

    def _stray(self, message: Mapping[str, Any]) -> str | None:
        """Why this result cannot be the awaited one, or None."""
        if _fingerprint(message) in self._seen_results:
            return "it came before"
        if message.get("session_id") in self._stale_sessions:
            return "it is of a context that has been cleared"
        if _dict(message.get("origin")).get("kind") == "task-notification":
            return BACKGROUND
        if self.idle:
            return UNASKED
        if self._turn == "clear":
            return None
        named = message.get("user_message_uuids")
        if isinstance(named, list) and named and self.task_uuid not in named:
            return "it names another task"
        if self._announced >= ANNOUNCED_ENOUGH and not self._turn_started:
            return "its turn has not begun"
        if self._spoken >= SPOKEN_ENOUGH and not self._answer_so_far and _says_something(message):
            return "nothing of it was said in this turn"
        return None

    def _cleared(self, result: TurnResult, message: Mapping[str, Any]) -> bool:
        before = self.session_id
        self._move_to(result.session_id)
        return (
            before is not None
            and result.session_id is not None
            and result.session_id != before
            and not message.get("result")
            and not result.turns
            and result.ok
        )

    def _move_to(self, session: str | None) -> None:
        if session is None or session == self.session_id:
            return
        if self.session_id is not None:
            self._stale_sessions.append(self.session_id)
        while session in self._stale_sessions:
            self._stale_sessions.remove(session)
        self.session_id = session

    def _result(self, message: Mapping[str, Any]) -> TurnResult:
        subtype = str(message.get("subtype", ""))
        reason = message.get("terminal_reason")
        failed = message.get("is_error") is True
        given = message.get("result")
        status = message.get("api_error_status")
        turns = message.get("num_turns")
        return TurnResult(
            text=given if isinstance(given, str) else self._answer_so_far,
            ok=subtype == "success" and not failed and reason in (None, "completed"),
            aborted=str(reason).startswith("aborted"),
            subtype=subtype,
            api_error_status=status if isinstance(status, int) else None,
            errors=tuple(str(error) for error in _list(message.get("errors"))),
            session_id=_text_or_none(message.get("session_id")),
            usage=_usage(_dict(message.get("usage"))),
            cost_usd=self._spent(message.get("total_cost_usd")),
            turns=turns if isinstance(turns, int) else None,
            denials=tuple(_denials(message.get("permission_denials"))),
        )

    def _spent(self, total: object) -> float | None:
        now = sum_of_money(total)
        if now is None:
            return None
        # A total that fell began anew: newer versions do so when the context is cleared.
        spent = now - self.total_cost_usd if now >= self.total_cost_usd else now
        self.total_cost_usd = now
        return spent


def _says_something(message: Mapping[str, Any]) -> bool:
    """Whether it is a success with a text: the CLI then has printed that text before."""
    success = message.get("subtype") == "success" and message.get("is_error") is not True
    return success and bool(message.get("result"))


def _fingerprint(message: Mapping[str, Any]) -> tuple[object, ...]:
    # Session and text as well: a simple stand-in may give every result the same uuid.
    return message.get("uuid"), message.get("session_id"), message.get("result")


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _control_reply(message: Mapping[str, Any]) -> Iterator[Event]:
    response = _dict(message.get("response"))
    request_id = response.get("request_id")
    if isinstance(request_id, str):
        yield ControlReply(
            request_id=request_id,
            ok=response.get("subtype") == "success",
            response=_dict(response.get("response")),
            error=str(response.get("error", "")),
        )


def _question(message: Mapping[str, Any]) -> Iterator[Event]:
    request_id = message.get("request_id")
    if not isinstance(request_id, str | int):
        return  # nobody can await an answer, and a line that is no JSON would end the CLI
    request = _dict(message.get("request"))
    subtype = str(request.get("subtype"))
    if subtype != "can_use_tool":
        response = {"subtype": "error", "request_id": request_id, "error": REFUSAL}
        yield Question(subtype, line_of({"type": "control_response", "response": response}))
        return
    asked = tool_question(request_id, request, _detail(_dict(request.get("input"))))
    refusal = {"behavior": "deny", "message": REFUSAL}
    yield asked or Question(subtype, answer_line(request_id, refusal))


def _withdrawn(message: Mapping[str, Any]) -> Iterator[Event]:
    request_id = message.get("request_id")
    if isinstance(request_id, str | int):
        yield QuestionWithdrawn(request_id)


def _usage(given: Mapping[str, Any]) -> Usage:
    """Kinds of which no number of tokens is said, or none that can be, count as 0."""
    names = Usage.__dataclass_fields__
    return Usage(**{n: given[n] for n in names if _is_number_of_tokens(given.get(n))})


def _is_number_of_tokens(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_TOKENS


def _denials(given: object) -> Iterator[Denial]:
    for one in _dicts(given):
        use_id = _text_or_none(one.get("tool_use_id")) or ""
        yield Denial(str(one.get("tool_name")), _detail(_dict(one.get("tool_input"))), use_id)


def _detail(tool_input: Mapping[str, Any]) -> str:
    """What a use of a tool is about, in one short line."""
    for key in ("command", "file_path", "path", "pattern", "url", "query", "description"):
        value = tool_input.get(key)
        if isinstance(value, str) and value.strip():
            line = " ".join(value.split())
            return line if len(line) <= 80 else line[:79] + "…"
    return ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def sum_of_money(value: object) -> float | None:
    """US dollars as a CLI says them; None: that is no sum that can have been spent."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
