"""What pool.toml says that can be read, and that no process could be started with."""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from supervisor.pool.config import Loaded, Problem, dotted
from supervisor.pool.launch import CliFinder, folder_of
from supervisor.pool.outcome import PoolError


def missing_folders(loaded: Loaded, agents: Iterable[str], root: Path) -> Iterator[Problem]:
    """The folders that agents are to run or work in, and that are not there.

    Args:
        loaded: the configuration.
        agents: the names of those that it is asked of.
        root: the project.
    """
    for agent in agents:
        said = loaded.config.agent(agent)
        if said.working_directory:
            yield from _missing(loaded, agent, "working_directory", said.working_directory, root)
        for folder in said.extra_directories:
            yield from _missing(loaded, agent, "extra_directories", folder, root)


def _missing(loaded: Loaded, agent: str, key: str, said: str, root: Path) -> Iterator[Problem]:
    folder, at = folder_of(said, root), ("agents", agent, key)
    if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
        return
    why = "may not be read by you" if folder.is_dir() else "is no folder"
    origin = loaded.origin(at)
    yield Problem(
        origin.path,
        origin.line,
        dotted(at),
        f"{folder} {why}; make it, or name another one",
        "error" if key == "working_directory" else "warning",
    )


def not_startable(
    loaded: Loaded, agents: Collection[str], root: Path, clis: CliFinder
) -> Iterator[Problem]:
    """The errors that agents would have at their next start, of their folders and commands."""
    yield from (one for one in missing_folders(loaded, agents, root) if one.severity == "error")
    tried: set[str] = set()
    for agent in agents:
        command = loaded.config.agent(agent).command
        if command in tried:
            continue
        tried.add(command)
        try:
            clis.otherwise(command, root).find()
        except PoolError as refused:
            at = ("agents", agent, "command")
            origin = loaded.origin(at)
            yield Problem(origin.path, origin.line, dotted(at), refused.error.message)
