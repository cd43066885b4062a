"""What pool.toml says that can be read, and that no process could be started with."""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from supervisor.pool.config import At, Loaded, Problem, dotted
from supervisor.pool.launch import CliFinder, folder_of
from supervisor.pool.outcome import PoolError


def missing_folders(loaded: Loaded, agents: Iterable[str], root: Path) -> Iterator[Problem]:
    """The folders that agents are to run or work in, and that are not there; each is told once.

    Args:
        loaded: the configuration.
        agents: the names of those that it is asked of.
        root: the project.
    """
    told: set[At] = set()
    for agent in agents:
        said = loaded.config.agent(agent)
        wanted: list[tuple[At, str]] = [
            (("agents", agent, "working_directory"), said.working_directory)
        ]
        at = loaded.layers.place(("agents", agent, "extra_directories"))
        wanted += [((*at, str(n)), folder) for n, folder in enumerate(said.extra_directories)]
        for key, folder in wanted:
            at = loaded.layers.place(key)
            if folder and at not in told:
                told.add(at)
                yield from _missing(loaded, at, folder, root)


def _missing(loaded: Loaded, at: At, said: str, root: Path) -> Iterator[Problem]:
    folder = folder_of(said, root)
    if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
        return
    why = "may not be read by you" if folder.is_dir() else "is no folder"
    origin, is_item = loaded.origin(at), at[-1].isdigit()
    key = dotted(at[:-1] if is_item else at)
    message = f"{folder} {why}; make it, or name another one"
    yield Problem(origin.path, origin.line, key, message, "warning" if is_item else "error")


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
            at = loaded.layers.place(("agents", agent, "command"))
            origin = loaded.origin(at)
            yield Problem(origin.path, origin.line, dotted(at), refused.error.message)
