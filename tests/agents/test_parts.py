from __future__ import annotations

import pytest

from .conftest import Project, agent, findings_of


def test_skills_and_expertise_are_injected_in_the_order_of_the_frontmatter(
    project: Project,
) -> None:
    project.write("agents/a.md", agent("a", "skills: [s2, s1]", "expertise: [e]"))
    project.write("skills/s1/SKILL.md", "One.")
    project.write("skills/s2/SKILL.md", "Two.")
    project.write("expertise/e.md", "Know.")
    definition = project.catalogue().get("a")
    assert definition.system_prompt == (
        "Do it.\n\n# Expertise: e\n\nKnow.\n\n# Skill: s2\n\nTwo.\n\n# Skill: s1\n\nOne."
    )
    assert (definition.skills, definition.expertise) == (("s2", "s1"), ("e",))


def test_the_frontmatter_of_a_skill_stays_out_of_the_prompt(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/s/SKILL.md", "---\nname: s\nanything: [goes]\n---\nSkill text.")
    definition = project.catalogue().get("a")
    assert definition.system_prompt.endswith("# Skill: s\n\nSkill text.")
    assert definition.warnings == ()


def test_the_first_folder_that_has_a_skill_wins(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("built-in/skills/s/SKILL.md", "built-in")
    project.write("home/skills/s/SKILL.md", "user")
    assert project.catalogue().get("a").system_prompt.endswith("user")


def test_a_missing_skill_is_an_error_at_its_line_with_a_suggestion(project: Project) -> None:
    path = project.write("agents/a.md", agent("a", "skills:", "  - reporting", "  - revews"))
    project.write("skills/reporting/SKILL.md", "x")
    project.write("home/skills/reviews/SKILL.md", "x")
    (error,) = findings_of(project.catalogue(), "a")
    assert (error.path, error.line, error.key) == (path, 6, "skills")
    assert 'Did you mean "reviews"?' in error.message


def test_a_missing_expertise_is_an_error_with_a_suggestion(project: Project) -> None:
    project.write("agents/a.md", agent("a", "expertise: pyton"))
    project.write("expertise/python.md", "x")
    (error,) = findings_of(project.catalogue(), "a")
    assert error.key == "expertise"
    assert 'Did you mean "python"?' in error.message


def test_a_skill_folder_without_its_file_says_so(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/s/README.txt", "x")
    (error,) = findings_of(project.catalogue(), "a")
    assert "SKILL.md" in error.message


def test_every_missing_and_broken_part_is_reported_at_once(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: [x, bad]", "expertise: [y]"))
    bad = project.write("skills/bad/SKILL.md", "---\nname: bad\ndescription: [\n---\n")
    errors = findings_of(project.catalogue(), "a")
    assert {(e.path.name, e.key) for e in errors} == {
        ("a.md", "skills"),
        ("a.md", "expertise"),
        (bad.name, "description"),
    }


def test_a_skill_that_is_not_utf8_is_an_error_in_the_skills_file(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    path = project.write("skills/s/SKILL.md", b"ok\n\xff")
    (error,) = findings_of(project.catalogue(), "a")
    assert (error.path, error.line) == (path, 2)


def test_an_empty_skill_is_a_warning(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    path = project.write("skills/s/SKILL.md", "---\nname: s\n---\n")
    (warning,) = project.catalogue().get("a").warnings
    assert warning.path == path


def test_a_linked_skill_is_the_users_choice(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    target = project.write("elsewhere/text.md", "Linked.")
    link = project.write("skills/s/other.md", "").with_name("SKILL.md")
    link.symlink_to(target)
    assert project.catalogue().get("a").system_prompt.endswith("Linked.")


@pytest.mark.parametrize("name", ["../agents-evil/x", "../expertise-evil/x", "..", "/etc"])
def test_no_part_is_read_from_outside_its_folder(project: Project, name: str) -> None:
    project.write("agents-evil/x/SKILL.md", "SECRET")
    project.write("agents-evil/x.md", "SECRET")
    project.write("expertise-evil/x.md", "SECRET")
    project.write("agents/a.md", agent("a", f"skills: ['{name}']", f"expertise: ['{name}']"))
    errors = findings_of(project.catalogue(), "a")
    assert [(e.line, e.key) for e in errors] == [(4, "skills"), (5, "expertise")]


def test_a_missing_skill_that_is_written_later_is_noticed(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    catalogue = project.catalogue()
    findings_of(catalogue, "a")
    project.write("skills/s/SKILL.md", "Now.")
    assert catalogue.get("a").system_prompt.endswith("Now.")


def test_a_skill_that_appears_in_an_earlier_folder_takes_over(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("built-in/skills/s/SKILL.md", "built-in")
    catalogue = project.catalogue()
    before = catalogue.get("a")
    project.write("skills/s/SKILL.md", "project")
    after = catalogue.get("a")
    assert after.system_prompt.endswith("project")
    assert after.digest != before.digest


def test_only_the_folder_of_the_variable_is_searched(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s", "expertise: e"))
    project.write("skills/s/SKILL.md", "project")
    project.write("expertise/e.md", "project")
    other = project.write("other/s/SKILL.md", "other").parent.parent
    definition = project.catalogue(SKILLS_DIR=str(other)).get("a")
    assert definition.system_prompt.endswith("# Expertise: e\n\nproject\n\n# Skill: s\n\nother")
