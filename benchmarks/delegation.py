"""An hour of delegation through the plugin, in a fresh real Claude Code, whatever befalls it.

    python -m benchmarks.delegation --minutes 60 [--seed 7] [--real]

The plugin is installed from its marketplace. Round after round, the scripted model of Claude Code
hands work to three agents: alone, side by side, in the background, longer than its client waits.
Agents fail and crash, the user interrupts and closes windows, relays and pools are killed, and the
pool is stopped in between. In the end the ledger is compared with what the model was sent, and it
is counted which processes are left. It exits with 0 only if nothing was lost, mixed up or left.
"""

import argparse
import json
import random
import re
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import psutil
import trio

from tests.chaos.promise import Entry, read
from tests.claudecode.stage import Claude, Stage, eventually, lives, native, use
from tests.client import LIMIT_S, REHEARSAL, Project
from tests.loopback import LoopbackAPI
from tests.realcli import session
from tests.realcli.install import DEFAULT_VERSION, ensure

AGENTS: Final = ("scout", "builder", "checker")
SERVER: Final = "mcp__plugin_agent-pool_agent-pool"
IMPATIENCE_S: Final = 2
"""After which an impatient window gives up on a call of a tool."""
CONFIG: Final = """\
[pool]
linger = "10min"
shutdown_grace = "1s"
disconnect_grace = "20s"

[defaults.supervisor]
intensity = 1000
"""
RESULT: Final = frozenset({"result"})
TASK_ID: Final = re.compile(r"\bt-[0-9a-f]{12}\b")


@dataclass
class Handed:
    """A task that the model handed over."""

    word: str
    """In its text, and in no other's."""
    kind: str
    """What the round was about."""
    may_end: frozenset[str]
    """The outcomes that are right for it."""
    seen: str | None = None
    """The last that the model was sent of it; None: nothing that was its outcome."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a program took: in its first round, in its last, and at the most."""

    program: str
    pid: int
    rounds: int
    first_mb: float
    last_mb: float
    most_mb: float


@dataclass
class Report:
    """What came of it all."""

    minutes: float
    rounds: dict[str, int]
    tasks: int
    outcomes: dict[str, int]
    memory: list[Memory]
    wrong: list[str]
    """One line each; empty: nothing is."""


