"""`agent-pool hook`: sends the custom sub-agents of Claude Code's own Agent tool to the pool.

Claude Code runs this before each call of that tool (a PreToolUse hook), with the call as JSON on
stdin. The call is denied, with a reason that names the pool's `invoke`, when all of this holds:

- the project's pool runs, and answers in time;
- a file of the project or of the user defines the sub-agent, and the pool can run it: it is
  neither broken nor down;
- the call asks for nothing that the pool has not: `isolation`;
- it does not come from one of the pool's own agents, which cannot ask the pool;
- `AGENT_POOL_HOOK` is not `off`.

Everything else passes: no output, exit status 0. Who defines an agent is asked of the pool, so
this never disagrees with it, and needs no list of the sub-agents that are built into Claude
Code: no file defines those. The agents that are built into the pool pass as well: Claude Code
has none of that name, or it has one of its own.
"""

import json
import os
import signal
import socket
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from supervisor import __version__
from supervisor.cli._client import LineClient
from supervisor.place import (
    TAG,
    Place,
    find_place,
    find_root,
    hello_line,
    parse_hello,
    settled_variables,
)

SWITCH: Final = "AGENT_POOL_HOOK"
"""The environment variable that switches the hook off."""

OFF: Final = frozenset({"off", "0", "no", "false"})

TOOLS: Final = frozenset({"Agent", "Task"})
"""What Claude Code calls its tool, and what it called it earlier."""

DEADLINE_S: Final = 3.0
"""The longest that a call is held up; one that has not been judged by then passes."""

REASON: Final = (
    'The sub-agent "{name}" is kept running by this project\'s agent pool. Call the invoke tool '
    'of agent-pool instead, with agent "{name}" and the prompt of this call as its task; it '
    "returns the agent's answer."
)


def main() -> int:
    """Judge the call on stdin; returns 0, whatever happens."""
    if os.environ.get(SWITCH, "").strip().lower() in OFF or os.environ.get(TAG):
        return 0
    # The alarm, and no timeout of the socket, since the client and the pool may both be stuck.
    signal.signal(signal.SIGALRM, _pass)
    signal.setitimer(signal.ITIMER_REAL, DEADLINE_S)
    try:
        reason = judge(json.load(sys.stdin.buffer), os.environ)
    except Exception:  # whatever went wrong, it is no reason to hold up the call
        return 0
    signal.setitimer(signal.ITIMER_REAL, 0)
    if reason is not None:
        print(json.dumps(denial(reason)))
    return 0


def _pass(number: int, frame: object) -> None:
    os._exit(0)


def judge(event: Any, environ: Mapping[str, str]) -> str | None:
    """Why a call is denied; None: it passes.

    Args:
        event: what Claude Code tells a PreToolUse hook.
        environ: what it runs the hook with; says which project this is.

    Raises:
        Exception: of any kind: the event is not as it should be, or no pool answers.
    """
    call = event["tool_input"]
    if event["tool_name"] not in TOOLS or call.get("isolation"):
        return None
    name = unicodedata.normalize("NFC", call["subagent_type"])
    settled = {**environ, **settled_variables(environ, event["cwd"])}
    place = find_place(find_root(environ, event["cwd"]), settled)
    if place.holder() is None:
        return None
    for agent in agents_of(place):
        is_custom = agent["origin"] != "built-in" and agent["error"] is None
        if agent["name"] == name and is_custom:
            return REASON.format(name=name)
    return None


def agents_of(place: Place) -> list[dict[str, Any]]:
    """The rows of the pool's `list`.

    Raises:
        Exception: of any kind: there are none to be had.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(place.socket)
        with connection.makefile("rwb") as lines:
            lines.write(hello_line(__version__, place.root, None))
            lines.flush()
            parse_hello(lines.readline())
            client = LineClient(lines, lines)
            client.initialize("agent-pool hook")
            rows: list[dict[str, Any]] = client.call("list")["structuredContent"]["agents"]
            return rows


def denial(reason: str) -> dict[str, Any]:
    """A PreToolUse hook's answer that stops the call and tells the model why."""
    return {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny",
            "permissionDecisionReason": reason,
        }
    }
