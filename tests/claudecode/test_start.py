"""Claude Code has the tools in its first request, though the pool takes its time to start."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.claudecode.conftest import opened
from tests.claudecode.stage import SERVER, Stage, init_of, invoke
from tests.greeting.stage import held_back
from tests.realcli.fixtures import require
from tests.realcli.install import DEFAULT_VERSION, VERSIONS
from tests.realcli.session import Session

AS_IT_IS = {key: value for key, value in SERVER.items() if key != "alwaysLoad"}
"""The server, for which Claude Code waits as long as for every other."""

FLAGS = (
    "--mcp-config",
    json.dumps({"mcpServers": {"agent-pool": AS_IT_IS}}),
    "--strict-mcp-config",
    "--allowedTools",
    "mcp__agent-pool",
)


@pytest.fixture(params=[DEFAULT_VERSION, VERSIONS[-1]])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """A pool and Claude Code of two versions, which speak different eras of MCP."""
    yield from opened(tmp_path, require(request.param))


def test_the_tools_are_there_before_the_pool_is(stage: Stage) -> None:
    task = invoke("worker", "[[say forty-two]]")
    # The newest would put off the tools of a server until it searches for them.
    whole = {"ENABLE_TOOL_SEARCH": "false"}
    with held_back(stage.project) as release, stage.claude(*FLAGS, **whole) as claude:
        Session.give(claude, task)  # at once, and not when its servers have connected
        request = stage.await_request(task)
        assert stage.project.pool_pid() is None
        release()
        result = claude.result()

    assert "mcp__agent-pool__invoke" in request.tool_names()
    assert result["result"] == "tool: forty-two"
    (server,) = init_of(claude)["mcp_servers"]
    assert server["status"] == "connected"
