"""`agent-pool top`: agents, what each does now, and what it uses, once a second.

On a terminal it is a page that is drawn anew, until q or Ctrl-C; elsewhere, or once, a table. It
only looks: it starts no pool, and waits for one where none runs. As long as it looks, the pool
does not go by itself.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from supervisor.cli._full_screen import FullScreen
from supervisor.cli._look import Facts, Looker
from supervisor.cli._manual import FAILED, NO_POOL, UNFINISHED
from supervisor.cli._screen import (
    DIM,
    colours,
    columns,
    cut,
    dollars,
    mebibytes,
    painted,
    rewrites,
    seconds,
    table,
    visible,
)
from supervisor.cli._session import START_S
from supervisor.place import Place

REFRESH_S = 1.0
"""Between two looks."""

SHOWN_S = 0.3
"""For so long a page stands at least, and keys are looked for."""

HEAD = (
    "AGENT", "STATE", "PID", "CPU", "MEMORY", "DONE", "FAILED", "RESTARTS", "WAITING", "COST",
    "RAN", "TASK", "DOING",
)  # fmt: skip

LEAST_TELLING = ("RESTARTS", "FAILED", "DONE", "COST", "PID", "CPU", "WAITING", "MEMORY")
"""Columns that a narrow terminal does without, in this order: what is done now is shown first."""

ROOM = {"TASK": 14, "RAN": 8, "DOING": 20}
"""Kept free for these, also while nobody works: else columns would come and go with tasks."""

_ORDER = (
    "busy", "resetting", "starting", "restarting", "down", "idle", "broken", "stopped",
)  # fmt: skip
"""Of the states: what somebody looks for comes first."""

_COLOURS = {
    "busy": "32", "resetting": "33", "starting": "33", "restarting": "33", "down": "31",
    "broken": "31", "stopped": DIM,
}  # fmt: skip

_INVERSE = "7"


def top(place: Place, once: bool, as_json: bool) -> int:
    """Show how the pool does until q is pressed; returns 0.

    With `once`, with `as_json`, and where stdout is no terminal that can be drawn on, only what is
    so now; then the status is that of `status`.
    """
    live = not (once or as_json) and rewrites(sys.stdout)
    with Looker(place, 0.0 if live else START_S) as looker:
        if live:
            return _watch(looker)
        facts = looker.look()
    if as_json:
        print(json.dumps(facts))
    else:
        print("\n".join(page(facts, columns(sys.stdout), colours(sys.stdout))))
    return status_of(facts)


def _watch(looker: Looker) -> int:
    with FullScreen() as screen:
        while True:
            began = time.monotonic()
            facts = looker.look()
            width, height = screen.size
            # One less: what follows a full line would take away its last character.
            colour = colours(sys.stdout)
            lines = _fitting(page(facts, width - 1, colour), height - 1)
            screen.show([*lines, painted(cut("q: quit", width - 1), DIM, colour)])
            # A pool that does not answer takes longer than the time between two looks.
            if _is_told_to_quit(screen, max(began + REFRESH_S, time.monotonic() + SHOWN_S)):
                return 0


def _is_told_to_quit(screen: FullScreen, due: float) -> bool:
    """Wait until then; True at once, when q is pressed, or was while nobody looked."""
    while True:
        left = due - time.monotonic()
        key = screen.key(max(left, 0.0))
        if key in ("q", "Q"):
            return True
        if left <= 0 and not key:
            return False


def _fitting(lines: list[str], height: int) -> list[str]:
    if len(lines) <= height:
        return lines
    kept = max(height - 1, 0)
    return [*lines[:kept], f"… {len(lines) - kept} more lines"][:height]


def status_of(facts: Facts) -> int:
    """The exit status that `status` has for such a pool."""
    if not facts["running"]:
        return NO_POOL
    if "agents" not in facts:
        return UNFINISHED if "state" in facts else FAILED
    return int(any(agent["state"] == "down" for agent in facts["agents"]))


def page(facts: Facts, width: int | None, colour: bool) -> list[str]:
    """What is shown of a look.

    Args:
        facts: as `Looker.look` gives them.
        width: columns that a line may have; None: as many as it needs.
        colour: lines may be coloured.
    """
    now = time.strftime("%H:%M:%S")
    if "error" in facts and "problem" not in facts:
        return [cut(visible(f"{now}  {facts['error']}"), width)]
    pool = f"{now}  pool {facts['pid']} (version {facts['version']}) of {facts['root']}"
    if "problem" in facts:
        return [cut(visible(line), width) for line in (pool, f"degraded: {facts['problem']}")]
    agents = sorted(facts["agents"], key=_rank)
    rows = [(None, HEAD), *(row for agent in agents for row in _rows_of(agent))]
    drawn = table(_narrowed([cells for _, cells in rows], width), width)
    lines = [cut(visible(line), width) for line in (pool, _summary(agents, facts["cost_usd"]))]
    lines.append(painted(drawn[0], _INVERSE, colour))
    for (state, _), line in zip(rows[1:], drawn[1:], strict=True):
        lines.append(painted(line, _COLOURS.get(state or "", ""), colour))
    wrong = [f"{agent['name']}: {agent['error']}" for agent in agents if agent["error"]]
    return lines + [cut(visible(line), width) for line in wrong]


def _narrowed(rows: list[tuple[str, ...]], width: int | None) -> list[tuple[str, ...]]:
    """The rows without the columns for which there is no room."""
    if width is None:
        return rows
    needs = {
        head: ROOM[head] if head == "DOING" else max(ROOM.get(head, 0), *map(len, cells))
        for head, *cells in ((column[0], *column) for column in zip(*rows, strict=True))
    }
    for head in LEAST_TELLING:
        if sum(needs.values()) + 2 * (len(needs) - 1) <= width:
            break
        del needs[head]
    kept = [at for at, head in enumerate(HEAD) if head in needs]
    return [tuple(row[at] for at in kept) for row in rows]


def _rank(agent: Facts) -> tuple[int, str]:
    state = agent["state"]
    return _ORDER.index(state) if state in _ORDER else len(_ORDER), agent["name"]


def _summary(agents: list[Facts], cost_usd: float | None) -> str:
    number = {state: sum(agent["state"] == state for agent in agents) for state in _ORDER}
    states = ", ".join(f"{n} {state}" for state, n in number.items() if n)
    memory = sum(agent["memory_bytes"] or 0 for agent in agents)
    cpu = sum(agent["cpu_percent"] or 0 for agent in agents)
    waiting = sum(_waiting(agent) for agent in agents)
    running = sum(len(agent["tasks"]) for agent in agents)
    cost = f"; {dollars(cost_usd)} in 24 hours" if cost_usd else ""
    return (
        f"agents: {states or 'none'}; tasks: {running} run, {waiting} wait; "
        f"CPU {cpu:.0f}%, memory {mebibytes(memory)}{cost}"
    )


def _waiting(agent: Facts) -> int:
    return sum(int(one["queue_length"]) for one in (agent, *agent["conversations"]))


def _rows_of(agent: Facts) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The lines of an agent, each with the state whose colour it has.

    Its own, then one each worker where it has several, and one each conversation that is kept.
    """
    by_worker = {task["task_id"]: task for task in agent["tasks"]}
    workers = agent["workers"]
    only = workers[0] if len(workers) == 1 else None
    task = by_worker.get(only["task_id"]) if only else None
    yield (
        agent["state"],
        (
            agent["name"],
            agent["state"],
            str(agent["pid"] or "-") if len(workers) < 2 else "-",
            "-" if agent["cpu_percent"] is None else f"{agent['cpu_percent']:.0f}%",
            mebibytes(agent["memory_bytes"]),
            str(agent["tasks_done"]),
            str(agent["tasks_failed"]),
            str(agent["restarts"]),
            str(agent["queue_length"]),
            dollars(agent["cost_usd"]),
            *_task_cells(task),
        ),
    )
    for worker in workers if only is None else ():
        cells = _part(f"  {worker['name']}", worker, mebibytes(worker["memory_bytes"]), "-")
        yield worker["state"], (*cells, *_task_cells(by_worker.get(worker["task_id"])))
    for one in agent["conversations"]:
        found = [task for task in agent["tasks"] if task["conversation"] == one["name"]]
        cells = _part(f"  @{one['name']}", one, "-", str(one["queue_length"]))
        yield one["state"], (*cells, *_task_cells(found[0] if found else None))


def _part(name: str, row: Facts, memory: str, waiting: str) -> tuple[str, ...]:
    return (
        name, row["state"], str(row["pid"] or "-"), "-", memory, "-", "-", "-", waiting, "-",
    )  # fmt: skip


def _task_cells(task: dict[str, Any] | None) -> tuple[str, str, str]:
    if task is None:
        return "-", "-", "-"
    return seconds(task["ran_s"]), task["task_id"], task["doing"] or "-"
