"""`stop`, `status` and `tree`: they work without a pool, and look at the one that runs.

The last two ask the pool over MCP, like any other client.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from supervisor.cli._client import ClientError
from supervisor.cli._failure import CommandError, fail
from supervisor.cli._lock import wake_reaper
from supervisor.cli._manual import DONE, FAILED, NO_POOL, UNFINISHED
from supervisor.cli._screen import columns, harmless, mebibytes, table
from supervisor.cli._session import START_S, NotYetError, looking, none_runs
from supervisor.place import Place

STOP_DEADLINE_S = 60.0
"""How long `stop` waits for the pool and all of its processes to be gone."""

PATIENCE_S = 3.0
"""After so long `stop` says what it waits for."""

ANSWER_DEADLINE_S = 10.0
"""How long a pool may take to answer."""

_COLOURS = {
    "red": "31", "green": "32", "yellow": "33", "blue": "34", "purple": "35", "cyan": "36",
    "orange": "38;5;208", "pink": "38;5;205",
}  # fmt: skip
"""How a terminal is told the colours that an agent's file may name."""


def stop(place: Place, environ: Mapping[str, str], as_json: bool) -> int:
    """Stop the pool and wait until it has gone; 0 also where none runs.

    Where none runs, what one that was killed has left is ended.
    """
    deadline = time.monotonic() + STOP_DEADLINE_S
    while (holder := place.holder()) is not None:
        pid = holder.get("pid")
        if isinstance(pid, int):
            break
        # It has taken the lock, and not yet written who it is.
        if time.monotonic() > deadline:
            text = f"{place.lock} does not say who holds it"
            return fail(as_json, FAILED, "not_stopped", text, stopped=False)
        time.sleep(0.01)
    else:
        return _end_leftovers(place, environ, as_json)
    _tell_to_end(place, holder, pid)
    if not _await_release(place, pid, deadline):
        text = (
            f"the pool (pid {pid}) has not ended within {STOP_DEADLINE_S:.0f} s; its log says what "
            f"it waits for: agent-pool tail; kill -KILL {pid} ends it and all of its agents"
        )
        return fail(as_json, FAILED, "not_stopped", text, stopped=False, pid=pid)
    text = f"stopped the pool of {place.root} (pid {pid})"
    _say(as_json, {"stopped": True, "pid": pid, "root": place.root}, text)
    return 0


def _end_leftovers(place: Place, environ: Mapping[str, str], as_json: bool) -> int:
    """No pool runs: end what one that was killed has left, and say so."""
    import trio

    from supervisor.cli._leftovers import Leftovers, claimed, end_leftovers

    found = left = Leftovers()
    with claimed(place.folder) as ours:
        if ours:  # else one has just started, which does this itself, or there never was one
            found, left = trio.run(end_leftovers, place.folder, environ)
    text = f"no pool of {place.root} runs"
    pids, paths = sorted(found.pids), found.paths
    if pids:
        text += f"; ended what a killed one had left: {', '.join(map(str, pids))}"
    if paths:
        text += f"; removed its folders: {', '.join(paths)}"
    if left:
        stay = [*map(str, sorted(left.pids)), *left.paths]
        text += f"; these would not go: {', '.join(stay)}"
    facts = {
        "stopped": False,
        "root": place.root,
        "strays_ended": pids,
        "processes_left": sorted(left.pids),
        "folders_removed": [path for path in paths if path not in left.paths],
        "folders_left": left.paths,
    }
    if left:
        return fail(as_json, FAILED, "not_stopped", text, **facts)
    _say(as_json, facts, text)
    return DONE


