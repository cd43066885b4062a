"""What the ledger costs, and how fast it answers with a week of tasks in it.

    python -m benchmarks.ledger [--short] [--json] [--folder FOLDER]

Accepting: one after the other (each waits for its own commit), and many at once (those that wait
share one), beside the floor of the same run: one `fdatasync`, and the same insert by bare SQLite.
Asking: 200,000 tasks of a week, of 12 agents, a fifth of them in 1,200 conversations (2,500 in the
short form); every figure is a median of seven. `stalls` is how long the Trio run was kept from
other work at most, meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import trio

from supervisor.ledger import Attempt, Failure, Ledger, Settings, TaskFilter, TaskRecord, Usage
from supervisor.ledger._changes import Change, write
from supervisor.ledger._replies import ReplyFiles
from supervisor.ledger._schema import open_writer

WEEK_S = 7 * 86_400
AGENTS = 12
TEXT = "Look at src/parser.py, and tell what is wrong with it. " * 20
REPLY = "The function parse_header reads past the end of its buffer. " * 60


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    name: str
    value: float
    unit: str


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="few tasks, few rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    given = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for row in _measured(Path(folder), short=given.short):
            rows.append(row)
            if not given.json:
                print(f"{row.name:<58}{row.value:>12,.2f} {row.unit}", flush=True)
    if given.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}, indent=2))
    return 0


def _measured(folder: Path, *, short: bool) -> Iterator[Row]:
    tasks, accepts = (2_500, 100) if short else (200_000, 3_000)
    yield Row("floor: one fdatasync", _fdatasync_ms(folder), "ms")
    yield Row("floor: an insert by bare SQLite, synchronous NORMAL", _bare_ms(folder), "ms")
    for name, sync_every_s in (("", 1.0), (", each synced to the disk", 0.0)):
        (place := folder / f"accept{sync_every_s}").mkdir()
        yield from trio.run(_accepting, place, name, sync_every_s, accepts)
    week = folder / "week"
    began = time.perf_counter()
    now = _fill(week, tasks)
    size = (week / "ledger.sqlite").stat().st_size
    yield Row(f"{tasks:,} tasks written in one transaction", time.perf_counter() - began, "s")
    yield Row(f"{tasks:,} tasks with texts and replies take", size / 2**20, "MiB")
    yield from trio.run(_asking, week, now)


# ---- floors


def _fdatasync_ms(folder: Path) -> float:
    fd = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY)
    taken = []
    for _ in range(100):
        os.write(fd, bytes(8_192))
        began = time.perf_counter()
        os.fdatasync(fd)
        taken.append(time.perf_counter() - began)
    os.close(fd)
    return statistics.median(taken) * 1e3


def _bare_ms(folder: Path) -> float:
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = NORMAL",
        "CREATE TABLE task (id TEXT PRIMARY KEY, content BLOB)",
    ):
        connection.execute(statement)
    taken = []
    for number in range(500):
        began = time.perf_counter()
        connection.execute("INSERT INTO task VALUES (?, ?)", (f"t-{number}", TEXT.encode()))
        taken.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(taken) * 1e3


# ---- accepting


async def _accepting(folder: Path, name: str, sync_every_s: float, accepts: int) -> list[Row]:
    settings = Settings(sync_every_s=sync_every_s)
    async with await Ledger.open(folder / "ledger.sqlite", folder / "replies", settings) as ledger:
        taken = []
        for number in range(300):
            record = TaskRecord(f"t-a{number}", "agent", time.time())
            began = time.perf_counter()
            await ledger.accept(record, TEXT)
            taken.append(time.perf_counter() - began)
        taken.sort()
        rows = [
            Row(f"accept, one at a time{name}: median", statistics.median(taken) * 1e3, "ms"),
            Row(f"accept, one at a time{name}: p99", taken[-3] * 1e3, "ms"),
        ]
        for at_once in (8, 64, 1_000):
            rate = await _grouped(ledger, at_once, accepts)
            rows.append(Row(f"accept, {at_once:,} at once{name}", rate, "/s"))
        if sync_every_s:
            rows.append(Row("a task's start and end told", await _told_us(ledger), "us"))
    return rows


async def _grouped(ledger: Ledger, at_once: int, accepts: int) -> float:
    rounds = max(1, accepts // at_once)

    async def caller(number: int) -> None:
        for turn in range(rounds):
            record = TaskRecord(f"t-{at_once}-{number}-{turn}", "agent", time.time())
            await ledger.accept(record, TEXT)

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(at_once):
            nursery.start_soon(caller, number)
    return at_once * rounds / (time.perf_counter() - began)


async def _told_us(ledger: Ledger) -> float:
    """What `started` and `ended` take of the Trio run, for one task."""
    taken = []
    for number in range(300):
        began = time.perf_counter()
        ledger.started(f"t-a{number}", 4711)
        ledger.ended(f"t-a{number}", "result", reply=REPLY, usage=Usage(1, 2, 3, 4), cost_usd=0.1)
        taken.append(time.perf_counter() - began)
        await ledger.written(f"t-a{number}")
    return statistics.median(taken) * 1e6


# ---- asking


def _fill(folder: Path, tasks: int) -> float:
    """A ledger with a week of ended tasks; returns when the week ended."""
    folder.mkdir()
    chance, now = random.Random(1), float(int(time.time()))
    files = ReplyFiles(folder / "replies")
    connection = open_writer(folder / "ledger.sqlite", 5)
    connection.execute("PRAGMA cache_size = -100000")  # it is only to be there soon
    connection.execute("BEGIN IMMEDIATE")
    for number in range(1, tasks + 1):
        at = now - WEEK_S + WEEK_S * number / (tasks + 1)
        new = _record(chance, number, at)
        write(connection, files, Change(new, is_new=True, text=TEXT[: chance.randrange(900)]))
        reply = REPLY[: chance.randrange(3_000)]
        write(connection, files, Change(_ended(chance, new), reply=reply))
    connection.execute("COMMIT")
    connection.close()
    return now


def _record(chance: random.Random, number: int, at: float) -> TaskRecord:
    agent = f"agent-{chance.randrange(AGENTS)}"
    conversation = f"{agent}, conversation {chance.randrange(100)}"
    return TaskRecord(
        f"t-{number:012x}",
        agent,
        at,
        caller=f"claude-code #{chance.randrange(5)}",
        conversation=conversation if chance.random() < 0.2 else None,
        number=number,
    )


def _ended(chance: random.Random, record: TaskRecord) -> TaskRecord:
    started_at = record.accepted_at + chance.expovariate(1 / 5)
    ended_at = started_at + chance.expovariate(1 / 40)
    failed = chance.random() < 0.07
    code = chance.choice(("agent_crashed", "deadline_exceeded", "cancelled"))
    return replace(
        record,
        state="ended",
        started_at=started_at,
        ended_at=ended_at,
        attempts=(Attempt(1, 4711, started_at, ended_at),),
        outcome=code if failed else "result",
        failure=Failure("It failed.", "Look before you send it again.") if failed else None,
        usage=Usage(chance.randrange(5_000), chance.randrange(2_000), chance.randrange(200_000)),
        cost_usd=chance.random(),
    )


async def _asking(folder: Path, now: float) -> list[Row]:
    rows: list[Row] = []
    began = time.perf_counter()
    ledger = await Ledger.open(folder / "ledger.sqlite", folder / "replies")
    rows.append(Row("open", (time.perf_counter() - began) * 1e3, "ms"))
    async with ledger, trio.open_nursery() as nursery:
        stalls = Stalls()
        nursery.start_soon(stalls.watch)
        for name, question in _questions(ledger, now):
            rows.append(Row(name, await _median_ms(question), "ms"))
        rows.append(Row("prune, with nothing to take", await _median_ms(ledger.prune), "ms"))
        rows.append(Row("check of the whole file", await _median_ms(ledger.check), "ms"))
        rows.append(Row("stalls of the Trio run, at most", stalls.longest_s * 1e3, "ms"))
        nursery.cancel_scope.cancel()
    return rows


def _questions(ledger: Ledger, now: float) -> Iterator[tuple[str, Callable[[], Awaitable[object]]]]:
    one, both = TaskFilter(agent="agent-3"), TaskFilter(agent="agent-3", outcome="cancelled")
    rare = TaskFilter(agent="agent-3", caller="nobody", state="ended")
    yield "get", lambda: ledger.get("t-0000000003ff")
    yield "reply_of", lambda: ledger.reply_of("t-0000000003ff")
    yield "tasks: the newest 50", ledger.tasks
    yield "tasks: of an agent", lambda: ledger.tasks(one)
    yield "tasks: of an agent, with an outcome", lambda: ledger.tasks(both)
    yield "tasks: of an agent and a caller that has none", lambda: ledger.tasks(rare)
    yield "tasks: open", lambda: ledger.tasks(TaskFilter(state="queued"))
    yield "tasks: of the last day", lambda: ledger.tasks(TaskFilter(since=now - 86_400))
    yield "tasks: from the middle on", lambda: ledger.tasks(before="t-000000000800")
    for by in ("pool", "agent", "conversation", "day"):
        yield f"stats by {by}: the week", partial(ledger.stats, by)
    yield "stats by agent: the last day", lambda: ledger.stats("agent", since=now - 86_400.5)
    yield "spent: the last day", lambda: ledger.spent(since=now - 86_400.5)
    yield "spent: an agent, the last day", lambda: ledger.spent("agent-3", since=now - 86_400.5)


async def _median_ms(question: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        await question()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


class Stalls:
    """How long the Trio run was kept from this task."""

    longest_s = 0.0

    async def watch(self) -> None:
        while True:
            began = time.perf_counter()
            await trio.sleep(0.001)
            self.longest_s = max(self.longest_s, time.perf_counter() - began - 0.001)


if __name__ == "__main__":
    sys.exit(main())
