"""Record what published versions of the Claude CLI say, for tests that need no CLI.

    python -m tests.realcli.record 2.1.197 2.1.330

Writes `tests/data/transcripts/<version>/<scenario>.jsonl`: one object per line of the exchange,
`{"dir": ">>>" | "<<<", "line": "<as it was on the pipe>", "t": <seconds since the spawn>}`. What
differs between machines and runs has stable placeholders: folders, ports, process ids, and uuids
(numbered in order of appearance, so that equal ones stay equal). The lists in an answer to
`initialize` and in `system/init`, most of their bytes, are shortened to their first element.
"""

import contextlib
import json
import os
import re
import select
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.loopback import LoopbackAPI
from tests.realcli.install import ensure, environment
from tests.realcli.session import STREAM_JSON, Line, Session

TRANSCRIPTS: Final = Path(__file__).resolve().parents[1] / "data" / "transcripts"
RANDOM_UUID: Final = "deadbeef-0000-4000-8000-000000000000"
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SHORTENED: Final = (
    "agents",
    "commands",
    "models",
    "plugins",
    "skills",
    "slash_commands",
    "terminal_slash_commands",
)
ANSWER_TIMEOUT_S: Final = 3.0
CLEAR: Final = "/clear"
SYSTEM_PROMPT: Final = "You are the recorded agent."
ANCHOR: Final = {
    "type": "assistant",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Ready."}]},
}
ENVIRONMENT: Final = {
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
    "CLAUDE_CODE_MAX_RETRIES": "1",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scenario plays on."""

    session: Session
    api: LoopbackAPI
    project: Path
    """The CLI's working directory."""


def conversation(stage: Stage) -> None:
    """Role, anchor, task, rewind, task, clear, task, pings, an unknown request, the end."""
    session = stage.session
    session.ask("initialize", systemPrompt=SYSTEM_PROMPT)
    knows_rewind = _ask(session, "rewind_conversation", target_message_uuid=RANDOM_UUID)
    if knows_rewind:
        session.send(ANCHOR)
        _ask(session, "rewind_conversation", target_message_uuid=RANDOM_UUID)
    first = session.give("the first task")
    session.result()
    if knows_rewind:
        _ask(session, "rewind_conversation", target_message_uuid=first)
    session.task("the second task [[context]]")
    session.task(CLEAR)
    session.task("the third task [[context]][[system]]")
    for subtype in ("get_binary_version", "mcp_status", "no_such_request", "end_session"):
        _ask(session, subtype)


def anchor(stage: Stage) -> None:
    """The anchor line, whatever the version makes of it: some exit."""
    session = stage.session
    session.ask("initialize", systemPrompt=SYSTEM_PROMPT)
    session.send(ANCHOR)
    with contextlib.suppress(EOFError, BrokenPipeError):
        session.task("after the anchor [[context]]")


def clear_only(stage: Stage) -> None:
    """What is left for a version that is too old for the pool."""
    session = stage.session
    session.ask("initialize", systemPrompt=SYSTEM_PROMPT)
    session.task("the first task")
    session.task(CLEAR)
    session.task("the second task [[context]]")


def interrupts(stage: Stage) -> None:
    """Interrupts while the API hangs and while Bash runs, and a task after each."""
    session = stage.session
    session.ask("initialize", systemPrompt=SYSTEM_PROMPT)
    session.give("first [[hang]]")
    stage.api.wait_for_request(lambda request: request.last_user_text() == "first [[hang]]")
    session.ask("interrupt")
    session.result()
    session.task("after the hang")
    os.mkfifo(stage.project / "started")
    session.give("second [[bash echo > started; sleep 300]]")
    _wait_for_line(stage.project / "started")
    session.ask("interrupt")
    session.result()
    session.task("after the command [[context]]")


def permissions(stage: Stage) -> None:
    """A use of Bash that is refused, and a use of Read that is allowed."""
    session = stage.session
    session.ask("initialize", systemPrompt=SYSTEM_PROMPT)
    session.task("[[bash sh -c 'echo made by sh']]")
    session.task('[[tool Read {"file_path": "note.txt"}]]')


def answers(stage: Stage) -> None:
    """An error of the API, an answer without content, a long one, and an overload."""
    session = stage.session
    session.ask("initialize", systemPrompt=SYSTEM_PROMPT)
    for task in ("[[error 400]]", "[[empty]]", "[[size 20000]]", "[[error 529]]", "after all"):
        session.task(task, timeout_s=60.0)


def usage(stage: Stage) -> None:
    """Three tasks: which figures add up."""
    session = stage.session
    session.ask("initialize", systemPrompt=SYSTEM_PROMPT)
    session.task("one [[size 100]]")
    session.task("two [[size 200]]")
    session.task(CLEAR)
    session.task("three [[size 400]]")


Scenario = Callable[[Stage], None]
SCENARIOS: Final[tuple[Scenario, ...]] = (
    conversation,
    anchor,
    interrupts,
    permissions,
    answers,
    usage,
)
ONLY: Final[dict[str, tuple[Scenario, ...]]] = {"2.0.37": (clear_only,)}


def arguments(version: str, *, allowed: str = "Read,Edit,Bash") -> list[str]:
    """The options that the pool gives, as far as the version knows them."""
    options = ["--strict-mcp-config", "--permission-mode=acceptEdits"]
    options += ["--tools=Read,Edit,Bash", f"--allowedTools={allowed}"]
    if not version.startswith("2.0."):
        options.append("--no-session-persistence")
    return [*STREAM_JSON, *options]


def record(version: str, scenario: Scenario) -> tuple[int, int]:
    """Play one scenario and write its transcript; the numbers of lines and of bytes."""
    cli = ensure(version)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name).resolve()
        home, project = root / "home", root / "project"
        home.mkdir()
        project.mkdir()
        (project / "note.txt").write_text("a note\n")
        allowed = "Read" if scenario is permissions else "Read,Edit,Bash"
        argv = [*cli.argv, *arguments(version, allowed=allowed)]
        with LoopbackAPI() as api:
            host = api.base_url.removeprefix("http://")
            env = environment(home, api.base_url, **ENVIRONMENT)
            with Session(argv, env, project, root / "stderr") as session:
                scenario(Stage(session, api, project))
            scrub = Scrubber({str(root): "/scrubbed", host: "127.0.0.1:1"})
        text = "".join(scrub.line(line) for line in session.lines)
    path = TRANSCRIPTS / version / f"{scenario.__name__}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return len(session.lines), len(text)


