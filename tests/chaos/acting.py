"""A script carried out on a real pool with real processes, and what its clients saw."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from tests.chaos.script import (
    AGENTS,
    BRIEF,
    CAREFUL,
    CLIENTS,
    RETRIES,
    SOON_S,
    TWINS,
    Ask,
    Await,
    EndPool,
    Kill,
    Kind,
    Leave,
    Pause,
    Reset,
    Send,
    SendMany,
    Step,
    Withdraw,
)
from tests.client import LIMIT_S, POLL_S, Answer, Client, ConnectionLost, Message, Project, Refused

CONFIG: Final = f"""
[pool]
disconnect_grace = "200ms"
shutdown_grace = "200ms"
spawn_limit = 4

[defaults.agent]
shutdown = "1s"
control_timeout = "2s"
interrupt_grace = "300ms"
soft_ceiling = "80MiB"

[agents.{TWINS}]
replicas = 2
retries = {RETRIES[TWINS]}

[agents.{BRIEF}]
max_tasks = 2
queue_limit = 2
reply_limit = "1kB"

[agents.{CAREFUL}]
on_restart = "run"

[defaults.supervisor]
intensity = 100000

[defaults.supervisor.backoff]
initial = "20ms"
maximum = "100ms"
"""

ID: Final = re.compile(r"\bt-[0-9a-f]{12}\b")

MOMENT_S: Final = 0.2
"""`if_longer_than_s`, where it is given."""


@dataclass(frozen=True)
class Seen:
    """What somebody was told of a task's outcome."""

    by: str
    """In which call, for people."""
    code: str
    """`result`, or the error's code."""
    text: str | None
    """All that was said; None where only the code was."""


@dataclass(eq=False)
class Sent:
    """A task that was handed over, and what came of that."""

    number: int
    """Counted from 0, in a script."""
    agent: str
    """Whose it is."""
    kind: Kind
    """What it makes its process do."""
    conversation: str | None
    """Which context it has."""
    client: int
    """Who handed it over."""
    is_held: bool
    """It goes with the call."""
    may_end: set[str]
    """How it may end, by all that has been done to it."""
    ids: set[str] = field(default_factory=set)
    """Every id that was told for it: one, if all is well."""
    seen: list[Seen] = field(default_factory=list)
    """Every outcome that was told for it: the same each time, if all is well."""
    refused: str | None = None
    """With which code it was refused."""
    call: tuple[Client, int] | None = None
    """The call that it came with, once that has been made."""
    named: trio.Event = field(default_factory=trio.Event)
    """Set once its id is known, or never will be."""
    answered: trio.Event = field(default_factory=trio.Event)
    """Set once its call has an answer, or never will have one."""

    @property
    def word(self) -> str:
        """What its answer has to hold, and no other's."""
        return f"w0x{self.number}y{self.number:08x}"

    @property
    def text(self) -> str:
        """The whole task."""
        return f"{self.kind.text} [[context]] {self.word}".strip()

    @property
    def mailbox(self) -> tuple[str, str | None]:
        """Who has it."""
        return self.agent, self.conversation

    def tell_id(self, task_id: str | None) -> None:
        """Its id was told."""
        if task_id is not None:
            self.ids.add(task_id)
            self.named.set()

    def has_no_more_to_come(self) -> None:
        """Its call is over."""
        self.named.set()
        self.answered.set()


@dataclass
class Seat:
    """A client, who comes and goes."""

    client: Client | None = None
    """Its connection, while it has one."""
    leave: trio.Event = field(default_factory=trio.Event)
    """Set for it to go."""
    gone: trio.Event = field(default_factory=trio.Event)
    """Set once it has gone."""


