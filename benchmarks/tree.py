"""What supervision costs: restarts, memory, start and stop of many children.

    python -m benchmarks.tree [--short] [--json] [--soak SECONDS]

Every figure is a median of several rounds, beside the same done by hand on Trio (a loop that
respawns a task in a nursery and waits until it is up: the floor) and, where `erl` is on the PATH,
by OTP's own supervisor, all in the same run. `--soak` instead: 10,000 children under random exits,
and what that does to the resident memory.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psutil
import trio

from supervisor.tree import (
    ChildSpec,
    DynamicSupervisor,
    Strategy,
    Supervisor,
    SupervisorFlags,
)

SIZES = (10, 1_000, 10_000)
ONE_AT_A_TIME = 500
"""Restarts a round, where they come one at a time."""
UNLIMITED = 1_000_000_000
"""An intensity that is never exceeded."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="one round, and no 10,000 children")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="memory under random exits")
    given = parser.parse_args()
    if given.soak is not None:
        trio.run(_soak, given.soak)
        return 0
    rounds, most = (1, 1_000) if given.short else (7, SIZES[-1])
    erl = shutil.which("erl")
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(erl, folder, most) if erl else None
        rows = _measured(rounds, most, peer)
    if given.json:
        print(json.dumps(_as_json(rows, peer), indent=2))
    else:
        _print(rows, peer)
    return 0


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, of the floor and of the tree."""

    name: str
    n: int
    unit: str
    bare: float
    tree: float

    @property
    def ratio(self) -> float:
        """The tree's cost, in costs of the floor."""
        return self.bare / self.tree if self.unit == "/s" else self.tree / self.bare


# ---- the children


class Status(Protocol):
    """What a child says that it is up to."""

    def started(self, value: Any = None) -> None: ...


