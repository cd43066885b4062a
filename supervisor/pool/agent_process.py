"""One running agent CLI: a process and the conversation with it, as operations to await.

The reader feeds what the process prints to the protocol and keeps the few facts that others
wait for; each operation waits for its fact or for the end of the process, whichever comes
first. So nothing waits for ever on a process that has gone.
"""

import json
import math
import uuid
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import trio

from supervisor.logs import OnLine
from supervisor.pool.events import ContextReset, Dropped, PoolEvent, ServerFailed, StderrLine
from supervisor.pool.launch import Capabilities
from supervisor.process import Process, ProcessClosedError
from supervisor.protocol import (
    Activity,
    ClaudeSession,
    ClearEnded,
    ControlReply,
    Event,
    Garbage,
    Question,
    QuestionWithdrawn,
    TaskEnded,
    ToolQuestion,
    TurnResult,
    TurnStarted,
    Unsolicited,
    sum_of_money,
)

STDERR_LINES = 20
"""Last lines of stderr that are kept, for the error that tells of a crash."""

STDERR_LINE_LIMIT = 4096
"""Bytes of one line of stderr that are kept; the rest is dropped."""

STDERR_RATE = 100
"""Lines of stderr a second that are logged; how many more there were is said."""

LAST_WORDS_S = 0.5
"""How long a process that has ended may hold back what it printed last."""

PROBE_S = 2.0
"""How long a CLI may take to answer a request that it may not know."""

UNASKED = "There is nobody who could be asked for permission, so it is refused."
"""What an agent is told that asks where it should not."""

SERVERS_EVERY_S = 0.2
"""How often it is asked whether its MCP servers have connected."""


class ProcessGoneError(Exception):
    """The process ended, or closed its output: it answers nothing any more."""


