"""One task: its script carried out step by step, interruptible wherever it waits."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from typing import Final, NamedTuple

from supervisor.rehearsal import _bash, _output
from supervisor.rehearsal._conversation import new_uuid
from supervisor.rehearsal._directives import Directive, parse
from supervisor.rehearsal._permission import HostQuestion, Permit
from supervisor.rehearsal._session import Line, Outcome, Session, Tokens

PARTS_OF_A_SLOW_ANSWER: Final = 10
BETWEEN_TORN_HALVES_S: Final = 0.02
MB: Final = 1_000_000
REFUSED: Final = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it "
    "was a file edit, the new_string was NOT written to the file). STOP what you are doing and "
    "wait for the user to tell you how to proceed."
)
ASKED_AGAIN: Final = (
    "[Your previous response had no visible output. Please continue and produce a user-visible "
    "response.]"
)
STEERED: Final = "The user sent a new message while you were working:\n"


class Wait(NamedTuple):
    """What a turn waits for, whichever comes first; with neither it waits for an interrupt."""

    until: float | None = None
    """A time of `time.monotonic()`."""
    done: Callable[[], bool] | None = None
    """Asked whenever a child of ours has changed."""

    def is_over(self) -> bool:
        """Whether the turn may go on."""
        if self.done is not None and self.done():
            return True
        return self.until is not None and time.monotonic() >= self.until


class _InterruptedError(Exception):
    """Thrown into the steps of a turn, where they wait."""


class Turn:
    """The work on one task's text. It prints everything but the result.

    `outcome` is there when it has ended; until then somebody calls `advance()` when the wait is
    over, or `interrupt()`.
    """

    def __init__(self, session: Session, text: str, steered: Callable[[], list[str]]) -> None:
        """`steered` takes the messages that came while a tool ran."""
        self.outcome: Outcome | None = None
        self.wait = Wait()
        self._session = session
        self._script = parse(text)
        self._names = {directive.name for directive in self._script}
        self._steered = steered
        self._parts: list[str] = []
        self._delay_s = self._slow_s = 0.0
        self._shown = ""
        self._user_lines = 0
        self._denials: list[Line] = []
        self._command: _bash.Command | None = None
        self._question: HostQuestion | None = None
        self._tool_id = ""
        self._steps = self._carry_out()
        if "ignore-term" in self._names:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._go(lambda: next(self._steps))

    def asks_for(self, name: str) -> bool:
        """Whether the script has that directive, anywhere."""
        return name in self._names

    def seconds_until_late_results(self) -> list[float]:
        """The delays of the `late` directives."""
        return [_number(d) for d in self._script if d.name == "late"]

    def advance(self) -> None:
        """Go on if the wait is over."""
        while self.outcome is None and self.wait.is_over():
            self._go(lambda: next(self._steps))

    def interrupt(self) -> None:
        """End the turn now, as an interrupt does, unless its script says to ignore that."""
        if self.outcome is None and not self.asks_for("ignore-interrupt"):
            self.kill_command()
            self._go(lambda: self._steps.throw(_InterruptedError()))

    def hear_host(self, response: Line) -> None:
        """The host answers a question."""
        if self._question is not None:
            self._question.take(response)

    def lose_host(self) -> None:
        """The host answers nothing any more."""
        if self._question is not None:
            self._question.fail()

    def kill_command(self) -> None:
        """Kill the Bash command in hand, if there is one."""
        if self._command is not None:
            self._command.kill()

    def _go(self, step: Callable[[], Wait]) -> None:
        try:
            self.wait = step()
        except StopIteration:
            pass
        except _InterruptedError:
            self.outcome = self._interrupted()

    def _carry_out(self) -> Generator[Wait, None, None]:
        for directive in self._script:
            yield from self._step(directive)
            if self.outcome is not None:
                return
        text = yield from self._answer()
        if not text:  # the real CLI asks once more, and gets nothing again
            self._print_user({"type": "text", "text": ASKED_AGAIN}, isSynthetic=True)
        turns = 1 + self._user_lines
        self.outcome = Outcome(text, num_turns=turns, denials=tuple(self._denials))

    def _step(self, directive: Directive) -> Generator[Wait, None, None]:
        argument = directive.argument
        match directive.name:
            case "echo":
                self._parts.append(f"echo: {argument}")
            case "say":
                self._parts.append(argument)
            case "context":
                self._parts.append(self._context())
            case "system":
                self._parts.append(self._session.whole_system_prompt())
            case "size":
                self._parts.append("x" * int(_number(directive)))
            case "sleep":
                self._delay_s += _number(directive)
            case "slow":
                self._slow_s += _number(directive)
            case "hang":
                yield Wait()
            case "bash" | "tool" | "ask":
                yield from self._use_tool(directive)
            case "error":
                yield from self._pause()
                self._fail(int(_number(directive)))
            case _:
                yield from self._pause()
                yield from self._misbehave(directive)

    def _misbehave(self, directive: Directive) -> Generator[Wait, None, None]:
        match directive.name:
            case "crash":
                _output.write(2, b"rehearsal: crashed in the middle of a task, as asked\n")
                os._exit(int(_number(directive)))
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "grow":
                # Its zeros are written, so that every page is really there.
                self._session.ballast.append(bytearray(int(_number(directive) * MB)))
            case "garbage":
                yield from self._print_garbage()
            case "long-line":
                padding = "x" * int(_number(directive) * MB)
                self._session.print({"type": "rehearsal_padding", "padding": padding})
            case "stderr":
                for number in range(int(_number(directive))):
                    _output.write(2, b"rehearsal: line %d on stderr\n" % number)
            case "orphan":
                command = f"sleep {_number(directive)} >/dev/null 2>&1 & echo $!"
                self._command = _bash.Command(command)
                yield Wait(done=self._command.has_ended)
                self._parts.append(f"orphan: {self._command.ended().output}")
                self._command = None

    def _context(self) -> str:
        earlier = self._session.conversation.task_texts()[:-1]
        return f"context: {len(earlier)} user texts: {json.dumps(earlier)}"

    def _pause(self) -> Generator[Wait, None, None]:
        if self._delay_s:
            yield Wait(until=time.monotonic() + self._delay_s)
        self._delay_s = 0.0

    def _answer(self) -> Generator[Wait, None, str]:
        """One message of the model: the parts gathered so far; gives its text."""
        yield from self._pause()
        text = "\n".join(self._parts)
        for part in range(PARTS_OF_A_SLOW_ANSWER if self._slow_s else 0):
            yield Wait(until=time.monotonic() + self._slow_s / PARTS_OF_A_SLOW_ANSWER)
            self._shown = text[: len(text) * (part + 1) // PARTS_OF_A_SLOW_ANSWER]
        self._slow_s = 0.0
        self._shown = ""
        self._spend(text)
        if text:
            self._say(text)
        self._parts = []
        return text

    def _say(self, text: str) -> None:
        uuid = new_uuid()
        self._session.conversation.add("assistant", text, uuid)
        self._session.print_assistant({"type": "text", "text": text}, uuid)

    def _spend(self, text: str) -> None:
        sent = self._session.conversation.size_bytes() + len(self._session.whole_system_prompt())
        self._session.spend(Tokens(-(-sent // 4), -(-len(text.encode(errors="replace")) // 4)))

    def _use_tool(self, directive: Directive) -> Generator[Wait, None, None]:
        name, written = "Bash", directive.argument
        tool_input: object = {"command": written, "description": "as the task says"}
        if directive.name != "bash":
            name, _, written = directive.argument.partition(" ")
            tool_input = json.loads(written or "{}")
        yield from self._answer()
        self._tool_id = f"toolu_{new_uuid()}"
        use: Line = {"type": "tool_use", "id": self._tool_id, "name": name, "input": tool_input}
        uuid = new_uuid()
        self._session.conversation.add("assistant", "", uuid)
        self._session.print_assistant(use, uuid)
        if directive.name == "ask":
            permit = yield from self._ask_host(use)
            if permit.refusal is None:
                told = json.dumps(permit.tool_input)
                self._print_tool_result(told, told, failed=False)
                self._parts.append(f"ask: allowed {told}")
            else:
                self._parts.append(f"ask: {self._refuse(use, permit.refusal)}")
            return
        if name != "Bash" or name not in self._session.tools():
            missing = f"<tool_use_error>Error: No such tool available: {name}</tool_use_error>"
            self._print_tool_result(missing, f"Error: No such tool available: {name}", failed=True)
            self._parts.append(f"{directive.name}: {missing}")
            return
        result = yield from self._bash(written, use)
        self._parts.append(f"{directive.name}: {result}")

    def _bash(self, command: str, use: Line) -> Generator[Wait, None, str]:
        if not _bash.is_allowed(command, self._session.permission_mode, self._session.rules()):
            permit = yield from self._ask_host(use)
            if permit.refusal is not None:
                return self._refuse(use, permit.refusal)
            command = str(permit.tool_input.get("command"))
        self._command = _bash.Command(command)
        yield Wait(done=self._command.has_ended)
        ended = self._command.ended()
        self._command = None
        details = {"stdout": ended.output, "stderr": "", "interrupted": False}
        failed = ended.exit_code != 0
        self._print_tool_result(str(ended), f"Error: {ended}" if failed else details, failed=failed)
        for text in self._steered():
            self._session.conversation.add("user", STEERED + text, None, is_task=False)
        return str(ended)

    def _ask_host(self, use: Line) -> Generator[Wait, None, Permit]:
        if not self._session.asks_host():
            return Permit("This command requires approval", {})
        self._question = HostQuestion(self._session, use)
        yield Wait(done=self._question.is_answered)
        permit = self._question.permit
        assert permit is not None
        self._question = None
        return permit

    def _refuse(self, use: Line, refusal: str) -> str:
        denial = {"tool_name": use["name"], "tool_use_id": use["id"], "tool_input": use["input"]}
        self._denials.append(denial)
        self._print_tool_result(refusal, f"Error: {refusal}", failed=True)
        return refusal

    def _print_tool_result(self, text: str, details: object, *, failed: bool) -> None:
        block: Line = {"type": "tool_result", "tool_use_id": self._tool_id}
        block |= {"content": text, "is_error": failed}
        self._print_user(block, tool_use_result=details)

    def _print_user(self, block: Line, **more: object) -> None:
        self._user_lines += 1
        self._session.print_user(block, **more)

    def _fail(self, status: int) -> None:
        text = f"API Error: {status} the task asked for this error"
        uuid = new_uuid()
        self._session.conversation.add("assistant", text, uuid)
        self._session.print_assistant({"type": "text", "text": text}, uuid, error="unknown")
        self.outcome = Outcome(
            text,
            is_error=True,
            num_turns=1 + self._user_lines,
            api_error_status=status,
            denials=tuple(self._denials),
            stop_reason="stop_sequence",
        )

    def _interrupted(self) -> Outcome:
        in_tool = self._command is not None or self._question is not None
        if self._question is not None:
            self._question.withdraw()
        if in_tool:
            self._print_tool_result(REFUSED, "User rejected tool use", failed=True)
        elif self._shown:
            self._say(self._shown)
        suffix = " for tool use]" if in_tool else "]"
        self._print_user({"type": "text", "text": "[Request interrupted by user" + suffix})
        stop = "tool_use" if in_tool else None
        return Outcome(
            is_error=True,
            terminal_reason="aborted_tools" if in_tool else "aborted_streaming",
            num_turns=1 + self._user_lines,
            denials=tuple(self._denials),
            error="[ede_diagnostic] result_type=user last_content_type=n/a "
            f"stop_reason={stop or 'null'}",
            stop_reason=stop,
        )

    def _print_garbage(self) -> Generator[Wait, None, None]:
        _output.write(1, b'this is not JSON\n{"type":"assistant",\n\xff\xfe\x00\n')
        torn = '{"type":"rehearsal_garbage","text":"\N{SNOWMAN}"}\n'.encode()
        half = torn.index(b"\xe2") + 1
        _output.write(1, torn[:half])
        yield Wait(until=time.monotonic() + BETWEEN_TORN_HALVES_S)
        _output.write(1, torn[half:])


def _number(directive: Directive) -> float:
    try:
        return float(directive.argument)
    except ValueError:
        message = f"[[{directive.name} …]] wants a number, not {directive.argument!r}\n"
        _output.write(2, message.encode())
        sys.exit(2)
