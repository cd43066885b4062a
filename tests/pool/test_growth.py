"""Who grows is caught, whoever of an agent's processes that is, slowly or at full speed."""

import sys

import psutil
import pytest

from tests.client import Client, Project, until
from tests.pool.conftest import Share

GROW = """
import sys, time

step_mib, pause_s = int(sys.argv[1]), float(sys.argv[2])
kept = []
for _ in range(600 // step_mib):
    kept.append(b"x" * (step_mib << 20))
    time.sleep(pause_s)
time.sleep(1000)
"""
"""Grows to 600 MiB, and stays."""

SLOWLY = "10 0.05"
AT_FULL_SPEED = "600 0"

PROGRAM = f"{sys.executable} -S grow.py"
LEADER = {
    "the leader, slowly": "[[grow 10]] [[sleep 0.05]] " * 60 + "[[hang]]",
    "the leader, at full speed": "[[grow 600]] [[hang]]",
}
COMMANDS = {
    "a command, slowly": f"[[bash {PROGRAM} {SLOWLY}]]",
    "a command, at full speed": f"[[bash {PROGRAM} {AT_FULL_SPEED}]]",
    "a background job, slowly": f"[[bash {PROGRAM} {SLOWLY} &]] [[hang]]",
    "a daemon, at full speed": f"[[bash (setsid {PROGRAM} {AT_FULL_SPEED} &)]] [[hang]]",
}
"""Who grows, and how → a task that does not end."""


def growers(project: Project) -> list[psutil.Process]:
    """The commands that grow, or have grown."""
    return [p for p in project.processes() if "grow.py" in p.cmdline()]


@pytest.mark.parametrize("who", [*LEADER, *COMMANDS])
async def test_who_crosses_the_hard_ceiling_goes_with_its_whole_tree_and_with_nobody_else(
    client: Client, share: Share, who: str
) -> None:
    (share.project.folder / "grow.py").write_text(GROW)
    ceilings = 'soft_ceiling = "200MiB"\nhard_ceiling = "200MiB"'
    grower = share.agent("grower", "tools: Bash", config=ceilings)
    bystander = share.agent("other")
    other = (await client.call("warmup", agent=bystander))["structuredContent"]["pid"]
    task = {**LEADER, **COMMANDS}[who]
    meta = (await client.call("invoke", agent=grower, task=task))["_meta"]

    assert meta["code"] == "memory_ceiling"
    assert meta["size_bytes"] > meta["limit_bytes"]
    biggest = meta["biggest"][0]
    assert (biggest["pid"] == meta["pid"]) is (who in LEADER)
    assert biggest["own_bytes"] > 100 * 2**20
    await until(lambda: not growers(share.project), "its end")
    await until(lambda: not psutil.pid_exists(meta["pid"]), "the end of the leader")
    after = await client.call("invoke", agent=bystander, task="[[say well]]")
    assert (after["content"][0]["text"], after["_meta"]["pid"]) == ("well", other)
