"""Many relays at once, while pools are stopped and killed.

Whatever happens, one pool serves at a time, every relay either serves or says clearly why not,
and nothing is left.
"""

import os
import random
import signal
from contextlib import suppress

import pytest
import trio

from tests.client import Client, ConnectionLost, Project, Refused

AT_ONCE = 30
RELAYS = 20
ROUNDS = 2
SPREAD_S = 1.2
"""Seconds over which the relays and the troubles of a round are spread."""
PATIENCE_S = 90.0
"""Seconds in which a round has to be over."""


class Race:
    """One round after the other on one project."""

    def __init__(self, project: Project, seed: int) -> None:
        self.project = project
        self.random = random.Random(seed)
        self.killed: set[int] = set()
        """Pools that had no chance to say that they end."""
        self.served = 0
        self.turned_away: list[str] = []
        """What relays said that did not serve."""

    async def relay(self, delay_s: float) -> None:
        """Start one relay, and have it serve; or take down why it does not."""
        await trio.sleep(delay_s)
        async with self.project.connect_raw() as client:
            try:
                await client.initialize()
                result = await client.call("list")
            except (Refused, ConnectionLost, trio.BrokenResourceError):
                await client.wait_closed()
                self.turned_away.append(client.stderr)
                return
            self._check(result, client)

    def _check(self, result: dict[str, object], client: Client) -> None:
        if result["isError"]:
            meta = result["_meta"]
            assert isinstance(meta, dict)
            assert meta["code"] == "pool_stopping"
            self.turned_away.append("agent-pool: stopping\n")
        else:
            self.served += 1

    async def trouble(self, delay_s: float, kind: str) -> None:
        """End the pool that runs by then, one way or the other."""
        await trio.sleep(delay_s)
        if kind == "stop":
            assert (await self.project.run("stop")).returncode == 0
            return
        pid = self.project.pool_pid()
        if pid is None:
            return
        if kind == "kill":
            self.killed.add(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if kind == "kill" else signal.SIGTERM)

    async def round(self, troubles: list[str]) -> None:
        """Start all relays at random times, and the troubles among them."""
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for _ in range(RELAYS):
                    nursery.start_soon(self.relay, self.random.uniform(0, SPREAD_S))
                for kind in troubles:
                    nursery.start_soon(self.trouble, self.random.uniform(0, SPREAD_S), kind)

    def one_at_a_time(self) -> bool:
        """Whether by the log no pool has begun before the one before it had ended."""
        runs: int | None = None
        for line in self.project.log_lines():
            if line["event"] == "pool_started":
                if runs is not None and runs not in self.killed:
                    return False
                runs = line["pid"]
            elif line["event"] == "pool_ended":
                runs = None
        return True


async def test_thirty_relays_from_a_cold_start_share_one_pool(project: Project) -> None:
    race = Race(project, seed=0)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(race.relay, 0)
    assert race.turned_away == []
    assert race.served == AT_ONCE
    started = [line for line in project.log_lines() if line["event"] == "pool_started"]
    assert len(started) == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_relays_amid_stops_and_kills_serve_or_say_why_not(
    project: Project, seed: int
) -> None:
    race = Race(project, seed)
    for _ in range(ROUNDS):
        troubles = race.random.choices(["stop", "term", "kill"], k=3)
        await race.round(troubles)
    assert race.one_at_a_time()
    for said in race.turned_away:
        assert said.startswith("agent-pool: "), said
        assert said.count("\n") == 1, said
    assert race.served + len(race.turned_away) == RELAYS * ROUNDS
    assert race.served > 0
    # After all of it, a client is served as ever.
    async with project.connect() as client:
        assert not (await client.call("list"))["isError"]
