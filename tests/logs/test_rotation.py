"""When a file of the log is full, and what becomes of the older ones."""

import gzip
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from supervisor.logs import Rotation, Tail
from supervisor.logs._files import LogFiles

DAY_S: Final = 86400.0


class Log:
    """A log in a folder; `line` takes the size that its number of bytes says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pool.jsonl"
        self._handler: LogFiles | None = None
        self._number = 0

    def open(self, rotation: Rotation) -> None:
        """Open it, as a new pool does."""
        self.close()
        self._handler = LogFiles(self.path, rotation)

    def write(self, count: int, fill: str = "", at: float | None = None) -> None:
        """Log so many lines, each with the next number."""
        assert self._handler is not None
        for _ in range(count):
            created = time.time() if at is None else at
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created))
            text = json.dumps({"n": self._number, "timestamp": stamp, "fill": fill})
            record = logging.makeLogRecord({"msg": text, "created": created})
            self._handler.handle(record)
            self._number += 1

    def close(self) -> None:
        """Close it; what is being compressed is complete afterwards."""
        if self._handler is not None:
            self._handler.close()
            self._handler = None

    def settle(self) -> None:
        """Wait until nothing is left to compress."""
        assert self._handler is not None
        if (compressor := self._handler._compressor) is not None:
            compressor.join()

    def files(self) -> list[str]:
        """The files that there are."""
        return sorted(path.name for path in self.path.parent.iterdir())

    def numbers(self) -> list[int]:
        """The number of each line that is kept."""
        with Tail(str(self.path)) as tail:
            return [line.record["n"] for line in tail.last(10**6) if line.record]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.close()


def test_older_files_are_compressed_and_hold_what_was_written(log: Log) -> None:
    log.open(Rotation(1000, keep=50, compress=True))
    log.write(60)
    log.close()

    assert len(log.files()) > 3
    assert all(name.endswith(".gz") for name in log.files() if name != "pool.jsonl")
    assert log.numbers() == list(range(60))


def test_a_compressed_file_is_for_this_user_alone(log: Log) -> None:
    log.open(Rotation(1000, compress=True))
    log.write(30)
    log.close()

    modes = {stat.S_IMODE(path.stat().st_mode) for path in log.path.parent.iterdir()}
    assert modes == {0o600}


def test_a_compressed_file_has_the_time_of_its_last_line(log: Log) -> None:
    log.path.write_text('{"n": 0}\n')
    os.utime(log.path, (5, 5))
    log.path.rename(f"{log.path}.1")
    log.open(Rotation(1000, compress=True))
    log.close()

    assert Path(f"{log.path}.1.gz").stat().st_mtime == 5


@pytest.mark.parametrize("keep", [1, 3])
def test_no_more_compressed_files_are_kept_than_asked_for(log: Log, keep: int) -> None:
    log.open(Rotation(1000, keep=keep, compress=True))
    log.write(100)
    log.close()

    assert len(log.files()) == keep + 1
    assert log.numbers() == list(range(log.numbers()[0], 100))


def test_a_file_of_age_is_followed_by_the_next(log: Log) -> None:
    now = time.time()
    log.open(Rotation(0, max_age_s=DAY_S))
    log.write(1, at=now)
    log.write(1, at=now + DAY_S - 1)
    log.write(1, at=now + DAY_S + 1)

    assert len(Path(f"{log.path}.1").read_text().splitlines()) == 2
    assert len(log.path.read_text().splitlines()) == 1


def test_the_age_of_a_file_is_counted_through_a_restart_of_the_pool(log: Log) -> None:
    now = time.time()
    for at in (now, now + DAY_S / 2, now + 2 * DAY_S):
        log.open(Rotation(0, max_age_s=DAY_S))
        log.write(1, at=at)

    assert log.files() == ["pool.jsonl", "pool.jsonl.1"]
    assert len(log.path.read_text().splitlines()) == 1


def test_an_empty_file_has_no_age(log: Log) -> None:
    log.path.touch()
    os.utime(log.path, (5, 5))
    log.open(Rotation(0, max_age_s=DAY_S))
    log.write(1)

    assert log.files() == ["pool.jsonl"]


def test_all_files_together_stay_below_their_limit(log: Log) -> None:
    log.open(Rotation(1000, keep=100, total_bytes=5000))
    log.write(300)

    sizes = [path.stat().st_size for path in log.path.parent.iterdir()]
    assert 4000 < sum(sizes) <= 5000
    assert log.numbers() == list(range(log.numbers()[0], 300))


def test_compression_lets_more_lines_fit_below_the_limit(log: Log) -> None:
    for compress in (False, True):
        log.open(Rotation(4000, keep=100, total_bytes=12_000, compress=compress))
        for _ in range(20):
            log.write(20, "x" * 100)
            log.open(Rotation(4000, keep=100, total_bytes=12_000, compress=compress))
        log.close()
        kept = len(log.numbers())
        if not compress:
            plain = kept

    assert kept > 2 * plain


def test_a_file_larger_than_the_limit_allows_begins_anew_earlier(log: Log) -> None:
    log.open(Rotation(10**9, keep=5, total_bytes=4000))
    log.write(200)

    assert sum(path.stat().st_size for path in log.path.parent.iterdir()) <= 4000
    assert len(log.files()) == 2


def test_what_a_killed_pool_left_half_compressed_is_done_by_the_next(log: Log) -> None:
    log.open(Rotation(1000))
    log.write(30)
    before = log.numbers()
    Path(f"{log.path}.gz.part").write_bytes(b"half")
    Path(f"{log.path}.2.gz").write_bytes(b"half")
    log.open(Rotation(1000, compress=True))
    log.close()

    assert all(name.endswith(".gz") for name in log.files() if name != "pool.jsonl")
    assert log.numbers() == before


def test_a_file_that_cannot_be_compressed_stays_as_it_is(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gzip.GzipFile, "write", no_room)
    log.open(Rotation(1000, keep=50, compress=True))
    log.write(30)
    log.close()

    assert not [name for name in log.files() if ".gz" in name]
    assert log.numbers() == list(range(30))


def test_files_that_are_renamed_while_one_is_compressed_lose_nothing(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Callable[..., int] = gzip.GzipFile.write
    written = threading.Event()

    def rotate_first(packed: gzip.GzipFile, data: bytes) -> int:
        monkeypatch.undo()
        written.wait()
        log.write(30)
        return write(packed, data)

    monkeypatch.setattr(gzip.GzipFile, "write", rotate_first)
    log.open(Rotation(500, keep=50, compress=True))
    while log.files() == ["pool.jsonl"]:
        log.write(1)
    written.set()
    log.settle()

    assert "pool.jsonl.3.gz" in log.files()
    assert not [name for name in log.files() if not name.endswith((".gz", "pool.jsonl"))]
    assert log.numbers() == list(range(max(log.numbers()) + 1))


def test_who_follows_loses_and_repeats_nothing_while_files_are_compressed(log: Log) -> None:
    log.open(Rotation(1000, keep=50, compress=True))
    seen: list[int] = []
    with Tail(str(log.path), follow=True) as tail:
        for round_number in range(20):
            log.write(7)
            if round_number % 3 == 0:
                seen += [line.record["n"] for line in tail.more() if line.record]
        log.close()
        seen += [line.record["n"] for line in tail.more() if line.record]

    assert seen == list(range(140))
