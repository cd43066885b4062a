"""The memory governor alone, with real processes: who is found over a ceiling, and who is not."""

import errno
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from supervisor.place import TAG
from supervisor.pool import memory as governing
from supervisor.pool.events import CeilingCrossed, PoolEvent, SweepFailed
from supervisor.pool.memory import MemoryGovernor, Watched
from supervisor.pool.outcome import TaskError
from supervisor.process import Child, GrowthClock, LocalHost, TreeMemory, TreeMeters
from tests.process.trees import Stage, eventually, is_stopped, program

LIMIT_S = 30.0
CEILING = 100 << 20
SIZE = 64 << 20

GROW = """
import mmap, time

def grow(rate):
    room = mmap.mmap(-1, 2**31, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    began, total = time.monotonic(), 0
    while total < 2**31:
        while total < (time.monotonic() - began) * rate:
            room.write(bytes(2**18))
            total += 2**18
        time.sleep(0.001)
"""

WHO = {
    "the leader": "{grow}",
    "a child": "run({child!r})",
    "a setsid grandchild": "run({parent!r})",
    "a daemon": "daemon({child!r})",
}
"""Who grows → how, in a program."""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Where children are started; all of them are ended with it."""
    stage = Stage(tmp_path, TAG)
    yield stage
    await stage.close()


class Stub:
    """In place of a worker and of the pool: notes what the governor says."""

    def __init__(self) -> None:
        self.errors: list[TaskError] = []
        self.recycled: list[str] = []
        self.over = trio.Event()
        self.told = trio.Event()

    def over_hard_ceiling(self, error: TaskError) -> None:
        """As a worker has it."""
        self.errors.append(error)
        self.over.set()

    def recycle(self, why: str) -> None:
        """As a worker has it."""
        self.recycled.append(why)
        self.told.set()


class Scene:
    """A governor, those it watches, and what it told: events, and the sizes for the budget."""

    def __init__(self) -> None:
        self.watched: list[Watched] = []
        self.events: list[PoolEvent] = []
        self.sizes: list[dict[str, int]] = []
        self.governor = MemoryGovernor(
            lambda: list(self.watched), LocalHost(TAG), cast(Any, self), self.events.append
        )
        self._measured = trio.Event()

    def measured(self, sizes: Mapping[str, int]) -> None:
        """As a budget has it."""
        self.sizes.append(dict(sizes))
        self._measured.set()
        self._measured = trio.Event()

    async def rounds(self, number: int) -> None:
        """Wait until everything has been looked after so often, since the beginning."""
        while len(self.sizes) < number:
            await self._measured.wait()

    def watch(
        self, child: Child, *, soft: int = CEILING, hard: int = CEILING, growth: int = 0
    ) -> Stub:
        """One more tree, which the governor is not told of."""
        stub = Stub()
        settings = SimpleNamespace(soft_ceiling=soft, hard_ceiling=hard, max_growth=growth)
        name = f"agent{len(self.watched)}"
        self.watched.append(
            Watched(name, child, cast(Any, settings), stub, cast(Any, name), is_ready=True)
        )
        return stub

    async def governs(self, until: Callable[[], Awaitable[object]]) -> None:
        """Have it govern until something has come about."""
        with trio.fail_after(LIMIT_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(self.governor.run)
                await until()
                nursery.cancel_scope.cancel()


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(governing, "LONGEST_S", 0.1)
    return Scene()


def growing(who: str, rate: float) -> str:
    """A program that grows once it has read a line."""
    child = f"{GROW}say()\ngrow({rate})\nstay()"
    parent = f"say(*run({child!r}, start_new_session=True)); stay()"
    then = WHO[who].format(grow=f"grow({rate})", child=child, parent=parent)
    return f"{GROW}say()\nsys.stdin.readline()\n{then}\nstay()"


HOLD = f"import mmap; held = mmap.mmap(-1, {SIZE}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
HOLD += f"held.write(bytes({SIZE}))\n"


@pytest.mark.parametrize("rate", [100e6, 1e9])
@pytest.mark.parametrize("who", WHO)
async def test_who_grows_past_the_hard_ceiling_is_found_and_stopped_and_bystanders_are_not(
    stage: Stage, scene: Scene, monkeypatch: pytest.MonkeyPatch, who: str, rate: float
) -> None:
    monkeypatch.setattr(governing, "LONGEST_S", LIMIT_S)  # what is due before counts
    bystander = await stage.start("sleep", "1000")
    child, _ = await stage.start_program(growing(who, rate))
    other, stub = scene.watch(bystander), scene.watch(child)

    async def crossed() -> None:
        await scene.rounds(1)
        await child.stdin.send_all(b"\n")
        await stub.over.wait()

    await scene.governs(crossed)
    assert stub.errors[0].code == "memory_ceiling"
    assert stub.errors[0].data["size_bytes"] > stub.errors[0].data["limit_bytes"] == CEILING
    biggest = stub.errors[0].data["biggest"][0]["pid"]
    assert (biggest == child.pid) == (who == "the leader")
    await eventually(lambda: is_stopped(biggest) and is_stopped(child.pid))
    assert other.errors == []
    assert not is_stopped(bystander.pid)


async def test_a_tree_is_watched_from_its_start(
    stage: Stage, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governing, "LONGEST_S", LIMIT_S)

    async def crossed() -> None:
        await scene.rounds(1)  # the next one is far away
        child = await stage.start(*program(f"{GROW}grow(1e9)"))
        stub = scene.watch(child)
        scene.governor.started(scene.watched[-1])
        await stub.over.wait()

    await scene.governs(crossed)


async def test_who_is_not_over_a_ceiling_is_let_alone(stage: Stage, scene: Scene) -> None:
    child, _ = await stage.start_program(f"{HOLD}say(); stay()")
    stub = scene.watch(child)

    await scene.governs(lambda: scene.rounds(3))
    assert (stub.errors, stub.recycled, scene.events) == ([], [], [])


async def test_a_fork_before_a_start_is_no_crossing(stage: Stage, scene: Scene) -> None:
    forked = "pid = os.fork()\nif pid == 0: stay()\nsay(pid); stay()"
    child, pids = await stage.start_program(HOLD + forked)
    stub = scene.watch(child)

    await scene.governs(lambda: scene.rounds(3))
    assert (stub.errors, stub.recycled, scene.events) == ([], [], [])
    assert not any(map(is_stopped, (child.pid, *pids)))
    assert SIZE < scene.sizes[-1]["agent0"] < CEILING


async def test_past_the_soft_ceiling_it_is_told_once(stage: Stage, scene: Scene) -> None:
    child, _ = await stage.start_program(f"{HOLD}say(); stay()")
    stub = scene.watch(child, soft=SIZE)

    await scene.governs(lambda: scene.rounds(3))
    assert stub.recycled == ["it was over its soft ceiling"]
    assert [type(event) for event in scene.events] == [CeilingCrossed]
    assert stub.errors == []


async def test_who_has_grown_too_much_since_it_was_ready_is_told(
    stage: Stage, scene: Scene
) -> None:
    child, _ = await stage.start_program(f"say(); sys.stdin.readline(); {HOLD}stay()")
    stub = scene.watch(child, growth=SIZE // 2)

    async def grown() -> None:
        await scene.rounds(2)
        assert stub.recycled == []
        await child.stdin.send_all(b"\n")
        await stub.told.wait()

    await scene.governs(grown)
    assert "grown by" in stub.recycled[0]


async def test_who_has_ended_meanwhile_is_not_acted_upon(
    stage: Stage, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, _ = await stage.start_program(f"{HOLD}say(); stay()")
    stub = scene.watch(child, soft=1 << 20, hard=1 << 20)
    memory = TreeMeters.memory

    def ends(meters: TreeMeters, tag: str) -> TreeMemory:
        scene.watched.clear()
        return memory(meters, tag)

    monkeypatch.setattr(TreeMeters, "memory", ends)
    await scene.governs(lambda: scene.rounds(2))
    assert (stub.errors, stub.recycled, scene.events) == ([], [], [])
    assert not is_stopped(child.pid)


async def test_the_budget_is_given_the_size_of_every_tree(stage: Stage, scene: Scene) -> None:
    small = await stage.start("sleep", "1000")
    large, _ = await stage.start_program(f"{HOLD}say(); stay()")
    scene.watch(small)
    scene.watch(large)

    await scene.governs(lambda: scene.rounds(1))
    assert scene.sizes[0].keys() == {"agent0", "agent1"}
    assert 0 < scene.sizes[0]["agent0"] < SIZE < scene.sizes[0]["agent1"]


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tag of each sample, on a machine that hands out nothing."""
    monkeypatch.setattr(GrowthClock, "read", lambda *_: 0)
    monkeypatch.setattr(GrowthClock, "handed_out", 0)
    taken: list[str] = []
    size_bytes = TreeMeters.size_bytes

    def counted(meters: TreeMeters, tag: str) -> int:
        taken.append(tag)
        return size_bytes(meters, tag)

    monkeypatch.setattr(TreeMeters, "size_bytes", counted)
    return taken


