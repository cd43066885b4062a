"""OS children: spawn, pipes, exit, the kill of a whole tree, its memory. Knows no agent.

What is above this room sees a `Process` of a `ProcessHost`: the seam behind which other ways to
run one may stand. Behind it, a `Child` is a process of this machine in a session of its own, with
a tag in its environment that everything it starts inherits. `Child.end` is over only when nothing
that carries the tag, and nothing that descends from the process, is left.
"""

from supervisor.process._cgroup import cgroup_members, end_subtree, use_cgroups, writable_cgroup
from supervisor.process._child import Child
from supervisor.process._growth import GrowthClock
from supervisor.process._interface import Command, Meters, Process, ProcessClosedError, ProcessHost
from supervisor.process._kill import (
    find_marked,
    find_tree,
    kill_exactly,
    kill_until_gone,
    shared_census,
)
from supervisor.process._launcher import has_parent_death_signal
from supervisor.process._local import LocalHost
from supervisor.process._machine import (
    available_bytes,
    memory_pressure,
    pressure,
)
from supervisor.process._measure import ProcessMemory, TreeMemory, TreeMeters, measure_trees
from supervisor.process._reaper import (
    become_subreaper,
    end_everything_below,
    on_children,
    reap_adopted_forever,
)
from supervisor.process._scan import (
    Census,
    ProcessId,
    Seen,
    age_s,
    command_line,
    descendants,
    marks,
    memory_of,
    open_files,
    scan,
    tagged,
)

__all__ = [
    "Census",
    "Child",
    "Command",
    "GrowthClock",
    "LocalHost",
    "Meters",
    "Process",
    "ProcessClosedError",
    "ProcessHost",
    "ProcessId",
    "ProcessMemory",
    "Seen",
    "TreeMemory",
    "TreeMeters",
    "age_s",
    "available_bytes",
    "become_subreaper",
    "cgroup_members",
    "command_line",
    "descendants",
    "end_everything_below",
    "end_subtree",
    "find_marked",
    "find_tree",
    "has_parent_death_signal",
    "kill_exactly",
    "kill_until_gone",
    "marks",
    "measure_trees",
    "memory_of",
    "memory_pressure",
    "on_children",
    "open_files",
    "pressure",
    "reap_adopted_forever",
    "scan",
    "shared_census",
    "tagged",
    "use_cgroups",
    "writable_cgroup",
]
