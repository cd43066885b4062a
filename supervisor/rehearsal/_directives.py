"""The script in a task's text: directives in double square brackets.

parse("please [[sleep 2]] hurry")
→ [Directive("echo", "please"), Directive("sleep", "2"), Directive("echo", "hurry")]
"""

from typing import Final, NamedTuple

OPEN: Final = "[["
CLOSE: Final = "]]"

SHARED: Final = {
    "say": ("TEXT", "answers TEXT"),
    "context": ("", "answers `context: N user texts: <JSON list of the earlier task texts>`"),
    "system": ("", "answers with the system prompt"),
    "sleep": ("S", "waits S seconds before the answer starts"),
    "slow": ("S", "streams the answer over S seconds; an interrupt keeps what was streamed"),
    "hang": ("", "never answers; an interrupt ends it"),
    "bash": ("COMMAND", "uses the tool Bash, then answers `bash: <its result>`"),
    "tool": ("NAME JSON", "uses another tool (there is none), then answers `tool: <its result>`"),
    "size": ("N", "answers N bytes"),
    "error": ("STATUS", "the request to the API fails with that HTTP status, without retries"),
    "empty": ("", "the model's message has no content"),
}
"""What the loopback Messages API understands too: name → (argument, what happens)."""

MISBEHAVIOUR: Final = {
    "crash": ("RC", "exits with RC in the middle of the task, with a line on stderr"),
    "stop": ("", "stops itself with SIGSTOP in the middle of the task; SIGCONT lets it go on"),
    "ignore-interrupt": ("", "acknowledges an interrupt, and the task goes on regardless"),
    "deaf": ("", "stdin is never read again, so nothing is acknowledged, not even its end"),
    "ignore-term": ("", "SIGTERM is ignored from now on"),
    "grow": ("MB", "takes and touches so much more memory, and keeps it"),
    "ask": (
        "NAME JSON",
        "asks its host whether it may use that tool, whatever its rules say; answers "
        "`ask: allowed <the input>` or `ask: <why not>`",
    ),
    "late": ("S", "after the result, S seconds later, a second result `late: …` unasked"),
    "twice": ("", "prints the result line twice"),
    "garbage": ("", "prints lines that are no JSON, and a character torn over two writes"),
    "long-line": ("MB", "prints one JSON line of that size, of an unknown type"),
    "stderr": ("N", "prints N lines on stderr"),
    "orphan": ("S", "leaves a `sleep S` behind in a session of its own; answers `orphan: <pid>`"),
    "unsolicited": ("", "after the result, a whole turn that a background task started"),
    "die-after": ("", "exits with 0 right after the result"),
}
"""What only the rehearsal agent does: name → (argument, what happens)."""

KNOWN: Final = SHARED | MISBEHAVIOUR


class Directive(NamedTuple):
    """One step of the script."""

    name: str
    """`echo`, or a name of the tables above."""
    argument: str = ""
    """What follows the name, stripped; the text itself for `echo`."""


def parse(text: str) -> list[Directive]:
    """Split a task's text into its steps; a text without directives is one `echo`, unchanged.

    Brackets nest. What is in brackets but is no directive is text. White space between
    directives is no step.
    """
    steps: list[Directive] = []
    plain = ""
    at = 0
    while (start := text.find(OPEN, at)) >= 0:
        end = _closing(text, start)
        directive = _directive(text[start + 2 : end - 2]) if end > 0 else None
        if directive is None:
            plain += text[at : start + 2]
            at = start + 2
            continue
        steps += [*_echo(plain + text[at:start]), directive]
        plain = ""
        at = end
    rest = plain + text[at:]
    return steps + _echo(rest) if steps else [Directive("echo", rest)]


def _closing(text: str, start: int) -> int:
    depth = 0
    at = start
    while at < len(text):
        pair = text[at : at + 2]
        depth += (pair == OPEN) - (pair == CLOSE)
        if depth == 0:
            return at + 2
        at += 2 if pair in (OPEN, CLOSE) else 1
    return -1


def _directive(inner: str) -> Directive | None:
    name, _, argument = inner.strip().partition(" ")
    argument = argument.strip()
    wanted = KNOWN.get(name)
    if wanted is None or bool(wanted[0]) != bool(argument):
        return None
    return Directive(name, argument)


def _echo(text: str) -> list[Directive]:
    return [Directive("echo", text.strip())] if text.strip() else []