class Scrubber:
    """Replaces what differs from run to run and from machine to machine."""

    def __init__(self, literal: dict[str, str]) -> None:
        # In the names of its own folders the CLI writes a path with dashes.
        dashed = {old.replace("/", "-"): new.replace("/", "-") for old, new in literal.items()}
        self._literal = literal | dashed
        self._uuids: dict[str, str] = {}

    def line(self, line: Line) -> str:
        """One line of the transcript."""
        text = self._shortened(line.text)
        for old, new in self._literal.items():
            text = text.replace(old, new)
        text = UUID.sub(self._numbered, text)
        text = re.sub(r'"pid":\s?\d+', '"pid":4242', text)
        text = re.sub(r"cc-socks/\d+", "cc-socks/4242", text)
        entry = {"dir": line.direction, "line": text, "t": round(line.at_s, 3)}
        return json.dumps(entry, ensure_ascii=False) + "\n"

    def _shortened(self, text: str) -> str:
        if not any(f'"{key}"' in text for key in SHORTENED):
            return text
        message = json.loads(text)
        payload = message.get("response", {}).get("response", message)
        for key in SHORTENED:
            if isinstance(payload.get(key), list):
                payload[key] = payload[key][:1]
        return json.dumps(message, ensure_ascii=False, separators=(",", ":"))

    def _numbered(self, found: re.Match[str]) -> str:
        if found[0] == RANDOM_UUID:
            return RANDOM_UUID
        number = len(self._uuids) + 1
        # The number comes first: the CLI compares uuids by their beginning.
        return self._uuids.setdefault(found[0], f"{number:08d}-0000-4000-8000-000000000000")


def _ask(session: Session, subtype: str, **fields: Any) -> bool:
    """Ask what this version may not know, go on if it never answers; whether it knows it."""
    try:
        return bool(session.ask(subtype, ANSWER_TIMEOUT_S, **fields)["subtype"] == "success")
    except TimeoutError:
        return False


def _wait_for_line(fifo: Path, timeout_s: float = 30.0) -> None:
    """Block until a command of the CLI's has opened and written the pipe: it runs by then."""
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        readable, _, _ = select.select([reader], [], [], timeout_s)
    finally:
        os.close(reader)
    if not readable:
        raise TimeoutError(f"the command did not run within {timeout_s} s")


def main(versions: list[str]) -> None:
    """Record every scenario of each version, and say so in a line each."""
    for version in versions:
        shutil.rmtree(TRANSCRIPTS / version, ignore_errors=True)
        for scenario in ONLY.get(version, SCENARIOS):
            lines, size = record(version, scenario)
            print(f"{version}/{scenario.__name__}: {lines} lines, {size} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