class Troupe:
    """`n` trivial children: each is up at once, and ends when it is told to leave."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.leave = [trio.Event() for _ in range(n)]
        self._missing = n
        self._all_up = trio.Event()

    async def child(self, number: int, *, task_status: Status) -> None:
        leave = self.leave[number] = trio.Event()
        task_status.started()
        self._missing -= 1
        if self._missing == 0:
            self._all_up.set()
        await leave.wait()

    def expect(self, n: int) -> None:
        """Before `n` children are started."""
        self._missing = n
        self._all_up = trio.Event()

    async def all_up(self) -> None:
        """Wait for those that were expected."""
        await self._all_up.wait()

    async def restart(self, numbers: range) -> None:
        """Have them leave, all at once, and wait until they are up again."""
        self.expect(len(numbers))
        for number in numbers:
            self.leave[number].set()
        await self._all_up.wait()

    @property
    def all(self) -> range:
        """The numbers of all children."""
        return range(self.n)


class Stop(Protocol):
    """What ends all children of a cast, and returns when they have ended."""

    async def __call__(self) -> None: ...


class Keeper(Protocol):
    """Whoever starts the children of a troupe and keeps them up; gives the way to end them."""

    def __call__(self, troupe: Troupe, nursery: trio.Nursery) -> Awaitable[Stop]: ...


# ---- three keepers


class _Up:
    """The least that a start can be waited for with."""

    def __init__(self) -> None:
        self.event = trio.Event()

    def started(self, value: Any = None) -> None:
        self.event.set()


async def by_hand(troupe: Troupe, nursery: trio.Nursery) -> Stop:
    """Keep them up with a loop and a nursery: the floor."""
    told, ends = trio.open_memory_channel[int](float("inf"))
    stopped = trio.Event()

    async def live(number: int, status: _Up) -> None:
        await troupe.child(number, task_status=status)
        told.send_nowait(number)

    async def keep() -> None:
        async with trio.open_nursery() as children:

            async def start(number: int) -> None:
                status = _Up()
                children.start_soon(live, number, status)
                await status.event.wait()

            scope.append(children.cancel_scope)
            for number in troupe.all:
                await start(number)
            async for number in ends:
                await start(number)
        stopped.set()

    async def stop() -> None:
        scope[0].cancel()
        await stopped.wait()

    scope: list[trio.CancelScope] = []
    nursery.start_soon(keep)
    await troupe.all_up()
    return stop


async def by_supervisor(
    troupe: Troupe, nursery: trio.Nursery, strategy: Strategy = "one_for_one"
) -> Stop:
    """Keep them up with a supervisor of `n` child specs."""
    specs = [ChildSpec(f"c{i}", partial(troupe.child, i)) for i in troupe.all]
    supervisor = Supervisor("bench", SupervisorFlags(strategy, UNLIMITED, 1), specs)
    await nursery.start(supervisor.run)
    return supervisor.stop


async def by_dynamic_supervisor(troupe: Troupe, nursery: trio.Nursery) -> Stop:
    """Keep them up with a supervisor of one template."""
    flags = SupervisorFlags("simple_one_for_one", UNLIMITED, 1)
    supervisor = DynamicSupervisor("bench", ChildSpec("c", troupe.child), flags)
    await nursery.start(supervisor.run)
    for number in troupe.all:
        await supervisor.start_child(number)
    return supervisor.stop


async def by_hand_together(troupe: Troupe, nursery: trio.Nursery) -> Stop:
    """Cancel all and start all again when one leaves: the floor of one_for_all."""
    stopped = trio.Event()
    over = False

    async def keep() -> None:
        while not over:
            async with trio.open_nursery() as children:
                scopes[:] = [children.cancel_scope]

                async def live(number: int, status: _Up) -> None:
                    await troupe.child(number, task_status=status)
                    scopes[0].cancel()

                for number in troupe.all:
                    status = _Up()
                    children.start_soon(live, number, status)
                    await status.event.wait()
        stopped.set()

    async def stop() -> None:
        nonlocal over
        over = True
        scopes[0].cancel()
        await stopped.wait()

    scopes: list[trio.CancelScope] = []
    nursery.start_soon(keep)
    await troupe.all_up()
    return stop


# ---- what is measured


@asynccontextmanager
async def _kept(keeper: Keeper, n: int) -> AsyncIterator[Troupe]:
    troupe = Troupe(n)
    async with trio.open_nursery() as nursery:
        stop = await keeper(troupe, nursery)
        yield troupe
        await stop()


async def _one_at_a_time(keeper: Keeper, n: int) -> float:
    """Restarts per second."""
    async with _kept(keeper, n) as troupe:
        numbers = [i * 7 % n for i in range(ONE_AT_A_TIME)]
        began = time.perf_counter()
        for number in numbers:
            await troupe.restart(range(number, number + 1))
        return ONE_AT_A_TIME / (time.perf_counter() - began)


async def _all_at_once(keeper: Keeper, n: int) -> float:
    """Restarts per second. Few children restart more than once, to have something to measure."""
    times = max(1, 1_000 // n)
    async with _kept(keeper, n) as troupe:
        began = time.perf_counter()
        for _ in range(times):
            await troupe.restart(troupe.all)
        return times * n / (time.perf_counter() - began)


async def _together(keeper: Keeper, n: int) -> float:
    """Milliseconds from the end of one child until all are up again."""
    async with _kept(keeper, n) as troupe:
        began = time.perf_counter()
        troupe.expect(n)
        troupe.leave[n // 2].set()
        await troupe.all_up()
        return (time.perf_counter() - began) * 1000


async def _start(keeper: Keeper, n: int) -> float:
    """Milliseconds until `n` children are up."""
    troupe = Troupe(n)
    async with trio.open_nursery() as nursery:
        began = time.perf_counter()
        stop = await keeper(troupe, nursery)
        spent = time.perf_counter() - began
        await stop()
    return spent * 1000


async def _stop(keeper: Keeper, n: int) -> float:
    """Milliseconds until `n` children have ended."""
    troupe = Troupe(n)
    async with trio.open_nursery() as nursery:
        stop = await keeper(troupe, nursery)
        began = time.perf_counter()
        await stop()
    return (time.perf_counter() - began) * 1000


async def _memory(keeper: Keeper, n: int) -> float:
    """Bytes a child, as tracemalloc counts them, without the child's own Event."""
    gc.collect()
    tracemalloc.start()
    try:
        troupe = Troupe(n)
        before = tracemalloc.get_traced_memory()[0]
        async with trio.open_nursery() as nursery:
            stop = await keeper(troupe, nursery)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
            await stop()
    finally:
        tracemalloc.stop()
    return grown / n


