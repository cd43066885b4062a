"""A storm carried out: two clients, four agents, one pool, and what came of it."""

import os
import re
import shlex
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import trio

from tests.chaos.schedule import AGENTS, CLIENTS, HANDS_UP_S, Schedule, Step, Strike
from tests.client import LIMIT_S, POLL_S, REHEARSAL, Client, Message, Project, until

HANDS: Final = 6
"""Tasks that one client has under way at once."""

WORD: Final = re.compile(r"\bw\d+x\d+y[0-9a-f]{8}\b")

ORPHAN: Final = "sleep"
"""The name of what `[[orphan]]` leaves behind."""

CONFIG: Final = """
[pool]
shutdown_grace = "250ms"
spawn_limit = 4

[defaults.agent]
shutdown = "1s"
control_timeout = "1s"
interrupt_grace = "500ms"
{agents}
[defaults.supervisor]
{intensity}

[defaults.supervisor.backoff]
initial = "20ms"
maximum = "100ms"

[logs]
max_size = "1GiB"
max_age = "0s"
total = "0B"
"""

CEILINGS: Final = """
[agents.hoarder]
soft_ceiling = "80MiB"
hard_ceiling = "250MiB"
"""

GATE: Final = 'if rm {file} 2>/dev/null; then echo "crashed at start" >&2; exit 1; fi; exec "$@"'
"""What stands before the CLI: where its file is, the next start fails, and takes it away.

The file is no word of the command line: the pool would take it for a part of the CLI that changes.
"""


RESTING: Final = {"idle", "stopped", "down"}
"""States in which an agent does nothing by itself."""


@dataclass(frozen=True)
class Outcome:
    """What an invoke came to."""

    step: Step
    """The invoke."""
    text: str
    """The answer, or the error's words."""
    code: str | None
    """The error's code."""
    pid: int | None
    """The process that had the task."""

    @property
    def is_its_own(self) -> bool:
        """Whether the answer is the one of this task and of no other."""
        return set(WORD.findall(self.text)) == {self.step.word}


@dataclass(frozen=True)
class Weather:
    """A storm that is over."""

    outcomes: tuple[Outcome, ...]
    """What every invoke came to, the extra ones of stops too."""
    killed: frozenset[int]
    """The processes that were killed from outside."""
    sabotaged_starts: int
    """Starts of a process that were made to fail, at the most."""
    failed_starts: int
    """Starts that failed, as the pool has it in its log."""

    def errors(self, *codes: str) -> list[Outcome]:
        """The errors, of those codes or of any."""
        return [o for o in self.outcomes if o.code is not None and (not codes or o.code in codes)]

    @property
    def answered(self) -> list[Outcome]:
        """The others."""
        return [outcome for outcome in self.outcomes if outcome.code is None]


@dataclass(frozen=True)
class Vitals:
    """How a pool does that has nothing to do."""

    rss_bytes: int
    """Its memory."""
    descriptors: tuple[str, ...]
    """What it has open, by kind, in order."""
    leaders: frozenset[int]
    """The processes that its agents own."""
    strays: tuple[str, ...]
    """What else is below it, living or not, and what is stopped."""
    left_over: tuple[str, ...]
    """The same, before the agents were reset; without what tasks were asked to leave behind."""


