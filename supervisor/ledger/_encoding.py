"""Any `str` as bytes and as a value of SQLite's, and back, exactly.

UTF-8 with `surrogatepass`: a lone surrogate, which a JSON escape can make, becomes three bytes
that look like any other character's.
"""

from typing import Any


def encode(text: str) -> bytes:
    """The bytes of any `str`."""
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    """The text of `encode`'s bytes; whatever else somebody has put in their place is replaced."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def size_of(text: str) -> int:
    """How many bytes `encode(text)` has."""
    return len(text) if text.isascii() else len(encode(text))


def bind(text: str | None) -> str | bytes | None:
    """`text` as SQLite takes it: with lone surrogates, which it would refuse, as bytes.

    A text always becomes the same value, so that it is found again when it is searched for.
    """
    if text is None:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return encode(text)
    return text


def unbind(value: Any) -> Any:
    """What `bind` was given; other values are left alone."""
    return decode(value) if isinstance(value, bytes) else value
