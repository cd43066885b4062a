"""The pool's log for a client: the tool `logs`, and what resources and prompts show of it."""

import json
from collections.abc import Iterator
from datetime import UTC

import mcp_types
import trio

from supervisor.frontend._answers import clean, prose_result
from supervisor.frontend._arguments import LogsArguments
from supervisor.frontend._calls import Context
from supervisor.logs import Choice, LogLine, Tail, parse_time
from supervisor.pool import Pool, PoolError, TaskError

CHARACTERS = 45_000
"""Of lines that are given at once, the last ones: Claude Code makes a file of 50,000."""

_HEAD = ("timestamp", "level", "agent", "event")

# One at a time: a thread that searches a large log keeps the pool's own from running.
_READING = trio.CapacityLimiter(1)


async def logs(pool: Pool, arguments: LogsArguments, context: Context) -> mcp_types.CallToolResult:
    """The last lines of the pool's log."""
    try:
        since = None if arguments.since is None else parse_time(arguments.since)
    except ValueError as error:
        raise PoolError(TaskError("invalid_arguments", f"since: {error}.")) from None
    wanted = Choice(arguments.agent, arguments.level, since, arguments.lines)
    found = await last_lines(pool, wanted)
    if not found:
        await pool.check_defined(arguments.agent)
    return prose_result(in_words(found), {"lines": [_record(line) for line in found]})


async def last_lines(pool: Pool, wanted: Choice) -> list[LogLine]:
    """The lines of the pool's log that are wanted, the oldest first, but no more than fit.

    Raises:
        PoolError: `log_unreadable`.
    """
    if pool.log is None:
        return []
    try:
        found = await trio.to_thread.run_sync(
            _read, str(pool.log), wanted, limiter=_READING, abandon_on_cancel=True
        )
    except OSError as error:
        where = error.filename or pool.log
        raise PoolError(
            TaskError(
                "log_unreadable",
                f"the log cannot be read: {where}: {error.strerror}.",
                "agent-pool doctor looks at the folder that it is in.",
            )
        ) from None
    size = 0
    for number, line in enumerate(reversed(found)):
        size += len(line.raw)
        if size > CHARACTERS and number:
            return found[len(found) - number :]
    return found


def in_words(lines: list[LogLine]) -> str:
    """The lines as a model or a person reads them: UTC, level, agent, event, the other fields."""
    return "\n".join(map(_line, lines)) if lines else "There is no such line in the log."


def _read(path: str, wanted: Choice) -> list[LogLine]:
    with Tail(path) as log:
        return list(wanted.read(log))


def _line(line: LogLine) -> str:
    if line.record is None or line.time is None:
        return clean(line.raw.decode("utf-8", "replace"))
    when = f"{line.time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    words = [when, *(str(line.record[key]) for key in _HEAD[1:] if key in line.record)]
    return clean(" ".join([*words, *_fields(line)]))


def _fields(line: LogLine) -> Iterator[str]:
    for key, value in (line.record or {}).items():
        if key not in _HEAD:
            is_word = isinstance(value, str) and value and not set(value) & set(" \t\r\n\"'=")
            yield f"{key}={value if is_word else json.dumps(value, ensure_ascii=False)}"


def _record(line: LogLine) -> object:
    return line.raw.decode("utf-8", "replace") if line.record is None else line.record
