"""The key `mcpServers`, and servers that are only in the names of tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from supervisor.agents import AgentDefinition, Finding

from .conftest import Project, agent

OWN = "mcpServers: [{calc: {command: python3, args: [calc.py]}}]"


def defined(project: Project, *lines: str, **environ: str) -> AgentDefinition:
    """An agent of the user's own, which needs no trust."""
    project.write("home/agents/a.md", agent("a", *lines))
    return project.catalogue(**environ).get("a")


def configs(definition: AgentDefinition) -> dict[str, Any]:
    return {server.name: json.loads(server.config) for server in definition.mcp_servers}


def warning(definition: AgentDefinition) -> Finding:
    (finding,) = definition.warnings
    return finding


def user_config(project: Project, **content: object) -> None:
    path = project.base / "home" / ".claude.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_a_server_of_the_files_own_is_kept(project: Project) -> None:
    definition = defined(project, OWN)
    assert configs(definition) == {
        "calc": {"type": "stdio", "command": "python3", "args": ["calc.py"]}
    }
    assert definition.warnings == ()


def test_what_yaml_takes_for_something_else_is_text_where_only_text_can_be(
    project: Project,
) -> None:
    server = "{x: {command: c, args: [-p, 3000, yes], env: {PORT: 80, ON: true}, timeout: 5}}"
    assert configs(defined(project, f"mcpServers: [{server}]"))["x"] == {
        "type": "stdio",
        "command": "c",
        "args": ["-p", "3000", "yes"],
        "env": {"PORT": "80", "ON": "true"},
        "timeout": 5,
    }


@pytest.mark.parametrize("kind", ["http", "sse", "ws"])
def test_a_remote_server_is_one(project: Project, kind: str) -> None:
    line = f"mcpServers: [{{x: {{type: {kind}, url: 'http://127.0.0.1:1/'}}}}]"
    assert configs(defined(project, line))["x"]["type"] == kind


def test_a_server_with_a_url_alone_is_taken_for_http(project: Project) -> None:
    definition = defined(project, "mcpServers: [{x: {url: 'http://127.0.0.1:1/'}}]")
    assert configs(definition)["x"]["type"] == "http"
    assert "taken for http" in warning(definition).message


def test_a_mapping_of_servers_is_read_with_a_warning(project: Project) -> None:
    definition = defined(project, "mcpServers:", "  calc:", "    command: c")
    assert list(configs(definition)) == ["calc"]
    assert "a list here" in warning(definition).message


@pytest.mark.parametrize(
    "server",
    ["{x: {cmd: c}}", "{x: c}", "{x: {type: carrier-pigeon, url: u}}", "{x: {command: [c]}}", "''"],
)
def test_what_is_no_server_is_ignored_with_a_warning(project: Project, server: str) -> None:
    definition = defined(project, f"mcpServers: [{server}]")
    assert definition.mcp_servers == ()
    assert (warning(definition).line, warning(definition).key) == (4, "mcpServers")


def test_a_name_is_looked_up_in_the_users_configuration(project: Project) -> None:
    user_config(project, mcpServers={"github": {"command": "gh-mcp"}})
    assert configs(defined(project, "mcpServers: [github]"))["github"] == {"command": "gh-mcp"}


def test_claude_config_dir_moves_the_users_configuration(project: Project) -> None:
    elsewhere = project.base / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".claude.json").write_text('{"mcpServers": {"x": {"command": "c"}}}')
    definition = defined(project, "mcpServers: [x]", CLAUDE_CONFIG_DIR=str(elsewhere))
    assert configs(definition) == {"x": {"command": "c"}}


