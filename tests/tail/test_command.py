"""The command, as it is typed."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from supervisor.cli import main
from supervisor.cli._tail import LINES, since
from supervisor.place import Place
from tests.tail.log import Log

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    """The log of the project `tmp_path/project`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "project").mkdir()
    return Log(Path(Place(str(tmp_path / "project"), os.environ).log).parent)


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """`agent-pool tail` with those words: exit status, lines of stdout, stderr."""

    def call(*words: str) -> tuple[int, list[str], str]:
        try:
            status = main(["tail", "--root", str(tmp_path / "project"), *words])
        except SystemExit as end:
            status = int(end.code or 0)
        said = capfd.readouterr()
        return status, said.out.splitlines(), said.err

    return call


def events(lines: list[str]) -> list[str]:
    return [json.loads(line)["event"] for line in lines]


def test_it_shows_the_last_lines_without_a_pool(log: Log, run: Run) -> None:
    log.events(range(LINES + 5))

    status, lines, _ = run()

    assert status == 0
    assert [line.split()[-1] for line in lines] == [f"e{n}" for n in range(5, LINES + 5)]


def test_json_prints_the_lines_as_they_stand_in_the_file(log: Log, run: Run) -> None:
    log.event("e", who="ü", nested={"a": [1, 2.50]})
    log.raw("no json\n")

    _, lines, _ = run("--json")

    assert lines == log.path.read_text().splitlines()


def test_lines_says_how_many(log: Log, run: Run) -> None:
    log.events(range(5))

    assert events(run("--json", "--lines", "2")[1]) == ["e3", "e4"]


def test_agent_shows_only_what_is_known_to_be_of_that_agent(log: Log, run: Run) -> None:
    log.event("hers", agent="scout")
    log.event("his", agent="critic")
    log.event("pool_started")
    log.raw("no json\n")

    assert events(run("--json", "--agent", "scout")[1]) == ["hers"]


def test_an_agent_that_never_appears_is_no_error(log: Log, run: Run) -> None:
    log.event("e", agent="scout")

    assert run("--agent", "debugger") == (0, [], "")


def test_an_agent_that_there_is_not_is_status_1_with_those_that_there_are(
    log: Log, run: Run
) -> None:
    log.event("e", agent="scout")
    status, out, said = run("--agent", "debuger")

    assert (status, out) == (1, [])
    assert 'there is no agent "debuger"; did you mean "debugger"? (there are: ' in said


def test_what_an_agent_has_done_that_there_is_no_longer_is_shown(log: Log, run: Run) -> None:
    log.event("e", agent="scout")
    status, out, said = run("--agent", "scout")

    assert (status, len(out), said) == (0, 1, "")


def test_level_shows_that_and_graver_ones(log: Log, run: Run) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        log.event(level, level)

    assert events(run("--json", "--level", "WARNING")[1]) == ["warning", "error", "critical"]


def test_level_keeps_what_does_not_tell_its_level(log: Log, run: Run) -> None:
    log.event("e", "info")
    log.raw("Fatal: something\n")

    assert run("--json", "--level", "error")[1] == ["Fatal: something"]


def test_since_shows_all_from_then_on(log: Log, run: Run) -> None:
    log.events(range(LINES + 30))

    _, lines, _ = run("--json", "--since", log.time(5).isoformat())

    assert events(lines) == [f"e{n}" for n in range(5, LINES + 30)]


def test_since_with_lines_shows_the_last_of_them(log: Log, run: Run) -> None:
    log.events(range(20))

    begun = log.time(15).isoformat()

    assert events(run("--json", "--since", begun, "--lines", "2")[1]) == ["e18", "e19"]
    assert len(run("--json", "--since", begun, "--lines", "9")[1]) == 5


def test_an_agents_lines_are_those_of_its_conversations_as_well(log: Log, run: Run) -> None:
    log.event("a", agent="scout")
    log.event("b", agent="scout@review")
    log.event("c", agent="scouting")

    assert events(run("--json", "--agent", "scout")[1]) == ["a", "b"]


def test_filters_hold_together(log: Log, run: Run) -> None:
    log.event("a", "error", agent="scout")
    log.event("b", "error", agent="scout")
    log.event("c", "info", agent="scout")
    log.event("d", "error", agent="critic")

    words = ("--since", log.time(1).isoformat(), "--agent", "scout", "--level", "error")

    assert events(run("--json", *words)[1]) == ["b"]


def test_without_a_log_it_says_where_one_would_be(log: Log, run: Run) -> None:
    status, lines, said = run()

    assert (status, lines) == (1, [])
    assert str(log.path) in said


