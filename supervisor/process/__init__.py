"""OS children: spawn, pipes, exit, the kill of a whole tree, its memory. Knows no agent.

A `Child` is a process in a session of its own, with a tag in its environment that everything
it starts inherits. `Child.end` is over only when nothing that carries the tag, and nothing
that descends from the process, is left.
"""

from supervisor.process._cgroup import end_subtree, use_cgroups
from supervisor.process._child import Child, Command
from supervisor.process._growth import GrowthClock
from supervisor.process._kill import find_marked, find_tree, kill_exactly, kill_until_gone
from supervisor.process._machine import (
    available_bytes,
    is_dying,
    is_stopped,
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
    "Child",
    "Command",
    "GrowthClock",
    "ProcessId",
    "ProcessMemory",
    "Seen",
    "TreeMemory",
    "TreeMeters",
    "age_s",
    "available_bytes",
    "become_subreaper",
    "command_line",
    "descendants",
    "end_everything_below",
    "end_subtree",
    "find_marked",
    "find_tree",
    "is_dying",
    "is_stopped",
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
    "tagged",
    "use_cgroups",
]