class Stage:
    """A project, its clients, its pools one after the other, and all tasks handed to them."""

    def __init__(self, project: Project, nursery: trio.Nursery, notes: list[str]) -> None:
        """`notes` takes what is done and seen, with the time."""
        self.project = project
        self.sent: list[Sent] = []
        """Every task, in the order in which they were handed over."""
        self.pools_ended = 0
        """How often the pool was killed or stopped."""
        self._notes = notes
        self._seats = [Seat() for _ in range(CLIENTS)]
        self._nursery = nursery
        self._dangers: Counter[tuple[tuple[str, str | None], str]] = Counter()
        self._began = time.monotonic()

    def note(self, text: object) -> None:
        """Put something on record, for people."""
        self._notes.append(f"{time.monotonic() - self._began:7.3f} {text}")

    async def act(self, step: Step) -> None:
        """Carry one step out."""
        self.note(step)
        match step:
            case Send():
                await self._send(step)
            case SendMany():
                await self._send_many(step)
            case Ask():
                if sent := self._back(step.back):
                    client = await self._connected(step.client)
                    self._nursery.start_soon(self._ask, client, step, sent)
            case Withdraw():
                if sent := self._back(step.back):
                    await self._withdraw(sent)
            case Await():
                if sent := self._back(step.back):
                    await sent.answered.wait()
            case Kill():
                await self._kill(step)
            case Reset():
                client = await self._connected(step.client)
                self._nursery.start_soon(self._reset, client, step)
            case Leave():
                await self._leave(step.client)
            case EndPool():
                await self._end_pool(step)
            case Pause():
                await trio.sleep(step.seconds)

    async def close(self) -> None:
        """Have every client go."""
        for number in range(CLIENTS):
            await self._leave(number)

    # tasks

    def _new(self, step: Send | SendMany, agent: str, kind: Kind) -> Sent:
        conversation = step.conversation if isinstance(step, Send) else None
        sent = Sent(
            number=len(self.sent),
            agent=agent,
            kind=kind,
            conversation=conversation,
            client=step.client,
            is_held=isinstance(step, SendMany) or step.way != "submit",
            may_end={kind.ends, *self._dangers_of((agent, conversation))},
        )
        self.sent.append(sent)
        return sent

    async def _send(self, step: Send) -> None:
        client = await self._connected(step.client)
        sent = self._new(step, step.agent, step.kind)
        arguments: Message = {"agent": sent.agent, "task": sent.text, "priority": step.priority}
        if step.conversation is not None:
            arguments["conversation"] = step.conversation
        if (timeout_s := _timeout_s(step)) is not None:
            arguments["timeout_s"] = timeout_s
            sent.may_end.add("deadline_exceeded")
        if step.way == "invoke for a moment":
            arguments["if_longer_than_s"] = MOMENT_S

        def on_progress(params: Message) -> None:
            for task_id in ID.findall(params.get("message", "")):
                sent.tell_id(task_id)

        tool = "submit" if step.way == "submit" else "invoke"
        number, answer = await client.start_call(tool, on_progress, **arguments)
        sent.call = client, number
        self._nursery.start_soon(self._collect, sent, tool, answer)

    async def _collect(self, sent: Sent, tool: str, answer: Answer) -> None:
        try:
            with _lost_with_its_connection():
                self._take(sent, tool, await answer)
        finally:
            sent.has_no_more_to_come()

    def _take(self, sent: Sent, by: str, result: Message) -> None:
        meta, text = result.get("_meta", {}), result["content"][0]["text"]
        if tool_record := result.get("structuredContent"):
            sent.tell_id(tool_record["task_id"])
        elif "task_id" in meta and (result.get("isError") or "duration_s" in meta):
            sent.tell_id(meta["task_id"])
            self._saw(sent, Seen(by, meta.get("code", "result"), text))
        elif "task_id" in meta:
            sent.tell_id(meta["task_id"])
            self.note(f"{sent.number} goes on in the background")
        else:
            sent.refused = meta["code"]
            self.note(f"{sent.number} is refused: {text}")

    def _saw(self, sent: Sent, seen: Seen) -> None:
        self.note(f"{sent.number} {seen}")
        sent.seen.append(seen)

    async def _send_many(self, step: SendMany) -> None:
        client = await self._connected(step.client)
        many = [self._new(step, agent, kind) for agent, kind in step.tasks]
        wanted: list[Message] = []
        for sent in many:
            wanted.append({"agent": sent.agent, "task": sent.text, "reply": "full"})
            if sent.kind.ends == "deadline_exceeded":
                wanted[-1]["timeout_s"] = SOON_S
            # With `max_parallel` some may not be handed over before the client or the pool goes.
        more: Message = {} if step.max_parallel is None else {"max_parallel": step.max_parallel}
        number, answer = await client.start_call("invoke_many", tasks=wanted, **more)
        for sent in many:
            sent.call = client, number
        self._nursery.start_soon(self._collect_many, many, answer)

    async def _collect_many(self, many: list[Sent], answer: Answer) -> None:
        try:
            with _lost_with_its_connection():
                result = await answer
                outcomes = result["_meta"]["outcomes"]
                for sent, meta, block in zip(many, outcomes, result["content"], strict=True):
                    text = block["text"].partition("\n")[2]
                    one = {"_meta": meta, "content": [{"text": text}], "isError": "code" in meta}
                    self._take(sent, "invoke_many", one)
        finally:
            for sent in many:
                sent.has_no_more_to_come()

    async def _ask(self, client: Client, step: Ask, sent: Sent) -> None:
        await sent.named.wait()
        for task_id in sorted(sent.ids):
            if step.tool == "cancel":
                sent.may_end.add("cancelled")
            with _lost_with_its_connection():
                await self.ask(client, step.tool, sent, task_id)

    async def ask(self, client: Client, tool: str, sent: Sent, task_id: str) -> None:
        """Call a tool about a task, and note what it tells of its outcome.

        Raises:
            ConnectionLost: nobody answered.
        """
        if tool == "result":
            result = await client.call("result", task_id=task_id)
            if _code(result) != "task_running" and not _is_refused(result):
                self._saw(sent, Seen("result", _code(result), result["content"][0]["text"]))
            return
        arguments = {"task_ids": [task_id]} if tool == "wait" else {"task_id": task_id}
        result = await client.call(tool, **arguments)
        if _is_refused(result):
            return
        record = result["structuredContent"]
        row = record["tasks"][0] if tool == "wait" else record
        if row["outcome"] is not None:
            self._saw(sent, Seen(tool, row["outcome"], None))

    async def _withdraw(self, sent: Sent) -> None:
        if sent.call is None or not sent.is_held:
            return
        client, number = sent.call
        for other in self.sent:
            if other.call == sent.call:
                other.may_end.add("cancelled")
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await client.cancel(number)
        # What its caller cancels need not be answered.
        for other in self.sent:
            if other.call == sent.call:
                other.has_no_more_to_come()

    # trouble

    async def _kill(self, step: Kill) -> None:
        client = next((seat.client for seat in self._seats if seat.client is not None), None)
        if client is None:
            return
        with _lost_with_its_connection():
            result = await client.call("list")
            if _is_refused(result):
                return
            (row,) = (r for r in result["structuredContent"]["agents"] if r["name"] == step.agent)
            running = [one["pid"] for one in row["workers"] + row["conversations"] if one["pid"]]
            if running:
                pid = running[step.choice % len(running)]
                self.note(f"kills {pid}")
                for sent in self.sent:
                    if sent.agent == step.agent:
                        sent.may_end |= {"agent_crashed", "agent_start_failed"}
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def _reset(self, client: Client, step: Reset) -> None:
        named: Message = {} if step.conversation is None else {"conversation": step.conversation}
        danger = self._danger((step.agent, step.conversation), "agent_reset")
        with danger, _lost_with_its_connection():
            await client.call("reset", agent=step.agent, **named)

    @contextmanager
    def _danger(self, mailbox: tuple[str, str | None], code: str) -> Iterator[None]:
        """Whatever is at that mailbox now, or comes meanwhile, may end so."""
        for sent in self.sent:
            if sent.mailbox == mailbox:
                sent.may_end.add(code)
        self._dangers[mailbox, code] += 1
        try:
            yield
        finally:
            self._dangers[mailbox, code] -= 1

    def _dangers_of(self, mailbox: tuple[str, str | None]) -> set[str]:
        return {code for (where, code), n in self._dangers.items() if n and where == mailbox}

    async def _end_pool(self, step: EndPool) -> None:
        if self.project.pool_pid() is None:
            return
        self.pools_ended += 1
        code = "interrupted" if step.how == "SIGKILL" else "pool_stopping"
        for sent in self.sent:
            sent.may_end.add(code)
        await self.project.stop(signal.Signals[step.how])
        await self.close()

    # clients

    def _back(self, back: int) -> Sent | None:
        return self.sent[-1 - back % len(self.sent)] if self.sent else None

    async def _connected(self, number: int) -> Client:
        seat = self._seats[number]
        if seat.client is None:
            self._seats[number] = seat = Seat()
            seat.client = await self._nursery.start(self._sit, seat)
        assert seat.client is not None
        return seat.client

    async def _sit(self, seat: Seat, *, task_status: trio.TaskStatus[Client]) -> None:
        try:
            async with self.project.connect() as client:
                task_status.started(client)
                await seat.leave.wait()
        finally:
            seat.gone.set()

    async def _leave(self, number: int) -> None:
        seat, self._seats[number] = self._seats[number], Seat()
        if seat.client is None:
            return
        for sent in self.sent:
            if sent.client == number and sent.is_held:
                sent.may_end.add("cancelled")
        seat.leave.set()
        await seat.gone.wait()


