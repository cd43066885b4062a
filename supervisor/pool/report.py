"""How agents and the tree look to a client: rows of plain values, for `list` and `tree`."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import trio

from supervisor.agents import AgentDefinition, BrokenDefinition
from supervisor.pool.agent import Agent, Limits, Seat
from supervisor.pool.agent_tree import AgentTree
from supervisor.pool.launch import Role, ignored_mode
from supervisor.pool.refusals import broken_error
from supervisor.process import TreeMemory
from supervisor.tree import Snapshot

Row = dict[str, Any]


def agent_rows(
    entries: Sequence[AgentDefinition | BrokenDefinition],
    agents: Mapping[str, Agent],
    refused: Mapping[str, BrokenDefinition],
) -> list[Row]:
    """Every agent that is defined, and then those that go; arguments as in `agent_row`."""
    defined = {entry.name for entry in entries}
    rows = [agent_row(one, agents, refused.get(one.name)) for one in entries]
    return rows + [orphan_row(agent, agents) for agent in _undefined(agents, defined)]


def _undefined(agents: Mapping[str, Agent], defined: set[str]) -> list[Agent]:
    """Agents that have a process, or tasks, and no definition any more."""
    return [
        agent
        for name, agent in agents.items()
        if (agent.ready or agent.is_removed) and agent.conversation is None and name not in defined
    ]


def agent_row(
    entry: AgentDefinition | BrokenDefinition,
    agents: Mapping[str, Agent],
    refused: BrokenDefinition | None = None,
) -> Row:
    """One defined agent, running or not.

    Args:
        entry: its definition, as it is started here.
        agents: all that the pool knows, by name.
        refused: what is wrong with its files as they are now, if that is not in force.
    """
    agent = agents.get(entry.name) or Agent(entry.name, lambda: Limits(0))
    row = _figures_row(entry, agent) | {"conversations": _conversations(entry.name, agents)}
    if isinstance(entry, BrokenDefinition):
        return row | {"state": "broken", "error": broken_error(entry).message}
    warnings = [str(finding) for finding in entry.warnings]
    mode = entry.mode if isinstance(entry, Role) else None
    if mode == "bypassPermissions":
        warnings.append(f"{entry.name} runs with bypassPermissions: it may do anything, unasked")
    row["permission_mode"] = mode
    if (ignored := ignored_mode(entry)) is not None:
        warnings.append(ignored)
    if refused is not None:
        said = "; ".join(str(finding) for finding in refused.findings if finding.is_error)
        warnings.append(f"changed since, and wrong, so it goes on as it was: {said}")
    return row | {"description": entry.description, "color": entry.color, "warnings": warnings}


def orphan_row(agent: Agent, agents: Mapping[str, Agent]) -> Row:
    """A process that still runs, though the definition of its agent has been taken away."""
    gone = BrokenDefinition(agent.name, Path(), "project", ())
    error = "its definition is gone; it goes once what it has accepted is served"
    return agent_row(gone, agents) | {"state": agent.state, "source": "", "error": error}


def add_memory(rows: Iterable[Row], sizes: Mapping[str, TreeMemory]) -> None:
    """Fill in bytes: `sizes` by the name of each worker that has a process."""
    for row in rows:
        for worker in row["workers"]:
            memory = sizes.get(worker["name"])
            worker["memory_bytes"] = memory and memory.size_bytes
        known = [w["memory_bytes"] for w in row["workers"] if w["memory_bytes"] is not None]
        row["memory_bytes"] = sum(known) if known else None


def tree_rows(top: Snapshot, tree: AgentTree) -> list[Row]:
    """The supervision tree, a row a supervisor or child, the root first."""
    root = {"path": top.name, "name": top.name, "type": "supervisor", "state": "running"}
    return [root | _flags_row(top), *_rows_below(top, top.name, tree)]


def _rows_below(above: Snapshot, path: str, tree: AgentTree) -> Iterator[Row]:
    for info, below in above.children:
        here = f"{path}/{info.id}"
        row: Row = {"path": here, "name": info.id, "type": info.type}
        row |= {"state": info.state, "restart": info.restart}
        agent = tree.about(info.id)
        if agent is not None:
            seat = tree.seat_of(info.id)
            row |= {"agent": agent.name, "agent_state": agent.state}
            row["pid"] = seat.ready.pid if seat and seat.ready else None
            row["error"] = agent.down.reason if agent.down else None
        yield row | ({} if below is None else _flags_row(below))
        if below is not None:
            yield from _rows_below(below, here, tree)


def _flags_row(supervisor: Snapshot) -> Row:
    flags = supervisor.flags
    return {
        "strategy": flags.strategy,
        "intensity": flags.intensity,
        "period_s": flags.period_s,
    }


def _figures_row(entry: AgentDefinition | BrokenDefinition, agent: Agent) -> Row:
    workers = [_worker_row(seat) for seat in agent.seats]
    tmp = [w["tmp_bytes"] for w in workers if w["tmp_bytes"] is not None]
    return {
        "name": entry.name,
        "description": "",
        "state": agent.state,
        "pid": agent.ready.pid if agent.ready else None,
        "memory_bytes": None,
        "tmp_bytes": sum(tmp) if tmp else None,
        "tasks_done": agent.figures.tasks_done,
        "tasks_failed": agent.figures.tasks_failed,
        "restarts": agent.figures.restarts,
        "recycles": agent.figures.recycles,
        "uptime_s": max((w["uptime_s"] or 0 for w in workers), default=0) or None,
        "queue_length": len(agent.queue),
        "reset_by": agent.capabilities.reset_by(),
        "watched_by": agent.capabilities.watched_by(),
        "origin": entry.origin,
        "source": str(entry.source),
        "workers": workers,
        "permission_mode": None,
        "warnings": [],
        "error": agent.down_error().message if agent.down else None,
    }


def _worker_row(seat: Seat) -> Row:
    return {
        "name": seat.name,
        "state": seat.state,
        "pid": seat.ready.pid if seat.ready else None,
        "memory_bytes": None,
        "tmp_bytes": seat.tmp_bytes,
        "uptime_s": round(time.time() - seat.started_at, 1) if seat.started_at else None,
        "task_id": seat.current.id if seat.current else None,
    }


def _conversations(name: str, agents: Mapping[str, Agent]) -> list[Row]:
    found = [a for a in agents.values() if a.defined_as == name and a.conversation is not None]
    return [_conversation_row(agent) for agent in sorted(found, key=lambda one: one.name)]


def _conversation_row(agent: Agent) -> Row:
    idle_s = round(trio.current_time() - agent.last_used, 1) if agent.last_used else None
    return {
        "name": agent.conversation,
        "state": agent.state,
        "pid": agent.ready.pid if agent.ready else None,
        "queue_length": len(agent.queue),
        "idle_s": idle_s if agent.state in ("idle", "stopped") else None,
    }
