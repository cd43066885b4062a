"""What `Tail` reads of that which is added, whatever happens to the files."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.logs import Tail, _tail
from tests.tail.log import Log, names


def more(tail: Tail) -> list[str]:
    return names(list(tail.more()))


def test_what_is_added_comes_once(log: Log) -> None:
    log.events([0])
    with Tail(str(log.path), follow=True) as tail:
        log.events([1, 2])

        assert more(tail) == ["e1", "e2"]
        assert more(tail) == []


def test_a_line_comes_when_it_is_complete(log: Log) -> None:
    log.raw("a")
    with Tail(str(log.path), follow=True) as tail:
        assert tail.last(5) == []
        log.raw("b")
        assert more(tail) == []
        log.raw("c\nd")
        assert more(tail) == ["abc"]


def test_a_line_that_the_end_of_the_file_left_incomplete_comes_with_the_next_file(
    log: Log,
) -> None:
    log.events([0])
    with Tail(str(log.path), follow=True) as tail:
        log.raw("cut")
        assert more(tail) == []
        log.rotate()
        log.events([1])

        assert more(tail) == ["cut", "e1"]


def test_a_rotation_loses_and_repeats_nothing(log: Log) -> None:
    log.events([0])
    with Tail(str(log.path), follow=True) as tail:
        log.events([1])
        log.rotate()
        log.events([2])

        assert more(tail) == ["e1", "e2"]
        log.events([3])
        assert more(tail) == ["e3"]


def test_several_rotations_between_two_looks_lose_nothing(log: Log) -> None:
    log.events([0])
    log.rotate()
    log.events([1])
    with Tail(str(log.path), follow=True) as tail:
        for number in range(2, 6):
            log.events([number])
            log.rotate()
        log.events([6])

        assert more(tail) == ["e2", "e3", "e4", "e5", "e6"]


def test_lines_that_two_files_left_incomplete_stay_two(log: Log) -> None:
    log.events([0])
    with Tail(str(log.path), follow=True) as tail:
        for _ in range(2):
            log.rotate()
            log.raw("cut")
        log.rotate()
        log.events([1])

        assert more(tail) == ["cut", "cut", "e1"]


def test_a_rename_during_the_look_repeats_nothing(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.events([0])
    log.rotate()
    log.events([1])
    identity = _tail._identity
    with Tail(str(log.path), follow=True) as tail:
        log.rotate()
        log.events([2])
        later = identity(str(log.path))
        log.rotate()
        # What the look saw at its beginning is no longer there.
        monkeypatch.setattr(_tail, "_identity", lambda path: identity(path) or later)
        assert more(tail) == []
        monkeypatch.undo()
        log.events([3])

        assert more(tail) == ["e2", "e3"]


def test_between_the_rename_and_the_new_file_it_waits(log: Log) -> None:
    log.events([0])
    with Tail(str(log.path), follow=True) as tail:
        log.events([1])
        log.rotate()
        assert more(tail) == ["e1"]
        assert more(tail) == []
        log.events([2])
        assert more(tail) == ["e2"]


def test_opened_between_the_rename_and_the_new_file_it_repeats_nothing(log: Log) -> None:
    log.events([0])
    log.rotate()
    with Tail(str(log.path), follow=True) as tail:
        assert names(tail.last(5)) == ["e0"]
        assert more(tail) == []
        log.events([1])
        assert more(tail) == ["e1"]


def test_a_log_that_comes_later_is_read_from_its_beginning(log: Log) -> None:
    with Tail(str(log.path), follow=True) as tail:
        assert more(tail) == []
        log.events([0, 1])
        assert more(tail) == ["e0", "e1"]


def test_a_folder_that_comes_later_is_no_obstacle(tmp_path: Path) -> None:
    log = Log(tmp_path / "not" / "yet")
    with Tail(str(log.path), follow=True) as tail:
        assert more(tail) == []
        log.events([0])
        assert more(tail) == ["e0"]


def test_a_log_that_was_removed_and_made_anew_is_gone_on_with(log: Log) -> None:
    log.events([0])
    with Tail(str(log.path), follow=True) as tail:
        log.remove()
        assert more(tail) == []
        log.events([1])
        assert more(tail) == ["e1"]


def test_the_file_alone_removed_and_made_anew_brings_no_older_lines_back(log: Log) -> None:
    log.events([0])
    log.rotate()
    os.utime(log.older(1), ns=(1, 1))
    log.events([1])
    with Tail(str(log.path), follow=True) as tail:
        log.path.unlink()
        log.events([2])

        assert more(tail) == ["e2"]


def test_a_file_that_was_rotated_away_for_good_is_followed_by_all_that_are_newer(log: Log) -> None:
    log.events([0])
    with Tail(str(log.path), follow=True) as tail:
        for number in (1, 2, 3):
            log.events([number])
            log.rotate()
        log.older(3).unlink()  # it held e0 and e1
        log.events([4])

        assert more(tail) == ["e1", "e2", "e3", "e4"]


def test_a_file_that_was_emptied_is_read_from_its_beginning(log: Log) -> None:
    log.events(range(5))
    with Tail(str(log.path), follow=True) as tail:
        log.path.write_bytes(b"")
        log.events([5])

        assert more(tail) == ["e5"]


def test_closing_it_closes_every_file(log: Log) -> None:
    before = os.listdir("/dev/fd")
    log.events([0])
    log.rotate()
    log.events([1])
    with Tail(str(log.path), follow=True) as tail:
        log.rotate()
        log.events([2])
        assert more(tail) == ["e1", "e2"][1:]

    assert len(os.listdir("/dev/fd")) == len(before)


steps = st.lists(
    st.sampled_from(["event", "event", "half", "half\n", "rotate", "rename", "compress", "look"]),
    max_size=40,
)


@settings(deadline=None)
@given(before=steps, after=steps, block=st.integers(1, 200), count=st.integers(0, 9))
def test_past_and_more_together_give_every_line_once(
    before: list[str], after: list[str], block: int, count: int
) -> None:
    """Whatever is written, and whatever is renamed and compressed in between."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tail, "BLOCK", block)
        log = Log(Path(folder))
        written: list[str] = []
        unfinished = ""

        def play(step: str, number: int) -> None:
            nonlocal unfinished
            if step == "event" and not unfinished:
                log.events([number])
                written.append(f"e{number}")
            elif step in ("half", "half\n"):
                log.raw(f"<{number}" + step[4:])
                unfinished += f"<{number}"
            elif step in ("rotate", "rename") and log.path.exists():
                log.rotate()
            if unfinished and (step == "half\n" or step in ("rotate", "rename")):
                written.append(unfinished)
                unfinished = ""
            if step == "rotate":
                log.raw("")
            if step == "compress":
                log.compress_all()

        for number, step in enumerate(before):
            play(step, number)
        past = len(written)
        with Tail(str(log.path), follow=True) as tail:
            seen = names(tail.last(count))
            assert seen == written[max(0, past - count) : past]
            seen = []
            for number, step in enumerate(after, len(before)):
                play(step, number)
                if step == "look":
                    seen += more(tail)
            log.raw("\n" if unfinished else "")
            written += [unfinished] if unfinished else []
            seen += more(tail)

        assert seen == written[past:]
