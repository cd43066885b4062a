from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.agents import AgentDefinition, Catalogue, Folders

BUILT_IN = Path(__file__).parents[2]


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(Folders.resolve(tmp_path, {}, tmp_path, BUILT_IN))


def test_the_two_agents_are_sound_without_a_warning(catalogue: Catalogue) -> None:
    records = catalogue.all()
    assert [record.name for record in records] == ["code-reviewer", "debugger"]
    assert all(isinstance(record, AgentDefinition) for record in records)
    assert not [w for r in records if isinstance(r, AgentDefinition) for w in r.warnings]


def test_the_reviewer_can_only_read(catalogue: Catalogue) -> None:
    assert catalogue.get("code-reviewer").tools == ("Read", "Grep", "Glob")


def test_the_debugger_can_edit_and_run(catalogue: Catalogue) -> None:
    assert catalogue.get("debugger").tools == ("Read", "Grep", "Glob", "Edit", "Bash")


@pytest.mark.parametrize("name", ["code-reviewer", "debugger"])
def test_they_use_the_shipped_skill_and_expertise(catalogue: Catalogue, name: str) -> None:
    prompt = catalogue.get(name).system_prompt
    assert "# Skill: reporting-findings\n\n" in prompt
    assert "# Expertise: common-defects\n\n" in prompt


@pytest.mark.parametrize("name", ["code-reviewer", "debugger"])
def test_they_stay_short(catalogue: Catalogue, name: str) -> None:
    assert len(catalogue.get(name).system_prompt) < 8_000