@dataclass
class Scene:
    """A pool, its clients, and a record of what happened."""

    project: Project
    """Where it is."""
    clients: list[Client]
    """Who asks."""
    gate: Path
    """Where it is, the next start of a process fails."""
    notes: list[str] = field(default_factory=list)
    """What was done to it, as it was done."""

    def __post_init__(self) -> None:
        self._killed: set[int] = set()
        self._sabotaged_starts = 0
        self._turns = {name: trio.Semaphore(CLIENTS * HANDS) for name in AGENTS}

    # the storm

    async def weather(self, schedule: Schedule) -> Weather:
        """Carry out the storm."""
        self.notes += schedule.lines()
        self._killed, self._sabotaged_starts = set(), 0
        failed_before = self._failed_starts()
        outcomes: list[Outcome] = []
        steps = iter(schedule.steps)
        begun = Counted()
        async with trio.open_nursery() as nursery:
            for client in self.clients:
                for _ in range(HANDS):
                    nursery.start_soon(self._work, client, steps, begun, outcomes)
            nursery.start_soon(self._strike_all, schedule.strikes, begun, outcomes)
        self.gate.unlink(missing_ok=True)
        weather = Weather(
            outcomes=tuple(outcomes),
            killed=frozenset(self._killed),
            sabotaged_starts=self._sabotaged_starts,
            failed_starts=self._failed_starts() - failed_before,
        )
        self.notes += [f"  error: {outcome}" for outcome in weather.errors()]
        self.notes.append(f"  errors: {dict(Counter(o.code for o in weather.errors()))}")
        return weather

    async def _work(
        self, client: Client, steps: Iterator[Step], begun: "Counted", outcomes: list[Outcome]
    ) -> None:
        for step in steps:
            begun.add()
            async with self._turns[step.agent]:
                outcomes.append(await self.invoke(client, step))

    async def invoke(self, client: Client, step: Step) -> Outcome:
        """One invoke."""
        return await _invoked(client, step, step.prank.timeout_s if step.prank else None)

    async def _strike_all(
        self, strikes: Sequence[Strike], begun: "Counted", outcomes: list[Outcome]
    ) -> None:
        async with trio.open_nursery() as nursery:
            for strike in strikes:
                await begun.reach(strike.at)
                if strike.blow == "stop":
                    outcomes.append(await self._stop_idle(strike))
                    continue
                victim = self._victim(strike.choice)
                self.notes.append(f"  {strike.blow} at {begun.number}: {victim}")
                if strike.blow == "crash at start" and not self.gate.exists():
                    self.gate.touch()
                    self._sabotaged_starts += 1
                if victim is not None and strike.blow == "pause":
                    nursery.start_soon(_pause, victim, strike.seconds)
                elif victim is not None:
                    self._killed.add(victim.pid)
                    _signal(victim, signal.SIGKILL)

    async def _stop_idle(self, strike: Strike) -> Outcome:
        """Stop an idle process for good; only a task with a deadline can find out."""
        client = self.clients[0]
        word = f"w0x{strike.at}y{int(strike.choice * 2**32):08x}"
        step = Step(-1, strike.agent, word, word, None)
        turns = self._turns[strike.agent]
        for _ in range(CLIENTS * HANDS):  # nobody else's task may meet it
            await turns.acquire()
        try:
            ready = await client.call("warmup", agent=strike.agent)
            victim = ready.get("structuredContent", {}).get("pid")
            self.notes.append(f"  stop after {strike.at}: {strike.agent} {victim}")
            if victim is not None:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGSTOP)
            return await _invoked(client, step, HANDS_UP_S)
        finally:
            for _ in range(CLIENTS * HANDS):
                turns.release()

    def _failed_starts(self) -> int:
        restarts = (e for e in self.project.log_lines() if e["event"] == "worker_restarted")
        return sum("ready" in restart["reason"] for restart in restarts)

    def _victim(self, choice: float) -> psutil.Process | None:
        """One of the processes that the pool has started, whatever it is at just now."""
        found = [child for child in self._pool().children() if _name(child) not in ("", ORPHAN)]
        found.sort(key=lambda child: child.pid)
        return found[int(choice * len(found))] if found else None

    # before and after

    async def settle(self) -> Vitals:
        """Wait until the pool is at rest, give every agent a new process, and look at the pool."""
        await self._rest()
        left_over = await self._quiet(lambda stray: stray.name != ORPHAN)
        for agent in AGENTS:
            await self.clients[0].call("reset", agent=agent)
            warm = await self.clients[0].call("warmup", agent=agent)
            assert not warm.get("isError"), warm
        strays = await self._quiet(lambda _: True)
        pool = self._pool()
        memory = pool.memory_info().rss
        leaders = await self._leaders()
        return Vitals(memory, _descriptors(pool.pid), leaders, strays, left_over)

    async def _rest(self) -> None:
        """Wait until no agent has anything to do any more."""
        with trio.fail_after(LIMIT_S):
            while True:
                if {row["state"] for row in await self.rows()} <= RESTING:
                    return
                await trio.sleep(POLL_S)

    async def _leaders(self) -> frozenset[int]:
        return frozenset(row["pid"] for row in await self.rows())

    async def _quiet(self, counts: Callable[["Stray"], bool]) -> tuple[str, ...]:
        """What is below the pool and should not be, once it has had time to go."""
        leaders = await self._leaders()

        def look() -> list[Stray]:
            return [stray for stray in self._strays(leaders) if counts(stray)]

        with suppress(AssertionError):
            await until(lambda: not look(), "quiet below the pool", LIMIT_S / 4)
        return tuple(map(str, look()))

    async def rows(self) -> list[Message]:
        """What `list` says of our agents."""
        result = await self.clients[0].call("list")
        found: list[Message] = result["structuredContent"]["agents"]
        return [row for row in found if row["name"] in AGENTS]

    def _pool(self) -> psutil.Process:
        return psutil.Process(self.project.pool_pid())

    def _strays(self, leaders: frozenset[int]) -> Iterator["Stray"]:
        for process in self._pool().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                stray = Stray(process.pid, process.name(), process.status())
                odd = stray.status in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
                if process.pid not in leaders or odd:
                    yield stray