class AgentProcess:
    """A child that speaks stream-json. Its owner runs `attend` beside whatever it does."""

    def __init__(
        self,
        child: Process,
        agent: str,
        capabilities: Capabilities,
        emit: Callable[[PoolEvent], None],
        on_gone: Callable[[], None],
    ) -> None:
        """`capabilities` is shared by all processes of one binary, and learned from each.

        `on_gone` is called when the process answers nothing any more.
        """
        self.child = child
        """The process."""
        self.version: str | None = None
        """The CLI's version, once a turn has told it."""
        self.doing = ""
        """What the agent does now, in a few words; empty where it has not said."""
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        """The last lines of its stderr."""
        self.emit = emit
        """Where its events go."""
        self.on_activity: Callable[[str], None] = lambda _: None
        """Called with what the agent does now."""
        self.on_question: Callable[[ToolQuestion | QuestionWithdrawn], None] | None = None
        """Told whether it wants to use a tool; None: that is denied at once."""
        self.on_line: OnLine | None = None
        """Called with what is written to it and read from it, where somebody writes that down."""
        self.refusal: str | None = None
        """Why it refused its role, where it did."""
        self.fell_silent = False
        """It closed its pipes without ending, so it had to be killed."""
        self.task_unread = False
        """It ended without having read the whole line of the last task; known after `end`."""
        self.capabilities = capabilities
        """What its binary can do."""
        self._agent = agent
        self._on_gone = on_gone
        self._session = ClaudeSession()
        self._dropped: Counter[str] = Counter()
        self._changed = trio.Event()
        self._replies: dict[str, ControlReply | None] = {}
        self._result: TurnResult | None = None
        self._cleared: bool | None = None
        self._output_ended = False
        self._exited = False
        self._writing = trio.Lock()
        self._torn = False
        self._written_since_task = 0
        self._outputs = 0
        self._stderr_rest = b""
        self._answers, self._answers_due = trio.open_memory_channel[bytes](math.inf)

    # what its owner runs

    async def attend(self) -> None:
        """Read what the process prints, until cancelled or all of it has ended."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_stdout)
            nursery.start_soon(self._read_stderr)
            nursery.start_soon(self._answer_questions)
            await self.child.exited()
            with trio.move_on_after(LAST_WORDS_S):
                await self._until(lambda: self._output_ended)
            self._exited = True
            self._poke()
            self._on_gone()

    @property
    def gone(self) -> bool:
        """It answers nothing any more: it has ended, or closed its output."""
        return self._exited or self._output_ended

    # operations

    def belongs_to(self, agent: str, on_gone: Callable[[], None]) -> None:
        """A spare gets its agent, as `__init__` does; nobody attends to it at the moment."""
        self._agent = agent
        self._on_gone = on_gone

    async def initialize(
        self,
        system_prompt: str,
        timeout_s: float,
        late_model: str | None = None,
        sub_agents: str | None = None,
        *,
        resumes: bool = False,
        keeps_context: bool = False,
    ) -> bool:
        """Give the process its role; False: it did not answer in `timeout_s`, or it refused.

        Args:
            system_prompt: what it is.
            timeout_s: seconds that it may take for an answer.
            late_model: the model, where it was started without.
            sub_agents: those that it may hand work to and does not find itself, as JSON.
            resumes: it takes a conversation up again.
            keeps_context: no task is ever to be taken out of the context.

        Raises:
            ProcessGoneError: it ended instead.
        """
        fields: dict[str, object] = {"systemPrompt": system_prompt}
        if sub_agents is not None:
            fields["agents"] = json.loads(sub_agents)
        if resumes:
            fields["systemPromptSnapshot"] = False  # else some keep to the prompt of that time
        reply = await self._control("initialize", timeout_s, **fields)
        if reply is None:
            return False
        if not reply.ok:
            self.refusal = reply.error or "without a reason"
            return False
        if late_model is not None:
            chosen = await self._control("set_model", PROBE_S, model=late_model)
            self.capabilities.late_model = chosen is not None and chosen.ok
            if not self.capabilities.late_model:
                return False
        if resumes:
            # Some count on from where the conversation was left.
            self._session.total_cost_usd = await self._total_cost() or 0.0
        if keeps_context:
            return True
        if self.capabilities.rewind is None:
            await self._find_out_rewind()
        await self._anchor()
        return True

    async def cost_so_far(self) -> float | None:
        """US dollars of the task in hand, as far as they have been counted; None: not known.

        Raises:
            ProcessGoneError: it ended instead.
        """
        total = await self._total_cost()
        return None if total is None else max(0.0, total - self._session.total_cost_usd)

    async def _total_cost(self) -> float | None:
        if self.capabilities.usage is False:
            return None
        reply = await self._control("get_usage", PROBE_S)
        session = reply.response.get("session") if reply is not None and reply.ok else None
        total = sum_of_money(session.get("total_cost_usd") if isinstance(session, dict) else None)
        self.capabilities.usage = total is not None
        return total

    async def send_task(self, text: str) -> None:
        """Write a task's line, whole.

        Raises:
            ProcessGoneError: the process ended before it had all of it.
        """
        self._result = None
        self.doing = ""
        if not self.child.takes_input:
            # It would take the line out of the pipe, and nobody could tell what became of it.
            raise ProcessGoneError
        await self._write(self._session.begin_task(text))
        self._written_since_task = 0

    async def result(self) -> TurnResult:
        """Wait for the result of the task that was sent.

        Raises:
            ProcessGoneError: the process ended without one.
        """
        await self._until(lambda: self._result is not None or self.gone)
        if self._result is None:
            raise ProcessGoneError
        return self._result

    async def ping(self, timeout_s: float) -> bool:
        """Ask for a sign of life; False: there was none for `timeout_s`, not even output.

        Raises:
            ProcessGoneError: the process ended instead, or can be told nothing any more.
        """
        output_before = self._outputs
        if await self._control("mcp_status", timeout_s) is not None:
            return True
        return self._outputs > output_before

    async def await_servers(self, timeout_s: float) -> None:
        """Wait until each of its MCP servers has connected or failed, or `timeout_s` are over.

        A task that is begun before goes without their tools, and the next one has another prompt.

        Raises:
            ProcessGoneError: it ended instead.
        """
        with trio.move_on_after(timeout_s):
            while True:
                servers = _servers(await self._control("mcp_status", timeout_s))
                if all(server.get("status") != "pending" for server in servers):
                    break
                await trio.sleep(SERVERS_EVERY_S)
            for server in servers:
                if server.get("status") == "failed":
                    why = str(server.get("error") or "no reason is given")
                    name = str(server.get("name"))
                    self.emit(ServerFailed(self._agent, self.child.pid, name, why))

    async def interrupt(self, grace_s: float) -> TurnResult | None:
        """Interrupt the task in hand; None: it did not end within `grace_s`, by a result.

        Raises:
            ProcessGoneError: the process ended instead.
        """
        if self._torn:
            return None  # its line was not written whole: nothing more can be said to it
        with trio.move_on_after(grace_s):
            # The result counts, also of a process that never acknowledges.
            await self._control("interrupt", grace_s / 2)
            return await self.result()
        return None

    async def reset(self, timeout_s: float) -> bool:
        """Take the last task out of the context; False: there is no evidence that it is out.

        Raises:
            ProcessGoneError: the process ended instead.
        """
        began = trio.current_time()
        for by, attempt in (("rewind", self._rewind), ("/clear", self._clear)):
            if await attempt(timeout_s):
                spent = round(trio.current_time() - began, 4)
                self.emit(ContextReset(self._agent, self.child.pid, by, spent))
                return True
        return False

    async def end_in_order(self, grace_s: float) -> None:
        """Ask the process to end, which takes its commands with it, and wait up to `grace_s`.

        It may be there afterwards, and what it started may: the kill of the tree comes next.
        """
        if self.capabilities.end_session is False or self._torn or self.gone:
            return
        with trio.move_on_after(grace_s):
            try:
                # Until it is known to answer, it gets no longer than a probe: the oldest versions
                # are silent, and they are the ones that are replaced after every task.
                answers = self.capabilities.end_session is True
                patience_s = grace_s if answers else min(grace_s / 2, PROBE_S)
                reply = await self._control("end_session", patience_s, reason="shutdown")
                if not (answers if reply is None else reply.ok):
                    self.capabilities.end_session = False
                    return
                await self._await_exit()
                self.capabilities.end_session = True
            except ProcessGoneError:
                await self._await_exit()

    async def end(self, planned: bool) -> int | None:
        """Kill its whole tree and reap it; returns its exit status as `Child.end` does.

        Args:
            planned: it is we who end it. Otherwise it gets a moment to end by itself, since
                its output may end before it does, and its own status says more.
        """
        if not planned:
            self.fell_silent = True
            with trio.move_on_after(LAST_WORDS_S):
                await self.child.exited()
                self.fell_silent = False
        status = await self.child.end()
        self.task_unread = self.child.unread_bytes > self._written_since_task
        return status

    async def _await_exit(self) -> None:
        # A CLI that only acknowledged may still end because its input does.
        async with self._writing:
            await self.child.close_input()
        await self.child.exited()

    # how they are done

    async def _control(
        self, subtype: str, timeout_s: float, **fields: object
    ) -> ControlReply | None:
        request_id, line = self._session.control(subtype, **fields)
        self._replies[request_id] = None
        try:
            with trio.move_on_after(timeout_s):
                await self._write(line)
                await self._until(lambda: self._replies[request_id] is not None or self.gone)
            reply = self._replies[request_id]
            if reply is None and self.gone:
                raise ProcessGoneError
            return reply
        finally:
            del self._replies[request_id]

    async def _find_out_rewind(self) -> None:
        # Asked for a task that never was: a CLI that knows the request says so in its own
        # words, one that does not fails, acknowledges blankly, or is silent.
        reply = await self._control(
            "rewind_conversation", PROBE_S, target_message_uuid=str(uuid.uuid4())
        )
        self.capabilities.rewind = reply is not None and "rewound" in reply.response

    async def _anchor(self) -> None:
        # Only for a CLI that rewinds, and no further than to something of its own: an old one ends
        # at the sight of such a line, and a new one would begin each request with it.
        if self.capabilities.rewind and self.capabilities.needs_anchor:
            await self._write(self._session.anchor())

    async def _rewind(self, timeout_s: float) -> bool:
        target = self._session.task_uuid
        if not self.capabilities.rewind or target is None:
            return False
        reply = await self._control("rewind_conversation", timeout_s, target_message_uuid=target)
        if reply is None:
            return False
        if "no preceding assistant" in str(reply.response.get("error") or reply.error):
            self.capabilities.needs_anchor = True
        return reply.response.get("rewound") is True

    async def _clear(self, timeout_s: float) -> bool:
        if self.capabilities.clear is False:
            return False
        self._take_cleared()
        with trio.move_on_after(timeout_s):
            await self._write(self._session.begin_clear())
            await self._until(lambda: self._cleared is not None or self.gone)
        cleared = self._take_cleared()
        if cleared is None and self.gone:
            raise ProcessGoneError
        if cleared:
            self.capabilities.clear = True
            await self._anchor()  # the one before went with the context
        elif self.capabilities.clear is None:
            # Twice: one process that stumbles must not condemn its binary for the pool's life.
            self.capabilities.clear_failures += 1
            if self.capabilities.clear_failures > 1:
                self.capabilities.clear = False
        return bool(cleared)

    def _take_cleared(self) -> bool | None:
        cleared, self._cleared = self._cleared, None
        return cleared

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            if self._torn:
                raise ProcessGoneError
            # A write that is cancelled half-way leaves a torn line: then only a kill helps.
            self._torn = True
            if self.on_line is not None:
                self.on_line("in", data)
            try:
                await self.child.send(data)
            except ProcessClosedError:
                # It may live on without its stdin: that is an end, too.
                with trio.move_on_after(LAST_WORDS_S):
                    await self._until(lambda: self.gone)
                raise ProcessGoneError from None
            self._torn = False
            self._written_since_task += len(data)

    # reading

    @property
    def tokens_so_far(self) -> int:
        """Tokens of the task in hand, of all kinds, as far as its messages tell."""
        return self._session.turn_tokens

    async def _read_stdout(self) -> None:
        while data := await self.child.receive():
            self._outputs += 1
            if self.on_line is not None:
                self.on_line("out", data)
            for event in self._session.receive(data):
                self._note(event)
            self._poke()
        self._output_ended = True
        self._poke()
        self._on_gone()

    def _note(self, event: Event) -> None:
        match event:
            case Activity(text):
                self.doing = text
                self.on_activity(text)
            case TaskEnded(result):
                self._result = result
            case ClearEnded(cleared):
                self._cleared = cleared
            case ControlReply(request_id) if request_id in self._replies:
                self._replies[request_id] = event
            case TurnStarted(_, version) if version is not None:
                self.version = version
            case ToolQuestion() | QuestionWithdrawn() if self.on_question is not None:
                self.on_question(event)
            case ToolQuestion(tool=tool):
                self._drop("question", f"can_use_tool: {tool}")
                self.answer(event.refusal(UNASKED))
            case Question(subtype, answer):
                self._drop("question", subtype)
                self.answer(answer)
            case Unsolicited(reason, text):
                self._drop("result", f"{reason}: {text}")
            case Garbage(sample):
                self._drop("line", sample)

    def answer(self, line: bytes) -> None:
        """Write a line as soon as that can be done, without waiting for it."""
        self._answers.send_nowait(line)

    def _drop(self, what: str, detail: str) -> None:
        # A flood is told of ever less often: at its 1st, 2nd, 4th, 8th … piece.
        self._dropped[what] += 1
        number = self._dropped[what]
        if number & (number - 1) == 0:
            self.emit(Dropped(self._agent, self.child.pid, what, detail, number))

    async def _answer_questions(self) -> None:
        # Beside the reader, so that a process that does not read cannot stop our reading.
        async for answer in self._answers_due:
            try:
                await self._write(answer)
            except ProcessGoneError:
                return

    async def _read_stderr(self) -> None:
        second, lines = -1, 0
        while data := await self.child.receive_errors():
            *ended, rest = (self._stderr_rest + data).split(b"\n")
            self._stderr_rest = rest[:STDERR_LINE_LIMIT]
            for line in ended:
                now = int(trio.current_time())
                if now != second:
                    if lines > STDERR_RATE:
                        self._drop("stderr", f"{lines - STDERR_RATE} lines more a second")
                    second, lines = now, 0
                lines += 1
                self._keep_stderr(line, log=lines <= STDERR_RATE)
        if self._stderr_rest:
            self._keep_stderr(self._stderr_rest, log=True)

    def _keep_stderr(self, line: bytes, log: bool) -> None:
        text = line[:STDERR_LINE_LIMIT].decode("utf-8", "replace").rstrip()
        if text:
            self.stderr.append(text)
            if log:
                self.emit(StderrLine(self._agent, self.child.pid, text))

    def _poke(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()


def _servers(reply: ControlReply | None) -> list[dict[str, Any]]:
    """What a CLI answers of its MCP servers; a stand-in may answer anything."""
    servers = reply.response.get("mcpServers") if reply is not None else None
    return [s for s in servers if isinstance(s, dict)] if isinstance(servers, list) else []
