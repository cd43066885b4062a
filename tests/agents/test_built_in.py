from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.agents import AgentDefinition, Catalogue, Folders

BUILT_IN = Path(__file__).parents[2]

TOOLS = {
    "code-explorer": {"Read", "Grep", "Glob"},
    "code-reviewer": {"Read", "Grep", "Glob"},
    "debugger": {"Read", "Grep", "Glob", "Edit", "Bash"},
    "doc-specialist": {"Read", "Grep", "Glob", "Edit", "Write"},
    "refactorer": {"Read", "Grep", "Glob", "Edit", "Write", "Bash"},
    "security-reviewer": {"Read", "Grep", "Glob"},
    "test-writer": {"Read", "Grep", "Glob", "Edit", "Write", "Bash"},
}
READ_ONLY = ("code-explorer", "code-reviewer", "security-reviewer")
CHANGES_NOTHING = {"Read", "Grep", "Glob"}

every_agent = pytest.mark.parametrize("name", sorted(TOOLS))


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(Folders.resolve(tmp_path, {}, tmp_path, BUILT_IN))


def test_the_seven_agents_are_sound_without_a_warning(catalogue: Catalogue) -> None:
    records = catalogue.all()
    assert [record.name for record in records] == sorted(TOOLS)
    assert all(isinstance(record, AgentDefinition) for record in records)
    assert not [w for r in records if isinstance(r, AgentDefinition) for w in r.warnings]


@every_agent
def test_each_lists_its_tools_and_has_no_other(catalogue: Catalogue, name: str) -> None:
    tools = catalogue.get(name).tools
    assert tools is not None
    assert set(tools) == TOOLS[name]


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_role_that_reads_has_no_tool_that_can_change_anything(
    catalogue: Catalogue, name: str
) -> None:
    tools = catalogue.get(name).tools
    assert tools is not None
    assert set(tools) <= CHANGES_NOTHING


@pytest.mark.parametrize("name", READ_ONLY)
def test_the_description_of_a_role_that_reads_says_so(catalogue: Catalogue, name: str) -> None:
    assert "never edits" in catalogue.get(name).description


def test_every_shipped_skill_is_used(catalogue: Catalogue) -> None:
    shipped = {path.parent.name for path in BUILT_IN.glob("skills/*/SKILL.md")}
    assert shipped == {skill for name in TOOLS for skill in catalogue.get(name).skills}


def test_every_shipped_expertise_is_used(catalogue: Catalogue) -> None:
    shipped = {path.stem for path in BUILT_IN.glob("expertise/*.md")}
    assert shipped == {part for name in TOOLS for part in catalogue.get(name).expertise}


@every_agent
def test_each_uses_a_skill_or_an_expertise(catalogue: Catalogue, name: str) -> None:
    prompt = catalogue.get(name).system_prompt
    assert "\n# Skill: " in prompt or "\n# Expertise: " in prompt


@every_agent
def test_each_knows_that_its_final_message_is_all_that_is_seen(
    catalogue: Catalogue, name: str
) -> None:
    prompt = catalogue.get(name).system_prompt
    assert "sees only your final message" in prompt
    assert "\n## Answer\n" in prompt


@every_agent
def test_each_stays_short(catalogue: Catalogue, name: str) -> None:
    definition = catalogue.get(name)
    assert len(definition.source.read_text().splitlines()) <= 60
    assert len(definition.system_prompt) < 8_000
