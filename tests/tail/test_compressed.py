"""Older files that are compressed are part of the log, and are left alone where they can be."""

import os
from collections.abc import Iterator

import pytest

from supervisor.logs import Tail
from tests.tail.log import Log, names


@pytest.fixture
def old(log: Log) -> Log:
    """Nine events in three files, the two older ones compressed; `mtime` is that of the last."""
    for start in (0, 3, 6):
        log.events(range(start, start + 3))
        os.utime(log.path, (log.time(start + 2).timestamp(),) * 2)
        if start < 6:
            log.rotate()
    for number in (1, 2):
        log.compress(number)
    return log


@pytest.fixture
def opened(old: Log) -> Iterator[Tail]:
    with Tail(str(old.path), follow=True) as tail:
        yield tail


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 100])
def test_the_last_lines_go_back_into_compressed_files(opened: Tail, count: int) -> None:
    assert names(opened.last(count)) == [f"e{n}" for n in range(max(0, 9 - count), 9)]


@pytest.mark.parametrize("second", [-1, 0, 1, 2, 3, 4, 7, 9])
def test_a_span_begins_in_a_compressed_file_where_that_is_its_time(
    old: Log, opened: Tail, second: int
) -> None:
    assert names(list(opened.since(old.time(second)))) == [
        f"e{n}" for n in range(max(0, second), 9)
    ]


def test_a_file_that_is_there_in_both_forms_is_read_once(log: Log) -> None:
    log.events([0])
    log.rotate()
    plain = log.older(1).read_bytes()
    log.compress(1)
    log.older(1).write_bytes(plain)
    log.events([1])

    with Tail(str(log.path)) as tail:
        assert names(tail.last(9)) == ["e0", "e1"]


def test_a_damaged_file_is_read_up_to_its_damage(old: Log) -> None:
    packed = old.older(1).with_name("pool.jsonl.1.gz")
    packed.write_bytes(packed.read_bytes()[:20] + b"\0" * 50)

    with Tail(str(old.path)) as tail:
        assert names(tail.last(3)) == ["e6", "e7", "e8"]


def more(tail: Tail) -> list[str]:
    return names(list(tail.more()))


def test_a_file_that_was_compressed_after_it_was_read_is_not_read_again(log: Log) -> None:
    log.events([0, 1])
    with Tail(str(log.path), follow=True) as tail:
        log.events([2])
        assert more(tail) == ["e2"]
        log.rotate()
        log.compress(1)
        log.events([3])

        assert more(tail) == ["e3"]


def test_files_that_came_and_were_compressed_between_two_looks_lose_nothing(log: Log) -> None:
    log.events([0])
    with Tail(str(log.path), follow=True) as tail:
        for number in (1, 2, 3):
            log.events([number])
            log.rotate()
        for number in (1, 2, 3):
            log.compress(number)
        log.events([4])

        assert more(tail) == ["e1", "e2", "e3", "e4"]
        log.rotate()
        log.compress(1)
        log.events([5])
        assert more(tail) == ["e5"]


def test_a_follower_that_began_with_a_compressed_file_repeats_nothing(log: Log) -> None:
    log.events([0])
    log.rotate()
    log.compress(1)
    with Tail(str(log.path), follow=True) as tail:
        assert names(tail.last(5)) == ["e0"]
        assert more(tail) == []
        log.events([1])
        assert more(tail) == ["e1"]


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


def test_a_hundred_older_files_are_not_read_for_a_span_that_begins_after_them(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        log.events([number], width=2000)
        os.utime(log.path, (log.time(number).timestamp(),) * 2)
        log.rotate()
        log.compress(1)
    log.events([100])
    reads = Reads(monkeypatch)

    with Tail(str(log.path)) as tail:
        assert names(list(tail.since(log.time(99)))) == ["e99", "e100"]
    assert reads.bytes < 3000