def test_a_log_that_cannot_be_read_is_a_clear_error(log: Log, run: Run) -> None:
    log.path.mkdir(parents=True)

    status, _, said = run()

    assert status == 1
    assert "cannot be read" in said
    assert "Traceback" not in said


def test_that_there_is_no_room_for_its_output_is_not_blamed_on_the_log(
    log: Log, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.events(range(2))
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        status, _, said = run()

    told = "agent-pool: standard output cannot be written: No space left on device\n"
    assert (status, said) == (1, told)


@pytest.mark.parametrize("value", ["warn", "loud", "", "5"])
def test_a_level_that_is_none_names_those_that_are(log: Log, run: Run, value: str) -> None:
    status, _, said = run("--level", value)

    assert status == 2
    assert f'"{value}" is no level' in said
    assert "allowed: debug, info, warning, error" in said


def test_a_misspelt_level_gets_a_suggestion(log: Log, run: Run) -> None:
    assert 'did you mean "warning"?' in run("--level", "warnings")[2]


@pytest.mark.parametrize("value", ["10", "10x", "-5m", "yesterday", "", "m", "99:99", "1e999999h"])
def test_a_time_that_is_none_says_what_is_allowed(log: Log, run: Run, value: str) -> None:
    status, _, said = run(f"--since={value}")

    assert status == 2
    assert f'"{value}" is no time; allowed are a span such as' in said.replace("\n", " ")


@pytest.mark.parametrize("value", ["-1", "x", "1.5", ""])
def test_a_number_of_lines_that_is_none_is_refused(log: Log, run: Run, value: str) -> None:
    status, _, said = run(f"--lines={value}")

    assert status == 2
    assert "is no number of lines" in said


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("500ms", 0.5), ("90s", 90), ("10m", 600), ("10min", 600), ("1.5h", 5400), ("2d", 172800)],
)
def test_a_span_is_counted_back_from_now(value: str, seconds: float) -> None:
    before = datetime.now(UTC)
    found = since(value)

    ago = timedelta(seconds=seconds)
    assert before - ago <= found <= datetime.now(UTC) - ago


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-31T14:05Z", datetime(2026, 3, 31, 14, 5, tzinfo=UTC)),
        ("2026-03-31T14:05+02:00", datetime(2026, 3, 31, 12, 5, tzinfo=UTC)),
        ("2026-03-31", datetime(2026, 3, 31).astimezone()),
    ],
)
def test_a_date_is_a_time_in_the_zone_that_it_names_or_in_the_local_one(
    value: str, expected: datetime
) -> None:
    assert since(value) == expected


def test_a_span_longer_than_the_calendar_is_refused(log: Log, run: Run) -> None:
    assert run("--since", "99999999999w")[0] == 2


def test_task_shows_only_what_is_known_to_be_of_that_task(log: Log, run: Run) -> None:
    log.event("mine", task_id="t1", agent="scout")
    log.event("other", task_id="t12", agent="scout")
    log.event("nobodys", agent="scout")
    log.raw("no json\n")

    assert events(run("--json", "--task", "t1")[1]) == ["mine"]


def test_a_task_that_is_nowhere_in_the_log_is_told_of_with_status_0(log: Log, run: Run) -> None:
    log.event("other", task_id="t12", agent="scout")
    status, lines, said = run("--task", "t1")

    assert (status, lines) == (0, [])
    assert said.startswith(f"agent-pool: no line of {log.path} is of a task t1; ")


def test_a_task_whose_lines_are_left_out_is_not_taken_for_unknown(log: Log, run: Run) -> None:
    log.event("mine", task_id="t1", agent="scout")

    assert run("--task", "t1", "--level", "error") == (0, [], "")


@pytest.mark.parametrize("wanted", ["grün", "l.te", "scout", 'reason="too late"', '"n": 7', "^{"])
def test_grep_finds_what_stands_in_the_file_and_what_a_person_sees(
    log: Log, run: Run, wanted: str
) -> None:
    log.event("e", reason="too late", agent="scout", colour="grün", n=7)
    log.raw("something else\n")

    assert events(run("--json", "--grep", wanted)[1]) == ["e"]


def test_grep_finds_lines_that_are_no_json(log: Log, run: Run) -> None:
    log.event("e")
    log.raw("Fatal: something\n")

    assert run("--json", "--grep", "Fatal")[1] == ["Fatal: something"]


def test_what_is_no_regular_expression_is_refused(log: Log, run: Run) -> None:
    status, _, said = run("--grep", "a(b")

    assert status == 2
    assert '"a(b" is no regular expression' in said
