"""The commands that put calls to the pool, as an MCP client of it, and what they print.

Standard output has the result and nothing else; what went wrong is said on standard error.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from supervisor.cli._asking import asker_at_terminal
from supervisor.cli._client import ClientError, LineClient
from supervisor.cli._failure import CommandError
from supervisor.cli._input import InputError, read_task, read_tasks
from supervisor.cli._manual import DONE, FAILED, MISUSED, NO_POOL, STARTERS, UNFINISHED
from supervisor.cli._screen import (
    StatusLine,
    colours,
    columns,
    dollars,
    harmless,
    local_time,
    seconds,
    table,
)
from supervisor.cli._session import NoPoolError, session
from supervisor.cli._usage import UsageError
from supervisor.place import Place

NOT_SAID, EMPTY = "not said", "{}"
"""Values in the pool's words about a change: none, and one that says nothing."""

FOR_EVER_S = 1e9
"""What `wait` asks for where it is to wait until the end."""

AT_SHELL = "at_shell"
"""Where the pool puts an error's text for people at a shell, if that differs from a model's."""

_STATUSES = {"task_running": UNFINISHED, "invalid_arguments": MISUSED}
"""Exit statuses of errors, by their codes, where it is not `FAILED`."""

ASKED_BACK = ("invoke", "consult", "invoke_many")
"""Tools in whose calls the agent may ask for a permission."""

HAND_OVER = (*ASKED_BACK, "submit")
"""Tools that are given tasks."""

_TASK_TOLD = re.compile(r"; task ([\w-]+)\)$")
"""The end of a message that tells how far one task is."""

Result = dict[str, Any]
"""A tool's result, as MCP gives it."""


@dataclass(frozen=True)
class Command:
    """One command: a tool, and the way from and to a person."""

    tool: str
    """The tool that it calls."""
    starts: bool
    """A pool is started where none runs."""
    asks: Callable[[argparse.Namespace], list[dict[str, Any]]]
    """The arguments of its calls, one after the other."""
    shows: Callable[[Result, argparse.Namespace], int]
    """Prints what came of a call, unless it failed; returns the exit status."""


