"""Each way in which the documents have Claude Code connected to a pool is one that works."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.claudecode.stage import ROOT, Stage, init_of, invoke
from tests.client import LIMIT_S

pytestmark = pytest.mark.xdist_group("claude as documented")

PAGES = ("README.md", "docs/transports.md")
TEXT = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
ADDRESS = "127.0.0.1:8765"
ALLOWED = ("--allowedTools", "mcp__agent-pool")


def documented(pattern: str) -> str:
    """The one thing in the documents that looks like this."""
    (found,) = re.findall(pattern, TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


ADD_STDIO = documented(r"^(claude mcp add agent-pool -- [^\n]+)")
ADD_HTTP = documented(r"^(claude mcp add --transport http [^\n]+)")
JSON_STDIO = documented(r'^```json\n(\{"mcpServers": \{"agent-pool": \{"command".*?)^```')
JSON_HTTP = documented(r'^```json\n(\{"mcpServers": \{"agent-pool": \{"type": "http".*?)^```')
RUN_HTTP = documented(r"^(agent-pool run --http [^ \n]+)")


@pytest.fixture
def token(stage: Stage) -> Iterator[dict[str, str]]:
    """A pool over HTTP as docs/transports.md starts it; the variable that it has the user set."""
    command = RUN_HTTP.replace(ADDRESS, "127.0.0.1:0").split()
    process = subprocess.Popen(
        [str(stage.bin / command[0]), *command[1:]],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=stage.project.folder,
        env=stage.environment(),
    )
    assert process.stderr is not None
    try:
        told = ""
        while "MCP over HTTP" not in told:
            told = process.stderr.readline()
            assert told, "it ended"
        url, file = re.findall(r"HTTP: (\S+); the token is in (\S+)", told)[0]
        yield {"URL": url, "AGENT_POOL_TOKEN": Path(file).read_text().strip()}
    finally:
        process.terminate()
        process.wait(LIMIT_S)
        process.stderr.close()


def add(stage: Stage, line: str, scope: str) -> None:
    """Run that `claude mcp add` as a user would, but for the scope."""
    _, *words = shlex.split(line)
    words[2:2] = ["--scope", scope]
    subprocess.run(
        [*stage.cli, *words],
        check=True,
        capture_output=True,
        cwd=stage.project.folder,
        env=stage.environment(),
        timeout=LIMIT_S,
    )


def works(stage: Stage, **variables: str) -> bool:
    """A Claude Code that is started here hands a task to an agent, and has its answer."""
    with stage.claude(*ALLOWED, **variables) as claude:
        result = claude.task(invoke("worker", "[[say forty-two]]"))
    assert init_of(claude)["mcp_servers"] == [{"name": "agent-pool", "status": "connected"}]
    return bool(result["result"] == "tool: forty-two")


@pytest.mark.parametrize("scope", ["local", "user", "project"])
def test_the_relay_added_by_the_command(stage: Stage, scope: str) -> None:
    add(stage, ADD_STDIO, scope)

    assert works(stage)


def test_the_relay_in_mcp_json(stage: Stage) -> None:
    (stage.project.folder / ".mcp.json").write_text(JSON_STDIO)

    assert works(stage)


@pytest.mark.parametrize("scope", ["local", "user", "project"])
def test_http_added_by_the_command(stage: Stage, token: dict[str, str], scope: str) -> None:
    url = token.pop("URL")
    add(stage, ADD_HTTP.replace(f"http://{ADDRESS}/mcp", url), scope)

    assert works(stage, **token)


def test_http_in_mcp_json(stage: Stage, token: dict[str, str]) -> None:
    text = JSON_HTTP.replace(f"http://{ADDRESS}/mcp", token.pop("URL"))
    assert json.loads(text)
    (stage.project.folder / ".mcp.json").write_text(text)

    assert works(stage, **token)
