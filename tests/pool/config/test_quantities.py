"""Durations and sizes as people write them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.pool.config import parse_duration, parse_size
from supervisor.pool.config.quantities import duration_text, size_text

UNITS_S = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
UNITS_B = {"B": 1, "kB": 1000, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@given(
    st.integers(0, 10**9), st.sampled_from(sorted(UNITS_S)), st.sampled_from(["", " ", "  ", "\t"])
)
def test_a_duration_is_a_number_and_a_unit(number: int, unit: str, gap: str) -> None:
    assert parse_duration(f"{number}{gap}{unit}") == pytest.approx(number * UNITS_S[unit])


@given(st.integers(0, 10**6), st.integers(0, 99), st.sampled_from(sorted(UNITS_S)))
def test_a_duration_may_have_a_fraction(whole: int, hundredths: int, unit: str) -> None:
    written = f"{whole}.{hundredths:02}{unit}"

    assert parse_duration(written) == pytest.approx((whole + hundredths / 100) * UNITS_S[unit])


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS_B)))
def test_a_size_is_a_whole_number_of_bytes(number: int, unit: str) -> None:
    size = parse_size(f"{number}{unit}")

    assert (type(size), size) == (int, number * UNITS_B[unit])


@given(st.integers(0, 10**9), st.sampled_from(sorted(UNITS_S)))
def test_the_text_of_a_duration_says_it_again(number: int, unit: str) -> None:
    seconds = parse_duration(f"{number}{unit}")

    assert parse_duration(duration_text(seconds)) == pytest.approx(seconds)


@given(st.integers(0, 2**53))
def test_the_text_of_a_size_says_it_again(size: int) -> None:
    assert parse_size(size_text(size)) == size


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (0.25, "250ms"), (90.0, "90s"), (7200.0, "2h")]
)
def test_a_duration_is_told_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (734003200, "700MiB"), (2 * 10**9, "2GB"), (1001, "1001B")]
)
def test_a_size_is_told_in_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert size_text(size) == text


@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()) | st.booleans())
@example("9" * 400 + "h")
@example("٣s")
@example("1e3s")
@example("-1s")
@example("1s\n")
@example("1 S")
def test_what_is_no_quantity_is_a_value_error_that_says_what_is_allowed(value: object) -> None:
    for parse, units in ((parse_duration, UNITS_S), (parse_size, UNITS_B)):
        words = "|".join(units)
        if isinstance(value, str) and re.fullmatch(
            rf"[0-9]{{1,300}}(\.[0-9]+)?\s*({words})", value
        ):
            continue
        with pytest.raises(ValueError, match=r"allowed is a (duration|size), such as "):
            parse(value)
