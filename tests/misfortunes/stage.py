"""The stage for misfortunes: a project whose agents are stand-ins, each with ways of its own."""

import itertools
import json
import os
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import trio

from tests.client import LIMIT_S, POLL_S, Answer, Client, Message, Project, until

STANDIN = Path(__file__).with_name("standin.py")

_numbers = itertools.count(1)


def text_of(result: Message) -> str:
    """The text of a tool's result."""
    *_, content = result["content"]  # the first of several says only that it is huge
    text: str = content["text"]
    return text


def code_of(result: Message) -> str | None:
    """The code of an error; None of an answer."""
    if not result.get("isError"):
        return None
    code: str = result["_meta"]["code"]
    assert text_of(result).startswith(f"{code}: ")
    return code


@dataclass(frozen=True)
class Stage:
    """One pool and one connection to it."""

    project: Project
    """Whose pool."""
    client: Client
    """The connection."""
    ways: Path
    """The folder that the stand-ins look into."""
    variables: dict[str, str]
    """What every client of the pool has in its environment."""
    actors: list["Actor"] = field(default_factory=list)
    """Every agent made here."""

    def agent(self, name: str = "", **ways: Any) -> "Actor":
        """A new agent whose process misbehaves in these ways."""
        actor = Actor(self, name or f"a{next(_numbers)}")
        self.actors.append(actor)
        actor.behave(**ways)
        actor.write("Do it.")
        return actor

    async def clear(self) -> None:
        """Reset every agent made here.

        Raises:
            AssertionError: a process is left of one, though its reset has been answered.
        """
        for actor in self.actors:
            await self.client.call("reset", agent=actor.name)
            left = [pid for pid in {*actor.starts(), *actor.descendants()} if exists(pid)]
            assert left == []

    async def rows(self) -> dict[str, Message]:
        """What `list` says, by name."""
        return await self.client.agents()


@dataclass(frozen=True)
class Actor:
    """One agent, and its process."""

    stage: Stage
    """Where it plays."""
    name: str
    """The agent's name."""

    def behave(self, **ways: object) -> None:
        """Settle how its next process misbehaves."""
        (self.stage.ways / f"{self.name}.json").write_text(json.dumps(ways))

    def write(self, body: str) -> Path:
        """Write its definition."""
        return self.stage.project.write_agent(self.name, body, f"model: {self.name}")

    def go(self) -> None:
        """Have its process go on with the task that has a `@wait`."""
        (self.stage.ways / f"{self.name}.go").touch()

    async def invoke(self, task: str, **more: Any) -> Message:
        """Hand it a task; returns the tool's result."""
        return await self.stage.client.call("invoke", agent=self.name, task=task, **more)

    async def start(self, task: str, **more: Any) -> tuple[int, Answer]:
        """Hand it a task without waiting for the answer."""
        return await self.stage.client.start_call("invoke", agent=self.name, task=task, **more)

    async def warmup(self) -> Message:
        """Have its process started."""
        return await self.stage.client.call("warmup", agent=self.name)

    async def reset(self) -> Message:
        """Have it reset; returns what was there."""
        result = await self.stage.client.call("reset", agent=self.name)
        record: Message = result["structuredContent"]
        return record

    async def row(self) -> Message:
        """What `list` says of it, once its context is no longer being reset."""
        with trio.fail_after(LIMIT_S):
            while True:
                row = (await self.stage.rows())[self.name]
                if row["state"] != "resetting":
                    return row
                await trio.sleep(POLL_S)

    async def pid(self) -> int:
        """The pid of its process, which is started if need be."""
        result = await self.warmup()
        pid: int = result["structuredContent"]["pid"]
        return pid

    async def answers_right(self, task: str = "and now something else") -> int:
        """See that the next task gets its own answer in a fresh context; returns the pid."""
        result = await self.invoke(task)
        assert code_of(result) is None, result
        assert text_of(result) == f"done 1: {task}"
        pid: int = result["_meta"]["pid"]
        return pid

    # what its processes have noted

    def journal(self) -> list[Message]:
        """Everything, the oldest first."""
        path = self.stage.ways / f"{self.name}.journal"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def starts(self) -> list[int]:
        """The pids of its processes, dead or alive."""
        return [entry["started"] for entry in self.journal() if "started" in entry]

    def tasks(self) -> list[str]:
        """The tasks that reached a process."""
        return [entry["task"] for entry in self.journal() if "task" in entry]

    def descendants(self) -> list[int]:
        """The pids of what its processes started."""
        return [entry["descendant"] for entry in self.journal() if "descendant" in entry]

    async def has_task(self, beginning: str) -> int:
        """Wait until a process has that task; returns its pid."""

        def look() -> int | None:
            entries = [e for e in self.journal() if e.get("task", "").startswith(beginning)]
            return entries[-1]["pid"] if entries else None

        return await until(look, f"the task {beginning!r} at {self.name}")

    def living(self) -> list[int]:
        """The pids, of all that it ever started, that live."""
        return [pid for pid in {*self.starts(), *self.descendants()} if lives(pid)]

    def log(self, event: str) -> list[dict[str, Any]]:
        """The lines of the pool's log of one kind that concern it."""
        lines = self.stage.project.log_lines()
        return [e for e in lines if e.get("agent") == self.name and e["event"] == event]


def lives(pid: int) -> bool:
    """Whether it is a process, and no zombie."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def exists(pid: int) -> bool:
    """Whether it is a process or a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def command(ways: Path) -> str:
    """`CLAUDE_CLI` for stand-ins that look into `ways`."""
    return shlex.join([sys.executable, "-S", "-E", str(STANDIN), str(ways)])