@dataclass(frozen=True, slots=True)
class Case:
    """One figure that is wanted."""

    name: str
    n: int
    unit: str
    measure: Callable[[Keeper, int], Awaitable[float]]
    tree: Keeper = by_supervisor
    bare: Keeper = by_hand
    heavy: bool = False
    """It comes out the same each time, so one round will do."""


def _cases() -> list[Case]:
    together = partial(by_supervisor, strategy="one_for_all")
    return [
        *(Case("one_for_one, one at a time", n, "/s", _one_at_a_time) for n in SIZES),
        *(Case("one_for_one, all at once", n, "/s", _all_at_once) for n in SIZES),
        *(
            Case("simple_one_for_one, all at once", n, "/s", _all_at_once, by_dynamic_supervisor)
            for n in SIZES
        ),
        *(Case("one_for_all", n, "ms", _together, together, by_hand_together) for n in SIZES),
        *(Case("start", n, "ms", _start) for n in SIZES),
        *(Case("stop", n, "ms", _stop) for n in SIZES),
        *(Case("stop, simple_one_for_one", n, "ms", _stop, by_dynamic_supervisor) for n in SIZES),
        Case("memory a child", SIZES[-1], "bytes", _memory, heavy=True),
    ]


def _measured(rounds: int, most: int, peer: Peer | None) -> list[Row]:
    """In turns, so that what else the machine does falls on all of them."""
    cases = [case for case in _cases() if case.n <= most]
    figures: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for number in range(rounds):
        for case in cases:
            if case.heavy and number > 0:
                continue
            both = [trio.run(case.measure, keeper, case.n) for keeper in (case.bare, case.tree)]
            figures.setdefault((case.name, case.n), []).append((both[0], both[1]))
        if peer is not None:
            peer.measure()
    return [
        Row(case.name, case.n, case.unit, *map(statistics.median, zip(*taken, strict=True)))
        for case in cases
        for taken in [figures[case.name, case.n]]
    ]


# ---- OTP, the peer

ELSEWHERE = (
    "No `erl` on the PATH (Debian: erlang-base). Measured elsewhere, with OTP 25 on two cores: "
    "88,000 to 95,000 restarts a second with one child, 47,500 with 1,000 children all at once; "
    "one_for_all over 1,000 children in 4.3 ms."
)

