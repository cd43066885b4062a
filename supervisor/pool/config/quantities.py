"""Durations and sizes as people write them, and what somebody may have meant who missed."""

import math
import re
from collections.abc import Mapping

UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds of a unit."""

UNITS_B = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
"""Bytes of a unit."""

DURATION = 'a duration, such as "250ms", "90s", "30min" or "2h"'
"""What is allowed, in words."""

SIZE = 'a size, such as "64KiB", "512MiB" or "1.5GiB"'
"""What is allowed, in words."""

_MEANT_S = {
    "msec": "ms", "millis": "ms", "milliseconds": "ms",
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "m": "min", "mins": "min", "minute": "min", "minutes": "min",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d",
}  # fmt: skip
_MEANT_B = {
    "byte": "B", "bytes": "B", "k": "KiB", "m": "MiB", "g": "GiB", "ki": "KiB", "mi": "MiB",
    "gi": "GiB", "kb": "kB",
}  # fmt: skip


def parse_duration(value: object) -> float:
    """Seconds of a duration as people write it: `"250ms"`, `"90s"`, `"1.5h"`.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    return _parse(value, UNITS_S, DURATION)


def parse_size(value: object) -> int:
    """Bytes of a size as people write it: `"512MiB"`, `"1.5GiB"`.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    return int(_parse(value, UNITS_B, SIZE))


def duration_text(seconds: float) -> str:
    """The shortest text of a duration: `"90s"`, `"2h"`."""
    return _text(seconds, UNITS_S) or f"{repr(seconds).removesuffix('.0')}s"


def size_text(size: int) -> str:
    """The shortest text of a size in bytes: `"700MiB"`, `"2GB"`."""
    return _text(size, UNITS_B) or f"{size}B"


def _text(quantity: float, units: Mapping[str, float]) -> str | None:
    """In whole units, as few as can be; None: it is nothing, or no whole number of any."""
    for unit in sorted(units, key=lambda unit: -units[unit]):
        number = round(quantity / units[unit])
        if number and number * units[unit] == quantity:
            return f"{number}{unit}"
    return None


def meant_duration(value: object) -> str | None:
    """The duration that a wrong one may have been meant to be, or None."""
    return _meant(value, UNITS_S, _MEANT_S, "s")


def meant_size(value: object) -> str | None:
    """The size that a wrong one may have been meant to be, or None."""
    return _meant(value, UNITS_B, _MEANT_B, "B")


def pattern(units: Mapping[str, float]) -> str:
    """A regular expression for a quantity in these units, as JSON Schema and Python take it."""
    return rf"^[0-9]+(\.[0-9]+)?[ \t]*({'|'.join(units)})$"


def _parse(value: object, units: Mapping[str, float], allowed: str) -> float:
    match = (
        re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)[ \t]*([A-Za-z]+)", value)
        if isinstance(value, str)
        else None
    )
    if match is None or match[2] not in units:
        raise ValueError(f"allowed is {allowed}")
    quantity = float(match[1]) * units[match[2]]
    if not math.isfinite(quantity):
        raise ValueError(f"it is too large; allowed is {allowed}")
    return quantity


def _meant(
    value: object, units: Mapping[str, float], names: Mapping[str, str], plain: str
) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    match = re.fullmatch(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z]*)\s*", str(value))
    if match is None:
        return None
    word = match[2].lower()
    by_case = {unit.lower(): unit for unit in units}
    unit = names.get(word) or by_case.get(word) or (plain if not word else None)
    return None if unit is None else f"{match[1]}{unit}"
