from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.agents import (
    AgentDefinition,
    BrokenAgent,
    BrokenDefinition,
    Catalogue,
    UnknownAgent,
    _disk,
)

from .conftest import Project, agent, findings_of


def names(catalogue: Catalogue) -> list[tuple[str, bool]]:
    """Every agent and whether it can be used."""
    return [(record.name, isinstance(record, AgentDefinition)) for record in catalogue.all()]


def test_a_definition_has_all_that_its_file_says(project: Project) -> None:
    path = project.write("agents/a.md", agent("a", "tools: [Read]", "model: opus"))
    definition = project.catalogue().get("a")
    assert definition.description == "Does it."
    assert definition.system_prompt == "Do it."
    assert (definition.tools, definition.model) == (("Read",), "opus")
    assert (definition.source, definition.origin) == (path, "project")


def test_folders_below_are_searched_too(project: Project) -> None:
    project.write("agents/team/deep/a.md", agent("a"))
    assert project.catalogue().get("a").name == "a"


def test_the_identifier_is_the_frontmatters_name(project: Project) -> None:
    project.write("agents/file.md", agent("a"))
    catalogue = project.catalogue()
    assert catalogue.get("a").warnings == ()
    with pytest.raises(UnknownAgent):
        catalogue.get("file")


def test_the_first_folder_that_defines_a_name_wins(project: Project) -> None:
    project.write("agents/a.md", agent("a", body="project"))
    project.write("home/agents/other.md", agent("a", body="user"))
    project.write("built-in/agents/b.md", agent("b"))
    catalogue = project.catalogue()
    assert catalogue.get("a").system_prompt == "project"
    assert [record.origin for record in catalogue.all()] == ["project", "built-in"]


def test_a_broken_agent_does_not_give_way_to_a_later_folder(project: Project) -> None:
    project.write("agents/a.md", "---\nname: [\n---\n")
    project.write("home/agents/a.md", agent("a"))
    findings_of(project.catalogue(), "a")


def test_two_equal_names_in_one_folder_are_an_error_that_names_both(project: Project) -> None:
    one = project.write("agents/one.md", agent("a"))
    two = project.write("agents/below/two.md", agent("a"))
    project.write("agents/b.md", agent("b"))
    catalogue = project.catalogue()
    errors = [finding for finding in findings_of(catalogue, "a") if finding.is_error]
    assert {(error.path, error.line, error.key) for error in errors} == {
        (one, 2, "name"),
        (two, 2, "name"),
    }
    assert str(two) in next(error.message for error in errors if error.path == one)
    assert names(catalogue) == [("a", False), ("b", True)]


def test_a_file_edited_to_take_anothers_name_stops_that_name(project: Project) -> None:
    project.write("agents/a.md", agent("a"))
    project.write("agents/b.md", agent("b"))
    catalogue = project.catalogue()
    catalogue.get("a")
    project.write("agents/b.md", agent("a"))
    findings_of(catalogue, "a")


def test_a_file_that_cannot_be_heard_stops_no_agent_of_its_name(project: Project) -> None:
    project.write("agents/a.md", "---\ntools: [\n---\n")
    project.write("agents/b.md", "---\nname: a\nmodel: [\n---\n")
    project.write("agents/c.md", agent("a"))
    catalogue = project.catalogue()
    assert catalogue.get("a").source.name == "c.md"
    assert sorted(names(catalogue)) == [("a", False), ("a", False), ("a", True)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"---\nname: bad\n---\n",
        b"---\nname: bad\nskills: [../agents-evil/x]\n---\nx",
        b"---\nname: bad\n",
        b"---\nname: bad\nname: bad\n---\nx",
        b"\xff\xfe---",
        b"---\nname: ../agents-evil/x\n---\nx",
    ],
)
def test_a_bad_file_stops_its_own_agent_and_no_other(project: Project, content: bytes) -> None:
    bad = project.write("agents/bad.md", content)
    project.write("agents/good.md", agent("good"))
    catalogue = project.catalogue()
    assert catalogue.get("good").name == "good"
    assert names(catalogue) == [("bad", False), ("good", True)]
    assert bad in {finding.path for finding in findings_of(catalogue, "bad")}


