"""The pipeline: events and library messages → one redacted JSON line each → a rotated file."""

import logging
import math
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import structlog
from structlog.types import Processor

from supervisor.logs._files import LogFiles, Rotation

_NAMES = r"api[_-]?key|access[_-]?key|token|secret|passw(?:or)?d|passphrase|authorization|cookie"
_SECRET_NAME = re.compile(rf"(?i)(?:{_NAMES})$")
# NAME=value, as in an environment, and "name": "value", as in JSON, be it within another's string.
_ASSIGNED = re.compile(rf"""(?i)((?:{_NAMES})(?:=\\*["']?|\\*["']\s*:\s*\\*["']))[^\s"',;&]+""")
_SECRET_VALUE = re.compile(
    r"\bsk-[A-Za-z0-9_-]{8,}"  # Anthropic's and others' keys
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"
    r"|(?i:\bbearer\s+)[A-Za-z0-9._~+/-]{8,}=*"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # the user and password of a proxy
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*")
_HIDDEN = "[redacted]"

# Matching takes half a second a megabyte, and keeps every other thread waiting: so only a text
# that holds one of these is matched, and a long one in parts in which a secret stands whole.
_NAME_SIGNS = (
    "apikey", "api_key", "api-key", "accesskey", "access_key", "access-key", "token", "secret",
    "passwd", "password", "passphrase", "authorization", "cookie",
)  # fmt: skip
_VALUE_SIGNS = ("sk-", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "://")
_LONG = 4096
_SEPARATORS = ("\n", ",")


def redact(value: Any) -> Any:
    """`value` without what looks like a secret, by the name it has or by its own look."""
    if isinstance(value, str):
        return _redact_text(_PRIVATE_KEY.sub(_HIDDEN, value), _SEPARATORS)
    if isinstance(value, Mapping):
        return {
            redact(str(key)): _HIDDEN if _is_secret(key, inner) else redact(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # JSON has no form for it
    if value is None or isinstance(value, int | float):
        return value
    return redact(repr(value))


def _redact_text(text: str, separators: tuple[str, ...]) -> str:
    if len(text) > _LONG and separators:
        first, *others = separators
        return first.join(_redact_text(part, tuple(others)) for part in text.split(first))
    folded = text.lower()
    if "bearer" in folded or any(sign in text for sign in _VALUE_SIGNS):
        text = _SECRET_VALUE.sub(_HIDDEN, text)
    if ("=" in text or ":" in text) and any(sign in folded for sign in _NAME_SIGNS):
        text = _ASSIGNED.sub(rf"\1{_HIDDEN}", text)
    return text


def _is_secret(key: object, value: object) -> bool:
    plain = value is None or isinstance(value, int | float)  # a count of tokens, for example
    return not plain and bool(_SECRET_NAME.search(str(key)))


def _redact_event(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    redacted: dict[str, Any] = redact(event)
    return redacted


def open_log(path: Path, level: str, rotation: Rotation) -> Any:
    """Open the log at `path`, and send what libraries log there too; returns its logger.

    Args:
        path: the file; it and the older ones, `path.1`, `path.2.gz`, …, are mode 0600.
        level: debug, info, warning or error; what is less is not written.
        rotation: when a file is full, and what becomes of it.

    Raises:
        OSError: the file cannot be written.
    """
    handler = LogFiles(path, rotation)
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redact_event,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    library = logging.getLogger()
    library.handlers = [handler]
    library.setLevel(logging.WARNING)
    ours = logging.getLogger("agent_pool")
    ours.setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return structlog.stdlib.get_logger("agent_pool")


def adjust_log(level: str, rotation: Rotation) -> None:
    """Have the log that `open_log` has opened go by another level and rotation from now on."""
    logging.getLogger("agent_pool").setLevel(level.upper())
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFiles):
            handler.rotation = rotation
