"""The structured log: one JSON object a line, in the pool's state folder.

What the pool emits as events, and what libraries log, goes through one structlog pipeline into
one file, which is rotated by size and age. Where it is switched on, a transcript of each task
stands beside it. Values that look like secrets are not written.
"""

from supervisor.logs._choice import Choice, parse_time
from supervisor.logs._files import Rotation
from supervisor.logs._pipeline import adjust_log, open_log, redact
from supervisor.logs._tail import LogLine, Tail
from supervisor.logs._transcripts import Direction, OnLine, Transcripts

__all__ = [
    "Choice",
    "Direction",
    "LogLine",
    "OnLine",
    "Rotation",
    "Tail",
    "Transcripts",
    "adjust_log",
    "open_log",
    "parse_time",
    "redact",
]
