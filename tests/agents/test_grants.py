"""What a definition brings that runs code: whose may, and what is told of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.agents import HOW_TO_TRUST, AgentDefinition, Catalogue

from .conftest import Project, agent

HOOKS = "hooks: {Stop: [{hooks: [{type: command, command: x}]}]}"
SERVER = "mcpServers: [{calc: {command: c}}]"


def brings_code(project: Project, place: str) -> Path:
    return project.write(place, agent("a", HOOKS, SERVER))


def runs(definition: AgentDefinition) -> tuple[bool, bool]:
    """Whether its hooks run, and its server."""
    return definition.hooks is not None, bool(definition.mcp_servers)


def test_a_projects_file_runs_nothing_and_says_what_to_do(project: Project) -> None:
    path = brings_code(project, "agents/a.md")
    definition = project.catalogue().get("a")
    assert runs(definition) == (False, False)
    assert [(w.path, w.line, w.key) for w in definition.warnings] == [
        (path, 4, "hooks"),
        (path, 5, "mcpServers"),
    ]
    assert all(HOW_TO_TRUST in warning.message for warning in definition.warnings)
    assert "agent-pool trust" in HOW_TO_TRUST


def test_a_file_in_agents_dir_is_nobody_elses_than_a_projects(project: Project) -> None:
    path = brings_code(project, "agents/a.md")
    definition = project.catalogue(AGENTS_DIR=str(path.parent)).get("a")
    assert runs(definition) == (False, False)


@pytest.mark.parametrize("place", ["home/agents/a.md", "built-in/agents/a.md"])
def test_the_users_own_file_runs_what_it_brings(project: Project, place: str) -> None:
    brings_code(project, place)
    definition = project.catalogue().get("a")
    assert runs(definition) == (True, True)
    assert definition.warnings == ()


def test_trust_lets_a_projects_file_run_what_it_brings(project: Project) -> None:
    brings_code(project, "agents/a.md")
    definition = Catalogue(project.folders(), trusted=True).get("a")
    assert runs(definition) == (True, True)
    assert definition.warnings == ()


def test_trust_that_is_given_and_taken_back_counts_at_once(project: Project) -> None:
    brings_code(project, "agents/a.md")
    catalogue = project.catalogue()
    before = catalogue.get("a")
    catalogue.trusted = True
    trusted = catalogue.get("a")
    catalogue.trusted = False
    assert runs(trusted) == (True, True)
    assert catalogue.get("a") == before
    assert trusted.digest != before.digest


@pytest.mark.parametrize("line", ["mcpServers: [theirs]", "tools: Read, mcp__theirs__x"])
def test_the_users_own_file_may_not_start_the_projects_server(project: Project, line: str) -> None:
    project.write("home/agents/a.md", agent("a", line))
    root = project.base / "project"
    root.mkdir()
    (root / ".mcp.json").write_text('{"mcpServers": {"theirs": {"command": "c"}}}')
    catalogue = project.catalogue()
    definition = catalogue.get("a")
    (warning,) = definition.warnings
    catalogue.trusted = True
    assert definition.mcp_servers == ()
    assert ".mcp.json" in warning.message
    assert len(catalogue.get("a").mcp_servers) == 1


def test_a_projects_file_may_not_start_the_users_server(project: Project) -> None:
    project.write("agents/a.md", agent("a", "tools: Read, mcp__mine__x"))
    config = project.base / "home" / ".claude.json"
    config.parent.mkdir()
    config.write_text('{"mcpServers": {"mine": {"command": "c"}}}')
    definition = project.catalogue().get("a")
    (warning,) = definition.warnings
    assert definition.mcp_servers == ()
    assert (warning.key, HOW_TO_TRUST in warning.message) == ("tools", True)


# settings and CLAUDE.md


@pytest.mark.parametrize("place", ["agents/a.md", "home/agents/a.md", "built-in/agents/a.md"])
def test_an_untrusted_projects_settings_are_not_read_but_its_claude_md_is(
    project: Project, place: str
) -> None:
    project.write(place, agent("a"))
    definition = project.catalogue().get("a")
    assert definition.setting_sources == ("user",)
    assert definition.claude_md_folders == (project.base / "project",)


def test_a_trusted_projects_settings_are_read_as_the_cli_reads_them(project: Project) -> None:
    project.write("agents/a.md", agent("a"))
    definition = Catalogue(project.folders(), trusted=True).get("a")
    assert (definition.setting_sources, definition.claude_md_folders) == (None, ())


@pytest.mark.parametrize(
    ("line", "untrusted", "folders", "trusted"),
    [
        ("settingSources: [user, project, local]", ("user",), 1, ("user", "project", "local")),
        ("settingSources: project", (), 1, ("project",)),
        ("settingSources: user", ("user",), 0, ("user",)),
        ("settingSources: []", (), 0, ()),
        ("omitClaudeMd: true", ("user",), 0, None),
    ],
)
def test_a_file_chooses_whose_settings_and_memory_its_agent_reads(
    project: Project,
    line: str,
    untrusted: tuple[str, ...],
    folders: int,
    trusted: tuple[str, ...] | None,
) -> None:
    project.write("agents/a.md", agent("a", line))
    catalogue = project.catalogue()
    first = catalogue.get("a")
    catalogue.trusted = True
    second = catalogue.get("a")
    assert (first.setting_sources, len(first.claude_md_folders)) == (untrusted, folders)
    assert (second.setting_sources, second.claude_md_folders) == (trusted, ())


@pytest.mark.parametrize("name", ["settings.json", "settings.local.json"])
def test_settings_that_are_not_read_are_told_with_their_place(project: Project, name: str) -> None:
    path = project.write(name, "{}")
    catalogue = project.catalogue()
    (finding,) = catalogue.folder_findings()
    catalogue.trusted = True
    assert (finding.path, HOW_TO_TRUST in finding.message) == (path, True)
    assert catalogue.folder_findings() == ()
