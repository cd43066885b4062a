"""Hot reload: files that were changed are read and checked, and what is right holds at once.

There is one way, whoever takes it: the watch, a call that comes before the watch has noticed, and
whoever asks for it. What is wrong changes nothing: a pool.toml that does not check leaves the whole
configuration as it was, a definition leaves its agent as it was.

Who writes a file is let finish: files are read when they have not changed for a moment.
"""

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace

import trio

from supervisor.agents import BrokenDefinition
from supervisor.pool.config import Config, ConfigInForce, changes_between
from supervisor.pool.events import ConfigurationRefused, ConfigurationReloaded, PoolEvent
from supervisor.pool.launch import Role
from supervisor.pool.roles import Roles
from supervisor.pool.watch import Watch

SETTLE_S = 0.1
"""Seconds for which files have to be unchanged to be read."""

SETTLE_LIMIT_S = 2.0
"""Seconds after which they are read all the same."""


NOTICED = "a file was changed"
"""Why there was a reload that nobody has asked for."""


@dataclass(frozen=True)
class Reloaded:
    """What came of a reload."""

    changed: tuple[str, ...] = ()
    """What holds from now on, one in words each."""
    refused: tuple[str, ...] = ()
    """What is wrong with the files as they are, and therefore does not hold."""
    needs_restart: tuple[str, ...] = ()
    """What is right, and cannot hold before the pool is started anew."""
    at: float = field(default_factory=time.time)
    """Seconds since the epoch."""


class Reloader:
    """Keeps a pool to what its files say. `run` is a service of the pool's tree."""

    def __init__(
        self,
        in_force: ConfigInForce,
        roles: Roles,
        apply: Callable[[], Awaitable[None]],
        emit: Callable[[PoolEvent], None],
    ) -> None:
        """`apply` makes the pool go by what `in_force` and `roles` say now."""
        self.last = Reloaded()
        """What came of the last one by which something changed."""
        self._in_force = in_force
        self._roles = roles
        self._apply = apply
        self._emit = emit
        self._started_with = in_force.config
        self._turn = trio.Lock()
        self._refused = self.refused

    @property
    def refused(self) -> tuple[str, ...]:
        """What is wrong with the files as they were read last, and so does not hold."""
        error = self._in_force.error
        problems = self._in_force.refused if error is None else error.problems
        return (*map(str, problems), *map(str, self._roles.findings))

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch the files until cancelled."""
        async with Watch() as watch:
            task_status.started()
            while True:
                watch.at(self._in_force.paths | self._roles.paths)
                # What has changed before it was watched is told by nobody.
                if self._is_unchanged():
                    await watch.hint()
                await self.current()

    async def current(self) -> None:
        """Have what the files say now hold; where nothing has changed it already does."""
        # Who comes while others wait for a reload waits behind them: calls keep their order.
        if self._is_unchanged() and not self._turn.locked():
            return
        async with self._turn:
            if not self._is_unchanged():
                await self._settle()
                await self._reload(NOTICED)

    async def now(self, why: str) -> Reloaded:
        """Read all files now, whether one has changed or not."""
        before = self.last
        async with self._turn:
            found = await self._reload(why)
        if self.last is before or found.changed:
            return found
        # The watch was faster: what it found came of the same edit.
        return replace(found, changed=self.last.changed)

    def _is_unchanged(self) -> bool:
        return self._in_force.is_unchanged() and self._roles.is_unchanged()

    async def _settle(self) -> None:
        """Wait until nobody writes any more."""
        with trio.move_on_after(SETTLE_LIMIT_S):
            before = self._signature()
            while True:
                await trio.sleep(SETTLE_S)
                after = self._signature()
                if after == before:
                    return
                before = after

    def _signature(self) -> object:
        return self._in_force.signature(), self._roles.signature()

    async def _reload(self, why: str) -> Reloaded:
        # Shielded: what has been read, and is not applied, would never be.
        with trio.CancelScope(shield=True):
            config, agents = self._in_force.config, self._agents()
            was_degraded = self._in_force.error is not None
            self._roles.read_again()
            self._in_force.read_again(self._roles.not_startable)
            now, agents_now = self._in_force.config, self._agents()
            differences = changes_between(config, now)
            if was_degraded and self._in_force.error is None:
                differences = ["pool.toml: mended, and in force", *differences]
            changed = (*differences, *_agents_between(agents, agents_now))
            found = Reloaded(changed, self.refused, _needs_restart(self._started_with, now))
            await self._apply()
        self._tell(why, found, _shown(agents) != _shown(agents_now))
        return found

    def _agents(self) -> dict[str, Role | BrokenDefinition]:
        return {entry.name: entry for entry in self._roles.all()}

    def _tell(self, why: str, found: Reloaded, agents_changed: bool) -> None:
        mended = set(self._refused) - set(found.refused)
        changed = found.changed or (("what was wrong has been mended",) if mended else ())
        if changed:
            self.last = replace(found, changed=changed)
        asked = why != NOTICED
        if changed or (asked and not found.refused):
            self._emit(ConfigurationReloaded("", why, changed, found.needs_restart, agents_changed))
        if found.refused and (asked or found.refused != self._refused):
            self._emit(ConfigurationRefused("", why, found.refused))
        self._refused = found.refused


def _agents_between(
    before: dict[str, Role | BrokenDefinition], after: dict[str, Role | BrokenDefinition]
) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None:
            yield f"agent {name}: new" + (", and broken" if _digest(new) is None else "")
        elif new is None:
            yield f"agent {name}: removed; what waits for it is served yet"
        elif _digest(old) != _digest(new):
            was_broken = isinstance(old, BrokenDefinition)
            yield f"agent {name}: " + ("mended" if was_broken else "its processes are replaced")
        elif _about(old) != _about(new):
            yield f"agent {name}: description"


def _digest(entry: Role | BrokenDefinition | None) -> str | None:
    return entry.digest if isinstance(entry, Role) else None


def _about(entry: Role | BrokenDefinition) -> object:
    return (entry.description, entry.color) if isinstance(entry, Role) else None


def _shown(agents: dict[str, Role | BrokenDefinition]) -> object:
    """What a client is told of agents before it calls one."""
    return {name: _about(entry) for name, entry in agents.items()}


def _needs_restart(before: Config, now: Config) -> tuple[str, ...]:
    found = []
    if before.pool.state_folder != now.pool.state_folder:
        found.append(
            "pool.state_folder: it is another pool's place; put the old value back, run "
            "agent-pool stop, and change it then"
        )
    if before.http != now.http:
        found.append("http: a running pool listens where it did at its start; run agent-pool stop")
    return tuple(found)