@contextmanager
def _lost_with_its_connection() -> Iterator[None]:
    """An answer that may never come: who closes a connection is told so at most."""
    try:
        yield
    except ConnectionLost:
        return
    except Refused as refused:
        if str(refused) != "Connection closed":
            raise


def _timeout_s(step: Send) -> float | None:
    """A task that would hang for ever has a deadline."""
    return SOON_S if step.kind.ends == "deadline_exceeded" else step.timeout_s


def _code(result: Message) -> str:
    code: str = result["_meta"]["code"] if result.get("isError") else "result"
    return code


def _is_refused(result: Message) -> bool:
    return bool(result.get("isError")) and _code(result) == "pool_stopping" and (
        "task_id" not in result["_meta"]
    )  # fmt: skip


@dataclass(frozen=True)
class Play:
    """A script that has been carried out."""

    sent: tuple[Sent, ...]
    """Every task that was handed over."""
    pools_ended: int
    """How often the pool was killed or stopped before the end."""
    open_at_the_end: tuple[Message, ...]
    """What had no outcome when all could have had one."""
    database: Path
    """The ledger, that no pool has open any more."""
    notes: tuple[str, ...]
    """The record."""


async def play(base: Path, script: list[Step]) -> Play:
    """Carry a script out in the empty folder `base`; afterwards no process is left.

    Raises:
        AssertionError: a process was.
        trio.TooSlowError: a call was never answered.
    """
    project = Project(base)
    project.write_config(CONFIG)
    for agent in AGENTS:
        project.write_agent(agent)
    notes: list[str] = []
    try:
        with trio.fail_after(2 * LIMIT_S):
            async with trio.open_nursery() as nursery:
                stage = Stage(project, nursery, notes)
                for step in script:
                    await stage.act(step)
                for sent in stage.sent:
                    await sent.answered.wait()
                await stage.close()
            left = await _look_back(stage)
    except Exception:
        print("\n".join(notes))
        raise
    finally:
        await project.close()
    database = Path(project.place.folder) / "ledger.sqlite"
    return Play(tuple(stage.sent), stage.pools_ended, tuple(left), database, tuple(notes))


async def _look_back(stage: Stage) -> list[Message]:
    """Wait until nothing is open, and ask for the outcome of all that was told an id of."""
    async with stage.project.connect() as client:
        left = await _settled(client)
        for sent in stage.sent:
            for task_id in sorted(sent.ids):
                await stage.ask(client, "result", sent, task_id)
    return left


async def _settled(client: Client) -> list[Message]:
    """The tasks that are open though they have had their time."""
    rows: list[Message] = []
    with trio.move_on_after(LIMIT_S / 4):
        while True:
            rows = [row for state in ("queued", "running") for row in await _rows(client, state)]
            if not rows:
                return []
            await trio.sleep(POLL_S)
    return rows


async def _rows(client: Client, state: str) -> list[Any]:
    result = await client.call("tasks", state=state, limit=1000)
    return list(result["structuredContent"]["tasks"])
