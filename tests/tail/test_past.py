"""What `Tail` reads of the files that are there."""

import os
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.logs import LogLine, Tail, _tail
from tests.tail.log import Log, names


def last(log: Log, count: int) -> list[str]:
    with Tail(str(log.path)) as tail:
        return names(tail.last(count))


def since(log: Log, second: int) -> list[str]:
    with Tail(str(log.path)) as tail:
        return names(list(tail.since(log.time(second))))


def test_the_last_lines_come_in_their_order(log: Log) -> None:
    log.events(range(5))

    assert last(log, 3) == ["e2", "e3", "e4"]


def test_the_last_lines_go_back_through_older_files(log: Log) -> None:
    for start in (0, 3, 6):
        log.events(range(start, start + 3))
        if start < 6:
            log.rotate()

    assert last(log, 8) == [f"e{n}" for n in range(1, 9)]


def test_a_tenth_older_file_comes_before_the_ninth(log: Log) -> None:
    for number in range(12):
        log.events([number])
        log.rotate()

    assert last(log, 100) == [f"e{n}" for n in range(12)]


def test_no_lines_are_asked_for_and_none_come(log: Log) -> None:
    log.events(range(3))

    assert last(log, 0) == []


def test_only_wanted_lines_are_counted(log: Log) -> None:
    for number in range(6):
        log.event(f"e{number}", agent="even" if number % 2 == 0 else "odd")

    def is_even(line: LogLine) -> bool:
        return line.record is not None and line.record["agent"] == "even"

    with Tail(str(log.path)) as tail:
        assert names(tail.last(2, is_even)) == ["e2", "e4"]


def test_a_log_that_is_not_there_is_empty(log: Log) -> None:
    with Tail(str(log.path)) as tail:
        assert not tail.exists
        assert tail.last(5) == []
        assert list(tail.since(log.time(0))) == []


def test_a_folder_in_the_place_of_the_log_is_an_error(log: Log) -> None:
    log.path.mkdir()

    with pytest.raises(IsADirectoryError), Tail(str(log.path)) as tail:
        tail.last(1)


def test_other_files_beside_the_log_are_not_read(log: Log) -> None:
    log.events([1])
    for name in ("pool.jsonl.gz", "pool.jsonl.01", "pool.jsonl.1~", "a-pool.jsonl", "pool.jsonlx"):
        log.path.with_name(name).write_text("no\n")

    assert last(log, 10) == ["e1"]


def test_a_line_that_is_no_json_is_kept_as_it_is(log: Log) -> None:
    log.raw(b"plain \xff words\n[1]\n")

    with Tail(str(log.path)) as tail:
        assert tail.last(5) == [LogLine(b"plain \xff words", None), LogLine(b"[1]", None)]


def test_a_last_line_without_an_end_is_shown(log: Log) -> None:
    log.events([1])
    log.raw("half")

    assert last(log, 2) == ["e1", "half"]


def test_a_span_begins_with_the_first_line_of_its_time(log: Log) -> None:
    log.events(range(6))

    assert since(log, 4) == ["e4", "e5"]


def test_a_span_that_begins_before_the_log_is_all_of_it(log: Log) -> None:
    log.events(range(2))
    log.rotate()
    log.events(range(2, 4))

    assert since(log, -5) == ["e0", "e1", "e2", "e3"]


def test_a_span_goes_through_older_files(log: Log) -> None:
    for start in (0, 3, 6):
        log.events(range(start, start + 3))
        log.rotate()

    assert since(log, 4) == ["e4", "e5", "e6", "e7", "e8"]


def test_a_span_after_the_last_line_is_empty(log: Log) -> None:
    log.events(range(3))

    assert since(log, 3) == []


def test_a_line_without_a_time_belongs_to_the_one_before(log: Log) -> None:
    log.events([0])
    log.raw("of e0\n")
    log.events([1])
    log.raw("of e1\n")

    assert since(log, 1) == ["e1", "of e1"]


def test_lines_of_one_time_all_belong_to_a_span_that_begins_with_it(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tail, "BLOCK", 32)
    log.events(range(3))
    for number in range(3, 40):
        log.same_time()
        log.events([number])

    assert since(log, 2) == [f"e{n}" for n in range(2, 40)]


