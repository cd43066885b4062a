"""The official MCP conformance suite against a pool over HTTP.

`expected-failures.yml` lists the scenarios that do not pass, with the reasons.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests import npm
from tests.client import LIMIT_S
from tests.transports.conftest import shared
from tests.transports.stage import Served

__all__ = ["shared"]

SUITE = "@modelcontextprotocol/conformance@0.1.16"
HERE = Path(__file__).parent

pytestmark = pytest.mark.xdist_group("http")


def test_every_scenario_passes_but_for_those_that_are_listed(
    shared: Served, tmp_path: Path
) -> None:
    modules = npm.require(SUITE)
    program = modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    command = [npm.node(), "--import", str(HERE / "bearer.mjs"), str(program), "server"]
    command += ["--url", shared.url, "--expected-failures", str(HERE / "expected-failures.yml")]

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "AGENT_POOL_TOKEN": shared.token},
        timeout=LIMIT_S,
    )

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for scenario in ("server-initialize", "ping", "tools-list", "dns-rebinding-protection"):
        assert f"✓ {scenario}: " in done.stdout