def test_the_message_of_a_broken_agent_lists_every_finding(project: Project) -> None:
    path = project.write("agents/a.md", agent("a", "model: 1", "tools: 2", "tols: x"))
    with pytest.raises(BrokenAgent) as caught:
        project.catalogue().get("a")
    message = str(caught.value)
    assert f"error: {path}:4: model: " in message
    assert f"error: {path}:5: tools: " in message
    assert f"error: {path}:6: tols: " in message


def test_an_unknown_agent_comes_with_suggestions_and_folders(project: Project) -> None:
    project.write("agents/code-reviewer.md", agent("code-reviewer"))
    with pytest.raises(UnknownAgent) as caught:
        project.catalogue().get("code-reviwer")
    error = caught.value
    assert error.suggestions == ("code-reviewer",)
    assert error.folders_searched == tuple(path for _, path in project.folders().agents)
    assert 'Did you mean "code-reviewer"?' in str(error)


def test_a_path_is_no_name_of_an_agent(project: Project) -> None:
    project.write("agents-evil/x.md", agent("x"))
    project.write("agents/a.md", agent("a"))
    with pytest.raises(UnknownAgent):
        project.catalogue().get("../agents-evil/x")


def test_no_folder_at_all_means_no_agents(project: Project) -> None:
    assert project.catalogue().all() == []


def test_a_folder_that_appears_later_is_noticed(project: Project) -> None:
    catalogue = project.catalogue()
    assert catalogue.all() == []
    project.write("agents/team/a.md", agent("a"))
    assert catalogue.get("a").name == "a"


def test_an_edit_of_equal_size_is_seen_at_once(project: Project) -> None:
    catalogue = project.catalogue()
    for number in range(100):
        project.write("agents/a.md", agent("a", body=f"{number:03}"))
        assert catalogue.get("a").system_prompt == f"{number:03}"


def test_a_repaired_agent_comes_back_and_a_removed_one_goes(project: Project) -> None:
    path = project.write("agents/a.md", "---\nname: a\n")
    catalogue = project.catalogue()
    findings_of(catalogue, "a")
    project.write("agents/a.md", agent("a"))
    assert catalogue.get("a").name == "a"
    path.unlink()
    with pytest.raises(UnknownAgent):
        catalogue.get("a")


def test_an_unchanged_agent_is_the_same_object(project: Project) -> None:
    project.write("agents/a.md", agent("a"))
    catalogue = project.catalogue()
    first = catalogue.get("a")
    project.write("agents/b.md", agent("b"))
    assert catalogue.get("a") is first


def test_asking_for_an_unchanged_agent_reads_no_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_disk, "_TICK_NS", -(10**15))
    monkeypatch.setattr(_disk, "_COARSE_TICK_NS", -(10**15))
    project.write("agents/a.md", agent("a", "skills: s"))
    project.write("built-in/skills/s/SKILL.md", "x")
    catalogue = project.catalogue()
    first = catalogue.get("a")
    monkeypatch.setattr(_disk, "_read", None)
    assert catalogue.get("a") is first


def test_the_digest_changes_with_all_that_decides_the_process(project: Project) -> None:
    catalogue = project.catalogue()
    digests = set()
    variants: list[tuple[str, ...]] = [
        (),
        ("tools: []",),
        ("tools: Read",),
        ("disallowedTools: Read",),
        ("model: opus",),
        ("permissionMode: plan",),
    ]
    for lines in variants:
        project.write("agents/a.md", agent("a", *lines))
        digests.add(catalogue.get("a").digest)
    project.write("agents/a.md", agent("a", body="Do more."))
    digests.add(catalogue.get("a").digest)
    assert len(digests) == len(variants) + 1


