"""The sliding window of restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.tree import Intensity


def times(*seconds: float, intensity: int, period_s: float) -> list[bool]:
    window = Intensity(intensity, period_s)
    return [window.add_restart(now) for now in seconds]


def test_intensity_zero_allows_no_restart() -> None:
    assert times(0, intensity=0, period_s=5) == [True]


def test_one_restart_more_than_the_intensity_is_too_many() -> None:
    assert times(0, 1, 2, intensity=2, period_s=5) == [False, False, True]


@pytest.mark.parametrize(("second", "exceeded"), [(5.0, True), (5.001, False)])
def test_a_restart_counts_up_to_and_including_its_period(second: float, exceeded: bool) -> None:
    assert times(0, second, intensity=1, period_s=5) == [False, exceeded]


def test_the_window_says_how_many_restarts_are_in_it() -> None:
    window = Intensity(10, 5)
    counts = []
    for now in (0.0, 1.0, 6.0, 20.0):
        window.add_restart(now)
        counts.append(window.restarts_in_period)
    assert counts == [1, 2, 2, 1]


@given(
    gaps=st.lists(st.integers(0, 12), max_size=40),
    intensity=st.integers(0, 5),
    period=st.integers(1, 20),
)
def test_it_agrees_with_counting_all_restarts_anew_each_time(
    gaps: list[int], intensity: int, period: int
) -> None:
    window = Intensity(intensity, period)
    seen: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        seen.append(now)
        naive = sum(1 for then in seen if now - then <= period) > intensity
        assert window.add_restart(now) is naive
