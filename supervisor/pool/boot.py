"""How a process of an agent CLI comes to be: room for it, a place among those that start, a folder.

A `Boot` is one process from the wish for it to its end. A worker makes one for its agent; a spare
is one that has been made before anybody needed it, and changes its owner.
"""

import dataclasses
import errno
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import trio

from supervisor.logs import OnLine
from supervisor.place import TAG
from supervisor.pool.agent_process import AgentProcess
from supervisor.pool.events import PoolEvent, SpawnDelayed
from supervisor.pool.launch import (
    PERSIST_NOT,
    Capabilities,
    Cli,
    CliFinder,
    Role,
    arguments,
    environment,
    variables_of,
)
from supervisor.pool.option_files import OptionFile, option_files, written
from supervisor.process import Command, Process, ProcessHost
from supervisor.temporary import TemporaryFolders, size_of, variables

SCARCE = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What a start fails with when the machine has no room for it at the moment."""

SCARCE_WAIT_S = (0.1, 5.0)
"""How long the first wait for room is, and the longest; each is twice the one before."""

_numbers = count(1)


@dataclass(frozen=True)
class Profile:
    """What is settled when a process is started, and cannot be given to it later."""

    cli: Cli
    """The program."""
    mode: str
    """Its permission mode."""
    words: tuple[str, ...]
    """Its arguments."""
    memory_limit: int
    """Bytes that the kernel is to hold its tree to, where it can."""
    folder: Path
    """Where it runs."""
    environ: tuple[tuple[str, str], ...]
    """What it gets of the pool's environment, by name."""
    files: tuple[OptionFile, ...] = ()
    """More arguments, by files."""
    variables: tuple[tuple[str, str], ...] = ()
    """More of its environment."""


@dataclass(frozen=True)
class Launch:
    """What an agent's process is started with."""

    definition: Role
    """Its role."""
    profile: Profile
    """The rest, as it is given to a process of the agent's own."""
    spare: Profile
    """The profile of a spare that could become the same: it gets its model with its role."""

    @property
    def key(self) -> tuple[object, ...]:
        """Changes when a process would have to be replaced."""
        return self.definition.digest, self.profile.mode, self.profile.cli


def launch_of(
    definition: Role,
    cli: Cli,
    mode: str,
    known: Capabilities,
    *,
    memory_limit: int,
    folder: Path,
    environ: Mapping[str, str],
    whole_environ: Mapping[str, str],
) -> Launch:
    """How an agent is started, as far as its binary is `known`; the rest as in `Profile`.

    `whole_environ` is the pool's own, of which the process gets `environ`.
    """
    own = Profile(
        cli,
        mode,
        tuple(arguments(definition, mode, known)),
        memory_limit,
        folder,
        tuple(sorted(environ.items())),
        option_files(definition, whole_environ),
        tuple(variables_of(definition).items()),
    )
    if definition.model is None or known.late_model is False:
        return Launch(definition, own, own)
    blank = dataclasses.replace(definition, model=None)
    return Launch(
        definition, own, dataclasses.replace(own, words=tuple(arguments(blank, mode, known)))
    )


def conversing(launch: Launch, session_id: str | None) -> Launch:
    """The same for a conversation, which the CLI keeps on disk; `session_id` takes it up again."""
    words = [word for word in launch.profile.words if word != PERSIST_NOT]
    resume = [] if session_id is None else ["--resume", session_id]
    own = dataclasses.replace(launch.profile, words=(*words, *resume))
    return Launch(launch.definition, own, own)


@dataclass(frozen=True)
class Yard:
    """What every start needs of the pool."""

    host: ProcessHost
    """Where processes run."""
    clis: CliFinder
    """Knows what each binary can do."""
    mark: str
    """The pool's own mark: the beginning of every tag."""
    starting: trio.CapacityLimiter
    """Places for processes that are starting."""
    emit: Callable[[PoolEvent], None]
    """Where events go."""
    admit: Callable[["Boot"], Awaitable[None]]
    """Waits until there is room for a process."""
    left: Callable[["Boot"], None]
    """Told when that process is gone, or has never come."""
    temporary: TemporaryFolders | None = None
    """Where processes get a folder for temporary files; None: they share everybody's."""
    transcript: Callable[[str], OnLine | None] = lambda _: None
    """Who is told what goes to a process and comes from it in the task of that id, if anybody."""


