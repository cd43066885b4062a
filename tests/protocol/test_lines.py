import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from supervisor.protocol import LineSplitter
from tests.protocol.lines import busy_machine

streams = st.lists(st.sampled_from([b"\n", b"a", b"\r", b"\xe2\x80\xa8", b"\x00", b"{}"])).map(
    b"".join
)


def cut(data: bytes, seed: int) -> list[bytes]:
    """The same bytes in pieces, some of them empty."""
    chance = random.Random(seed)
    ends = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(0, 10)))
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def fed(splitter: LineSplitter, pieces: list[bytes]) -> list[bytes]:
    return [line for piece in pieces for line in splitter.feed(piece)]


@busy_machine
@given(data=streams, seed=st.integers())
def test_the_lines_do_not_depend_on_where_the_stream_is_cut(data: bytes, seed: int) -> None:
    assert fed(LineSplitter(), cut(data, seed)) == data.split(b"\n")[:-1]


@busy_machine
@given(data=st.binary(), seed=st.integers(), limit=st.integers(0, 8))
def test_exactly_the_lines_longer_than_the_limit_are_passed_over(
    data: bytes, seed: int, limit: int
) -> None:
    splitter = LineSplitter(limit)
    lines = data.split(b"\n")[:-1]

    assert fed(splitter, cut(data, seed)) == [line for line in lines if len(line) <= limit]
    assert splitter.skipped == sum(len(line) > limit for line in lines)


def test_a_line_comes_only_with_its_newline() -> None:
    splitter = LineSplitter()

    assert list(splitter.feed(b"half")) == []
    assert list(splitter.feed(b"\n")) == [b"half"]


def test_of_an_endless_line_nothing_is_kept() -> None:
    splitter = LineSplitter(limit=1000)

    assert peak_of_feeding(splitter, b"x" * 1000, times=10_000) < 100_000


def test_a_line_in_tiny_pieces_takes_little_more_memory_than_its_bytes() -> None:
    splitter = LineSplitter(limit=1_000_000)

    assert peak_of_feeding(splitter, b"xy", times=100_000) < 2 * 200_000


def peak_of_feeding(splitter: LineSplitter, piece: bytes, times: int) -> int:
    """Bytes at the most, while copies of `piece` are fed one after the other."""
    tracemalloc.start()
    try:
        for _ in range(times):
            for _line in splitter.feed(bytes(bytearray(piece))):
                raise AssertionError("nothing has ended")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