def _tell_to_end(place: Place, holder: dict[str, Any], pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if not hasattr(os, "pidfd_open"):
            os.kill(pid, signal.SIGTERM)
            return
        fd = os.pidfd_open(pid)
        try:
            # The descriptor pins whoever has the pid now: the pool, if it is still the holder.
            if _holds(place, pid):
                signal.pidfd_send_signal(fd, signal.SIGTERM)
                signal.pidfd_send_signal(fd, signal.SIGCONT)
                wake_reaper(holder)
        finally:
            os.close(fd)


def _await_release(place: Place, pid: int, deadline: float) -> bool:
    """Wait until the pool and its reaper are gone, and so all of its processes."""
    patience = time.monotonic() + PATIENCE_S
    while _holds(place, pid):
        now = time.monotonic()
        if now > deadline:
            return False
        if now > patience:
            sys.stderr.write(f"agent-pool: waiting for the pool (pid {pid}) to end ...\n")
            patience = deadline
        time.sleep(0.005)
    return True


def _holds(place: Place, pid: int) -> bool:
    return (place.holder() or {}).get("pid") == pid


def status(place: Place, as_json: bool, starts_s: float = START_S) -> int:
    """Say how the pool does; returns the exit status, see `HEALTH` of `_manual`.

    `starts_s`: seconds that a pool that is starting may take to be there.
    """
    facts: dict[str, Any] = {"running": place.holder() is not None, "root": place.root}
    facts |= {"state_folder": place.folder, "log": place.log}
    try:
        answer, result = _ask(place, "list", starts_s=starts_s)
    except CommandError as failure:
        # What is asked for is how it does, so that is no error, but the answer.
        facts |= {"error": str(failure), "code": failure.code, **failure.facts}
        _say(as_json, facts, _shown(str(failure)))
        return failure.status
    facts |= {name: answer.get(name) for name in ("name", "pid", "version", "http")}
    if result.get("isError"):
        facts["problem"] = facts["error"] = result["content"][0]["text"]
        facts["code"] = (result.get("_meta") or {}).get("code")
        _say(as_json, facts, _shown(f"pool {facts['pid']} is degraded: {facts['problem']}"))
        return FAILED
    facts |= result["structuredContent"]
    facts["down"] = [agent["name"] for agent in facts["agents"] if agent["state"] == "down"]
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    _say(as_json, facts, _table(facts, colour))
    return FAILED if facts["down"] or facts.get("ledger") else DONE


def tree(place: Place, as_json: bool) -> int:
    """Print the supervision tree; returns the exit status.

    A degraded pool has a tree as well, which is printed before it is told what is wrong.

    Raises:
        CommandError: it cannot be had, or the pool is degraded.
    """
    _, result, listed = _ask(place, "tree", "list")
    drawn = None if result.get("isError") else result["structuredContent"]
    failed = next((one for one in (result, listed) if one.get("isError")), None)
    if drawn is not None and not (as_json and failed):
        _say(as_json, drawn, _shown("\n".join(_branches(drawn["tree"]))))
    if failed is None:
        return DONE
    code = (failed.get("_meta") or {}).get("code", "internal_error")
    text = _shown(failed["content"][0]["text"])
    raise CommandError(FAILED, code, text, running=True, **(drawn or {}))


def _branches(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows of a tree, drawn."""
    for number, row in enumerate(rows):
        path = row["path"]
        names = path.split("/")
        above = ["/".join(names[:depth]) for depth in range(2, len(names))]
        lines = "".join("│   " if _more(one, rows[number:]) else "    " for one in above)
        branch = "├── " if _more(path, rows[number:]) else "└── "
        yield f"{lines}{branch if number else ''}{row['name']}{_facts_of(row)}"


def _more(path: str, later: list[dict[str, Any]]) -> bool:
    """Whether another child of the same parent follows."""
    parent = path.rpartition("/")[0] + "/"
    siblings = (row["path"].removeprefix(parent) for row in later if row["path"].startswith(parent))
    return any("/" not in name and parent + name != path for name in siblings)


def _facts_of(row: dict[str, Any]) -> str:
    facts = [row["strategy"]] if row["strategy"] else []
    facts += [row["restart"]] if row["restart"] else []
    if row["type"] == "worker" and row["agent_state"]:
        facts.append(row["agent_state"])
    elif row["state"] != "running":
        is_down = row["state"] == "undefined" or row["agent_state"] == "down"
        facts.append("down" if is_down else row["state"])
    facts += [f"pid {row['pid']}"] if row["pid"] else []
    error = f": {row['error']}" if row["error"] and row["state"] != "running" else ""
    return f"  {', '.join(facts)}{error}" if facts else ""


def _ask(place: Place, *tools: str, starts_s: float = START_S) -> tuple[dict[str, Any], ...]:
    """The pool's answer to hello, and to a call of each tool without arguments.

    Raises:
        CommandError: none runs, it does not answer, or not as a pool does.
    """
    if place.holder() is None:
        raise CommandError(NO_POOL, "no_pool", none_runs(place), running=False, root=place.root)
    try:
        with looking(place, ANSWER_DEADLINE_S, starts_s) as (answer, client):
            return answer, *map(client.call, tools)
    except NotYetError as late:
        facts = {"running": True, "root": place.root, "state": late.state, "pid": late.pid}
        raise CommandError(UNFINISHED, late.code, str(late), **facts) from None
    except (OSError, ValueError, ClientError) as error:
        text = f"the pool does not answer: {error}; agent-pool stop ends it"
        raise CommandError(FAILED, "pool_silent", text, running=True, root=place.root) from None


def _table(facts: dict[str, Any], colour: bool) -> str:
    rows = [("AGENT", "STATE", "PID", "MEMORY", "DONE", "FAILED", "RESTARTS", "WAITING")]
    for agent in facts["agents"]:
        rows.append(
            (
                agent["name"],
                agent["state"],
                str(agent["pid"] or "-"),
                mebibytes(agent["memory_bytes"]),
                str(agent["tasks_done"]),
                str(agent["tasks_failed"]),
                str(agent["restarts"]),
                str(agent["queue_length"]),
            )
        )
    above = [
        f"pool {facts['pid']} (version {facts['version']}) of {facts['name']}, {facts['root']}"
    ]
    if facts["down"]:
        above.append(f"down: {', '.join(facts['down'])}; agent-pool tail says why")
    if facts.get("ledger"):
        above.append(f"new tasks are refused: {facts['ledger']}")
    drawn = table(rows, columns(sys.stdout))
    if colour:
        width = max(len(row[0]) for row in rows)
        names = [None, *(agent.get("color") for agent in facts["agents"])]
        drawn = [_painted(line, width, name) for line, name in zip(drawn, names, strict=True)]
    # Why an agent is down may be told in the words of its own stderr.
    below = _remarks(facts)
    return "\n".join([*map(_shown, above), *drawn, *map(_shown, below)])


def _remarks(facts: dict[str, Any]) -> list[str]:
    """What stands below the table: what is wrong with whom, and where to look."""
    lines = [f"  {a['name']}: {a['error']}" for a in facts["agents"] if a["error"]]
    # Several agents may name the same skill or server, and share what is wrong with it.
    warnings = dict.fromkeys(warning for a in facts["agents"] for warning in a["warnings"])
    lines += [f"  {warning}" for warning in (*warnings, *facts["warnings"])]
    if http := facts.get("http"):
        not_served = f"no HTTP: {http.get('problem')}"
        served = f"MCP over HTTP: {http.get('url')}; the token is in {http.get('token_file')}"
        lines.append(not_served if "problem" in http else served)
    # Of a definition, its agent's warning says it.
    refused = [one for one in facts["refused"] if not any(one in said for said in warnings)]
    lines += [f"  wrong, so what was there before holds on: {one}" for one in refused]
    lines.append(f"log: {facts['log']}")
    return lines


def _painted(line: str, width: int, colour: str | None) -> str:
    """A row with its first column, `width` wide, in the colour that the agent's file names."""
    code = _COLOURS.get(colour or "")
    return f"\033[{code}m{line[:width]}\033[0m{line[width:]}" if code else line


def _shown(text: str) -> str:
    return harmless(text, sys.stdout)


def _say(as_json: bool, facts: dict[str, Any], text: str) -> None:
    print(json.dumps(facts) if as_json else text)
