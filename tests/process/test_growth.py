"""The clock that counts bytes: never fewer than a tree can have grown by, and few otherwise."""

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.process import GrowthClock, _growth

SIZE = 64 << 20
FAST = 1 << 50
"""A slope that nothing reaches: then all that is counted is what was handed out."""


def touch() -> mmap.mmap:
    held = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held.write(bytes(SIZE))
    return held


def test_what_a_process_takes_is_counted() -> None:
    clock = GrowthClock(FAST, 0.0)
    before = clock.read(1.0)
    held = touch()

    assert clock.read(2.0) - before >= SIZE
    held.close()
    clock.close()


def test_it_is_never_faster_than_the_slope() -> None:
    clock = GrowthClock(1000, 0.0)
    before = clock.read(1.0)
    held = touch()

    assert clock.read(3.0) - before == 2000
    held.close()
    clock.close()


def test_where_the_kernel_does_not_count_it_moves_at_the_slope(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_growth, "_open_counters", lambda: None)
    clock = GrowthClock(1000, 5.0)

    assert [clock.read(5.0), clock.read(5.5), clock.read(7.0)] == [0, 500, 2000]
    clock.close()


def test_a_file_without_the_counters_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_growth, "_COUNTERS", "/proc/self/status")
    clock = GrowthClock(1000, 0.0)

    assert clock.read(1.0) == 1000
    clock.close()


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.integers(0, 10**6))))
def test_a_tree_that_took_all_of_it_has_not_grown_by_more(steps: list[tuple[float, int]]) -> None:
    """Each step: seconds, and bytes that the machine handed out meanwhile."""
    slope, now, allocated, grown = 10**5, 0.0, 0, 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GrowthClock, "_read_allocated", lambda _: allocated)
        clock = GrowthClock(slope, now)
        for seconds, handed_out in steps:
            now, allocated = now + seconds, allocated + handed_out
            grown += min(handed_out, seconds * slope)
            assert clock.read(now) >= grown - len(steps)  # parts of a byte
        clock.close()
