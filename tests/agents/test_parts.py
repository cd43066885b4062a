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


def test_a_missing_skill_is_a_warning_at_its_line_with_a_suggestion(project: Project) -> None:
    path = project.write("agents/a.md", agent("a", "skills:", "  - reporting", "  - revews"))
    project.write("skills/reporting/SKILL.md", "x")
    project.write("home/skills/reviews/SKILL.md", "x")
    definition = project.catalogue().get("a")
    (warning,) = definition.warnings
    assert (warning.path, warning.line, warning.key) == (path, 6, "skills")
    assert 'Did you mean "reviews"?' in warning.message
    assert definition.system_prompt == "Do it.\n\n# Skill: reporting\n\nx"


def test_a_missing_expertise_is_an_error_with_a_suggestion(project: Project) -> None:
    project.write("agents/a.md", agent("a", "expertise: pyton"))
    project.write("expertise/python.md", "x")
    (error,) = findings_of(project.catalogue(), "a")
    assert error.key == "expertise"
    assert 'Did you mean "python"?' in error.message


def test_a_skill_folder_without_its_file_says_so(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/s/README.txt", "x")
    (warning,) = project.catalogue().get("a").warnings
    assert "holds no SKILL.md" in warning.message


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
    assert catalogue.get("a").system_prompt == "Do it."
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


# folders within folders


def test_a_skill_may_lie_in_a_folder_below(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/team/review/s/SKILL.md", "Nested.")
    assert project.catalogue().get("a").system_prompt.endswith("# Skill: s\n\nNested.")


def test_expertise_may_lie_in_a_folder_below(project: Project) -> None:
    project.write("agents/a.md", agent("a", "expertise: e"))
    project.write("expertise/team/e.md", "Nested.")
    assert project.catalogue().get("a").system_prompt.endswith("# Expertise: e\n\nNested.")


def test_what_lies_where_it_is_looked_for_first_wins(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/team/s/SKILL.md", "Nested.")
    project.write("skills/s/SKILL.md", "Direct.")
    assert project.catalogue().get("a").system_prompt.endswith("Direct.")


def test_a_projects_nested_skill_wins_over_the_users_own(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/team/s/SKILL.md", "Nested.")
    project.write("home/skills/s/SKILL.md", "User.")
    assert project.catalogue().get("a").system_prompt.endswith("Nested.")


def test_two_nested_skills_of_one_name_are_an_error(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/one/s/SKILL.md", "x")
    project.write("skills/two/s/SKILL.md", "x")
    (error,) = findings_of(project.catalogue(), "a")
    assert "one/s/SKILL.md" in error.message
    assert "two/s/SKILL.md" in error.message


def test_the_files_of_a_skill_hold_no_other_skill(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: inner"))
    project.write("skills/outer/SKILL.md", "x")
    project.write("skills/outer/examples/inner/SKILL.md", "x")
    (warning,) = project.catalogue().get("a").warnings
    assert 'no skill "inner"' in warning.message


def test_a_link_that_leads_back_up_ends_the_search(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    folder = project.write("skills/team/x/SKILL.md", "x").parent.parent
    (folder / "again").symlink_to(folder.parent)
    assert "no skill" in project.catalogue().get("a").warnings[0].message


def test_a_nested_skill_that_appears_is_noticed(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    catalogue = project.catalogue()
    assert catalogue.get("a").system_prompt == "Do it."
    project.write("skills/team/s/SKILL.md", "Now.")
    assert catalogue.get("a").system_prompt.endswith("Now.")


# files beside a skill


@pytest.mark.parametrize("beside", ["reference.md", "scripts/run.py", "data.csv"])
def test_the_agent_is_told_where_a_skills_own_files_lie(project: Project, beside: str) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    folder = project.write("skills/s/SKILL.md", "See it.").parent
    project.write(f"skills/s/{beside}", "x")
    definition = project.catalogue().get("a")
    assert definition.system_prompt.endswith(
        f"# Skill: s\n\nThis skill's own files are in {folder}; names of files below are relative "
        "to it.\n\nSee it."
    )
    assert definition.readable_folders == (folder,)


def test_a_skill_without_files_brings_no_path_into_the_prompt(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/s/SKILL.md", "Alone.")
    definition = project.catalogue().get("a")
    assert str(project.base) not in definition.system_prompt
    assert definition.readable_folders == ()


def test_the_variable_for_a_skills_folder_is_replaced(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    folder = project.write("skills/s/SKILL.md", "Run ${CLAUDE_SKILL_DIR}/x.py.").parent
    assert f"Run {folder}/x.py." in project.catalogue().get("a").system_prompt


def test_what_is_in_the_files_beside_a_skill_changes_nothing(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/s/SKILL.md", "See it.")
    project.write("skills/s/data.csv", "1")
    catalogue = project.catalogue()
    before = catalogue.get("a")
    project.write("skills/s/data.csv", "2")
    assert catalogue.get("a").digest == before.digest


# what a skill asks for


@pytest.mark.parametrize(
    ("tools", "asked", "lacking"),
    [
        ("tools: Read", "Bash(python3 *) Read", "Bash(python3 *)"),
        ("tools: Read, Bash", "Bash(python3 *) Read", None),
        ("tools: Bash(git *)", "Bash(python3 *)", "Bash(python3 *)"),
        ("tools: '*'", "WebFetch", None),
        ("color: red", "[Read, Grep, Write]", None),
        ("color: red", "Bash", "Bash"),
    ],
)
def test_tools_that_a_skill_wants_and_its_agent_lacks_are_a_warning(
    project: Project, tools: str, asked: str, lacking: str | None
) -> None:
    path = project.write("agents/a.md", agent("a", "skills: s", tools))
    skill = project.write("skills/s/SKILL.md", f"---\nname: s\nallowed-tools: {asked}\n---\nx")
    warnings = project.catalogue().get("a").warnings
    if lacking is None:
        assert warnings == ()
        return
    (warning,) = warnings
    assert (warning.path, warning.line, warning.key) == (skill, 3, "allowed-tools")
    assert f"may not use {lacking}; " in warning.message
    assert str(path) in warning.message


@pytest.mark.parametrize("text", ["Status: !`git status`", "```!\ngit status\n```"])
def test_a_command_in_a_skill_is_not_run_and_that_is_told(project: Project, text: str) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("skills/s/SKILL.md", text)
    definition = project.catalogue().get("a")
    (warning,) = definition.warnings
    assert "is not run" in warning.message
    assert text in definition.system_prompt


def test_a_skill_with_broken_frontmatter_is_used_with_a_warning(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s"))
    skill = project.write("skills/s/SKILL.md", "---\nname: [\n---\nText.")
    definition = project.catalogue().get("a")
    (warning,) = definition.warnings
    assert (warning.path, definition.system_prompt.endswith("Text.")) == (skill, True)


# memory


@pytest.mark.parametrize(
    ("scope", "folder"),
    [
        ("user", "home/.claude/agent-memory/a"),
        ("project", "project/.claude/agent-memory/a"),
        ("local", "project/.claude/agent-memory-local/a"),
    ],
)
def test_an_agent_with_a_memory_is_told_where_it_is(
    project: Project, scope: str, folder: str
) -> None:
    project.write("agents/a.md", agent("a", f"memory: {scope}"))
    prompt = project.catalogue().get("a").system_prompt
    assert prompt.startswith("Do it.\n\n# Memory\n\n")
    assert f"\n{project.base / folder}\n" in prompt


def test_what_is_in_the_memory_does_not_change_the_prompt(project: Project) -> None:
    project.write("agents/a.md", agent("a", "memory: project"))
    catalogue = project.catalogue()
    before = catalogue.get("a")
    project.write("agent-memory/a/MEMORY.md", "A note.")
    assert catalogue.get("a") == before