def call(place: Place, arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run one of `COMMANDS`; returns the exit status.

    Raises:
        CommandError: nothing could be asked.
        UsageError: what is to be asked cannot be.
        KeyboardInterrupt: Ctrl-C; the call under way has been cancelled.
    """
    command = COMMANDS[arguments.command]
    status = DONE
    try:
        # Read first: no pool is started for what cannot be asked.
        asked = command.asks(arguments)
        line = StatusLine(sys.stderr)
        asker = asker_at_terminal(line) if command.tool in ASKED_BACK else None
        with session(place, command.starts, environ, asker) as client:
            for one in asked:
                result = _ask(client, command.tool, one, line)
                status = max(status, _shown(result, command, arguments))
    except InputError as error:
        raise UsageError(str(error), command=f"agent-pool {arguments.command}") from None
    except NoPoolError as error:
        running = place.holder() is not None
        facts: dict[str, Any] = {"running": running, "root": place.root}
        facts |= {} if error.task_id is None else {"task_id": error.task_id}
        raise CommandError(NO_POOL, error.code, str(error), **facts) from None
    return status


def _ask(client: LineClient, tool: str, asked: dict[str, Any], line: StatusLine) -> Result:
    given = {name: value for name, value in asked.items() if value is not None}
    told = ""

    def show(progress: str) -> None:
        nonlocal told
        told = progress
        line.show(progress)

    try:
        return client.call(tool, given, show)
    except (OSError, ValueError, ClientError) as error:
        raise _gone(tool, told, error) from error
    finally:
        line.clear()


def _gone(tool: str, told: str, error: Exception) -> NoPoolError:
    """The pool went during a call of `tool`; `told` is the last that it said of its progress."""
    found = _TASK_TOLD.search(told)
    advice = STARTERS
    if found is not None:
        advice += f"; then agent-pool result {found[1]} tells what became of the task"
    elif tool in HAND_OVER:
        advice += "; then agent-pool tasks tells what became of it"
    message = f"the pool has gone in the middle of the call: {error}; {advice}"
    return NoPoolError(message, task_id=found and found[1])


def _shown(result: Result, command: Command, arguments: argparse.Namespace) -> int:
    """Print it to the end; returns the exit status.

    Raises:
        OSError: it cannot be written; a note says where it can be had again.
    """
    try:
        status = _show(result, command, arguments)
        sys.stdout.flush()
    except OSError as error:
        if ids := _task_ids(result):
            again = "; ".join(f"agent-pool result {name}" for name in ids)
            error.add_note(f"it is kept, and printed again by: {again}")
        raise
    return status


def _task_ids(result: Result) -> list[str]:
    """The tasks that a result is of."""
    meta = _meta(result)
    records = [meta, *meta.get("outcomes", []), result.get("structuredContent") or {}]
    return [record["task_id"] for record in records if "task_id" in record]


def _show(result: Result, command: Command, arguments: argparse.Namespace) -> int:
    if not result.get("isError") or "outcomes" in _meta(result):
        return command.shows(result, arguments)
    meta = _meta(result)
    text = meta.pop(AT_SHELL, None) or _text(result)
    if arguments.json:
        print(json.dumps({"error": text, **meta}))
    else:
        _say(harmless(text, sys.stderr))
    return _STATUSES.get(meta.get("code", ""), FAILED)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _text(result: Result) -> str:
    return "\n".join(_texts(result))


def _texts(result: Result) -> list[str]:
    """What is meant for people, and not for a model alone."""
    return [
        str(block.get("text", ""))
        for block in result["content"]
        if "user" in (block.get("annotations") or {}).get("audience", ["user"])
    ]


def _meta(result: Result) -> dict[str, Any]:
    return dict(result.get("_meta") or {})


# What is asked


def _task(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "agent": given.agent,
        "task": read_task(given.task),
        "timeout_s": given.timeout,
        "priority": given.priority,
        "conversation": given.conversation,
        "reply": "full",
    }


def _invoke(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [_task(given) | {"if_longer_than_s": given.if_longer_than}]


def _consult(given: argparse.Namespace) -> list[dict[str, Any]]:
    task = read_task(given.task)
    return [{"agent": given.agent, "task": task, "timeout_s": given.timeout, "reply": "full"}]


def _invoke_many(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [{"tasks": read_tasks(given.file), "max_parallel": given.max_parallel}]


def _submit(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [_task(given)]


def _wait(given: argparse.Namespace) -> list[dict[str, Any]]:
    limit_s = FOR_EVER_S if given.timeout is None else given.timeout
    mode = "any" if given.any else "all"
    return [{"task_ids": given.ids, "timeout_s": limit_s, "mode": mode}]


def _one_task(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [{"task_id": given.id}]


def _tasks(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [{"agent": given.agent, "state": given.state, "limit": given.limit}]


def _stats(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [{"by": given.by, "days": given.days, "agent": given.agent}]


def _logs(given: argparse.Namespace) -> list[dict[str, Any]]:
    since = None if given.since is None else given.since.isoformat()
    asked = {"agent": given.agent, "level": given.level, "since": since, "lines": given.lines}
    return [asked]


def _list(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [{}]


def _warmup(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [{"agent": agent} for agent in given.agents]


def _reset(given: argparse.Namespace) -> list[dict[str, Any]]:
    return [{"agent": given.agent, "conversation": given.conversation}]


# What is shown


def _show_answer(result: Result, given: argparse.Namespace) -> int:
    text, meta = _text(result), _meta(result)
    at_shell = meta.pop(AT_SHELL, text)
    path = meta.get("reply_path")
    if path is not None:  # what is too long for a model is not for a person
        text = Path(path).read_bytes().decode("utf-8", "replace")
    # The outcome of a task says how long that took; a task that goes on cannot.
    if "duration_s" in meta:
        _print_answer({"result": text, **meta}, text, given)
        return DONE
    _print_answer({"result": None, **meta}, meta["task_id"], given)
    if not given.json:
        _say(harmless(at_shell, sys.stderr))
    return UNFINISHED


def _print_answer(record: dict[str, Any], text: str, given: argparse.Namespace) -> None:
    if given.json:
        print(json.dumps(record))
        return
    sys.stdout.write(harmless(text, sys.stdout) + ("" if text.endswith("\n") else "\n"))
    sys.stdout.flush()


def _show_answers(result: Result, given: argparse.Namespace) -> int:
    metas = _meta(result)["outcomes"]
    blocks = list(map(_block, _texts(result), metas))
    failed = ["code" in meta for meta in metas]
    outcomes = [
        # The first line is the head: what it says stands in the record.
        {"error" if bad else "result": block.partition("\n")[2], **meta}
        for block, meta, bad in zip(blocks, metas, failed, strict=True)
    ]
    _print_answer({"outcomes": outcomes}, "\n\n".join(blocks), given)
    return FAILED if any(failed) else DONE


def _block(text: str, meta: dict[str, Any]) -> str:
    """A head, and below it what came of that task."""
    at_shell = meta.pop(AT_SHELL, None)
    return f"{text.partition(chr(10))[0]}\n{at_shell}" if at_shell else text


def _show_submitted(result: Result, given: argparse.Namespace) -> int:
    record = result["structuredContent"]
    print(json.dumps(record) if given.json else record["task_id"])
    return DONE


def _show_waited(result: Result, given: argparse.Namespace) -> int:
    _show_tasks(result, given)
    ended = [row["state"] == "ended" for row in result["structuredContent"]["tasks"]]
    return DONE if (any(ended) if given.any else all(ended)) else UNFINISHED


def _show_tasks(result: Result, given: argparse.Namespace) -> int:
    rows = [("TASK", "AGENT", "STATE/OUTCOME", "WAITED", "RAN", "ATTEMPTS", "PID", "COST", "DOING")]
    for task in result["structuredContent"]["tasks"]:
        name = task["conversation"]
        rows.append(
            (
                task["task_id"],
                task["agent"] if name is None else f"{task['agent']}@{name}",
                task["outcome"] or task["state"],
                seconds(task["waited_s"]),
                seconds(task["ran_s"]),
                str(task["attempts"]),
                str(task["pid"] or "-"),
                dollars(task["cost_usd"]),
                task["doing"] or "-",
            )
        )
    return _show_table(rows, result, given)


def _show_agents(result: Result, given: argparse.Namespace) -> int:
    # What each is for must fit beside its name; `status` and `top` have the figures.
    rows = [("AGENT", "STATE", "ORIGIN", "DESCRIPTION")]
    for agent in result["structuredContent"]["agents"]:
        # Why an agent cannot be had matters more than what it would be good for.
        about = agent["error"] or agent["description"]
        rows.append(
            (
                agent["name"],
                agent["state"],
                agent["origin"],
                _bypasses(agent) + " ".join(about.split()),
            )
        )
    for one in [] if given.json else result["structuredContent"]["refused"]:
        _say(harmless(f"wrong, so what was there before holds on: {one}", sys.stderr))
    if not given.json and len(rows) == 1:
        for warning in result["structuredContent"]["warnings"]:
            _say(harmless(warning, sys.stderr))
    return _show_table(rows, result, given)


def _bypasses(agent: dict[str, Any]) -> str:
    return "[bypassPermissions] " if agent["permission_mode"] == "bypassPermissions" else ""


def _show_table(rows: Sequence[Sequence[str]], result: Result, given: argparse.Namespace) -> int:
    lines = table(rows, columns(sys.stdout))
    print(json.dumps(result["structuredContent"]) if given.json else "\n".join(lines))
    return DONE


def _show_logs(result: Result, given: argparse.Namespace) -> int:
    lines = _meta(result)["lines"]
    if given.json:
        print("\n".join(map(json.dumps, lines)))
        return DONE
    from supervisor.cli._tail import pretty
    from supervisor.logs import LogLine

    colour = colours(sys.stdout)
    for line in lines:
        raw = line if isinstance(line, str) else json.dumps(line)
        print(pretty(LogLine.of(raw.encode()), colour))
    return DONE


def _show_stats(result: Result, given: argparse.Namespace) -> int:
    rows = [
        (
            "WHOSE",
            "TASKS",
            "FAILED",
            "INPUT",
            "CACHED",
            "OUTPUT",
            "COST",
            "WAITED",
            "RAN",
            "RAN P90",
        )
    ]
    for one in result["structuredContent"]["stats"]:
        fresh = one["input_tokens"] + one["cache_written_tokens"]
        share, cost = one["cached_share"], dollars(one["cost_usd"])
        rows.append(
            (
                _whose(one),
                str(one["tasks"]),
                str(one["tasks"] - one["outcomes"].get("result", 0)),
                f"{fresh + one['cache_read_tokens']:,}",
                "-" if share is None else f"{share:.0%}",
                f"{one['output_tokens']:,}",
                f">={cost}" if one["cost_is_lower_bound"] else cost,
                seconds(one["waited"]["mean_s"]),
                seconds(one["ran"]["mean_s"]),
                seconds(one["ran"]["p90_s"]),
            )
        )
    return _show_table(rows, result, given)


def _whose(one: Mapping[str, Any]) -> str:
    if one["conversation"] is not None:
        return f"{one['agent']}@{one['conversation']}"
    return one["agent"] or one["day"] or "all"


def _show_cancelled(result: Result, given: argparse.Namespace) -> int:
    record = result["structuredContent"]
    ended = record["outcome"]
    how = "cancelled" if ended == "cancelled" else f"had ended before: {ended}"
    print(json.dumps(record) if given.json else f"{record['task_id']} ({record['agent']}): {how}")
    return DONE


def _show_ready(result: Result, given: argparse.Namespace) -> int:
    record = result["structuredContent"]
    text = f"{record['agent']}: ready, pid {record['pid']}, started in {record['ready_s']:.2f} s"
    print(json.dumps(record) if given.json else text, flush=True)
    return DONE


def _show_reset(result: Result, given: argparse.Namespace) -> int:
    record = result["structuredContent"]
    killed = "no process" if record["pid"] is None else f"process {record['pid']} killed"
    text = f"{record['agent']}: was {record['was']}, {killed}"
    if given.conversation is not None:
        text = f"{record['agent']}, conversation {given.conversation}: "
        is_none = record["was"] == "unknown"
        text += "there is none of that name" if is_none else f"was {record['was']}, {killed}"
    print(json.dumps(record) if given.json else text)
    return DONE


def _show_reload(result: Result, given: argparse.Namespace) -> int:
    record = result["structuredContent"]
    if given.json:
        print(json.dumps(record))
    else:
        lines = list(map(_change, record["changed"])) or ["nothing has changed"]
        if record["changed_before"]:
            last = "; ".join(map(_change, record["changed_before"]))
            at = local_time(datetime.fromisoformat(record["changed_before_at"]))
            lines = [f"read already, at {at}: {last}"]
        lines += [f"needs a new pool: {one}" for one in record["needs_restart"]]
        print(harmless("\n".join(lines), sys.stdout))
        for one in record["refused"]:
            _say(harmless(f"wrong, so it does not hold: {one}", sys.stderr))
    return MISUSED if record["refused"] else DONE


def _change(told: str) -> str:
    """A change as people read it: `key: {} → not said` is how the pool tells that one is gone."""
    key, colon, values = told.partition(": ")
    before, arrow, after = values.partition(" → ")
    if not colon or not arrow:
        return told
    if after == NOT_SAID:
        return f"{key}: no longer set" + (f" (was {before})" if before != EMPTY else "")
    if before == NOT_SAID:
        return f"{key}: now set" + (f" to {after}" if after != EMPTY else "")
    return told


COMMANDS = {
    "invoke": Command("invoke", True, _invoke, _show_answer),
    "consult": Command("consult", True, _consult, _show_answer),
    "invoke-many": Command("invoke_many", True, _invoke_many, _show_answers),
    "submit": Command("submit", True, _submit, _show_submitted),
    "wait": Command("wait", False, _wait, _show_waited),
    "result": Command("result", False, _one_task, _show_answer),
    "cancel": Command("cancel", False, _one_task, _show_cancelled),
    "tasks": Command("tasks", False, _tasks, _show_tasks),
    "logs": Command("logs", False, _logs, _show_logs),
    "stats": Command("stats", False, _stats, _show_stats),
    "list": Command("list", True, _list, _show_agents),
    "warmup": Command("warmup", True, _warmup, _show_ready),
    "reset": Command("reset", True, _reset, _show_reset),
    "reload": Command("reload", False, _list, _show_reload),
}
"""By name, as `_words` declares their arguments."""
