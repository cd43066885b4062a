"""The promise, checked: every accepted task has one outcome, its own, and it can be found."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.acting import Play, Seen, Sent
from tests.chaos.script import RETRIES
from tests.chaos.storm import WORD


@dataclass(frozen=True)
class Entry:
    """What the ledger says of a task."""

    id: str
    """Its id."""
    text: str
    """What it was handed over as."""
    state: str
    """`ended`, if all is well."""
    outcome: str | None
    """`result`, or the error's code."""
    message: str
    """The error's."""
    reply: str | None
    """The whole reply."""
    reply_path: str | None
    """The file that it is in."""
    attempts: int
    """How often a process has had all of it."""


def read(database: Path) -> list[Entry]:
    """All of a ledger, as any SQLite would read it."""
    if not database.exists():
        return []
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT id, text.content, state, outcome, failure, reply.content, reply_path, attempts "
            "FROM task LEFT JOIN text USING (number) LEFT JOIN reply USING (number)"
        ).fetchall()
    finally:
        connection.close()
    return [_entry(*row) for row in rows]


def _entry(
    task_id: str,
    text: bytes,
    state: str,
    outcome: str | None,
    failure: str | None,
    reply: bytes | None,
    path: str | None,
    attempts: str,
) -> Entry:
    whole = Path(path).read_bytes() if path else reply
    return Entry(
        id=task_id,
        text=text.decode(),
        state=state,
        outcome=outcome,
        message=json.loads(failure)[0] if failure else "",
        reply=None if whole is None else whole.decode(),
        reply_path=path,
        attempts=sum(attempt[5] != "never read" for attempt in json.loads(attempts)),
    )


def broken(play: Play, ledger: list[Entry]) -> list[str]:
    """In which ways the promise was not kept, for people."""
    return [
        *(f"it was left open: {row}" for row in play.open_at_the_end),
        *_known_once(play.sent, ledger),
        *(wrong for sent in play.sent for wrong in _wrong(sent, play, ledger)),
    ]


def _known_once(sent: Iterable[Sent], ledger: list[Entry]) -> Iterator[str]:
    handed_over = {one.text for one in sent}
    for text, times in Counter(entry.text for entry in ledger).items():
        if times > 1:
            yield f"the ledger has it {times} times: {text!r}"
        if text not in handed_over:
            yield f"the ledger has it, and nobody handed it over: {text!r}"


def _wrong(sent: Sent, play: Play, ledger: list[Entry]) -> Iterator[str]:
    """What is wrong with one task."""
    who = f"task {sent.number} ({', '.join(sent.ids) or 'no id'})"
    entry = next((entry for entry in ledger if entry.text == sent.text), None)
    if len(sent.ids) > 1:
        yield f"{who} was told several ids"
    if entry is None:
        if sent.ids:
            yield f"{who} was accepted, and the ledger does not have it"
        return
    if sent.refused is not None:
        yield f"{who} was refused ({sent.refused}), and the ledger has it as {entry.id}"
    if not sent.ids <= {entry.id}:
        yield f"{who} is {entry.id} in the ledger"
    if entry.state != "ended" or entry.outcome is None:
        yield f"{who} has no outcome in the ledger: {entry}"
        return
    if entry.outcome not in sent.may_end:
        yield f"{who} ended with {entry.outcome}, and nothing but {sent.may_end} could happen"
    allowed = 1 + RETRIES.get(sent.agent, 0) + play.pools_ended
    if entry.attempts > allowed:
        yield f"{who} was attempted {entry.attempts} times, {allowed} are allowed"
    if entry.outcome == "result":
        yield from (f"{who}: {wrong}" for wrong in _wrong_reply(sent, entry, play))
    for seen in sent.seen:
        yield from (f"{who}: {wrong}" for wrong in _wrong_sight(sent, entry, seen))


def _wrong_reply(sent: Sent, entry: Entry, play: Play) -> Iterator[str]:
    reply = entry.reply
    if reply is None:
        yield "it ended with a result, and there is no reply"
        return
    if reply.splitlines()[-1] != f"echo: {sent.word}":
        yield f"its reply is not its own: {reply!r}"
    if sent.conversation is None and "context: 0 user texts: []" not in reply:
        yield f"its context was not fresh: {reply!r}"
    told = {other.word for other in play.sent if other.mailbox == sent.mailbox}
    strange = set(WORD.findall(reply)) - (told if sent.conversation else {sent.word})
    if strange:
        yield f"another's words are in its context: {strange}"


def _wrong_sight(sent: Sent, entry: Entry, seen: Seen) -> Iterator[str]:
    if seen.code != entry.outcome:
        yield f"the ledger says {entry.outcome}, and its client saw {seen}"
    elif seen.text is None:
        return
    elif entry.outcome != "result":
        if not seen.text.startswith(f"{entry.outcome}: {entry.message}"):
            yield f"the ledger says {entry.message!r}, and its client saw {seen}"
    elif seen.text != entry.reply:
        digested = entry.reply_path is not None and entry.reply_path in seen.text
        if not digested or sent.word not in seen.text:
            yield f"the ledger says {entry.reply!r}, and its client saw {seen}"
