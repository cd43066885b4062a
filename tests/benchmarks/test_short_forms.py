"""The benchmarks run: their short forms give figures, whatever those are on this machine."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_tree_is_measured_beside_bare_trio() -> None:
    command = [sys.executable, "-m", "benchmarks.tree", "--short", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )

    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {row["n"] for row in rows} == {10, 1_000, 10_000}
    assert all(row["tree"] > 0 and row["bare"] > 0 for row in rows)


def test_the_ledger_is_measured_beside_bare_sqlite() -> None:
    command = [sys.executable, "-m", "benchmarks.ledger", "--short", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )

    assert done.returncode == 0, done.stderr
    values = {row["name"]: row["value"] for row in json.loads(done.stdout)["rows"]}
    assert all(value >= 0 for value in values.values())
    assert any(name.startswith("floor") for name in values)
    assert any(name.startswith("stats") for name in values)
