"""What an orchestrator and its agents send, and what that costs: native sub-agents or the pool.

    python -m benchmarks.tokens [--tasks 10 30] [--replies 400 45000 50000] [--short] [--json]

The orchestrator is the real CLI. It hands out its tasks one after the other: to sub-agents of its
own (its tool Agent), or to an agent of the pool (its MCP tool `invoke`), which is the real CLI
too. Every agent reads one file of 4 kB, then replies. The model of all of them is a script behind
the tests' stand-in of the API on the loopback interface. Bytes are those that came in over HTTP.

Above some 50,000 characters the CLI itself puts a sub-agent's reply in a file, and gives its model
the first 2 kB: so replies of 45 and of 50 kB differ.

The costs are modelled, not billed, and the model is printed with them: see `tests.loopback.cache`.
Nothing is evicted from the modelled cache, though the real one forgets after minutes.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import trio

from tests.claudecode.stage import BY_CONFIG, Claude, Stage, eventually
from tests.client import Project
from tests.loopback import LoopbackAPI, Request
from tests.loopback.answers import SIDE_ANSWER, Answer, ToolUse
from tests.loopback.cache import BYTES_PER_TOKEN, FRESH, OUTPUT, READ, WRITTEN, PromptCache, Tokens
from tests.realcli.install import DEFAULT_VERSION, ensure

ORDER = "Have every module of the project reviewed, one after the other, then say that it is done."
TASK = (
    "Review module {number} of the project. Its source is in notes.txt. Report what it does, what "
    "may go wrong in it, and what you would change, with the lines concerned."
)
ROLE = "You review one module at a time. Read its source, then report."
NOTES = "".join(f"line {n:3} of the module: something = something_else({n})\n" for n in range(70))
LIMIT_S = 300.0
MODEL = (
    f"cost units, modelled: {BYTES_PER_TOKEN} bytes a token; input fresh {FRESH:g}, read from the "
    f"prefix cache {READ:g}, written to it {WRITTEN:g}; output {OUTPUT:g} a token"
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have the tasks done."""

    name: str
    pool: bool
    """By the tool invoke; else by the tool Agent."""
    full: bool
    """With `reply="full"`."""
    tools: str | None
    """What the agent's definition says of its tools; None: nothing."""


