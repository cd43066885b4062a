"""Resources: what there is to look at, under the scheme `pool`.

    pool://tree              the supervision tree
    pool://agents/{name}     one agent, as `list` tells of it
    pool://tasks/{id}        one task, and its outcome once it has one
    pool://logs/{agent}      the last lines of the log that concern an agent

A record is JSON, a text is plain. Names stand percent-encoded.
"""

import json
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

import mcp_types
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from supervisor.frontend import _logs
from supervisor.frontend._answers import clean, cleaned, task_result, text_of
from supervisor.frontend._calls import Context, task_row
from supervisor.frontend._records import AgentRecord, TreeRecord, TreeRow
from supervisor.ledger import TaskFilter
from supervisor.logs import Choice
from supervisor.pool import Pool, PoolError, Task

Kind = Literal["tree", "agents", "tasks", "logs"]

TREE = "pool://tree"

TEMPLATES: dict[Kind, str] = {
    "agents": "pool://agents/{name}",
    "tasks": "pool://tasks/{id}",
    "logs": "pool://logs/{agent}",
}
"""The URIs that name something, as RFC 6570 writes them."""

LISTED_TASKS = 20
"""Tasks that `resources/list` names, the newest."""

LOG_LINES = 50
"""Lines that a log has."""

JSON, TEXT = "application/json", "text/plain"

NOT_FOUND = -32002
"""The code for what is not there, up to 2025-11-25; from then on it is a wrong parameter."""


@dataclass(frozen=True)
class Address:
    """What a URI names."""

    kind: Kind
    name: str = ""
    """An agent's name or a task's id; empty: the tree."""

    @property
    def uri(self) -> str:
        """In its one spelling."""
        return TREE if self.kind == "tree" else f"pool://{self.kind}/{quote(self.name, safe='')}"

    @staticmethod
    def of(uri: str) -> "Address | None":
        """What `uri` names, whether that is there or not; None: nothing of ours."""
        if uri == TREE:
            return Address("tree")
        head, _, name = uri.removeprefix("pool://").partition("/")
        if not uri.startswith("pool://") or not name:
            return None
        kind = next((kind for kind in TEMPLATES if kind == head), None)
        return None if kind is None else Address(kind, unquote(name))


async def listed(pool: Pool) -> list[mcp_types.Resource]:
    """The resources that there are now, but for older tasks."""
    found = [
        mcp_types.Resource(
            uri=TREE,
            name="tree",
            title="The supervision tree",
            description="Every supervisor, what it supervises, and how that does.",
            mime_type=JSON,
        )
    ]
    for name, description in (await pool.purposes()).items():
        found.append(_resource("agents", name, f"Agent {name}", description, JSON))
        about = f"The last lines of the log that concern {name}."
        found.append(_resource("logs", name, f"Log of {name}", about, TEXT))
    for task in await newest_tasks(pool, LISTED_TASKS):
        about = f"A task of {task.agent}, {task.state}: {task.text[:80]}"
        found.append(_resource("tasks", task.id, f"Task {task.id}", about, JSON))
    return found


def templates() -> list[mcp_types.ResourceTemplate]:
    """How the URIs of all others are made."""
    about = {
        "agents": ("An agent", "State, processes, memory, figures and conversations.", JSON),
        "tasks": ("A task", "Its state, and its outcome once it has one.", JSON),
        "logs": ("The log of an agent", "The last lines that concern it.", TEXT),
    }
    return [
        mcp_types.ResourceTemplate(
            uri_template=template,
            name=kind,
            title=about[kind][0],
            description=about[kind][1],
            mime_type=about[kind][2],
        )
        for kind, template in TEMPLATES.items()
    ]


async def read(pool: Pool, uri: str, context: Context) -> mcp_types.ReadResourceResult:
    """What is there now.

    Raises:
        MCPError: nothing is, or it cannot be read.
    """
    address = existing(uri, context)
    try:
        match address.kind:
            case "tree":
                rows = [TreeRow.model_validate(row) for row in await pool.tree()]
                contents = [_record(uri, TreeRecord(tree=rows))]
            case "agents":
                contents = [_record(uri, await _agent(pool, address.name))]
            case "tasks":
                contents = await _task(pool, uri, address.name)
            case "logs":
                pool.define(address.name)
                wanted = Choice(agent=address.name, lines=LOG_LINES)
                contents = [_text(uri, _logs.in_words(await _logs.last_lines(pool, wanted)))]
    except PoolError as refused:
        if refused.error.code in ("unknown_agent", "unknown_task"):
            raise missing(uri, context, str(refused.error)) from None
        raise MCPError(mcp_types.INTERNAL_ERROR, clean(str(refused.error)), {"uri": uri}) from None
    return mcp_types.ReadResourceResult(contents=[*contents])


def existing(uri: str, context: Context) -> Address:
    """What `uri` names.

    Raises:
        MCPError: there can be no such thing.
    """
    address = Address.of(uri)
    if address is None:
        forms = ", ".join([TREE, *TEMPLATES.values()])
        raise missing(uri, context, f'there is no resource "{uri[:200]}"; there are: {forms}')
    return address


def missing(uri: str, context: Context, why: str) -> MCPError:
    """The error for what is not there, with the code that the client's protocol has for it."""
    is_old = context.protocol_version <= "2025-11-25"
    code = NOT_FOUND if is_old else mcp_types.INVALID_PARAMS
    return MCPError(code, clean(why), {"uri": clean(uri)})


async def newest_tasks(pool: Pool, limit: int) -> list[Task]:
    """The newest tasks, the newest first; none where they cannot be read."""
    try:
        return await pool.tasks(TaskFilter(), limit)
    except PoolError:
        return []


async def _agent(pool: Pool, name: str) -> AgentRecord:
    rows = [row for row in await pool.agents() if row["name"] == name]
    if not rows:
        pool.define(name)  # which says why there is none
    return AgentRecord.model_validate(rows[0])


async def _task(pool: Pool, uri: str, task_id: str) -> list[mcp_types.TextResourceContents]:
    task = await pool.find(task_id)
    contents = [_record(uri, task_row(task))]
    if task.outcome is not None:
        await pool.recorded(task)
        contents.append(_text(uri, text_of(task_result(pool, task))))
    return contents


def _resource(
    kind: Kind, name: str, title: str, description: str, mime_type: str
) -> mcp_types.Resource:
    return mcp_types.Resource(
        uri=Address(kind, name).uri,
        name=f"{kind}/{clean(name)}",
        title=clean(title),
        description=clean(" ".join(description.split())),
        mime_type=mime_type,
    )


def _record(uri: str, record: BaseModel) -> mcp_types.TextResourceContents:
    text = json.dumps(cleaned(record.model_dump()), ensure_ascii=False)
    return mcp_types.TextResourceContents(uri=uri, mime_type=JSON, text=text)


def _text(uri: str, text: str) -> mcp_types.TextResourceContents:
    return mcp_types.TextResourceContents(uri=uri, mime_type=TEXT, text=text)