# The fastest that OTP can do: a start is a bare spawn_link and does not wait for the child, reports
# are off (ours has no listener), and each round has a supervisor of its own: OTP goes through all
# restarts within the period at each restart, and a period is a second at least.
ERLANG = """
-module(tree_peer).
-behaviour(supervisor).
-export([main/1, init/1, start/2]).

init(Flags) -> {ok, Flags}.

start(Owner, I) -> {ok, spawn_link(fun() -> Owner ! {up, I, self()}, receive leave -> ok end end)}.

flags(Strategy) -> #{strategy => Strategy, intensity => 1000000000, period => 1}.

spec(I) -> #{id => I, start => {?MODULE, start, [self(), I]}}.

up(simple_one_for_one, N) ->
    Child = #{id => c, start => {?MODULE, start, [self()]}},
    {ok, Sup} = supervisor:start_link(?MODULE, {flags(simple_one_for_one), [Child]}),
    [{ok, _} = supervisor:start_child(Sup, [I]) || I <- lists:seq(1, N)],
    {Sup, ups(N, #{})};
up(Strategy, N) ->
    Specs = [spec(I) || I <- lists:seq(1, N)],
    {ok, Sup} = supervisor:start_link(?MODULE, {flags(Strategy), Specs}),
    {Sup, ups(N, #{})}.

ups(0, Pids) -> Pids;
ups(N, Pids) -> receive {up, I, Pid} -> ups(N - 1, Pids#{I => Pid}) end.

down(Sup) -> exit(Sup, shutdown), receive {'EXIT', Sup, _} -> ok end.

ms(Fun) ->
    T = erlang:monotonic_time(nanosecond),
    Value = Fun(),
    {(erlang:monotonic_time(nanosecond) - T) / 1.0e6, Value}.

singly(N, Times) ->
    {Sup, Pids} = up(one_for_one, N),
    Numbers = [(I * 7) rem N + 1 || I <- lists:seq(1, Times)],
    {Ms, _} = ms(fun() -> lists:foldl(fun one/2, Pids, Numbers) end),
    down(Sup),
    Times / Ms * 1000.

one(I, Pids) -> maps:get(I, Pids) ! leave, ups(1, Pids).

at_once(Strategy, N, Times) ->
    {Sup, Pids} = up(Strategy, N),
    {Ms, _} = ms(fun() -> again(N, Times, Pids) end),
    down(Sup),
    N * Times / Ms * 1000.

again(_, 0, Pids) -> Pids;
again(N, Times, Pids) ->
    [Pid ! leave || Pid <- maps:values(Pids)],
    again(N, Times - 1, ups(N, Pids)).

together(N) ->
    {Sup, Pids} = up(one_for_all, N),
    {Ms, _} = ms(fun() -> maps:get(N div 2, Pids) ! leave, ups(N, Pids) end),
    down(Sup),
    Ms.

started(N) -> {Ms, {Sup, _}} = ms(fun() -> up(one_for_one, N) end), down(Sup), Ms.

stopped(Strategy, N) ->
    {Sup, _} = up(Strategy, N), {Ms, _} = ms(fun() -> down(Sup) end), Ms.

memory(N) ->
    [erlang:garbage_collect(P) || P <- processes()],
    Before = erlang:memory(total),
    {Sup, _} = up(one_for_one, N),
    [erlang:garbage_collect(P) || P <- processes()],
    Bytes = (erlang:memory(total) - Before) / N,
    down(Sup),
    Bytes.

figure(Name, N, Fun) ->
    erlang:garbage_collect(),
    io:format("~s|~b|~f~n", [Name, N, Fun()]).

main(Sizes) ->
    process_flag(trap_exit, true),
    logger:set_primary_config(level, none),
    io:format("OTP ~s, ~b schedulers~n",
              [erlang:system_info(otp_release), erlang:system_info(schedulers_online)]),
    [sized(N) || N <- Sizes],
    figure("memory a child", lists:last(Sizes), fun() -> memory(lists:last(Sizes)) end).

sized(N) ->
    Times = max(1, 1000 div N),
    Simple = simple_one_for_one,
    figure("one_for_one, one at a time", N, fun() -> singly(N, 500) end),
    figure("one_for_one, all at once", N, fun() -> at_once(one_for_one, N, Times) end),
    figure("simple_one_for_one, all at once", N, fun() -> at_once(Simple, N, Times) end),
    figure("one_for_all", N, fun() -> together(N) end),
    figure("start", N, fun() -> started(N) end),
    figure("stop", N, fun() -> stopped(one_for_one, N) end),
    figure("stop, simple_one_for_one", N, fun() -> stopped(Simple, N) end).
"""


