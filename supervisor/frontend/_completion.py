"""Completion: the values that an argument of a prompt, or a part of a resource's URI, may have."""

from collections.abc import Iterable

import mcp_types

from supervisor.frontend._answers import clean
from supervisor.frontend._prompts import PROMPTS
from supervisor.frontend._resources import TEMPLATES, newest_tasks
from supervisor.pool import Pool

VALUES = 100
"""Values of one answer, as MCP allows."""

TASKS = 1_000
"""Tasks among which an id is looked for, the newest."""


async def complete(pool: Pool, params: mcp_types.CompleteRequestParams) -> mcp_types.CompleteResult:
    """The values that begin as what was typed does, letters' case aside; none where none fit."""
    typed = params.argument.value.casefold()
    fitting = [
        value
        for value in map(clean, await _values(pool, params.ref, params.argument.name))
        if value.casefold().startswith(typed)
    ]
    return mcp_types.CompleteResult(
        completion=mcp_types.Completion(
            values=fitting[:VALUES], total=len(fitting), has_more=len(fitting) > VALUES
        )
    )


async def _values(
    pool: Pool,
    ref: mcp_types.PromptReference | mcp_types.ResourceTemplateReference,
    argument: str,
) -> Iterable[str]:
    if isinstance(ref, mcp_types.PromptReference):
        prompt = PROMPTS.get(ref.name)
        is_agent = argument == "agent" and prompt is not None and argument in prompt.arguments
        return await pool.purposes() if is_agent else ()
    if f"{{{argument}}}" not in ref.uri:
        return ()
    if ref.uri in (TEMPLATES["agents"], TEMPLATES["logs"]):
        return await pool.purposes()
    if ref.uri == TEMPLATES["tasks"]:
        return [task.id for task in await newest_tasks(pool, TASKS)]
    return ()
