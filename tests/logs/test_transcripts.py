"""What goes to a CLI and comes from it in a task, written beside the pool's work."""

import gzip
import json
import os
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.logs import Transcripts, _transcripts

Open = Callable[..., Transcripts]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open transcripts in `tmp_path/t`."""
    made: list[Transcripts] = []

    def make(**options: Any) -> Transcripts:
        made.append(Transcripts(tmp_path / "t", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def lines(tmp_path: Path, task: str) -> list[dict[str, Any]]:
    data = gzip.decompress((tmp_path / "t" / f"{task}.jsonl.gz").read_bytes())
    return [json.loads(line) for line in data.splitlines()]


def said(tmp_path: Path, task: str) -> list[object]:
    return [line.get("line") for line in lines(tmp_path, task)]


def test_what_goes_in_and_comes_out_stands_in_order_with_its_time(
    opened: Open, tmp_path: Path
) -> None:
    transcripts = opened()
    on_line = transcripts.of("t1")
    on_line("in", b'{"type": "user"}\n')
    on_line("out", b'{"type": "result"}\nno json\n')
    transcripts.close()

    found = lines(tmp_path, "t1")
    assert [(one["direction"], one["line"]) for one in found] == [
        ("in", {"type": "user"}),
        ("out", {"type": "result"}),
        ("out", "no json"),
    ]
    assert all(one["timestamp"].endswith("Z") for one in found)


def test_a_line_that_comes_in_pieces_is_one(opened: Open, tmp_path: Path) -> None:
    transcripts = opened()
    on_line = transcripts.of("t1")
    for piece in (b'{"a"', b": ", b'1}\n{"b', b'": 2}\n', b"half"):
        on_line("out", piece)
    transcripts.close()

    assert said(tmp_path, "t1") == [{"a": 1}, {"b": 2}]


def test_each_task_has_its_own(opened: Open, tmp_path: Path) -> None:
    transcripts = opened()
    for number in range(40):
        transcripts.of(f"t{number % 20}")("in", b"%d\n" % number)
    transcripts.close()

    assert said(tmp_path, "t3") == [3, 23]
    assert len(os.listdir(tmp_path / "t")) == 20


def test_secrets_are_not_written(opened: Open, tmp_path: Path) -> None:
    transcripts = opened()
    inner = json.dumps({"api_key": "hidden-1"})
    line = {"text": f"sk-ant-hidden-2345 {json.dumps({'x': inner})}", "password": "hidden-3"}
    transcripts.of("t1")("out", json.dumps(line).encode() + b"\nTOKEN=hidden-4 {\n")
    transcripts.close()

    assert "hidden" not in json.dumps(lines(tmp_path, "t1"))


def test_the_files_are_for_this_user_alone(opened: Open, tmp_path: Path) -> None:
    transcripts = opened()
    transcripts.of("t1")("out", b"1\n")
    transcripts.close()

    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "t" / "t1.jsonl.gz").stat().st_mode) == 0o600


def test_without_compression_they_are_plain(opened: Open, tmp_path: Path) -> None:
    transcripts = opened(compress=False)
    transcripts.of("t1")("out", b"1\n")
    transcripts.close()

    assert json.loads((tmp_path / "t" / "t1.jsonl").read_text())["line"] == 1


def test_a_line_that_is_too_long_tells_only_its_length(opened: Open, tmp_path: Path) -> None:
    transcripts = opened()
    on_line = transcripts.of("t1")
    for _ in range(3):
        on_line("out", b"x" * (_transcripts.LINE_BYTES // 2))
    on_line("out", b"\n1\n")
    transcripts.close()

    long, short = lines(tmp_path, "t1")
    assert (long["line"], long["bytes"], short["line"]) == (
        None,
        3 * (_transcripts.LINE_BYTES // 2),
        1,
    )


class SlowDisk:
    """A disk that takes nothing until it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.goes_on = threading.Event(), threading.Event()
        write = _transcripts._File.write

        def wait_first(file: Any, line: bytes) -> None:
            self.reached.set()
            assert self.goes_on.wait(30)
            write(file, line)

        monkeypatch.setattr(_transcripts._File, "write", wait_first)


def test_a_slow_disk_loses_the_oldest_lines_and_the_transcript_says_how_many(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    transcripts = opened(queue_bytes=10 * (_transcripts.LINE_COST + 2))
    on_line = transcripts.of("t1")
    on_line("out", b"10\n")
    assert disk.reached.wait(30)
    for number in range(11, 41):  # nobody waits here
        on_line("out", b"%d\n" % number)
    disk.goes_on.set()
    transcripts.close()

    first, told, *rest = lines(tmp_path, "t1")
    assert (first["line"], told["lines_lost"]) == (10, 20)
    assert [one["line"] for one in rest] == list(range(31, 41))


def test_a_disk_that_refuses_costs_lines_and_not_the_pool(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    transcripts = opened()
    (tmp_path / "t" / "bad.jsonl.gz").mkdir()
    transcripts.of("bad")("out", b"1\n2\n")
    transcripts.of("good")("out", b"3\n")
    transcripts.close()

    assert said(tmp_path, "good") == [3]
    assert [one.levelname for one in caplog.records] == ["WARNING"]


def test_the_oldest_go_where_all_together_take_too_much(opened: Open, tmp_path: Path) -> None:
    transcripts = opened(total_bytes=20_000, compress=False)
    (tmp_path / "t" / "old.jsonl").write_text("x" * 15_000)
    os.utime(tmp_path / "t" / "old.jsonl", (5, 5))
    for number in range(3):
        transcripts.of(f"t{number}")("out", b"x" * 3000 + b"\n")
    transcripts.close()

    assert sorted(os.listdir(tmp_path / "t")) == ["t0.jsonl", "t1.jsonl", "t2.jsonl"]


def test_one_task_gets_a_part_of_the_room_and_is_told_to_have_ended(
    opened: Open, tmp_path: Path
) -> None:
    transcripts = opened(total_bytes=8_000, compress=False)
    on_line = transcripts.of("t1")
    for _ in range(50):
        on_line("out", b"x" * 200 + b"\n")
    transcripts.close()

    written = (tmp_path / "t" / "t1.jsonl").read_text().splitlines()
    assert sum(map(len, written)) < 3_000
    assert json.loads(written[-1])["ended"] == "one task gets 2000 bytes at most"


def test_one_can_be_read_while_it_is_written_and_added_to_after_a_pause(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transcripts, "QUIET_S", 0.01)
    transcripts = opened()
    on_line = transcripts.of("t1")
    on_line("out", b"1\n")
    path = tmp_path / "t" / "t1.jsonl.gz"
    deadline = time.monotonic() + 30
    while not (path.exists() and _readable(path)):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    on_line("out", b"2\n")
    transcripts.close()

    assert said(tmp_path, "t1") == [1, 2]


def _readable(path: Path) -> bytes:
    return zlib.decompressobj(31).decompress(path.read_bytes())
