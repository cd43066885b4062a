"""Agent files in the forms that public projects have them (tests/data/agents) work unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.agents import AgentDefinition, Catalogue

from .conftest import Project

FOLDER = Path(__file__).parents[1] / "data" / "agents"
FILES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")

EXPECTED: dict[str, tuple[str, ...]] = {
    "forecast": ("skills",),
    "fault-finder": ("color",),
    "sketcher": ("isolation",),
    "test-mender": ("tools",) * 5,
    "page-planner": ("tools",),
    "page-tester": ("tools", "tools"),
    "browser-user": ("mcpServers",),
    "strategist": ("color", "version", "context_isolation"),
    "team-lead": ("skills", "skills", "background", "initialPrompt"),
    "slice-judge": ("allowed-tools", "category", "tags", "author"),
    "asks-first": ("description",),
}
"""The keys that are warned of, in the file's order, where the project is trusted."""


def dropped_in(project: Project, path: Path, trusted: bool) -> AgentDefinition:
    project.write(f"agents/{path.name}", path.read_bytes())
    (record,) = [
        record
        for record in Catalogue(project.folders(), trusted).all()
        if record.source.name == path.name
    ]
    assert isinstance(record, AgentDefinition), record
    return record


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_works_and_says_what_is_left_out(project: Project, path: Path) -> None:
    definition = dropped_in(project, path, trusted=True)
    told = tuple(warning.key for warning in definition.warnings)
    assert told == EXPECTED.get(path.stem, ())
    assert all(warning.line for warning in definition.warnings)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_works_in_a_project_that_is_not_trusted(project: Project, path: Path) -> None:
    definition = dropped_in(project, path, trusted=False)
    assert definition.system_prompt
    assert (definition.hooks, definition.mcp_servers) == (None, ())


def test_the_name_may_have_spaces(project: Project) -> None:
    assert dropped_in(project, FOLDER / "page-planner.md", True).name == "Page Test Planner"


def test_examples_in_a_description_are_kept(project: Project) -> None:
    assert "<example>" in dropped_in(project, FOLDER / "skill-judge.md", True).description
    generated = dropped_in(project, FOLDER / "asks-first.md", True).description
    assert "</example>\n\n<example>" in generated


def test_a_guard_is_kept_whole(project: Project) -> None:
    hooks = dropped_in(project, FOLDER / "query-reader.md", True).hooks
    assert hooks is not None
    assert "./scripts/validate-readonly-query.sh" in hooks