def test_local_comes_before_project_and_project_before_user(project: Project) -> None:
    root = project.base / "project"
    root.mkdir()
    entry = {"mcpServers": {"a1": {"command": "local"}}}
    servers = {name: {"command": "user"} for name in ("a1", "a2", "a3")}
    user_config(project, mcpServers=servers, projects={str(root): entry})
    (root / ".mcp.json").write_text(
        json.dumps({"mcpServers": {name: {"command": "project"} for name in ("a1", "a2")}})
    )
    project.write("home/agents/a.md", agent("a", "mcpServers: [a1, a2, a3]"))
    catalogue = project.catalogue()
    catalogue.trusted = True
    found = {name: config["command"] for name, config in configs(catalogue.get("a")).items()}
    assert found == {"a1": "local", "a2": "project", "a3": "user"}


def test_a_tool_of_a_server_names_the_server(project: Project) -> None:
    user_config(project, mcpServers={"my files": {"command": "c"}, "other": {"command": "c"}})
    definition = defined(project, "tools: Read, mcp__my_files__search")
    (server,) = definition.mcp_servers
    assert (server.name, server.prefix) == ("my files", "mcp__my_files")
    assert not server.is_listed


def test_a_server_that_is_listed_and_named_by_a_tool_is_there_once(project: Project) -> None:
    definition = defined(project, OWN, "tools: mcp__calc__add, mcp__calc__sub")
    (server,) = definition.mcp_servers
    assert server.is_listed


def test_a_server_that_is_nowhere_is_a_warning_with_a_suggestion(project: Project) -> None:
    user_config(project, mcpServers={"github": {"command": "c"}})
    definition = defined(project, "mcpServers: [githab]")
    finding = warning(definition)
    assert (finding.line, finding.key) == (4, "mcpServers")
    assert 'no MCP server "githab" is configured' in finding.message
    assert 'Did you mean "github"?' in finding.message
    assert ".mcp.json" in finding.message


def test_a_server_that_only_tools_name_and_that_is_nowhere_is_one_warning(
    project: Project,
) -> None:
    definition = defined(project, "tools: Read, mcp__x__a, mcp__x__b")
    assert (warning(definition).line, warning(definition).key) == (4, "tools")


def test_a_server_that_is_configured_later_is_noticed(project: Project) -> None:
    project.write("home/agents/a.md", agent("a", "mcpServers: [x]"))
    catalogue = project.catalogue()
    before = catalogue.get("a")
    user_config(project, mcpServers={"x": {"command": "c"}})
    after = catalogue.get("a")
    assert (len(before.mcp_servers), len(after.mcp_servers)) == (0, 1)
    assert before.digest != after.digest


def test_what_else_changes_in_the_users_configuration_changes_no_digest(project: Project) -> None:
    user_config(project, mcpServers={"x": {"command": "c"}}, starts=1)
    project.write("home/agents/a.md", agent("a", "mcpServers: [x]"))
    catalogue = project.catalogue()
    before = catalogue.get("a").digest
    user_config(project, mcpServers={"x": {"command": "c"}}, starts=2)
    assert catalogue.get("a").digest == before


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe{\0}\0", b"[" * 99999])
def test_a_configuration_that_is_broken_stops_no_agent(project: Project, content: bytes) -> None:
    path = project.base / "home" / ".claude.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    definition = defined(project, "mcpServers: [x]")
    assert definition.mcp_servers == ()
    assert any("no MCP server" in finding.message for finding in definition.warnings)


def test_broken_json_is_named_with_its_line(project: Project) -> None:
    path = project.base / "home" / ".claude.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{\n"mcpServers": {,\n}')
    broken = next(f for f in defined(project, "mcpServers: [x]").warnings if f.path == path)
    assert broken.line == 2
    assert "no valid JSON" in broken.message


@pytest.mark.parametrize("entry", [5, [], {}, "c", {"args": ["x"]}])
def test_a_configured_server_that_is_none_is_named_with_its_file(
    project: Project, entry: object
) -> None:
    user_config(project, mcpServers={"x": entry})
    definition = defined(project, "mcpServers: [x]")
    assert definition.mcp_servers == ()
    assert "neither `command` nor `url`" in warning(definition).message