async def test_who_keeps_its_size_where_nothing_is_handed_out_rests_for_some_rounds(
    stage: Stage, scene: Scene, samples: list[str]
) -> None:
    scene.watch(await stage.start("sleep", "1000"))

    await scene.governs(lambda: scene.rounds(2 + governing.RESTS))
    assert len(samples) == 2


async def test_who_has_rested_is_sampled_again(
    stage: Stage, scene: Scene, samples: list[str]
) -> None:
    scene.watch(await stage.start("sleep", "1000"))

    await scene.governs(lambda: scene.rounds(2 + governing.RESTS + 1))
    assert len(samples) == 3


async def test_nobody_rests_who_can_have_got_over_its_soft_ceiling(
    stage: Stage, scene: Scene, samples: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_out = itertools.count(step=SIZE)
    monkeypatch.setattr(GrowthClock, "handed_out", property(lambda _: next(handed_out)))
    scene.watch(await stage.start("sleep", "1000"), soft=SIZE)

    await scene.governs(lambda: scene.rounds(5))
    assert len(samples) == 5


async def test_nobody_rests_where_nobody_counts_what_is_handed_out(
    stage: Stage, scene: Scene, samples: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GrowthClock, "handed_out", None)
    scene.watch(await stage.start("sleep", "1000"))

    await scene.governs(lambda: scene.rounds(5))
    assert len(samples) == 5


async def test_nobody_rests_who_has_a_task(stage: Stage, scene: Scene, samples: list[str]) -> None:
    scene.watch(await stage.start("sleep", "1000"))
    seat = SimpleNamespace(current="a task")
    scene.watched[0] = replace(scene.watched[0], seat=cast(Any, seat))

    await scene.governs(lambda: scene.rounds(5))
    assert len(samples) == 5


async def test_who_has_gone_wakes_nobody_any_more(
    stage: Stage, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def read(*_: object) -> int:
        looks.append(0)
        return 0 if scene.watched else 2 * CEILING  # all that it had room for, and more

    monkeypatch.setattr(GrowthClock, "read", read)
    scene.watch(await stage.start("sleep", "1000"))

    async def gone() -> None:
        await scene.rounds(2)
        scene.watched.clear()
        await scene.rounds(4)
        looks.clear()
        await scene.rounds(9)

    await scene.governs(gone)
    assert len(looks) <= 6  # one a round


async def test_a_ceiling_that_is_lowered_holds_for_who_rests(
    stage: Stage, scene: Scene, samples: list[str]
) -> None:
    child, _ = await stage.start_program(f"{HOLD}say(); stay()")
    stub = scene.watch(child)

    async def lowered() -> None:
        await scene.rounds(3)
        settings = SimpleNamespace(soft_ceiling=SIZE, hard_ceiling=CEILING, max_growth=0)
        scene.watched[0] = replace(scene.watched[0], settings=cast(Any, settings))
        await scene.rounds(5)

    await scene.governs(lowered)
    assert stub.recycled == ["it was over its soft ceiling"]


async def test_without_descriptors_those_who_are_known_are_still_held_to_their_ceilings(
    stage: Stage, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, _ = await stage.start_program(growing("the leader", 1e9))
    stub = scene.watch(child)

    def refuse(_: TreeMeters) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def crossed() -> None:
        await scene.rounds(1)
        monkeypatch.setattr(TreeMeters, "refresh", refuse)
        await child.stdin.send_all(b"\n")
        await stub.over.wait()

    await scene.governs(crossed)
    assert any(isinstance(event, SweepFailed) for event in scene.events)


async def test_every_descriptor_is_given_back_at_the_end(stage: Stage, scene: Scene) -> None:
    scene.watch(await stage.start("sleep", "1000"))
    before = set(os.listdir("/proc/self/fd"))
    during: set[str] = set()

    async def look() -> None:
        await scene.rounds(1)
        during.update(os.listdir("/proc/self/fd"))

    await scene.governs(look)
    assert len(during) > len(before)
    assert len(os.listdir("/proc/self/fd")) == len(before)
