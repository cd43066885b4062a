"""What processes cost, and what is left of them: killing, restarting, watching, many at once.

    python -m benchmarks.processes [--short] [--only PART]

Prints, each beside a floor from the same run: survivors after SIGKILL of a pool's program; the
start and the end of many children; a child's replacement; how far a growing child gets past its
ceiling; the memory governor's CPU. `--short` takes some twenty seconds. Linux only.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import trio

from benchmarks import agents
from supervisor.place import TAG
from supervisor.pool.budget import Budget
from supervisor.pool.memory import MemoryGovernor, Watched
from supervisor.process import (
    Child,
    Command,
    GrowthClock,
    LocalHost,
    ProcessId,
    become_subreaper,
    end_subtree,
    marks,
    scan,
    use_cgroups,
)
from supervisor.tree import ChildSpec, Supervisor, SupervisorFlags

MARK = "AGENT_POOL_BENCHMARK"
KINDS = {
    "plain": "exec sleep 1000",
    "ignores TERM": "trap '' TERM; exec sleep 1000",
    "background child": "sleep 1000 & wait",
    "setsid grandchild": "setsid sleep 1000 & wait",
    "double-forked daemon": "(setsid sh -c 'sleep 1000 &' &); exec sleep 1000",
    "stopped": "sleep 1000 & kill -STOP $$; wait",
}
SLEEPS = (1, 1, 1, 1, 2, 1)
"""How many `sleep`s each kind comes to."""

TURNS = 5
"""How often each way of a comparison comes by turns."""

CEILING = 200_000_000
DEFAULT_CEILING = 2**31
GROW = """
import mmap, os, sys, time
progress = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 8)
rate, piece = float(sys.argv[2]), b'x' * 2**18
room = mmap.mmap(-1, 2**31, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
print(flush=True)
sys.stdin.readline()
total = int(open('/proc/self/statm').read().split()[1]) * mmap.PAGESIZE
began, first = time.monotonic(), total
while True:
    while total - first < (time.monotonic() - began) * rate:
        room.write(piece)
        total += len(piece)
        progress[:] = total.to_bytes(8, 'little')
    time.sleep(0.0005)
"""
"""Grows at a word, and writes its size down as it does: nobody could ask it afterwards."""

GROWERS = {
    "the leader": ("exec", '"$@"'),
    "a setsid grandchild, from its birth": ("echo; read word; setsid", '"$@" & wait'),
}
"""Who grows → what a shell makes of the command that does."""


def main() -> int:
    """Measure and print."""
    parts: dict[str, Callable[[bool], None]] = {
        "survivors": lambda short: _survivors((12,) if short else (10, 100, 1000)),
        "many": lambda short: trio.run(_many, 100 if short else 1000),
        "replacement": lambda short: trio.run(_replacement, 5 if short else 200),
        "overshoot": lambda short: trio.run(
            _overshoot, *(((1e9,), 1) if short else ((100e6, 1e9), 10))
        ),
        "agents": lambda short: agents.measure(short, real=False),
        "real agents": lambda short: agents.measure(short, real=True),
        "governor": lambda short: trio.run(
            _governor, *(((10,), 1) if short else ((10, 100, 500, 1000), 10))
        ),
    }
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="smaller numbers, for CI")
    parser.add_argument("--only", choices=parts, help="this part alone")
    parser.add_argument("--program", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.program:
        return _program(given.program)
    for name, measure in parts.items():
        if given.only in (None, name):
            measure(given.short)
    return 0


def _row(what: str, value: str, floor: str = "") -> None:
    print(f"{what:<58}{value:>16}{floor:>32}", flush=True)


def _command(argv: tuple[str, ...], **extra: str) -> Command:
    env = {"PATH": os.environ.get("PATH", os.defpath), **extra}
    return Command(argv, Path("/"), env, TAG, f"bench.{uuid.uuid4().hex}")


# survivors


def _program(count: int) -> int:
    """A pool's program with `count` children of all kinds, below its outer reaper."""
    from supervisor import reaper

    async def serve() -> None:
        become_subreaper()
        commands = list(KINDS.values())
        for number in range(count):
            argv = ("sh", "-c", commands[number % len(commands)])
            await Child.start(_command(argv, **{MARK: os.environ[MARK]}))
        print(os.getpid(), flush=True)
        await trio.sleep_forever()

    def pool() -> int:
        trio.run(serve)
        return 0

    return reaper.guard(pool, lambda: None)


def _survivors(counts: tuple[int, ...]) -> None:
    print("SIGKILL of the pool: survivors, and how long until the last was gone")
    for count in counts:
        left, spent, number = _kill_program(count, _kill_pool)
        _, floor, _ = _kill_program(count, _kill_each)
        floor_text = f"each killed by hand: {floor * 1000:.0f} ms"
        _row(
            f"  {count} children, {number} processes",
            f"{left} left, {spent * 1000:.0f} ms",
            floor_text,
        )


def _kill_pool(pool: int, _: list[int]) -> None:
    os.kill(pool, signal.SIGKILL)


def _kill_each(pool: int, others: list[int]) -> None:
    """What a program could do that knew everybody, and could not be killed itself."""
    for pid in (*others, pool):
        with suppress(ProcessLookupError):  # some have died of others' deaths
            os.kill(pid, signal.SIGKILL)


def _kill_program(count: int, kill: Callable[[int, list[int]], None]) -> tuple[int, float, int]:
    """Survivors after 3 s, seconds until the last was gone, and how many processes there were."""
    mark = uuid.uuid4().hex
    argv = [sys.executable, "-m", "benchmarks.processes", "--program", str(count)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, MARK: mark}
    ) as program:
        assert program.stdout
        pool = int(program.stdout.readline())
        expected = sum(SLEEPS[number % len(SLEEPS)] for number in range(count))
        while len(found := _marked(mark)) < expected or _sleeping(found) < expected:
            time.sleep(0.02)
        below = {pid: found[pid] for pid in found if pid not in (pool, program.pid)}
        began = time.perf_counter()
        kill(pool, list(below))
        spent = _until_gone(below, began)
        program.wait()
        left = _marked(mark)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    return len(left), spent, len(below)


