"""What a command is given to do: from its arguments, a file, or standard input."""

import json
import math
import sys
from typing import Any

from supervisor.cli._usage import did_you_mean

TASKS_LIMIT = 100
"""Tasks that one call of the tool `invoke_many` takes."""

REQUIRED = ("agent", "task")

KEYS = (*REQUIRED, "timeout_s")
"""Of a line of `invoke-many`."""


TASK_LIMIT = 10_000_000
"""Bytes that the pool takes as one task's text."""

SHAPE = '{"agent": "…", "task": "…"}'
"""What a line of `invoke-many` is."""


ALLOWED = f"each line is one object: {SHAPE}, and timeout_s if need be"


class InputError(Exception):
    """It cannot be used; the message says what and where, and what is allowed."""


def read_task(given: str) -> str:
    """The text of a task: `given`, or standard input for `-`.

    Raises:
        InputError: it is empty, or too long.
    """
    text = _read_stdin("the task") if given == "-" else given
    if not text.strip():
        raise InputError("the task is empty; give it as an argument, or on standard input")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > TASK_LIMIT:
        raise InputError(
            f"the task has {size:,} bytes; allowed are {TASK_LIMIT:,}: put the material into a "
            "file of the project, and name that in the task"
        )
    return text


def read_tasks(path: str) -> list[dict[str, Any]]:
    """The tasks in the JSON lines of a file, or of standard input for `-`; empty lines are none.

    Raises:
        InputError: the file cannot be read, or a line is not as it should be.
    """
    name = "standard input" if path == "-" else path
    text = _read_stdin("one task a line") if path == "-" else _read_file(path)
    # Not splitlines: JSON may hold the other ends of a line that Unicode knows.
    lines = enumerate(text.split("\n"), 1)
    tasks = [_parsed(line, f"{name}, line {at}") for at, line in lines if line.strip()]
    if not tasks:
        raise InputError(f"{name} has no tasks; a line is {SHAPE}")
    if len(tasks) > TASKS_LIMIT:
        raise InputError(f"{name} has {len(tasks)} tasks; allowed are {TASKS_LIMIT}: split it")
    return tasks


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        task = json.loads(line)
    except json.JSONDecodeError as error:
        # Its own "line" is always the first.
        why = f"{error.msg[:1].lower()}{error.msg[1:]}"
        raise InputError(f"{where}, column {error.colno}: no JSON: {why}; {ALLOWED}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: no JSON: {error}; {ALLOWED}") from None
    if not isinstance(task, dict):
        raise InputError(f"{where}: {_kind(task)}; {ALLOWED}")
    for key in task:
        if key not in KEYS:
            hint = did_you_mean(key, KEYS)
            raise InputError(f'{where}: unknown key "{key}"{hint} (allowed: {", ".join(KEYS)})')
    for key in REQUIRED:
        value = task.get(key)
        if not isinstance(value, str) or not value.strip():
            what = "must be a text that is not empty" if key in task else "is missing"
            raise InputError(f'{where}: "{key}" {what}; {ALLOWED}')
    limit = task.get("timeout_s")
    is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
    if limit is not None and not (is_number and 0 < limit < math.inf):
        raise InputError(f'{where}: "timeout_s" must be a number of seconds above 0')
    return task


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return f"{kinds.get(type(value), 'a number')}, and no object"


def _read_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is no UTF-8 text: {error}") from None


def _read_stdin(what: str) -> str:
    if sys.stdin.isatty():
        sys.stderr.write(f"agent-pool: type {what}; Ctrl-D ends it\n")
    try:
        return sys.stdin.buffer.read().decode()
    except ValueError as error:
        raise InputError(f"standard input is no UTF-8 text: {error}") from None
