"""Showing a person what an agent wants to do: MCP elicitation, a form with one choice.

What the agent wants is its own words, so anything may stand there: text that looks like ours,
control characters, a hundred thousand lines. Each line of it begins with a bar, which nothing of
ours does; what is no printable character is shown as an escape; what is too long is cut in its
middle, and it is said how much is missing.
"""

import json
from collections.abc import Iterator
from typing import Any

import mcp_types
import pydantic
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError, NoBackChannelError

from supervisor.pool import Decision, Desk, Wish
from supervisor.pool.permission import DENIED, Answer, Show, nobody

Context = ServerRequestContext[Any, Any]

SHOWN_HEAD, SHOWN_TAIL = 1500, 500
"""Characters of one value that are shown: of its beginning, and of its end."""

SHOWN_LINES = 40
"""Lines of one value that are shown, the last of which are its last."""

SHOWN_NAME = 80
"""Characters of a name that are shown."""

SHOWN_VALUES = 12
"""Values of a tool's input that are shown."""

CHOICES: dict[str, Answer] = {
    "allow once": "once",
    "allow for this task": "task",
    "deny": "deny",
}
"""What a person can answer, as the form has it."""

RETURNED = "the call that could have been asked has returned"
GONE = "the client that could have been asked has gone"
"""Why nobody can be asked any more."""

DISMISSED = "the question was dismissed without an answer"
UNCLEAR = "the question was answered with none of its choices"


class Unanswered(Exception):  # noqa: N818 - what happened
    """No answer to a question comes any more; the message says why."""


def desk_for(context: Context) -> Desk:
    """Where the tasks of a call put their questions; closed, where its client can show none."""
    return Desk(closed=_why_not(context))


def shows_forms(context: Context) -> bool:
    """Whether the client has declared that it can show questions."""
    declared = context.session.client_capabilities
    form = None if declared is None else declared.elicitation
    return form is not None and (form.form is not None or form.url is None)


def _why_not(context: Context) -> str | None:
    if not shows_forms(context):
        return (
            "the client that called shows no questions (Claude Code's window does, and agent-pool "
            "invoke at a terminal)"
        )
    if not context.session.can_send_request:
        version = context.session.protocol_version
        return f"no question reaches the client that called (MCP {version})"
    return None


def show_to(context: Context) -> Show:
    """Shows a wish to the person behind the client that called."""

    async def show(wish: Wish) -> Decision:
        try:
            answer = await context.session.elicit_form(
                question(wish), _SCHEMA, related_request_id=context.request_id
            )
        except (NoBackChannelError, Unanswered) as error:
            return nobody(str(error))
        except MCPError as error:
            if error.error.code == mcp_types.CONNECTION_CLOSED:
                return nobody(GONE)
            return nobody(f"the client that was asked has failed: {error}")
        except pydantic.ValidationError:
            return Decision("deny", UNCLEAR)
        return _decision(answer)

    return show


_SCHEMA = {
    "type": "object",
    "properties": {
        "answer": {
            "type": "string",
            "title": "Allow it?",
            "enum": list(CHOICES),
        }
    },
    "required": ["answer"],
}


def _decision(answer: mcp_types.ElicitResult) -> Decision:
    if answer.action == "decline":
        return Decision("deny", DENIED)
    if answer.action != "accept":
        return Decision("deny", DISMISSED)
    chosen = CHOICES.get(str((answer.content or {}).get("answer")))
    if chosen is None:
        return Decision("deny", UNCLEAR)
    return Decision(chosen, DENIED if chosen == "deny" else "")


def question(wish: Wish) -> str:
    """What a person reads; the beginning matters: Claude Code shows three lines before it asks
    to have the rest unfolded (measured, 2.1.332)."""
    tool = _visible(wish.tool)[:SHOWN_NAME]
    lines = [f'May the agent "{wish.agent}" use the tool {tool}? (task {wish.task_id})']
    lines += _input_lines(wish)
    if wish.why:
        lines += ["", "Why it is asked:", *_barred(wish.why)]
    lines += [
        "",
        "allow once: this use, as it stands here.",
        f"allow for this task: this, and whatever else it does with {tool} until the task ends.",
        "deny: the agent is told so, and goes on without.",
    ]
    return "\n".join(lines)


def _input_lines(wish: Wish) -> Iterator[str]:
    if not wish.tool_input:
        yield "(without any input)"
    values = list(wish.tool_input.items())
    for name, value in values[:SHOWN_VALUES]:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield f"  {_visible(name)[:SHOWN_NAME]}:"
        yield from _barred(text)
    if len(values) > SHOWN_VALUES:
        yield f"  ({len(values) - SHOWN_VALUES} more values are not shown)"


def _barred(text: str) -> Iterator[str]:
    """A text of the agent's, each line behind a bar, cut in its middle where it is long."""
    if len(text) > SHOWN_HEAD + SHOWN_TAIL:
        missing = len(text) - SHOWN_HEAD - SHOWN_TAIL
        yield from _lines(text[:SHOWN_HEAD], from_end=False)
        yield f"  ({missing:,} characters are not shown here)"
        yield from _lines(text[-SHOWN_TAIL:], from_end=True)
    else:
        yield from _lines(text, from_end=False)


def _lines(text: str, *, from_end: bool) -> Iterator[str]:
    lines = [f"  | {_visible(line)}" for line in text.split("\n")]
    if len(lines) <= SHOWN_LINES:
        yield from lines
        return
    note = f"  ({len(lines) - SHOWN_LINES:,} lines are not shown here)"
    if from_end:
        yield note
        yield from lines[-SHOWN_LINES:]
    else:
        half = SHOWN_LINES // 2
        yield from (*lines[:half], note, *lines[-half:])


def _visible(text: str) -> str:
    """`text` with what is no printable character as an escape: it can move or hide nothing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
