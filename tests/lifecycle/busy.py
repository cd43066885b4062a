"""A pool whose agent has started processes of every kind that is hard to find or to end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.client import Project, until
from tests.lifecycle.foreground import Foreground, foreground, sleepers

KINDS = {
    "plain": "sleep 1001 &",
    "ignores TERM": "(trap '' TERM; exec sleep 1002) &",
    "in the background of a background job": "(sleep 1003 & sleep 1003) &",
    "in a session of its own": "setsid sleep 1004 &",
    "daemon": "(setsid sh -c 'sleep 1005 &' &);",
    "suspended": "sleep 1006 & until grep -q sleep /proc/$!/comm; do :; done; kill -STOP $!;",
    "daemon without any environment": "(setsid env -i sh -c 'sleep 1007 &' &);",
}
"""What it is → how a command leaves it behind."""

SLEEPERS = 8
EVERY_KIND = f"[[bash {' '.join(KINDS.values())} wait]]"
"""A task that leaves all of them behind, and does not end."""


@asynccontextmanager
async def busy_pool(
    project: Project, *program: str, shutdown_grace: str = "100ms", **extra: str
) -> AsyncIterator[Foreground]:
    """A pool whose agent `coder` has started one of every kind; arguments as of `foreground`."""
    project.write_config(
        f'[pool]\nshutdown_grace = "{shutdown_grace}"\n[defaults.agent]\nshutdown = "500ms"\n'
    )
    program = program or ("-m", "agent_pool")
    async with foreground(project, program, **extra) as pool, project.connect() as client:
        await client.start_call("invoke", agent="coder", task=EVERY_KIND)
        await until(lambda: len(sleepers(project)) == SLEEPERS, "all of them run")
        yield pool


async def until_all_gone(project: Project) -> None:
    """Wait until none of them is left, and nobody of the pool."""
    await until(lambda: not sleepers(project), "they are gone")
    await until(lambda: project.place.holder() is None, "the pool is gone, and its reaper")