class Peer:
    """OTP's supervisor on this machine, with `most` children at the most."""

    def __init__(self, erl: str, folder: str, most: int) -> None:
        self._sizes = [n for n in SIZES if n <= most]
        self._erl = erl
        self._folder = folder
        self._taken: dict[tuple[str, int], list[float]] = {}
        self.name = ""
        (Path(folder) / "tree_peer.erl").write_text(ERLANG)
        self._run("{ok, _} = compile:file(tree_peer)")

    def measure(self) -> None:
        """One round of everything."""
        self.name, *lines = self._run(f"tree_peer:main({self._sizes})").splitlines()
        for line in lines:
            what, n, figure = line.split("|")
            self._taken.setdefault((what, int(n)), []).append(float(figure))

    def median(self, row: Row) -> float:
        """Its figure for the same."""
        return statistics.median(self._taken[row.name, row.n])

    def _run(self, expression: str) -> str:
        done = subprocess.run(
            [self._erl, "-noshell", "-eval", f"{expression}, init:stop()."],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"erl failed:\n{done.stdout}{done.stderr}")
        return done.stdout


# ---- what is printed


def _print(rows: list[Row], peer: Peer | None) -> None:
    print(f"Python {platform.python_version()}, Trio {trio.__version__}, {os.cpu_count()} cores")
    print(ELSEWHERE if peer is None else f"{peer.name}, in the same run")
    print()
    print(
        f"{'':<32}{'children':>9}{'bare Trio':>13}{'tree':>11}{'':<6}"
        f"{'cost / bare':>12}{'cost / OTP':>12}{'OTP':>12}"
    )
    last = ""
    for row in rows:
        if row.name != last:
            print()
        last = row.name
        print(
            f"{row.name:<32}{row.n:>9,}{_figure(row.bare):>13}{_figure(row.tree):>11} {row.unit:<5}"
            f"{row.ratio:>12.2f}{_beside(row, peer)}"
        )
    print()
    print("cost / bare, cost / OTP: how much more the tree takes; below 1: less.")
    most = max(row.n for row in rows)
    print(f"Growth of the tree's cost a child, from 10 children to {most:,}:")
    for name in dict.fromkeys(row.name for row in rows):
        costs = [_cost_a_child(row) for row in rows if row.name == name]
        if len(costs) > 1:
            print(f"  {name:<32}{costs[-1] / costs[0]:>7.2f}")


def _beside(row: Row, peer: Peer | None) -> str:
    if peer is None:
        return ""
    figure = peer.median(row)
    ratio = figure / row.tree if row.unit == "/s" else row.tree / figure
    return f"{ratio:>12.2f}{_figure(figure):>12}"


def _figure(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}"


def _cost_a_child(row: Row) -> float:
    return 1 / row.tree if row.unit == "/s" else row.tree / row.n


def _as_json(rows: list[Row], peer: Peer | None) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "trio": trio.__version__,
        "cores": os.cpu_count(),
        "peer": None if peer is None else peer.name,
        "rows": [
            asdict(row)
            | {"cost_over_bare": row.ratio}
            | {"otp": None if peer is None else peer.median(row)}
            for row in rows
        ],
    }


# ---- the long run


async def _soak(seconds: float) -> None:
    """Random exits among 10,000 children, and the resident memory every few seconds."""
    n = SIZES[-1]
    process = psutil.Process()
    pause = random.Random(1)
    every_s = seconds / 12
    async with _kept(by_supervisor, n) as troupe:
        began = time.perf_counter()
        due, exits = 0.0, 0
        print(f"{'s':>6}{'exits':>12}{'RSS MiB':>10}")
        while (now := time.perf_counter() - began) < seconds:
            if now >= due:
                print(f"{now:>6.0f}{exits:>12,}{process.memory_info().rss / 2**20:>10.1f}")
                due += every_s
            numbers = {pause.randrange(n) for _ in range(pause.randrange(1, 100))}
            troupe.expect(len(numbers))
            for number in numbers:
                troupe.leave[number].set()
            exits += len(numbers)
            await troupe.all_up()
        print(f"{now:>6.0f}{exits:>12,}{process.memory_info().rss / 2**20:>10.1f}")


if __name__ == "__main__":
    sys.exit(main())
