from __future__ import annotations

from pathlib import Path

from supervisor.agents import Folders

ROOT, HOME, BUILT_IN = Path("/p"), Path("/h"), Path("/b")


def resolve(root: Path = ROOT, **environ: str) -> Folders:
    return Folders.resolve(root, environ, HOME, BUILT_IN)


def test_without_variables_project_then_user_then_built_in() -> None:
    assert resolve().skills == (
        ("project", Path("/p/.claude/skills")),
        ("user", Path("/h/.claude/skills")),
        ("built-in", Path("/b/skills")),
    )


def test_a_variable_names_the_only_folder_of_its_kind() -> None:
    folders = resolve(AGENTS_DIR="/x")
    assert folders.agents == (("AGENTS_DIR", Path("/x")),)
    assert folders.skills == resolve().skills


def test_each_variable_stands_on_its_own() -> None:
    folders = resolve(SKILLS_DIR="/s", EXPERTISE_DIR="/e")
    assert folders.agents == resolve().agents
    assert folders.skills == (("SKILLS_DIR", Path("/s")),)
    assert folders.expertise == (("EXPERTISE_DIR", Path("/e")),)


def test_an_empty_variable_counts_as_unset() -> None:
    assert resolve(AGENTS_DIR="") == resolve()


def test_a_relative_folder_starts_from_the_project() -> None:
    assert resolve(AGENTS_DIR="my/agents").agents == (("AGENTS_DIR", Path("/p/my/agents")),)


def test_a_tilde_means_the_home_folder() -> None:
    assert resolve(AGENTS_DIR="~/agents").agents == (("AGENTS_DIR", Path("/h/agents")),)


def test_a_project_in_the_home_folder_is_searched_once() -> None:
    assert [origin for origin, _ in resolve(root=HOME).agents] == ["project", "built-in"]