def test_the_digest_does_not_depend_on_place_or_description(project: Project) -> None:
    project.write("agents/a.md", agent("a"))
    project.write("home/agents/deep/b.md", agent("b").replace("Does it.", "Helps."))
    catalogue = project.catalogue()
    assert catalogue.get("a").digest == catalogue.get("b").digest


def test_identical_files_give_identical_bytes_in_every_place(tmp_path: Path) -> None:
    prompts = set()
    for place in ("one", "two/three"):
        project = Project(tmp_path / place)
        project.write("agents/a.md", agent("a", "skills: s", "expertise: e"))
        project.write("skills/s/SKILL.md", "Skill.")
        project.write("expertise/e.md", "Know.")
        prompts.add(project.catalogue().get("a").system_prompt.encode())
    assert len(prompts) == 1


def test_a_definition_of_200_kb_is_read_whole(project: Project) -> None:
    body = "line of text\n" * 16_000
    project.write("agents/a.md", agent("a", body=body))
    assert project.catalogue().get("a").system_prompt == body.rstrip()


def test_a_folder_called_like_an_agent_is_a_folder(project: Project) -> None:
    project.write("agents/x.md/a.md", agent("a"))
    assert names(project.catalogue()) == [("a", True)]


def test_a_link_to_nothing_is_an_error_of_that_agent(project: Project) -> None:
    project.write("agents/a.md", agent("a")).with_name("b.md").symlink_to("nowhere")
    catalogue = project.catalogue()
    (error,) = findings_of(catalogue, "b")
    assert "link to nothing" in error.message
    assert names(catalogue) == [("a", True), ("b", False)]


def test_a_link_back_up_does_not_loop(project: Project) -> None:
    path = project.write("agents/team/a.md", agent("a"))
    (path.parent / "up").symlink_to("..", target_is_directory=True)
    assert names(project.catalogue()) == [("a", True)]


def test_an_agent_with_an_empty_prompt_is_an_error(project: Project) -> None:
    project.write("agents/a.md", agent("a", body=""))
    (error,) = findings_of(project.catalogue(), "a")
    assert "prompt is empty" in error.message


def test_a_skill_alone_is_prompt_enough(project: Project) -> None:
    project.write("agents/a.md", agent("a", "skills: s", body=""))
    project.write("skills/s/SKILL.md", "Skill.")
    assert project.catalogue().get("a").system_prompt == "# Skill: s\n\nSkill."


def test_both_unicode_spellings_find_the_agent(project: Project) -> None:
    project.write("agents/a.md", agent("pru\u0308fer"))
    assert project.catalogue().get("pr\u00fcfer").name == "pr\u00fcfer"


def test_agents_dir_is_the_only_folder(project: Project) -> None:
    project.write("agents/a.md", agent("a"))
    other = project.write("other/b.md", agent("b")).parent
    catalogue = project.catalogue(AGENTS_DIR=str(other))
    assert [(r.name, r.origin) for r in catalogue.all()] == [("b", "AGENTS_DIR")]


def test_a_variable_that_names_no_folder_is_told(project: Project) -> None:
    (finding,) = project.catalogue(SKILLS_DIR="typo").folder_findings()
    assert finding.severity == "warning"
    assert "SKILLS_DIR" in finding.message


def test_a_file_in_the_place_of_a_folder_is_told(project: Project) -> None:
    path = project.write("agents", "not a folder")
    catalogue = project.catalogue()
    assert [finding.path for finding in catalogue.folder_findings()] == [path]
    assert catalogue.all() == []


def test_broken_agents_are_listed_with_their_findings(project: Project) -> None:
    path = project.write("agents/file.md", "---\nname: a\nmodel: [\n---\nx")
    (record,) = project.catalogue().all()
    assert isinstance(record, BrokenDefinition)
    assert (record.name, record.source, record.origin) == ("a", path, "project")
    assert any(finding.is_error for finding in record.findings)
