from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.agents._text import decode

PATH = Path("a.md")


@pytest.mark.parametrize("data", [b"a\nb", b"a\r\nb", b"a\rb", b"\xef\xbb\xbfa\r\nb"])
def test_byte_order_mark_and_line_endings_leave_no_trace(data: bytes) -> None:
    assert decode(PATH, data) == ("a\nb", ())


def test_a_byte_that_is_not_utf8_is_named_with_its_line() -> None:
    _, (finding,) = decode(PATH, b"a\r\nb\rc\n caf\xe9")
    assert (finding.line, finding.severity) == (4, "error")
    assert "0xe9" in finding.message


def test_the_rest_of_a_file_with_a_bad_byte_can_still_be_examined() -> None:
    text, _ = decode(PATH, b"name: x\n\xff\nend")
    assert text.startswith("name: x\n")
    assert text.endswith("\nend")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_called_by_its_name(encoding: str) -> None:
    _, (finding,) = decode(PATH, ("\ufeff" + "name: x").encode(encoding))
    assert "UTF-16" in finding.message


def test_a_nul_byte_is_an_error_with_its_line() -> None:
    _, (finding,) = decode(PATH, b"a\nb\0c")
    assert (finding.line, finding.severity) == (2, "error")
