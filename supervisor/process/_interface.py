"""The seam: all that a worker knows of how its process runs.

`Child` runs it on this machine. Another way (through ssh, in a container, on a cluster) is another
`ProcessHost`, and nothing above this room changes for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from supervisor.process._measure import TreeMemory


@dataclass(frozen=True)
class Command:
    """What to start, and how to find all of it again."""

    argv: tuple[str, ...]
    """The program and its arguments."""
    cwd: Path
    """The folder that it runs in."""
    env: Mapping[str, str]
    """Its whole environment; nothing is inherited."""
    tag_variable: str
    """The name of the environment variable that marks the tree."""
    tag: str
    """The mark: a value never used for another start."""
    memory_limit: int | None = None
    """Bytes that the kernel is to hold the tree to, where it can; None: no limit."""


class ProcessClosedError(Exception):
    """The process takes no input any more: it has ended, or closed its stdin."""


class Process(Protocol):
    """A started process and everything that it starts: its *tree*.

    Whoever has it calls `end` once, whatever happened before.
    """

    @property
    def pid(self) -> int:
        """What it is called in logs."""

    @property
    def argv(self) -> tuple[str, ...]:
        """What was started."""

    @property
    def tag(self) -> str:
        """The mark that all of its tree carries: never used for another start."""

    @property
    def takes_input(self) -> bool:
        """False: it is being killed, so what is sent now may be taken and come to nothing."""

    @property
    def is_stopped(self) -> bool:
        """It does nothing, because a signal has stopped it; False where none can tell."""

    @property
    def unread_bytes(self) -> int:
        """Bytes that were sent and never read; known after `end`, 0 where none can tell."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`; a cancelled call may have sent a part of it.

        Raises:
            ProcessClosedError: nobody reads there any more.
        """

    async def receive(self) -> bytes:
        """What it has printed since, as soon as there is something; empty once that is over.

        No byte is lost if this is cancelled.
        """

    async def receive_errors(self) -> bytes:
        """The same of its stderr."""

    async def close_input(self) -> None:
        """Tell it that nothing more will be sent."""

    def limit_memory(self, limit_bytes: int) -> None:
        """From now on the kernel is to hold its tree to so many bytes, where it can."""

    async def exited(self) -> None:
        """Wait until it has ended; its tree may be there still."""

    async def end_strangers(self) -> list[int]:
        """Kill what commands of it have left running, but not its own helpers. Not cancellable.

        Returns those that would not go.
        """

    async def end(self) -> int | None:
        """Kill its tree, wait until all of it is gone, and let go of it. Not cancellable.

        Returns its exit status, negative for a signal's number; None: it would not go.
        """


class Meters(Protocol):
    """Measures trees again and again, cheaply; called from one thread at a time."""

    def follow(self, leaders: Mapping[str, int]) -> None:
        """From now on these trees are measured: the pid of each one's leader, by its tag."""

    def refresh(self) -> None:
        """Find out who has come to each tree, and who has gone.

        Raises:
            OSError: that cannot be told at the moment.
        """

    def size_bytes(self, tag: str) -> int:
        """A tree's size now; never less than what `memory` says."""

    def memory(self, tag: str) -> TreeMemory:
        """The same exactly, process by process."""

    def freeze(self, tag: str) -> None:
        """Stop a tree, so that it does not grow while it is being killed."""

    def close(self) -> None:
        """Let go of whatever is kept open."""


class ProcessHost(Protocol):
    """Where processes run."""

    async def start(self, command: Command) -> Process:
        """Start `command`.

        Raises:
            OSError: it cannot be started; `filename` and `strerror` say what and why.
            ValueError: an argument or a variable holds a zero byte.
        """

    async def memory(self, processes: "Mapping[str, Process]") -> dict[str, TreeMemory]:
        """The memory of each tree now, by the key that it was given under."""

    def meters(self) -> Meters:
        """What measures the trees that processes of this host are."""
