"""The log file: one JSON object a line, private, rotated, for the pool and for libraries."""

import json
import logging
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.logs import Rotation, open_log

Open = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Open]:
    """Open the log in `tmp_path`; what it changed in the whole process is undone."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level

    def opened(level: str = "info", max_bytes: int = 10**9, keep: int = 2) -> Any:
        return open_log(tmp_path / "pool.jsonl", level, Rotation(max_bytes, keep=keep))

    yield opened
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(tmp_path: Path, name: str = "pool.jsonl") -> list[dict[str, Any]]:
    data = (tmp_path / name).read_bytes()
    assert data.endswith(b"\n") or not data
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def test_an_event_is_one_object_with_its_time_and_level(log: Open, tmp_path: Path) -> None:
    log().info("task_queued", agent="a", size=3)

    (line,) = lines(tmp_path)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "task_queued", "level": "info", "agent": "a", "size": 3}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(exclude_categories=())))
def test_any_text_stays_on_one_line_and_comes_back_whole(
    log: Open, tmp_path: Path, text: str
) -> None:
    (tmp_path / "pool.jsonl").unlink(missing_ok=True)
    log().info("stderr_line", line=f"~{text}")
    for handler in logging.getLogger().handlers:
        handler.close()

    (line,) = lines(tmp_path)
    assert line["line"] == f"~{text}"


@pytest.mark.parametrize("text", ["a\nb\r\nc", "half \ud83d", "\u2028\x85\x0b", "\0", "é" * 3])
def test_odd_texts_stay_on_one_line(log: Open, tmp_path: Path, text: str) -> None:
    log().info("stderr_line", line=text)

    (line,) = lines(tmp_path)
    assert line["line"] == text


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", Path("/x"), {(1, 2): 3}, float("nan")])
def test_what_json_has_no_form_for_is_written_all_the_same(
    log: Open, tmp_path: Path, value: object
) -> None:
    log().info("odd", value=value)

    (line,) = lines(tmp_path)
    assert line["value"]


def test_no_line_holds_what_json_does_not_know(log: Open, tmp_path: Path) -> None:
    log().info("odd", value=float("inf"))

    assert (tmp_path / "pool.jsonl").read_text().count("Infinity") == 0


def test_secrets_do_not_get_into_the_file(log: Open, tmp_path: Path) -> None:
    logger = log()
    logger.info("started", environ={"ANTHROPIC_API_KEY": "abc-key"}, argv=["sk-ant-123456789"])
    logging.getLogger("library").warning("sent Bearer abcdefghijk")

    text = (tmp_path / "pool.jsonl").read_text()
    assert text.count("[redacted]") == 3
    assert not any(secret in text for secret in ("abc-key", "123456789", "abcdefghijk"))


def test_an_exception_is_written_with_its_traceback_and_without_secrets(
    log: Open, tmp_path: Path
) -> None:
    log().error("fault", exc_info=ValueError("no: sk-ant-123456789"))

    (line,) = lines(tmp_path)
    assert line["exception"] == "ValueError: no: [redacted]"


def test_what_a_library_logs_goes_in_as_an_object(log: Open, tmp_path: Path) -> None:
    log()
    logging.getLogger("some.library").warning("it is %s", "odd")

    (line,) = lines(tmp_path)
    assert (line["event"], line["logger"], line["level"]) == (
        "it is odd",
        "some.library",
        "warning",
    )
    assert "timestamp" in line


def test_an_exception_of_a_library_goes_in_as_an_object(log: Open, tmp_path: Path) -> None:
    log()
    try:
        int("no number")
    except ValueError:
        logging.getLogger("some.library").exception("it failed\nbadly")

    (line,) = lines(tmp_path)
    assert line["event"] == "it failed\nbadly"
    assert "ValueError: invalid literal" in line["exception"]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_less_than_the_level_is_not_written(
    log: Open, tmp_path: Path, level: str, written: list[str]
) -> None:
    logger = log(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)("happened")

    assert [line["level"] for line in lines(tmp_path)] == written


@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_librarys_chatter_is_not_written(log: Open, tmp_path: Path, level: str) -> None:
    log("debug")
    getattr(logging.getLogger("some.library"), level)("chatter")

    assert lines(tmp_path) == []


def numbers(tmp_path: Path, name: str) -> list[int]:
    return [line["n"] for line in lines(tmp_path, name)]


def test_a_file_does_not_grow_over_its_size(log: Open, tmp_path: Path) -> None:
    logger = log(max_bytes=1000, keep=2)
    for n in range(100):
        logger.info("happened", n=n, text="é" * 10)

    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_so_many_older_files_are_kept_as_asked_for_and_the_newest_lines(
    log: Open, tmp_path: Path
) -> None:
    logger = log(max_bytes=1000, keep=2)
    for n in range(100):
        logger.info("happened", n=n)

    names = ["pool.jsonl.2", "pool.jsonl.1", "pool.jsonl"]
    kept = [n for name in names for n in numbers(tmp_path, name)]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert kept == list(range(kept[0], 100))


def test_with_no_older_files_to_keep_the_one_begins_anew(log: Open, tmp_path: Path) -> None:
    logger = log(max_bytes=1000, keep=0)
    for n in range(100):
        logger.info("happened", n=n)

    (only,) = tmp_path.iterdir()
    kept = numbers(tmp_path, only.name)
    assert only.stat().st_size <= 1000
    assert kept == list(range(kept[0], 100))


def test_every_file_is_for_this_user_alone(log: Open, tmp_path: Path) -> None:
    logger = log(max_bytes=500, keep=3)
    for n in range(100):
        logger.info("happened", n=n)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert (len(list(tmp_path.iterdir())), modes) == (4, {0o600})


def test_a_file_that_was_open_to_others_is_closed_to_them(log: Open, tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text("")
    (tmp_path / "pool.jsonl").chmod(0o644)

    log()

    assert stat.S_IMODE((tmp_path / "pool.jsonl").stat().st_mode) == 0o600


def test_a_log_that_is_there_is_added_to(log: Open, tmp_path: Path) -> None:
    log().info("first")
    for handler in logging.getLogger().handlers:
        handler.close()
    log().info("second")

    assert [line["event"] for line in lines(tmp_path)] == ["first", "second"]


def test_a_file_that_cannot_be_written_is_an_error(log: Open, tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").mkdir()

    with pytest.raises(OSError, match=r"pool\.jsonl"):
        log()