class Boot:
    """One process, from the wish for it to its end. `close` must be called once."""

    def __init__(self, yard: Yard, profile: Profile, owner: str, agent: str) -> None:
        """Nothing happens before `start`.

        Args:
            yard: what the pool gives.
            profile: what it is started with.
            owner: the worker that it is for; its folder is called so.
            agent: the agent that events tell of.
        """
        self.profile = profile
        """What it is started with."""
        self.owner = owner
        """The worker that it is for."""
        self.agent = agent
        """The agent that events tell of."""
        self.waiting: Callable[[str], None] = lambda _: None
        """Called with what the start waits for."""
        self.began = time.monotonic()
        """When the wait for it began."""
        self._yard = yard
        self._tmp: Path | None = None
        self._files: tuple[str, ...] = ()
        self._holds_place = False

    async def start(self, on_gone: Callable[[], None]) -> AgentProcess:
        """Wait for room, and start the process; `on_gone` as for `AgentProcess`.

        Raises:
            OSError, ValueError, PlaceError: it cannot be started.
        """
        yard = self._yard
        await yard.admit(self)
        await yard.starting.acquire_on_behalf_of(self)
        self._holds_place = True
        self.began = time.monotonic()
        if yard.temporary is not None:
            self._tmp = await yard.temporary.make(self.owner)
        self._files = await trio.to_thread.run_sync(written, self.profile.files, self._tmp)
        child = await self._spawn()
        known = yard.clis.capabilities(self.profile.cli)
        return AgentProcess(child, self.agent, known, yard.emit, on_gone)

    def belongs_to(self, owner: str, agent: str) -> None:
        """A spare gets its owner, who begins to wait for it now."""
        self.owner, self.agent = owner, agent
        self.began = time.monotonic()
        if self._yard.temporary is not None and self._tmp is not None:
            self._yard.temporary.now_of(self._tmp, agent)

    def has_started(self) -> None:
        """It is ready, or never will be: the place among those that start is for others."""
        if self._holds_place:
            self._holds_place = False
            self._yard.starting.release_on_behalf_of(self)

    async def tmp_bytes(self) -> int | None:
        """The size of its temporary folder; None: it has none."""
        return None if self._tmp is None else await size_of(self._tmp)

    async def close(self) -> None:
        """Give everything back; its process is gone. Not cancellable."""
        self.has_started()
        if self._yard.temporary is not None and self._tmp is not None:
            await self._yard.temporary.remove(self._tmp)
        self._yard.left(self)

    async def _spawn(self) -> Process:
        """Start it; what the machine has no room for now is tried again, and is no crash."""
        command = self._command()
        wait_s, longest_s = SCARCE_WAIT_S
        while True:
            try:
                return await self._yard.host.start(command)
            except OSError as error:
                if error.errno not in SCARCE:
                    raise
                self._yard.emit(SpawnDelayed(self.agent, str(error), wait_s, worker=self.owner))
                self.waiting(f"waiting for room for its process: {error.strerror}")
                await trio.sleep(wait_s)
                wait_s = min(2 * wait_s, longest_s)

    def _command(self) -> Command:
        yard, profile = self._yard, self.profile
        env = environment(dict(profile.environ), profile.mode) | dict(profile.variables)
        return Command(
            argv=(*profile.cli.argv, *profile.words, *self._files),
            cwd=profile.folder,
            env=env | (variables(self._tmp) if self._tmp is not None else {}),
            tag_variable=TAG,
            tag=f"{yard.mark}.{next(_numbers)}.{self.agent}",
            memory_limit=profile.memory_limit,
        )
