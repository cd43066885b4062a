"""The MCP Inspector's command line against a pool: through the relay and over HTTP."""

import json
import subprocess
from typing import Any

import pytest

from tests import npm
from tests.client import LIMIT_S, SERVE
from tests.transports.conftest import shared
from tests.transports.stage import Served

__all__ = ["shared"]

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"

pytestmark = pytest.mark.xdist_group("http")

WAYS = ("relay", "http")
ERAS = ("legacy", "modern")


def inspect(served: Served, way: str, era: str, *asked: str) -> dict[str, Any]:
    """What the Inspector prints; it found nothing wrong."""
    modules = npm.require(INSPECTOR)
    program = modules / "@modelcontextprotocol" / "inspector" / "clients/launcher/build/index.js"
    environment = served.project.environment()
    command, *args = SERVE
    by_relay = {"command": command, "args": args, "env": environment}
    by_http = {
        "type": "http",
        "url": served.url,
        "headers": {"Authorization": f"Bearer {served.token}"},
    }
    servers = {"mcpServers": {"relay": by_relay, "http": by_http}}
    config = served.project.home / "servers.json"
    config.write_text(json.dumps(servers))
    target = ["--config", str(config), "--server", way]
    done = subprocess.run(
        [npm.node(), str(program), "--cli", *target, "--protocol-era", era, *asked],
        capture_output=True,
        text=True,
        check=False,
        cwd=served.project.folder,
        env=environment,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("way", WAYS)
def test_it_finds_no_fault_with_the_tools(shared: Served, way: str, era: str) -> None:
    found = inspect(shared, way, era, "--method", "tools/list", "--strict")

    assert "invoke" in [tool["name"] for tool in found["tools"]]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("way", WAYS)
def test_a_task_is_answered(shared: Served, way: str, era: str) -> None:
    arguments = ("--tool-arg", "agent=coder", "--tool-arg", "task=[[say hello]]")
    found = inspect(shared, way, era, "--method", "tools/call", "--tool-name", "invoke", *arguments)

    assert found["content"] == [{"type": "text", "text": "hello"}]
