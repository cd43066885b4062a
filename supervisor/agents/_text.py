"""The bytes of a definition file as text: UTF-8, no byte order mark, `\\n` between lines."""

from __future__ import annotations

import codecs
from pathlib import Path

from ._finding import Finding

_BOM = "\ufeff"


def decode(path: Path, data: bytes) -> tuple[str, tuple[Finding, ...]]:
    """The text, and what is wrong with its bytes.

    Bytes that are not UTF-8 are replaced, so that the rest can still be examined and all
    findings of a file come at once.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "", (_error(path, 1, "the file is UTF-16; save it as UTF-8"),)
    findings = []
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = _line_of(data, error.start)
        byte = data[error.start]
        findings.append(
            _error(path, line, f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8")
        )
        text = data.decode("utf-8", errors="replace")
    if b"\0" in data:
        line = _line_of(data, data.index(b"\0"))
        findings.append(_error(path, line, "a NUL byte: this is not a text file; remove it"))
    text = text.removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n")
    return text, tuple(findings)


def _line_of(data: bytes, index: int) -> int:
    return data[:index].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1


def _error(path: Path, line: int, message: str) -> Finding:
    return Finding(path, line, None, message, "error")
