"""The benchmarks run: their short forms give figures, whatever those are on this machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.realcli.fixtures import real_cli
from tests.realcli.install import RealCLI

__all__ = ["real_cli"]

ROOT = Path(__file__).resolve().parents[2]


def run(name: str) -> dict[str, Any]:
    """What the short form of that benchmark prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--short", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_tree_is_measured_beside_bare_trio() -> None:
    rows = run("tree")["rows"]

    assert {row["n"] for row in rows} == {10, 1_000}
    assert all(row["tree"] > 0 and row["bare"] > 0 for row in rows)


def test_a_task_is_measured_beside_the_bare_pipe_and_many_at_once() -> None:
    found = run("tasks")

    assert found["round_trips"][0]["ratio"] == 1
    assert all(row["p99_ms"] >= row["median_ms"] > 0 for row in found["round_trips"])
    assert all(row["tasks_per_s"] > 0 for row in found["throughput"])
    assert found["memory"]["end_bytes"] > 0


def test_delegation_through_the_plugin_loses_mixes_up_and_leaves_nothing(
    real_cli: RealCLI,
) -> None:
    found = run("delegation")

    assert found["wrong"] == []
    assert min(found["rounds"].values()) >= 1
    assert {one["program"] for one in found["memory"]} == {"pool", "relay"}


@pytest.fixture(scope="module")
def tokens(real_cli: RealCLI) -> dict[str, Any]:
    """Each way's row, with the real CLI."""
    return {row["way"]: row for row in run("tokens")["rows"]}


@pytest.mark.xdist_group("tokens")
def test_the_pool_with_digests_sends_and_costs_less_than_native_sub_agents(
    tokens: dict[str, Any],
) -> None:
    digests = tokens["pool, digests, tools: Read"]

    assert digests["bytes_to_native"] < 1
    assert digests["units_to_native"] < 1


@pytest.mark.xdist_group("tokens")
def test_a_full_reply_reaches_the_orchestrators_model_whole(tokens: dict[str, Any]) -> None:
    full = tokens["pool, full replies"]

    assert full["result_bytes"] == full["reply_bytes"]


def test_the_ledger_is_measured_beside_bare_sqlite() -> None:
    values = {row["name"]: row["value"] for row in run("ledger")["rows"]}

    assert all(value >= 0 for value in values.values())
    assert any(name.startswith("floor") for name in values)
    assert any(name.startswith("stats") for name in values)


def test_processes_and_agents_are_measured(real_cli: RealCLI) -> None:
    command = [sys.executable, "-m", "benchmarks.processes", "--short"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )

    assert done.returncode == 0, done.stderr
    assert "with a spare" in done.stdout
    assert "never recycled" in done.stdout


def test_the_front_end_is_measured_beside_the_smallest_servers() -> None:
    rows = {row["way"]: row for row in run("frontend")["rows"]}

    floor = rows["a server on the Python SDK"]
    assert floor["ratios"]["initialize_ms"] == 1
    relay = rows["relay, a pool runs"]
    assert relay["initialize_ms"] < floor["initialize_ms"]
    assert relay["rss_bytes"] < floor["rss_bytes"]
    assert rows["relay, no pool runs"]["tools_list_ms"] > relay["tools_list_ms"]