def _marked(mark: str) -> dict[int, ProcessId]:
    seen = scan()
    return {
        pid: seen[pid].id
        for pid, value in marks(MARK, seen).items()
        if value == mark and not seen[pid].zombie
    }


def _sleeping(pids: dict[int, ProcessId]) -> int:
    count = 0
    for pid in pids:
        try:
            count += Path(f"/proc/{pid}/comm").read_bytes() == b"sleep\n"
        except OSError:
            continue
    return count


def _until_gone(processes: dict[int, ProcessId], began: float) -> float:
    """Seconds since `began` until the last has gone; 3 s at most."""
    rest = set(processes)
    while rest and time.perf_counter() - began < 3:
        rest = {pid for pid in rest if _there(pid)}
        time.sleep(0.001)
    return time.perf_counter() - began


def _there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in (b"Z", b"X")


# a child's replacement


async def _replacement(rounds: int) -> None:
    print("a small child (cat) killed, until its replacement has answered: medians")
    become_subreaper()  # as the pool's program is
    ways: dict[str, Callable[[int], Awaitable[list[float]]]] = {
        "under a supervisor, its tree swept first": _supervised,
        "the same, while another child's daemon lives": _beside_daemon,
        "the same as the first, in a cgroup": _in_cgroup,
    }
    floor: list[float] = []
    taken: dict[str, list[float]] = {what: [] for what in ways}
    for _ in range(TURNS):  # by turns, so that a busy moment meets all of them
        floor += await _bare(rounds // TURNS)
        for what, way in ways.items():
            taken[what] += await way(rounds // TURNS)
    bare = statistics.median(floor)
    for what in filter(taken.get, ways):
        ours = statistics.median(taken[what])
        ratio = f"bare Trio: {bare * 1000:.1f} ms ({ours / bare:.1f} times)"
        _row(f"  {what}", f"{ours * 1000:.1f} ms", ratio)


async def _beside_daemon(rounds: int) -> list[float]:
    other = await Child.start(_command(("sh", "-c", KINDS["double-forked daemon"])))
    try:
        return await _supervised(rounds)
    finally:
        await other.end()


async def _in_cgroup(rounds: int) -> list[float]:
    """Nothing, where there can be none."""
    subtree = use_cgroups(f"benchmark-{os.getpid()}")
    if subtree is None:
        return []
    try:
        return await _supervised(rounds)
    finally:
        end_subtree(subtree)


async def _supervised(rounds: int) -> list[float]:
    ready, answer = trio.open_memory_channel[int](1)

    async def worker(*, task_status: trio.TaskStatus[None]) -> None:
        child = await Child.start(_command(("cat",)))
        try:
            task_status.started()
            await child.stdin.send_all(b"x")
            await child.stdout.receive_some(1)
            await ready.send(child.pid)
            await child.exited()
        finally:
            await child.end()
        raise RuntimeError("it was killed")

    spec = ChildSpec("cat", worker, restart="permanent", shutdown="infinity")
    supervisor = Supervisor("bench", SupervisorFlags(intensity=10**6), [spec])
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        spent = await _timed(rounds, answer.receive)
        nursery.cancel_scope.cancel()
    return spent


async def _bare(rounds: int) -> list[float]:
    """The same by hand: nobody looks for what the child has started."""
    ready, answer = trio.open_memory_channel[int](1)

    async def work() -> None:
        while True:
            process = await trio.lowlevel.open_process(
                ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert process.stdin
            assert process.stdout
            assert process.stderr
            async with process.stdin, process.stdout, process.stderr:
                try:
                    await process.stdin.send_all(b"x")
                    await process.stdout.receive_some(1)
                    await ready.send(process.pid)
                    await process.wait()
                finally:
                    process.kill()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        spent = await _timed(rounds, answer.receive)
        nursery.cancel_scope.cancel()
    return spent


async def _timed(rounds: int, next_pid: Callable[[], Awaitable[int]]) -> list[float]:
    spent = []
    pid = await next_pid()
    for _ in range(rounds):
        began = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        pid = await next_pid()
        spent.append(time.perf_counter() - began)
    return spent


# memory


class _Ender:
    """In place of a worker: ends the child that the governor says is over its ceiling."""

    def __init__(self) -> None:
        self.is_over = trio.Event()

    def over_hard_ceiling(self, _: object) -> None:
        self.is_over.set()

    def recycle(self, _: object) -> None:
        """It has no task."""


def _watched(child: Child, ender: _Ender, ceiling: int = CEILING) -> Watched:
    settings = SimpleNamespace(soft_ceiling=ceiling, hard_ceiling=ceiling, max_growth=0)
    return Watched("bench", child, cast(Any, settings), ender, cast(Any, child))


def _new_governor(watched: list[Watched]) -> MemoryGovernor:
    settings = SimpleNamespace(budget=0, min_available=0)
    budget = Budget(list, lambda: cast(Any, settings), lambda _: None)
    return MemoryGovernor(lambda: watched, LocalHost(TAG), budget, lambda _: None)


async def _overshoot(rates: tuple[float, ...], rounds: int) -> None:
    print(f"a child that grows past its ceiling of {CEILING / 1e6:.0f} MB: how far, median (worst)")
    for who, around in GROWERS.items():
        for rate in rates:
            over = [await _grow(around, rate) for _ in range(rounds)]
            value = f"{statistics.median(over):.1f} ({max(over):.1f}) MB"
            per_sample = f"growth in 10 ms: {rate / 1e8:.0f} MB"
            _row(f"  {who}, at {rate / 1e6:.0f} MB/s", value, per_sample)


async def _grow(around: tuple[str, str], rate: float) -> float:
    with tempfile.NamedTemporaryFile() as progress:
        progress.write(bytes(8))
        progress.flush()
        grow = (sys.executable, "-S", "-c", GROW, progress.name, str(rate))
        child = await Child.start(_command(("sh", "-c", " ".join(around), "sh", *grow)))
        await child.stdout.receive_some(1)
        ender = _Ender()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_new_governor([_watched(child, ender)]).run)
            await trio.sleep(random.uniform(0.5, 1.5))  # it may begin at any point of a sweep
            await child.stdin.send_all(b"\n")
            await ender.is_over.wait()
            await child.end()
            nursery.cancel_scope.cancel()
        progress.seek(0)
        return (int.from_bytes(progress.read(8), "little") - CEILING) / 1e6


async def _governor(counts: tuple[int, ...], seconds: int) -> None:
    print("the memory governor's CPU, with idle children, of a core; memory that others were given")
    for count in counts:
        children = [await Child.start(_command(("sleep", "1000"))) for _ in range(count)]
        for ceiling in (DEFAULT_CEILING, CEILING):
            share, handed_out = await _share_of(children, ceiling, seconds)
            what = f"  {count} children, ceiling {ceiling / 1e6:.0f} MB"
            _row(what, f"{share:.2%}", f"{handed_out / 1e6:.0f} MB/s")
        await _end_all(children)


async def _share_of(children: list[Child], ceiling: int, seconds: int) -> tuple[float, float]:
    """The governor's share of a core, and bytes a second that the machine handed out."""
    governor = _new_governor([_watched(child, _Ender(), ceiling) for child in children])
    clock = GrowthClock(2**60, trio.current_time())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(governor.run)
        await trio.sleep(min(2, seconds))  # what it does but once is not its cost
        given = clock.read(trio.current_time())
        before, began = time.process_time(), time.perf_counter()
        await trio.sleep(seconds)
        took = time.perf_counter() - began
        share = (time.process_time() - before) / took
        given = clock.read(trio.current_time()) - given
        nursery.cancel_scope.cancel()
    clock.close()
    return share, given / took


# many


async def _many(count: int) -> None:
    print(f"{count} children (cat) at once")
    become_subreaper()  # as the pool's program is
    before = _resident()
    began = time.perf_counter()
    children: list[Child] = []
    gate = trio.CapacityLimiter(4)

    async def start() -> None:
        async with gate:
            children.append(await Child.start(_command(("cat",))))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(start)
    started_s = time.perf_counter() - began
    grown = _resident() - before
    began = time.perf_counter()
    await _end_all(children)
    ended_s = time.perf_counter() - began
    start_floor, end_floor = _bare_children(count)
    _row("  started", f"{started_s:.2f} s", f"subprocess: {start_floor:.2f} s")
    _row("  ended, nothing left", f"{ended_s:.2f} s", f"kill and wait: {end_floor:.2f} s")
    _row("  memory of this program per child", f"{grown / count / 1024:.1f} KiB")


def _bare_children(count: int) -> tuple[float, float]:
    """Seconds to start them, and to end them, by hand and one after the other."""
    pipe = subprocess.PIPE
    began = time.perf_counter()
    children = [
        subprocess.Popen(["cat"], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        for _ in range(count)
    ]
    started_s = time.perf_counter() - began
    began = time.perf_counter()
    for child in children:
        child.kill()
    for child in children:
        with child:
            child.wait()
    return started_s, time.perf_counter() - began


def _resident() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _end_all(children: list[Child]) -> None:
    async with trio.open_nursery() as nursery:
        for child in children:
            nursery.start_soon(child.end)


if __name__ == "__main__":
    sys.exit(main())