NATIVE = Way("native sub-agents", pool=False, full=False, tools=None)
WAYS = (
    NATIVE,
    Way("native, tools: Read", pool=False, full=False, tools="Read"),
    Way("pool, full replies", pool=True, full=True, tools=None),
    Way("pool, digests, tools: Read", pool=True, full=False, tools="Read"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one way took."""

    way: str
    tasks: int
    reply_bytes: int
    result_bytes: int
    """Of a reply as the orchestrator's model is given it; the median."""
    requests: int
    sent_bytes: int
    """Bodies of all requests."""
    orchestrator_units: float
    agent_units: float
    """Of the agents' requests, their output included."""
    reply_units: float
    """Of that, for the output of the replies themselves, which no way can save."""
    other_units: float
    """Of requests that the CLI made for itself, for a title for example."""

    @property
    def units(self) -> float:
        """All cost units."""
        return self.orchestrator_units + self.agent_units + self.other_units


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[10, 30], help="default: 10 30")
    parser.add_argument(
        "--replies",
        type=int,
        nargs="+",
        default=[400, 45_000, 50_000],
        help="default: 400 45000 50000",
    )
    parser.add_argument("--short", action="store_true", help="2 tasks, replies of 50,000 bytes")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    given = parser.parse_args()
    if given.short:
        given.tasks, given.replies = [2], [50_000]
    rows: list[Row] = []
    if not given.json:
        _print_head()
    for tasks, size, way in itertools.product(given.tasks, given.replies, WAYS):
        rows.append(_measured(way, tasks, size))
        if not given.json:
            _print(rows[-1], rows)
    if given.json:
        print(json.dumps({"model": MODEL, "rows": [_as_json(row, rows) for row in rows]}, indent=2))
    return 0


def _measured(way: Way, tasks: int, size: int) -> Row:
    script = Script(way, tasks, size)
    with (
        tempfile.TemporaryDirectory() as folder,
        LoopbackAPI(script.answer) as api,
    ):
        project = Project(Path(folder))
        try:
            _run(way, Stage(project, api, ensure().argv, Path(folder) / "b"))
        finally:
            trio.run(project.close)
        return _row(script, api.requests)


def _run(way: Way, stage: Stage) -> None:
    project = stage.project
    project.write_agent("worker", ROLE, *([f"tools: {way.tools}"] if way.tools else []))
    (project.folder / "notes.txt").write_text(NOTES)
    flags = BY_CONFIG if way.pool else ("--strict-mcp-config", "--allowedTools", "Agent")
    with stage.claude(*flags) as claude:
        if way.pool:
            eventually(lambda: _connected(claude), "the orchestrator's connection to the pool")
        result = claude.task(ORDER, LIMIT_S)
    if result.get("result") != "done":
        raise SystemExit(f"{way.name}: the orchestrator ended with {result}")


def _connected(claude: Claude) -> bool:
    found = claude.ask("mcp_status")["response"]["mcpServers"]
    return all(server["status"] == "connected" for server in found)


class Script:
    """The model: of the orchestrator, of the agents, and of what the CLI asks for itself."""

    def __init__(self, way: Way, tasks: int, size: int) -> None:
        self.way = way
        self.tasks = tasks
        self.size = size

    def answer(self, request: Request) -> Answer:
        """The next step of whoever asks."""
        if not request.is_task:
            return Answer(SIDE_ANSWER)
        done = len(request.tool_results())
        if not is_orchestrators(request):
            return Answer(reply(self.size)) if done else Answer(uses=(_read(request),))
        return Answer("done") if done >= self.tasks else self._hand_out(done + 1)

    def _hand_out(self, number: int) -> Answer:
        task = TASK.format(number=number)
        if self.way.pool:
            form = {"reply": "full"} if self.way.full else {}
            given = {"agent": "worker", "task": task, **form}
            return Answer(uses=(("mcp__agent-pool__invoke", given),))
        wanted = {"description": "Review a module", "prompt": task, "subagent_type": "worker"}
        return Answer(uses=(("Agent", {**wanted, "run_in_background": False}),))


def is_orchestrators(request: Request) -> bool:
    """Whether it is a turn of the orchestrator; else it is an agent's."""
    return request.last_user_text() == ORDER


def reply(size: int) -> str:
    """An agent's reply of that many bytes, in lines of 80."""
    numbers = range(-(-size // 80))
    lines = (f"{n:6}: a finding, and what I would do about it ".ljust(79, ".") for n in numbers)
    return "".join(f"{line}\n" for line in lines)[:size]


def _read(request: Request) -> ToolUse:
    if "Read" not in request.tool_names():
        raise SystemExit(f"the agent has no tool Read, but {request.tool_names()}")
    return "Read", {"file_path": "notes.txt"}


def _row(script: Script, requests: Sequence[Request]) -> Row:
    cache = PromptCache()
    orchestrator = agents = other = Tokens()
    replies = 0
    posts = [r for r in requests if r.path == "/v1/messages"]
    for request in posts:
        answer = script.answer(request)
        tokens = cache.send(request, answer.output_tokens)
        if not request.is_task:
            other += tokens
        elif is_orchestrators(request):
            orchestrator += tokens
        else:
            agents += tokens
            replies += 0 if answer.uses else answer.output_tokens
    last = [r for r in posts if r.is_task and is_orchestrators(r)][-1]
    agent_turns = sum(r.is_task and not is_orchestrators(r) for r in posts)
    if agent_turns != 2 * script.tasks:
        raise SystemExit(f"{script.way.name}: {agent_turns} turns; {last.tool_results()[:1]}")
    return Row(
        way=script.way.name,
        tasks=script.tasks,
        reply_bytes=script.size,
        result_bytes=int(statistics.median(len(text.encode()) for text in last.tool_results())),
        requests=len(posts),
        sent_bytes=sum(int(r.headers["content-length"]) for r in posts),
        orchestrator_units=orchestrator.units,
        agent_units=agents.units,
        reply_units=replies * OUTPUT,
        other_units=other.units,
    )


def _native(row: Row, rows: Sequence[Row]) -> Row:
    key = (NATIVE.name, row.tasks, row.reply_bytes)
    return next(one for one in rows if (one.way, one.tasks, one.reply_bytes) == key)


def _as_json(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    native = _native(row, rows)
    return {
        **asdict(row),
        "units": row.units,
        "bytes_to_native": row.sent_bytes / native.sent_bytes,
        "units_to_native": row.units / native.units,
        "units_without_replies_to_native": _saveable(row) / _saveable(native),
    }


def _saveable(row: Row) -> float:
    return row.units - row.reply_units


def _print_head() -> None:
    print(f"Claude Code {DEFAULT_VERSION}; the model is a script, on the loopback interface")
    print(MODEL)
    print("without replies: without the output tokens of the replies, the same in every way")


def _print(row: Row, rows: Sequence[Row]) -> None:
    """Each as soon as it is there: all of them take minutes."""
    if row.way == NATIVE.name:
        print(f"\n{row.tasks} tasks, replies of {row.reply_bytes:,} bytes")
        print(
            f"{'way':<28}{'result B':>9}{'requests':>9}{'sent kB':>9}{'ratio':>7}"
            f"{'orchestr.':>11}{'agents':>11}{'units':>11}{'ratio':>7}{'without replies':>17}"
        )
    native = _native(row, rows)
    print(
        f"{row.way:<28}{row.result_bytes:>9,}{row.requests:>9}{row.sent_bytes / 1000:>9,.0f}"
        f"{row.sent_bytes / native.sent_bytes:>7.2f}{row.orchestrator_units:>11,.0f}"
        f"{row.agent_units:>11,.0f}{row.units:>11,.0f}{row.units / native.units:>7.2f}"
        f"{_saveable(row) / _saveable(native):>17.2f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