class Reads:
    """Counts the bytes that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        self._read = os.pread
        monkeypatch.setattr(os, "pread", self._pread)

    def _pread(self, fd: int, size: int, offset: int) -> bytes:
        data = self._read(fd, size, offset)
        self.bytes += len(data)
        return data


@pytest.fixture
def big(log: Log) -> Log:
    """A log of 8 MB in 8,000 lines."""
    log.events(range(8000), width=900)
    return log


def test_the_end_of_a_big_file_is_found_without_reading_the_rest(
    big: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(monkeypatch)

    assert last(big, 2) == ["e7998", "e7999"]
    assert reads.bytes <= 2 * _tail.BLOCK


def test_a_time_in_a_big_file_is_found_without_reading_what_is_before(
    big: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(monkeypatch)

    assert since(big, 7990) == [f"e{n}" for n in range(7990, 8000)]
    assert reads.bytes <= 20 * _tail.BLOCK


def last_since(log: Log, count: int, second: int, unwanted: str = "") -> list[str]:
    with Tail(str(log.path)) as tail:
        found = tail.last(count, lambda line: names([line]) != [unwanted], log.time(second))
        return names(found)


def test_of_the_last_lines_none_is_from_before_the_start(log: Log) -> None:
    log.events(range(5))
    log.rotate()
    log.events(range(5, 9))

    assert last_since(log, 20, 3) == [f"e{n}" for n in range(3, 9)]
    assert last_since(log, 2, 3) == ["e7", "e8"]
    assert last_since(log, 20, 30) == []


def test_of_compressed_files_none_is_from_before_the_start(log: Log) -> None:
    log.events(range(5))
    log.raw("of e4\n")
    log.rotate()
    log.compress_all()
    log.events(range(5, 7))

    assert last_since(log, 20, 3) == ["e3", "e4", "of e4", "e5", "e6"]


def test_a_last_line_without_a_time_belongs_to_the_one_before_wanted_or_not(log: Log) -> None:
    log.events([0])
    log.raw("of e0\n")
    log.events([1])
    log.raw("of e1\n")

    assert last_since(log, 20, 1) == ["e1", "of e1"]
    assert last_since(log, 20, 1, unwanted="e1") == ["of e1"]


def test_to_find_no_line_since_a_time_what_is_older_is_not_read(
    big: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(monkeypatch)

    assert last_since(big, 20, 7999, unwanted="e7999") == []
    assert reads.bytes <= 2 * _tail.BLOCK


lines = st.one_of(
    st.integers(0, 40).map(lambda width: ("event", width)),
    st.integers(0, 40).map(lambda width: ("same time", width)),
    st.integers(0, 40).map(lambda width: ("raw", width)),
    st.just(("rotate", 0)),
)


@settings(deadline=None)
@given(
    script=st.lists(lines, max_size=30),
    block=st.integers(1, 200),
    count=st.integers(0, 12),
    second=st.integers(-1, 31),
    ended=st.booleans(),
)
def test_reading_in_blocks_gives_what_reading_it_whole_gives(
    script: list[tuple[str, int]], block: int, count: int, second: int, ended: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        log = Log(Path(folder))
        expected: list[str] = []
        times: list[datetime | None] = []
        log.raw("")
        second_of_it = -1
        for number, (kind, width) in enumerate(script):
            if kind == "rotate":
                log.rotate()
                log.raw("")
                continue
            if kind in ("event", "same time"):
                second_of_it = max(0, second_of_it + (kind == "event"))
                if kind == "same time":
                    log.same_time()
                times.append(log.time(second_of_it))
                log.events([number], width)
                expected.append(f"e{number}")
            else:
                times.append(None)
                expected.append(f"{number}" + "é" * width)
                log.raw(expected[-1] + "\n")
        if not ended:
            expected.append("half")
            times.append(None)
            log.raw("half")
        patch.setattr(_tail, "BLOCK", block)
        start = log.time(second)
        within, spanned = False, list[str]()
        for name, time in zip(expected, times, strict=True):
            within = within if time is None else time >= start
            spanned += [name] * within

        assert last(log, count) == expected[len(expected) - min(count, len(expected)) :]
        with Tail(str(log.path)) as tail:
            assert names(list(tail.since(start))) == spanned
