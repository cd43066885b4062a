"""The script that a task's text carries: directives in double square brackets.

    parse("please [[sleep 2]] hurry")
    → [Directive("echo", "please"), Directive("sleep", "2"), Directive("echo", "hurry")]

| written | the model |
|---|---|
| text outside of brackets | answers `echo: <the text>` |
| `[[say TEXT]]` | answers TEXT |
| `[[context]]` | answers `context: N user texts: <JSON list of the earlier texts it was sent>` |
| `[[system]]` | answers with the system prompt |
| `[[sleep S]]` | waits S seconds before its answer starts |
| `[[slow S]]` | streams its answer in ten parts over S seconds |
| `[[hang]]` | never answers |
| `[[bash COMMAND]]` | uses the tool Bash, then answers `bash: <its result>` |
| `[[tool NAME JSON]]` | uses the tool NAME with that input, then answers `tool: <its result>` |
| `[[tool NAME JSON NAME JSON …]]` | uses several in one message, then answers a line for each |
| `[[size N]]` | answers N bytes |
| `[[error STATUS]]` | the request fails with that HTTP status |
| `[[empty]]` | answers with a message that has no content |

Directives are carried out in order, each once; the parts of an answer are joined by a newline.
"""

from dataclasses import dataclass
from typing import Final

OPEN: Final = "[["
CLOSE: Final = "]]"
BARE: Final = frozenset({"context", "system", "hang", "empty"})
WITH_ARGUMENT: Final = frozenset({"say", "sleep", "slow", "bash", "tool", "size", "error"})
TOOLS: Final = frozenset({"bash", "tool"})


@dataclass(frozen=True, slots=True)
class Directive:
    """One step of the script."""

    name: str
    """`echo`, or a name of the table above."""
    argument: str = ""
    """What follows the name, stripped; the text itself for `echo`."""


def parse(text: str) -> list[Directive]:
    """Split a task's text into its steps.

    Brackets nest, so `[[bash if [[ -e x ]]; then date; fi]]` is one directive. What is in
    brackets but is no directive of ours (`[[1, 2]]`) is text. Text that is only white space
    between directives is no step. A text without directives is one `echo`, kept as it is.
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
        steps += _echo(plain + text[at:start])
        steps.append(directive)
        plain = ""
        at = end
    rest = plain + text[at:]
    return steps + _echo(rest) if steps else [Directive("echo", rest)]


def _closing(text: str, start: int) -> int:
    """The position after the brackets that close those at `start`; -1 if nothing does."""
    depth = 0
    at = start
    while at < len(text):
        pair = text[at : at + 2]
        if pair == OPEN:
            depth += 1
        elif pair == CLOSE:
            depth -= 1
            if depth == 0:
                return at + 2
        at += 2 if pair in (OPEN, CLOSE) else 1
    return -1


def _directive(inner: str) -> Directive | None:
    name, _, argument = inner.strip().partition(" ")
    argument = argument.strip()
    if name in BARE and not argument:
        return Directive(name)
    if name in WITH_ARGUMENT and argument:
        return Directive(name, argument)
    return None


def _echo(text: str) -> list[Directive]:
    return [Directive("echo", text.strip())] if text.strip() else []
