"""The replay can fail: for a wrong trace, for unknown words, for want of scenarios."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.replay import differences, replay
from tests.conformance.scenario import (
    BEHAVIOURS,
    CORPUS,
    HOLD_POINTS,
    STEPS,
    WORKER_STARTS,
    BadScenario,
    Json,
    Scenario,
    Trace,
    files_in,
    load,
)

ROOT: Final = Path(__file__).parents[2]
SMALL: Final = CORPUS / "window_stop_exits_absorbed.json"


def content() -> Json:
    return json.loads(SMALL.read_text())


def write(folder: Path, name: str, told: Json) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(told))
    return path


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    tests = "tests/conformance/test_corpus.py"
    command = [sys.executable, "-m", "pytest", tests, "--otp-corpus", str(folder)]
    plain = ["-q", "-p", "no:cacheprovider", "--color=no"]
    return subprocess.run([*command, *plain], cwd=ROOT, capture_output=True, text=True, check=False)


# ---- a wrong trace


def another_order(trace: Trace) -> None:
    trace[1]["events"][:2] = trace[1]["events"][1::-1]


def an_event_less(trace: Trace) -> None:
    del trace[1]["events"][-1]


def an_event_twice(trace: Trace) -> None:
    trace[1]["events"].append(trace[1]["events"][-1])


def another_reason(trace: Trace) -> None:
    trace[1]["events"][0]["reason"] = "normal"


def another_result(trace: Trace) -> None:
    trace[1]["result"]["cause"] = "noop"


def another_state(trace: Trace) -> None:
    trace[1]["state"]["root"]["children"][0][2] += 1


def another_end(trace: Trace) -> None:
    trace[-1]["root"] = "alive"


def a_step_less(trace: Trace) -> None:
    del trace[-1]


@pytest.mark.parametrize(
    "spoil",
    [
        another_order,
        an_event_less,
        an_event_twice,
        another_reason,
        another_result,
        another_state,
        another_end,
        a_step_less,
    ],
)
def test_a_wrong_trace_is_rejected(spoil: Callable[[Trace], None]) -> None:
    scenario = load(SMALL)
    trace = replay(scenario)
    assert differences(scenario.trace, trace) == []
    wrong = deepcopy(trace)
    spoil(wrong)
    assert differences(scenario.trace, wrong) != []


# ---- words that are not known


def corpus() -> list[Scenario]:
    return [load(path) for path in files_in(CORPUS)]


def test_all_that_can_be_done_and_played_occurs_in_the_corpus() -> None:
    words = {tag for scenario in corpus() if scenario.left_out is None for tag in scenario.tags}
    assert {f"op:{op}" for op in STEPS} <= words
    assert {f"start:{entry}" for entry in WORKER_STARTS - {"ok"}} <= words
    assert {f"on_shutdown:{behaviour}" for behaviour in BEHAVIOURS - {"obey"}} <= words
    assert {f"window:{point}" for point in HOLD_POINTS} <= words


@pytest.mark.parametrize(
    ("tag", "known"),
    [
        ("op", set(STEPS)),
        ("start", WORKER_STARTS),
        ("on_shutdown", BEHAVIOURS),
        ("window", HOLD_POINTS),
    ],
)
def test_all_that_the_corpus_names_is_known(tag: str, known: set[str]) -> None:
    tags = {tag for scenario in corpus() if scenario.left_out is None for tag in scenario.tags}
    assert {word.partition(":")[2] for word in tags if word.startswith(f"{tag}:")} <= known


@pytest.mark.parametrize(
    ("step", "word"),
    [
        ({"op": "dance"}, "op 'dance'"),
        ({"op": "kill_sup", "path": "root"}, "op 'kill_sup'"),
        ({"op": "batch", "sup": "root", "items": [{"op": "dance"}]}, "op 'dance'"),
        ({"op": "batch", "sup": "root", "items": [{"op": "sleep", "ms": 1}]}, "op 'sleep' here"),
        ({"op": "shutdown", "slowly": True}, "key of shutdown 'slowly'"),
        ({"op": "exit", "path": "root/a", "reason": "tired"}, "reason 'tired'"),
        (
            {"op": "window", "hold": {"at": "noon"}, "cause": {"op": "shutdown"}, "items": []},
            "hold 'noon'",
        ),
        (
            {"op": "start_child", "sup": "root", "child": {"id": "x", "start": ["perhaps"]}},
            "start 'perhaps'",
        ),
        (
            {"op": "start_child", "sup": "root", "name": "x", "on_shutdown": "unlink"},
            "on_shutdown 'unlink'",
        ),
        (
            {"op": "start_child", "sup": "root", "child": {"id": "x", "colour": "red"}},
            "key of a child 'colour'",
        ),
        (
            {"op": "start_child", "sup": "root", "child": {"tree": {"start": [{"ok_extra": 1}]}}},
            "start of a supervisor 'ok_extra'",
        ),
    ],
)
def test_an_unknown_word_is_refused(tmp_path: Path, step: Json, word: str) -> None:
    told = content()
    told["scenario"]["steps"].append(step)
    with pytest.raises(BadScenario, match=f"not implemented: {word}$"):
        load(write(tmp_path, "strange", told))


# ---- a run


def test_a_run_tells_what_is_wrong_and_leaves_out_by_tag_alone(tmp_path: Path) -> None:
    write(tmp_path, "right", content())
    told = content()
    told["trace"][1]["events"][0]["reason"] = "normal"
    write(tmp_path, "wrong", told)
    told = content()
    told["scenario"]["steps"][0]["op"] = "dance"
    write(tmp_path, "strange", told)
    told["scenario"]["tags"].append("orphans")
    write(tmp_path, "orphans", told)
    write(tmp_path, "MANIFEST", [])
    (tmp_path / "broken.json").write_text('{"scenario": ')

    run = run_pytest(tmp_path)

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    assert "3 failed, 1 passed, 1 skipped" in run.stdout
    for name in ("wrong", "strange", "broken"):
        assert f"FAILED tests/conformance/test_corpus.py::test_it_does_what_otp_did[{name}]" in (
            run.stdout
        )
    assert 'step 1 window: event 0: expected {"ev": "stop", "n": 1, "path": "root/a"' in run.stdout
    assert "not implemented: op 'dance'" in run.stdout
    assert f"{tmp_path / 'broken.json'}: not a scenario" in run.stdout
    assert "tag orphans:" in run.stdout


@pytest.mark.parametrize("folder", ["empty", "missing", "left_out"])
def test_a_run_without_a_scenario_fails(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "left_out").mkdir()
    told = content()
    told["scenario"]["tags"].append("unlink")
    write(tmp_path / "left_out", "unlink", told)

    run = run_pytest(tmp_path / folder)

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    assert f"no scenario was collected from {tmp_path / folder}" in run.stdout
