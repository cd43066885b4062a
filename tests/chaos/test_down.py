"""A storm with the intensity that the pool has by default: agents go down, and come back."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from tests.chaos.conftest import AFTER, CLI, SEEDS, run_clean
from tests.chaos.schedule import AGENTS, PLAIN, Blow, Schedule, plan
from tests.chaos.storm import Scene, open_scene
from tests.client import LIMIT_S, POLL_S

TASKS = 60
BLOWS: tuple[Blow, ...] = ("kill", "kill", "crash at start", "pause")
CODES = {"agent_crashed", "agent_start_failed", "agent_down"}


def dense(seed: int) -> Schedule:
    """Kills for almost every task."""
    plain = PLAIN if CLI is None else ("",)
    return plan(seed, TASKS, (), None, plain, blows=BLOWS, strikes_per_task=0.8)


async def bring_down(scene: Scene, agent: str) -> None:
    """Kill an agent's process until its supervisor gives up, where the storm has not done it."""
    with trio.fail_after(LIMIT_S):
        while "down" not in await states(scene, agent):
            warm = await scene.clients[0].call("warmup", agent=agent)
            if not warm.get("isError"):
                with suppress(ProcessLookupError):
                    os.kill(warm["structuredContent"]["pid"], signal.SIGKILL)
            await trio.sleep(POLL_S)


async def states(scene: Scene, agent: str) -> set[str]:
    return {row["state"] for row in await scene.rows() if row["name"] == agent}


@pytest.mark.parametrize("seed", SEEDS)
async def test_agents_that_went_down_are_reset_and_everything_succeeds(
    tmp_path: Path, seed: int
) -> None:
    async with open_scene(tmp_path, CLI, intensity="") as scene:
        weather = await scene.weather(dense(seed))
        for agent in AGENTS[:2]:
            await bring_down(scene, agent)
        refused = await run_clean(scene)
        vitals = await scene.settle()
        clean = await run_clean(scene)
        print("\n".join(scene.notes))

    assert {outcome.code for outcome in weather.errors()} <= CODES
    assert not [outcome for outcome in weather.answered if not outcome.is_its_own]
    assert {o.code for o in refused.outcomes if o.step.agent in AGENTS[:2]} == {"agent_down"}
    assert vitals.strays == ()
    assert not clean.errors()
    assert len([outcome for outcome in clean.answered if outcome.is_its_own]) == AFTER
