"""A look at the running pool: agents, what each does now, what their processes use, and costs.

    with Looker(place) as looker:
        facts = looker.look()

The pool is asked over MCP, what a process uses is read from the system.
"""

import time
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from typing import Any, Self

import psutil

from supervisor.cli._client import ClientError, LineClient
from supervisor.cli._session import START_S, NotYetError, looking, none_runs
from supervisor.place import Place

ANSWER_S = 3.0
"""How long the pool may take for an answer: somebody sits and waits for it."""

COSTS_EVERY_S = 10.0
"""Between two sums over a day's tasks, which may be many."""

TASKS = 1000
"""Running tasks that are asked for at most."""

Facts = dict[str, Any]


class CpuMeter:
    """How much of a core trees of processes have used since the last measurement."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[float, float]] = {}

    def measure(self, pids: Collection[int]) -> dict[int, float]:
        """Per cent of a core, by the pid at the top of the tree; 250 is two and a half cores.

        The first time it is the average since the process was started. What has lost its parents
        is not found. A pid that is not there any more is left out.
        """
        if not pids:  # all processes of the machine would be read for nothing
            self._before = {}
            return {}
        spent, children, since = _times()
        now = time.time()
        found, after = {}, {}
        for pid in pids:
            if pid not in spent:
                continue
            total_s = sum(spent[one] for one in _tree(pid, children))
            then, before_s = self._before.get(pid, (since[pid], 0.0))
            after[pid] = now, total_s
            found[pid] = max(0.0, 100 * (total_s - before_s) / max(now - then, 0.001))
        self._before = after
        return found


def _times() -> tuple[dict[int, float], dict[int, list[int]], dict[int, float]]:
    """Of every process by its pid: seconds of CPU, its children, and when it was started."""
    spent, children, since = {}, dict[int, list[int]](), {}
    for process in psutil.process_iter(["ppid", "cpu_times", "create_time"]):
        facts = process.info
        if facts["cpu_times"] is None:  # another user's, where that is hidden
            continue
        # With those of the children that have ended: else a tree would seem to use less than none.
        used = facts["cpu_times"]
        spent[process.pid] = used.user + used.system + _of_ended_children(used)
        since[process.pid] = facts["create_time"]
        children.setdefault(facts["ppid"], []).append(process.pid)
    return spent, children, since


def _of_ended_children(used: Any) -> float:
    # Not told on every platform.
    return float(getattr(used, "children_user", 0.0) + getattr(used, "children_system", 0.0))


def _tree(top: int, children: dict[int, list[int]]) -> Iterable[int]:
    todo = [top]
    while todo:
        pid = todo.pop()
        yield pid
        todo += children.get(pid, ())


class Looker:
    """Looks again and again, over one session as long as the pool is the same."""

    def __init__(self, place: Place, starts_s: float = START_S) -> None:
        """`starts_s`: seconds that a pool that is starting may take to be there."""
        self._place = place
        self._starts_s = starts_s
        self._session = ExitStack()
        self._joined: tuple[Facts, LineClient] | None = None
        self._cpu = CpuMeter()
        self._costs: dict[str, float] | None = None
        self._costs_due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave()

    def look(self) -> Facts:
        """How the pool does now.

        Always `running` and `root`. Where it cannot be told: `error` and `code`; of a pool that
        is starting or ending also `state`, of one that is degraded `problem`. Else `pid`,
        `version`, `warnings`, `cost_usd` of the last day (None where that cannot be told), and
        `agents`: the rows of the tool `list`, each with `cpu_percent`, `cost_usd`, and `tasks`:
        the rows of the tool `tasks` that run.
        """
        facts: Facts = {"running": self._place.holder() is not None, "root": self._place.root}
        if not facts["running"]:
            self._leave()
            return facts | {"error": none_runs(self._place), "code": "no_pool"}
        try:
            return facts | self._ask()
        except NotYetError as late:
            return facts | {"error": str(late), "code": late.code, "state": late.state}
        except (OSError, ValueError, ClientError) as error:
            self._leave()
            said = f"the pool does not answer: {error}; agent-pool stop ends it"
            return facts | {"error": said, "code": "pool_silent"}

    def _leave(self) -> None:
        self._session.close()
        self._joined = None
        self._costs_due = 0.0

    def _ask(self) -> Facts:
        if self._joined is None:
            self._joined = self._session.enter_context(
                looking(self._place, ANSWER_S, self._starts_s)
            )
        answer, client = self._joined
        facts = {name: answer.get(name) for name in ("pid", "version")}
        listed = client.call("list")
        if listed.get("isError"):
            said, meta = listed["content"][0]["text"], listed.get("_meta") or {}
            return facts | {"problem": said, "error": said, "code": meta.get("code")}
        record = listed["structuredContent"]
        running = _rows(client, "tasks", state="running", limit=TASKS) or []
        costs = self._costs_of_a_day(client)
        agents = record["agents"]
        cpu = self._cpu.measure({pid for agent in agents for pid in _pids(agent)})
        for agent in agents:
            agent["tasks"] = [task for task in running if task["agent"] == agent["name"]]
            agent["cost_usd"] = None if costs is None else costs.get(agent["name"], 0.0)
            known = [cpu[pid] for pid in _pids(agent) if pid in cpu]
            agent["cpu_percent"] = round(sum(known), 1) if known else None
        total = None if costs is None else sum(costs.values())
        return facts | {"agents": agents, "warnings": record["warnings"], "cost_usd": total}

    def _costs_of_a_day(self, client: LineClient) -> dict[str, float] | None:
        now = time.monotonic()
        if now >= self._costs_due:
            self._costs_due = now + COSTS_EVERY_S
            rows = _rows(client, "stats", by="agent", days=1)
            self._costs = None if rows is None else {r["agent"]: r["cost_usd"] for r in rows}
        return self._costs


def _rows(client: LineClient, tool: str, **arguments: object) -> list[Facts] | None:
    """The rows that a tool gives below its own name; None: it has none, its ledger is ill, say."""
    result = client.call(tool, arguments)
    if result.get("isError"):
        return None
    rows: list[Facts] = result["structuredContent"][tool]
    return rows


def _pids(agent: Facts) -> set[int]:
    """The processes of an agent, those of its conversations included."""
    return {row["pid"] for row in (*agent["workers"], *agent["conversations"]) if row["pid"]}
