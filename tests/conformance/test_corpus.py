"""The supervisor does what Erlang/OTP's own one did, in each scenario of the corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.replay import differences, replay
from tests.conformance.scenario import BadScenario, Scenario, Step, Trace, load


def test_it_does_what_otp_did(scenario_file: Path) -> None:
    if not scenario_file.is_file():
        pytest.fail(f"no scenario was collected from {scenario_file}", pytrace=False)
    try:
        scenario = load(scenario_file)
    except BadScenario as bad:
        pytest.fail(str(bad), pytrace=False)
    trace = replay(scenario)
    problems = differences(scenario.trace, trace)
    if problems:
        pytest.fail(report(scenario, trace, problems), pytrace=False)


def report(scenario: Scenario, trace: Trace, problems: list[str]) -> str:
    """What is wrong, and the first step that went wrong in full."""
    lines = [f"{scenario.name}: {scenario.doc}", *problems]
    steps: list[Step] = [{"op": "start", "tree": scenario.tree}, *scenario.steps]
    for step, expected, actual in zip(steps, scenario.trace, trace, strict=False):
        if differences([expected], [actual]):
            lines += ["", f"step {expected['step']}: {json.dumps(step)}"]
            lines += _listed("OTP", expected) + _listed("ours", actual)
            break
    return "\n".join(lines)


def _listed(whose: str, entry: Step) -> list[str]:
    rest = {key: entry[key] for key in ("result", "root", "state")}
    return [f"{whose}: {json.dumps(rest)}", *(f"    {json.dumps(e)}" for e in entry["events"])]
