"""A project whose agents are the real CLI, and the model behind them."""

import shlex
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import trio

from tests.client import LIMIT_S, Client, Message, Project, until
from tests.loopback import LoopbackAPI, Request
from tests.realcli.install import environment

BODY = "You are {name}, and you do what you are told."


@dataclass(frozen=True)
class Stage:
    """One project, one pool, one model."""

    project: Project
    """Where the agents live."""
    api: LoopbackAPI
    """What they think with."""
    cli: Sequence[str]
    """How their CLI is started."""
    extra: dict[str, str] = field(default_factory=dict)
    """More variables of every client."""

    def write_agent(self, name: str, *frontmatter: str, body: str = BODY) -> Path:
        """Define an agent that has Bash, where `frontmatter` names no other tools."""
        tools = () if any(line.startswith("tools:") for line in frontmatter) else ("tools: Bash",)
        return self.project.write_agent(name, body.format(name=name), *tools, *frontmatter)

    def variables(self, **extra: str) -> dict[str, str]:
        """The variables of a client beside those that every project has."""
        own = environment(self.project.home, self.api.base_url, CLAUDE_CLI=shlex.join(self.cli))
        return {**own, **self.extra, **extra}

    def configure(self, text: str) -> None:
        """Have the clients name a pool.toml with this text."""
        path = self.project.home / "pool.toml"
        path.write_text(text)
        self.extra["AGENT_POOL_CONFIG"] = str(path)

    def connect(self, **extra: str) -> AbstractAsyncContextManager[Client]:
        """A client of the pool, which the first one starts."""
        return self.project.connect(**self.variables(**extra))

    async def request(self, wanted: Callable[[Request], bool]) -> Request:
        """The first turn that reached, or will reach, the model and is `wanted`."""
        wait = partial(
            self.api.wait_for_request, lambda r: r.is_task and wanted(r), timeout_s=LIMIT_S
        )
        return await trio.to_thread.run_sync(wait)

    async def request_for(self, task: str) -> Request:
        """The first turn of the task with this text."""
        return await self.request(lambda request: request.last_user_text().strip() == task)

    async def file(self, name: str) -> str:
        """The text of a file in the project, as soon as an agent has written a line into it."""
        path = self.project.folder / name

        def look() -> str:
            text = path.read_text() if path.exists() else ""
            return text if text.endswith("\n") else ""

        try:
            return (await until(look, f"the file {name}")).strip()
        except AssertionError as error:
            raise AssertionError(f"{error}; the pool: {self.project.log_lines()[-20:]}") from None

    async def pid(self, name: str) -> int:
        """The pid that a Bash command wrote into a file of the project."""
        return int(await self.file(name))

    def logged(self, event: str, agent: str) -> list[dict[str, Any]]:
        """The events of one kind that the pool has logged of one agent."""
        lines = self.project.log_lines()
        return [line for line in lines if line["event"] == event and line.get("agent") == agent]


@contextmanager
def staged(base: Path, cli: Sequence[str]) -> Iterator[Stage]:
    """A stage for several tests; its first client starts the pool, which ends with the block."""
    project = Project(base)
    try:
        with LoopbackAPI() as api:
            yield Stage(project, api, cli)
    finally:
        trio.run(project.close)


def text_of(result: Message) -> str:
    """The text of a call that went well; it is all that the call answered."""
    assert not result.get("isError"), result
    return words_of(result)


def words_of(result: Message) -> str:
    """The text of a call's result, be it an error."""
    (block,) = result["content"]
    assert block["type"] == "text"
    text: str = block["text"]
    return text


def code_of(result: Message) -> str:
    """The code of a call that failed."""
    assert result["isError"], result
    code: str = result["_meta"]["code"]
    return code


def pid_of(result: Message) -> int:
    """The process that had the task."""
    pid: int = result["_meta"]["pid"]
    return pid


def lives(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def gone(pid: int) -> None:
    """Wait until that process has ended."""
    await until(lambda: not lives(pid), f"the end of process {pid}")


def commands_with(mark: str) -> list[int]:
    """The pids of the living processes whose command line holds `mark`, whatever else they lost."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            found += [process.pid] * (mark in shlex.join(process.info["cmdline"] or ()))
    return found


class Jobs:
    """Commands that leave processes behind, which are known by a number that they sleep."""

    def __init__(self) -> None:
        self._fraction = f".{uuid.uuid4().int}"

    def in_background(self) -> str:
        """A command that leaves jobs in every usual way, and ends."""
        sleep = self.sleep
        return "\n".join(
            [
                f"{sleep()} &",
                f"nohup {sleep()} > /dev/null 2>&1 &",
                f"setsid {sleep()} < /dev/null > /dev/null 2>&1 &",
                f"(trap '' HUP INT TERM; setsid sh -c '{sleep()}; :' > /dev/null 2>&1 &)",
            ]
        )

    def naked(self) -> str:
        """A command that leaves a job without environment, folder, session and parent."""
        return f"(cd /; env -i /usr/bin/env setsid {self.sleep()} > /dev/null 2>&1 &)"

    def sleep(self) -> str:
        """A command that does not end."""
        return f"sleep 1000{self._fraction}"

    def left(self) -> list[int]:
        """The pids of those that live."""
        return commands_with(self._fraction)

    async def all_run(self, count: int) -> None:
        """Wait until so many run."""
        await until(lambda: len(self.left()) >= count, f"{count} jobs")
