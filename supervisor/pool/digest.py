"""The short form of a long reply, for an orchestrator that pays for it again in every later turn.

A reply that is no longer than the limit goes out as it is. Of a longer one goes the agent's own
summary where it wrote one, else its beginning and its end; then one line that says how long it is,
in which file it is whole, and how to get it in parts.

An agent writes a summary because its prompt asks for one (`prompt_line`): a block
`<digest> … </digest>` at the end of its answer. That costs no turn of its own. HTML has no such
tag, so an answer with markup in it is not taken for a summary. What models make of it is dealt
with: a block at the beginning will do; of several the last one counts, of nested ones the
outermost; an empty one counts as none; one that is never closed counts if no more follows than a
digest may hold; one that is too long is cut.
"""

import re
from typing import Final

from supervisor.ledger import part_count

REPLY_LIMIT: Final = 16_000
"""Bytes (UTF-8) of a reply that still goes out whole, where nothing else is configured."""

DIGEST_LIMIT: Final = 2_000
"""Bytes (UTF-8) that a digest has at most, the path of the file not counted."""

_CONTENT_LIMIT: Final = 1_650
"""Of these, what is left to a summary, or to beginning and end; the rest is for the last line."""

_GAP_BYTES: Final = 60
"""What is between beginning and end, at most."""

_WINDOW: Final = 20_000
"""Characters at either end of a reply in which a summary is looked for: a reply may be huge."""

# A tag that opens begins its line, whatever marks of Markdown are before it; so a mention of it in
# the middle of a sentence is none.
_TAG: Final = re.compile(r"^[ \t>*]*<digest>|</digest>", re.IGNORECASE | re.MULTILINE)
_ANY_TAG: Final = re.compile(r"</?digest>", re.IGNORECASE)


def prompt_line(limit: int = REPLY_LIMIT) -> str:
    """What an agent's system prompt says, so that it writes a summary; always the same text.

    Args:
        limit: bytes of a reply that goes out whole.
    """
    return (
        f"If your answer gets longer than about {limit} characters, end it with a summary of at "
        "most 1500 characters between a line <digest> and a line </digest>: what you found or "
        "did, what follows from it, and what the rest of the answer holds. Whoever asked sees only "
        "that at first."
    )


def is_long(reply: str, limit: int = REPLY_LIMIT) -> bool:
    """Whether a reply has more bytes (UTF-8) than the limit."""
    return len(reply) > limit or _size(reply) > limit


def digest(reply: str, task_id: str, path: str | None, limit: int = REPLY_LIMIT) -> str:
    """What is handed over of a reply: itself, or where it is long, its digest.

    Args:
        reply: the whole reply.
        task_id: the task that it answers.
        path: the file that holds it whole; None: there is none.
        limit: bytes (UTF-8) of a reply that goes out whole.

    Returns:
        no more than the limit, or than `DIGEST_LIMIT` bytes and the path, whichever is more; never
        more than the reply.
    """
    if not is_long(reply, limit):
        return reply
    total, room = _size(reply), min(_CONTENT_LIMIT, max(limit, 1))
    summary = _summary(reply)
    if summary is not None:
        content, what = _beginning(summary, room), "The agent's own summary of its reply"
    else:
        content, what = _both_ends(reply, total, room), "Beginning and end of a reply"
    short = f"{content}\n\n{_note(what, total, task_id, path)}"
    return short if _size(short) < total else reply


def _note(what: str, total: int, task_id: str, path: str | None) -> str:
    where = "" if path is None else f" Whole, in a file: {path}."
    count = part_count(total)
    parts = "" if count == 1 else f", up to part={count}"
    return (
        f'[{what} of {total:,} bytes.{where} In parts: result(task_id="{task_id}", part=1){parts}.]'
    )


def _summary(reply: str) -> str | None:
    """The agent's own, without its tags; None: it wrote none."""
    for window in (reply[-_WINDOW:], reply[:_WINDOW]):
        found = _ANY_TAG.sub("", _last_block(window)).strip()
        if found:
            return found
    return None


def _last_block(text: str) -> str:
    """What the last of the outermost blocks holds; empty: there is none."""
    opened: list[int] = []
    block = ""
    for tag in _TAG.finditer(text):
        if not tag.group().startswith("</"):
            opened.append(tag.end())
        elif opened:
            # An outer block ends after the inner ones, and so takes their place.
            found = text[opened.pop() : tag.start()]
            block = found if found.strip() else block
    if not block and opened and not is_long(text[opened[-1] :], _CONTENT_LIMIT):
        return text[opened[-1] :]
    return block


def _both_ends(reply: str, total: int, room: int) -> str:
    head = _beginning(reply, room * 3 // 5)
    tail = _end(reply.rstrip(), room * 2 // 5 - _GAP_BYTES)
    left_out = total - _size(head) - _size(tail)
    return f"{head}\n\n[… {left_out:,} bytes left out …]\n\n{tail}"


def _beginning(text: str, limit: int) -> str:
    """No more than that many bytes of its beginning, to the end of a line or a word."""
    data = _encoded(text[:limit])
    if len(text) <= limit and len(data) <= limit:
        return text
    end = min(limit, len(data))
    while end < len(data) and _is_inside(data[end]):
        end -= 1
    cut = _decoded(data[:end])
    for border in ("\n", " "):
        if (at := cut.rfind(border, len(cut) // 2)) >= 0:
            return cut[:at].rstrip()
    return cut


def _end(text: str, limit: int) -> str:
    """No more than that many bytes of its end, from the start of a line or a word."""
    if limit <= 0:
        return ""
    data = _encoded(text[-limit:])
    start = max(0, len(data) - limit)
    while start < len(data) and _is_inside(data[start]):
        start += 1
    cut = _decoded(data[start:])
    for border in ("\n", " "):
        if (at := cut.find(border, 0, len(cut) // 2)) >= 0:
            return cut[at:].lstrip()
    return cut


def _is_inside(byte: int) -> bool:
    """Whether the byte is one of a character's, but not its first."""
    return byte & 0xC0 == 0x80


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(_encoded(text))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a lone surrogate is no reason to fail


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
