"""One storm for each seed, which many tests look at."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from tests.chaos.schedule import AGENTS, HANDS_UP_S, Prank, Schedule, Step, plan
from tests.chaos.storm import Scene, Vitals, Weather, open_scene

WARM_UP: Final = 40
"""Tasks of the storm before the first look, so that what is only ever taken once is taken."""

SEEDS: Final = [int(seed) for seed in os.environ.get("AGENT_POOL_CHAOS_SEEDS", "1,2").split(",")]
INVOKES: Final = max(WARM_UP, int(os.environ.get("AGENT_POOL_CHAOS_INVOKES", "150")))
CLI: Final = os.environ.get("AGENT_POOL_CHAOS_CLI") or None

AFTER: Final = 40
"""Tasks of the clean run after the storm."""


@dataclass(frozen=True)
class Aftermath:
    """A storm, and what was seen before and after it."""

    schedule: Schedule
    """What was done."""
    weather: Weather
    """What came of it."""
    before: Vitals
    """The pool after a short storm of another seed."""
    after: Vitals
    """The pool after the storm."""
    clean: Weather
    """What came of the run without faults, after that."""
    notes: tuple[str, ...]
    """The record, to be shown where something is wrong."""


def listed(variable: str, cost: int) -> list[Prank]:
    """The faults that another CLI's own texts cause."""
    texts = [text for text in os.environ.get(variable, "").split("|") if text]
    return [Prank(text, text, cost, HANDS_UP_S if cost else None) for text in texts]


def planned(seed: int, invokes: int) -> Schedule:
    """The storm of `seed` for the CLI at hand."""
    if CLI is None:
        return plan(seed, invokes)
    own = listed("AGENT_POOL_CHAOS_COSTLY", 1) + listed("AGENT_POOL_CHAOS_HARMLESS", 0)
    return plan(seed, invokes, own, rare=None, plain=[""])


def calm(number: int) -> Step:
    """One step of a run without faults."""
    word = f"w0x{number}y{number:08x}"
    return Step(number, AGENTS[number % len(AGENTS)], word, word, None)


async def carry_out(base: Path, seed: int) -> Aftermath:
    """Storm a pool in the empty folder `base`."""
    schedule = planned(seed, INVOKES)
    async with open_scene(base, CLI) as scene:
        await scene.weather(planned(seed + 1_000_000, WARM_UP))
        before = await scene.settle()
        weather = await scene.weather(schedule)
        after = await scene.settle()
        clean = await run_clean(scene)
    return Aftermath(schedule, weather, before, after, clean, tuple(scene.notes))


async def run_clean(scene: Scene) -> Weather:
    """As many invokes at once as there are hands, of all clients and agents, without a fault."""
    quiet = Schedule(0, tuple(calm(number) for number in range(AFTER)), ())
    return await scene.weather(quiet)


def on_one_worker(seed: int) -> Any:
    """All that look at one storm run where it has been carried out."""
    return pytest.param(seed, marks=pytest.mark.xdist_group(f"storm {seed}"))


@pytest.fixture(scope="session", params=map(on_one_worker, SEEDS))
def storm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """The storm of one seed, carried out."""
    return trio.run(carry_out, tmp_path_factory.mktemp("c"), request.param)


@pytest.fixture
def aftermath(storm: Aftermath) -> Aftermath:
    """The same; its record is shown where the test fails."""
    print("\n".join(storm.notes))
    return storm
