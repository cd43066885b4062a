"""How calls are answered: prose as text alone, records as structured content, errors with a code.

Structured content would replace prose before the model's eyes. The text of an error begins with its
code, and ends with what to do.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import mcp_types
from pydantic import BaseModel

from supervisor.pool import Pool, PoolError, Task, TaskError, TaskResult, digest, part, parts
from supervisor.pool.denials import told_denials
from supervisor.pool.outcome import SHELL_ADVICE


def error_result(
    error: TaskError, meta: Mapping[str, Any] | None = None
) -> mcp_types.CallToolResult:
    """A failed call, for the model as text and for programs in `_meta`."""
    record = {**(meta or {}), "code": error.code, **error.data}
    if record.pop(SHELL_ADVICE, None) is not None:
        record["at_shell"] = error.at_shell
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text=clean(str(error)))],
        is_error=True,
        _meta=cleaned(record),
    )


def prose_result(text: str, meta: Mapping[str, Any] | None = None) -> mcp_types.CallToolResult:
    """A text for the model, and what programs may want in `_meta`."""
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text=clean(text))], _meta=cleaned(meta or {})
    )


def record_result(model: BaseModel) -> mcp_types.CallToolResult:
    """A record, as structured content and as text."""
    record = cleaned(model.model_dump())
    text = json.dumps(record, ensure_ascii=False)
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text=text)], structured_content=record
    )


HUGE = 500_000
"""Characters of a result that Claude Code hands to its model whole, at the most (measured)."""

WHOLE: Mapping[str, Any] = {"anthropic/maxResultSizeChars": HUGE}
"""The `_meta` of a tool of whose results Claude Code is to make no file below that."""


def text_of(result: mcp_types.CallToolResult) -> str:
    """The text of a result, but for what is meant for the model alone."""
    texts = [block for block in result.content if isinstance(block, mcp_types.TextContent)]
    return "\n".join(block.text for block in texts if block.annotations is None)


def told_if_huge(result: mcp_types.CallToolResult, how: str) -> mcp_types.CallToolResult:
    """The result, with a word to the model before it where it is too much for Claude Code.

    `how`: what `result` is to be called for, to have it in parts.
    """
    size = len(text_of(result))
    if size <= HUGE:
        return result
    told = (
        f"[agent-pool] This answer has {size:,} characters, and Claude Code gives its model "
        f"{HUGE:,} at the most: what follows may be cut, or be a file. Ask result for {how}, part "
        "by part, to read all of it."
    )
    note = mcp_types.TextContent(
        text=told, annotations=mcp_types.Annotations(audience=["assistant"])
    )
    return result.model_copy(update={"content": [note, *result.content]})


def task_result(pool: Pool, task: Task) -> mcp_types.CallToolResult:
    """The outcome of a task that has one."""
    meta: dict[str, Any] = {
        "task_id": task.id,
        "agent": task.agent,
        "duration_s": round(task.ended_at - task.accepted_at, 4),
        "attempts": task.attempts,
        "pid": task.pid,
    }
    outcome = task.outcome
    if isinstance(outcome, TaskError):
        return error_result(outcome, meta)
    assert outcome is not None
    meta |= {
        "session_id": outcome.session_id,
        "usage": asdict(outcome.usage),
        "cost_usd": outcome.cost_usd,
    }
    if not outcome.is_kept:
        return error_result(_gone(task), meta)
    reply = outcome.text
    if task.is_long(reply):
        meta |= {"reply_bytes": len(reply.encode("utf-8", "surrogatepass"))}
        meta |= {"reply_path": task.reply_path, "parts": parts(reply)}
        reply = digest(reply, task.reply_path, task.id)
    result = prose_result(reply + _refusals(pool, task, outcome), meta)
    return told_if_huge(result, f'task_id="{task.id}", part=1 to {parts(outcome.text)}')


def part_result(task: Task, number: int) -> mcp_types.CallToolResult:
    """One part of the reply of a task that has ended well."""
    outcome = task.outcome
    assert isinstance(outcome, TaskResult)
    meta = {"task_id": task.id, "agent": task.agent, "part": number, "parts": parts(outcome.text)}
    if not outcome.is_kept:
        return error_result(_gone(task), meta)
    try:
        text = part(outcome.text, number)
    except ValueError as error:
        wrong = TaskError("invalid_arguments", f"part: {error}.", "Ask for one of these.")
        return error_result(wrong, meta)
    return prose_result(text, meta)


def _gone(task: Task) -> TaskError:
    return TaskError(
        "reply_not_kept",
        f"the task {task.id} ended with a result, and its text is kept no longer.",
        "texts_for and texts_total under [ledger] in pool.toml say how long texts are kept.",
    )


def _refusals(pool: Pool, task: Task, result: TaskResult) -> str:
    """Last lines that name the refused uses of tools, and what would allow them."""
    if not result.denials:
        return ""
    try:
        agent = pool.define(task.agent)
    except PoolError:
        agent = None
    return "".join(f"\n\n[agent-pool] {line}" for line in told_denials(result.denials, agent))


def clean(text: str) -> str:
    """The text, without what cannot be written as UTF-8: half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def cleaned(record: Mapping[str, Any]) -> dict[str, Any]:
    """The same of every text in a record."""
    whole: dict[str, Any] = json.loads(clean(json.dumps(record, ensure_ascii=False)))
    return whole
