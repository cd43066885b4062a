"""Digests: what the caller of a task gets in place of a long reply.

A reply that goes to an orchestrator is paid again in every later turn of it. So a reply above the
limit goes whole into a file, and its caller gets the agent's own summary, where the agent wrote
one, else its first and last lines; with size, path, and how to get more.

An agent writes its summary as a block of its own, anywhere in its reply:

    <summary>
    What matters, in a few lines.
    </summary>

Its prompt may ask for that (`CONVENTION`); it costs no further turn. The last block counts. One
that is empty, is never closed or is too long counts for nothing.
"""

import re

CONVENTION = (
    "If your answer is longer than a page, end it with a block <summary>…</summary> that says "
    "what matters of it in ten lines at most: whoever asked you reads that first."
)
"""What a definition may say, for its agent to write summaries."""

SUMMARY_LIMIT = 2_000
"""Characters of a summary; a longer one is no summary."""

HEAD = 1_100
TAIL = 700
"""Characters of the first and of the last lines, where there is no summary."""

PART = 30_000
"""Characters of one part of a reply: clients cut results above some 25,000 tokens."""

_BLOCK = re.compile(r"^[ \t]*<summary>[ \t]*\n?(.*?)</summary>[ \t]*$", re.DOTALL | re.MULTILINE)


def digest(reply: str, path: str | None, task_id: str) -> str:
    """What the caller gets: 2,000 characters of summary, or 1,800 of excerpts, and 300 of ours.

    Args:
        reply: the whole reply.
        path: the file that it is in; None: there is none.
        task_id: the task, by which more can be had.
    """
    summary = _summary(reply)
    told = _excerpt(reply) if summary is None else summary
    what = "The first and last lines" if summary is None else "The agent's own summary"
    size = len(reply.encode("utf-8", "surrogatepass"))
    whole = f" Whole in the file {path}, and" if path is not None else " More"
    return (
        f"{told}\n\n[agent-pool] {what} of a reply of {size:,} bytes.{whole} by "
        f'result(task_id="{task_id}", part=1 to {parts(reply)}).'
    )


def parts(reply: str) -> int:
    """How many parts a reply has."""
    return max(1, -(-len(reply) // PART))


def part(reply: str, number: int) -> str:
    """One part of a reply, counted from 1; together they are the reply.

    Raises:
        ValueError: there is no such part.
    """
    if not 1 <= number <= parts(reply):
        raise ValueError(f"there is no part {number}; the reply has {parts(reply)}")
    return reply[(number - 1) * PART : number * PART]


def _summary(reply: str) -> str | None:
    found = _BLOCK.findall(reply)
    text = found[-1].rpartition("<summary>")[2].strip() if found else ""
    return text if 0 < len(text) <= SUMMARY_LIMIT else None


def _excerpt(reply: str) -> str:
    head = _whole_lines(reply[:HEAD], from_end=False)
    tail = _whole_lines(reply[-TAIL:], from_end=True)
    left_out = len(reply) - len(head) - len(tail)
    return f"{head.rstrip()}\n\n[… {left_out:,} characters …]\n\n{tail.lstrip()}"


def _whole_lines(text: str, *, from_end: bool) -> str:
    """The text without the line that was cut through, where enough is left."""
    cut = text.partition("\n")[2] if from_end else text.rpartition("\n")[0]
    return cut if len(cut) > len(text) // 2 else text
