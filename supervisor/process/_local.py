"""Processes of this machine, behind the seam."""

from collections.abc import Mapping

import trio

from supervisor.process._child import Child
from supervisor.process._interface import Command, Meters, Process
from supervisor.process._measure import TreeMemory, TreeMeters, measure_trees


class LocalHost:
    """This machine, as a `ProcessHost`."""

    def __init__(self, tag_variable: str) -> None:
        """`tag_variable` is what all of its commands are marked by."""
        self._tag_variable = tag_variable

    async def start(self, command: Command) -> Process:
        """Start a `Child`; errors as `Child.start`."""
        return await Child.start(command)

    async def memory(self, processes: Mapping[str, Process]) -> dict[str, TreeMemory]:
        """One look at the machine for all trees."""
        leaders = {one.tag: one.pid for one in processes.values()}
        found = await trio.to_thread.run_sync(measure_trees, self._tag_variable, leaders)
        return {key: found[one.tag] for key, one in processes.items()}

    def meters(self) -> Meters:
        """By descriptors that are kept open."""
        return TreeMeters(self._tag_variable)