@dataclass
class Delegation:
    """One Claude Code after the other on one project, and what its model handed over."""

    stage: Stage
    agents_cli: str
    """`CLAUDE_CLI` of the pool."""
    chance: random.Random
    claude: Claude = field(init=False)
    """The window that is open."""
    handed: list[Handed] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    rounds: Counter[str] = field(default_factory=Counter)
    samples: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    """Resident megabytes by program and pid."""

    # Claude Code

    def open_window(self, **variables: str) -> None:
        """Start a Claude Code that has the plugin, as every one here has."""
        flags = ("--allowedTools", f"Agent,{SERVER}")
        self.claude = self.stage.claude(*flags, CLAUDE_CLI=self.agents_cli, **variables)

    def model(self, tool: str, **arguments: object) -> str:
        """Have the model use a tool of the pool; what it is sent."""
        task = use(f"{SERVER}__{tool}", **arguments)
        self.claude.task(task)
        return self.stage.seen(task)[0]

    def hand(self, kind: str, *may_end: str) -> Handed:
        """A new task."""
        word = f"w{len(self.handed):06}"
        one = Handed(word, kind, frozenset(may_end) or RESULT)
        self.handed.append(one)
        return one

    def invoke(self, one: Handed, directive: str = "", **more: object) -> str:
        """Hand it to an agent, which says its word; what the model is sent, kept as seen."""
        agent = self.chance.choice(AGENTS)
        task = f"{directive}[[say {one.word}]]"
        one.seen = self.model("invoke", agent=agent, task=task, **more)
        return one.seen

    def begin(self, one: Handed, directive: str) -> None:
        """Hand it over without waiting for more than its start."""
        agent = self.chance.choice(AGENTS)
        task = f"{directive}[[say {one.word}]]"
        before = self.count("task_started")
        self.claude.give(use(f"{SERVER}__invoke", agent=agent, task=task))
        eventually(lambda: self.count("task_started") > before, f"the start of {one.word}")

    def fetch(self, one: Handed, task_id: str) -> None:
        """Wait for a task by its id, as often as its client gives up, and ask for its outcome."""
        state = ""
        while state != "ended":
            said = self.model("wait", task_ids=[task_id], timeout_s=1)
            state = json.loads(said)["tasks"][0]["state"]
        one.seen = self.model("result", task_id=task_id)

    def count(self, event: str) -> int:
        """How many of these the pools have logged."""
        return sum(line["event"] == event for line in self.stage.project.log_lines())

    def newest_task(self) -> str:
        """The id of the task that was started last."""
        started = [x for x in self.stage.project.log_lines() if x["event"] == "task_started"]
        return str(started[-1]["task_id"])

    def expect(self, holds: bool, what: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.wrong.append(what)

    # The kinds of a round

    def answered(self) -> None:
        one = self.hand("answered")
        self.invoke(one)

    def followed_up(self) -> None:
        first, second = self.hand("followed up"), self.hand("followed up")
        for one in (first, second):
            given = {"agent": "scout", "conversation": f"about-{first.word}"}
            one.seen = self.model("invoke", task=f"[[say {one.word}]]", **given)

    def side_by_side(self) -> None:
        many = [self.hand("side by side") for _ in AGENTS]
        tasks = [
            {"agent": agent, "task": f"[[sleep 0.1]][[say {one.word}]]"}
            for agent, one in zip(AGENTS, many, strict=True)
        ]
        said = self.model("invoke_many", tasks=tasks)
        for one in many:
            one.seen = one.word if said.count(one.word) == 1 else said

    def in_the_background(self) -> None:
        one = self.hand("in the background")
        task = f"[[sleep 1]][[say {one.word}]]"
        said = self.model("submit", agent="builder", task=task)
        self.fetch(one, TASK_ID.findall(said)[0])

    def client_gives_up(self) -> None:
        self.claude.close()
        self.open_window(MCP_TOOL_TIMEOUT=str(IMPATIENCE_S * 1000))
        longer = self.hand("longer than its client waits")
        said = self.invoke(longer, f"[[sleep {IMPATIENCE_S + 1}]]", if_longer_than_s=0.5)
        self.fetch(longer, TASK_ID.findall(said)[0])
        given_up = self.hand("given up by its client", "cancelled")
        said = self.invoke(given_up, "[[hang]]")
        given_up.seen = None
        self.expect("timed out" in said, f"{given_up}: the model is sent {said!r}")
        self.claude.close()
        self.open_window()

    def failed(self) -> None:
        self.invoke(self.hand("failed", "api_error"), "[[error 400]]")

    def misspelt(self) -> None:
        said = self.model("invoke", agent="scuot", task="anything")
        self.expect(said.startswith("unknown_agent"), f"an unknown agent: {said!r}")

    def crashed(self) -> None:
        self.invoke(self.hand("crashed", "agent_crashed"), "[[bash kill -9 $PPID]]")

    def native(self) -> None:
        task = native("checker", "never said")
        self.claude.task(task)
        (said,) = self.stage.seen(task)
        self.expect("the invoke tool of agent-pool" in said, f"the hook says {said!r}")

    def interrupted(self) -> None:
        self.begin(self.hand("interrupted", "cancelled"), "[[hang]]")
        self.claude.ask("interrupt")
        self.claude.result()

    def relay_killed(self) -> None:
        one = self.hand("relay killed")
        self.begin(one, "[[sleep 2]]")
        for relay in self.relays():
            relay.kill()
        said = self.claude.result()["result"]
        self.expect(one.word not in said, f"{one}: an answer by a killed relay: {said!r}")
        self.fetch(one, self.newest_task())

    def window_closed(self) -> None:
        one = self.hand("window closed")
        self.begin(one, "[[sleep 1]]")
        end = self.chance.choice([self.claude.close, self.kill_window])
        end()
        self.open_window()
        self.fetch(one, self.newest_task())

    def pool_stopped(self) -> None:
        self.stop()
        self.answered()

    def pool_killed(self) -> None:
        one = self.hand("pool killed", "interrupted")
        self.begin(one, "[[hang]]")
        pid = self.stage.project.pool_pid()
        assert pid is not None
        psutil.Process(pid).kill()
        self.claude.result()
        one.seen = self.model("result", task_id=self.newest_task())

    # The hour

    def stop(self) -> None:
        """Stop the pool."""
        done = self.stage.run("stop")
        self.expect(done.returncode == 0, f"agent-pool stop: {done.stdout}{done.stderr}")

    def kill_window(self) -> None:
        """End Claude Code as a crash would."""
        pid = self.claude.pid
        psutil.Process(pid).kill()
        self.claude.wait()
        assert not lives(pid)

    def relays(self) -> list[psutil.Process]:
        """Those that run."""
        found = []
        for process in self.stage.project.processes():
            with suppress(psutil.Error):
                if process.cmdline()[-1:] == ["serve"]:
                    found.append(process)
        return found

    def play(self, kind: Callable[["Delegation"], None]) -> None:
        """One round."""
        name = kind.__name__
        self.rounds[name] += 1
        try:
            kind(self)
        except Exception as error:
            raise RuntimeError(f"in round {self.rounds.total()}, {name}") from error
        pool = self.stage.project.pool_pid()
        programs = [("relay", relay.pid) for relay in self.relays()]
        for program, pid in [("pool", pool), *programs] if pool else programs:
            with suppress(psutil.Error):
                megabytes = psutil.Process(pid).memory_info().rss / 1e6
                self.samples.setdefault((program, pid), []).append(megabytes)
        self.stage.api.forget()

    def memory(self) -> list[Memory]:
        """Of each program that lived for more than one round."""
        return [
            Memory(program, pid, len(taken), taken[0], taken[-1], max(taken))
            for (program, pid), taken in self.samples.items()
            if len(taken) > 1
        ]

    def compare(self) -> Counter[str]:
        """Note where the ledger and what the model was sent differ; the outcomes there are."""
        entries = read(Path(self.stage.project.place.folder) / "ledger.sqlite")
        for one in self.handed:
            found = [entry for entry in entries if one.word in entry.text]
            if len(found) != 1:
                self.wrong.append(f"{one}: {len(found)} tasks in the ledger")
                continue
            if _differs(one, found[0]):
                self.wrong.append(f"{one}: {found[0]}")
        self.expect(
            len(entries) == len(self.handed),
            f"{len(entries)} tasks in the ledger, {len(self.handed)} were handed over",
        )
        return Counter(str(entry.outcome) for entry in entries)


def _differs(one: Handed, entry: Entry) -> bool:
    if entry.state != "ended" or entry.outcome not in one.may_end:
        return True
    if entry.outcome == "result":
        return not one.word == entry.reply == one.seen
    return one.seen is not None and not one.seen.startswith(entry.outcome or "?")


KINDS: Final[tuple[tuple[Callable[[Delegation], None], int], ...]] = (
    (Delegation.answered, 20),
    (Delegation.followed_up, 4),
    (Delegation.side_by_side, 8),
    (Delegation.in_the_background, 4),
    (Delegation.client_gives_up, 2),
    (Delegation.failed, 4),
    (Delegation.misspelt, 2),
    (Delegation.crashed, 4),
    (Delegation.native, 2),
    (Delegation.interrupted, 4),
    (Delegation.relay_killed, 2),
    (Delegation.window_closed, 2),
    (Delegation.pool_stopped, 1),
    (Delegation.pool_killed, 1),
)
"""What a round may be, and how often."""


def run(base: Path, minutes: float, seed: int, *, real: bool = False) -> Report:
    """Play every kind once, and on until the time is over.

    Args:
        base: an empty folder.
        minutes: how long; 0: each kind once.
        seed: of the order.
        real: the agents are the real CLI, too.
    """
    started = time.monotonic()
    project = Project(base)
    for agent in AGENTS:
        project.write_agent(agent, f"You are the {agent}.", "tools: Bash")
    project.write_config(CONFIG)
    with LoopbackAPI() as api:
        stage = Stage(project, api, ensure().argv, base / "b")
        agents_cli = shlex.join(stage.cli) if real else REHEARSAL
        played = Delegation(stage, agents_cli, random.Random(seed))
        try:
            _play_all(played, started + minutes * 60)
        finally:
            trio.run(project.close)
    return Report(
        minutes=round((time.monotonic() - started) / 60, 2),
        rounds=dict(played.rounds),
        tasks=len(played.handed),
        outcomes=dict(played.compare()),
        memory=played.memory(),
        wrong=played.wrong,
    )


def _play_all(played: Delegation, until_s: float) -> None:
    played.stage.install_plugin()
    played.open_window()
    try:
        for kind, _ in KINDS:
            played.play(kind)
        kinds, weights = zip(*KINDS, strict=True)
        while time.monotonic() < until_s:
            played.play(*played.chance.choices(kinds, weights))
    finally:
        played.claude.close()
    played.stop()
    left = played.stage.commands()
    played.expect(not left, f"processes are left: {left}")


def main() -> int:
    """Play and print; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="default: 60")
    parser.add_argument("--seed", type=int, default=1, help="of the order; default: 1")
    parser.add_argument("--real", action="store_true", help="the agents are Claude Code, too")
    parser.add_argument("--short", action="store_true", help="each kind of round once")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args()
    session.EXIT_TIMEOUT_S = LIMIT_S
    with tempfile.TemporaryDirectory() as folder:
        minutes = 0 if given.short else given.minutes
        report = run(Path(folder), minutes, given.seed, real=given.real)
    print(json.dumps(asdict(report), indent=2)) if given.json else _print(report)
    return 1 if report.wrong else 0


def _print(report: Report) -> None:
    print(f"Claude Code {DEFAULT_VERSION}, {report.minutes} minutes, {report.tasks} tasks")
    for title, counts in (("rounds", report.rounds), ("outcomes", report.outcomes)):
        print(f"\n{title}: " + ", ".join(f"{name} {n}" for name, n in sorted(counts.items())))
    print(f"\n{'program':<8}{'pid':>9}{'rounds':>8}{'first MB':>10}{'last MB':>9}{'most MB':>9}")
    for one in report.memory:
        print(
            f"{one.program:<8}{one.pid:>9}{one.rounds:>8}"
            f"{one.first_mb:>10.1f}{one.last_mb:>9.1f}{one.most_mb:>9.1f}"
        )
    print("\n" + ("\n".join(report.wrong) or "nothing was lost, mixed up or left"))


if __name__ == "__main__":
    sys.exit(main())