class Stray(NamedTuple):
    """A process below the pool that should not be there, or not like this."""

    pid: int
    """Its pid."""
    name: str
    """Its command."""
    status: str
    """In psutil's words."""


class Counted:
    """A number that grows, and may be waited for."""

    def __init__(self) -> None:
        self.number = 0
        self._grown = trio.Event()

    def add(self) -> None:
        """One more."""
        self.number += 1
        self._grown.set()
        self._grown = trio.Event()

    async def reach(self, number: int) -> None:
        """Wait until there are so many."""
        while self.number < number:
            await self._grown.wait()


@asynccontextmanager
async def open_scene(
    base: Path, cli: str | None = None, intensity: str = "intensity = 100000"
) -> AsyncIterator[Scene]:
    """A pool of its own in the empty folder `base`, with its clients.

    Args:
        base: the folder.
        cli: the agent CLI, as `CLAUDE_CLI` takes it; None: the rehearsal agent.
        intensity: that line of pool.toml; empty: as it is by default.
    """
    project = Project(base)
    gate = base / "gate"
    toml = base / "pool.toml"
    ceilings = CEILINGS if cli is None else ""
    toml.write_text(CONFIG.format(agents=ceilings, intensity=intensity))
    for agent in AGENTS:
        project.write_agent(agent)
    script = GATE.format(file=shlex.quote(str(gate)))
    gated = ["/bin/sh", "-c", script, "gate", *shlex.split(cli or REHEARSAL)]
    variables = {"CLAUDE_CLI": shlex.join(gated), "AGENT_POOL_CONFIG": str(toml)}
    scene = Scene(project, [], gate)
    try:
        async with (
            project.connect(**variables) as first,
            project.connect(**variables) as second,
        ):
            scene.clients += [first, second]
            yield scene
    except Exception:
        print("\n".join(scene.notes))
        raise
    finally:
        await project.close()


async def _invoked(client: Client, step: Step, timeout_s: float | None) -> Outcome:
    arguments: Message = {"agent": step.agent, "task": step.text}
    if timeout_s is not None:
        arguments["timeout_s"] = timeout_s
    _, answer = await client.start("tools/call", {"name": "invoke", "arguments": arguments})
    result = await answer
    text = "".join(block["text"] for block in result["content"])
    record = result["_meta"]
    return Outcome(step, text, record["code"] if result.get("isError") else None, record.get("pid"))


async def _pause(victim: psutil.Process, seconds: float) -> None:
    _signal(victim, signal.SIGSTOP)
    await trio.sleep(seconds)
    _signal(victim, signal.SIGCONT)


def _signal(victim: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        victim.send_signal(number)


def _name(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.name()
    except psutil.NoSuchProcess:
        return ""


def _descriptors(pid: int) -> tuple[str, ...]:
    """What is open, but for what the memory governor keeps open of processes: these come and go."""
    folder = Path(f"/proc/{pid}/fd")
    found: list[str] = []
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):
            found.append(re.sub(r"\d+", "", os.readlink(entry)))
    return tuple(sorted(one for one in found if not one.startswith("/proc/")))
