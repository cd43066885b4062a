"""Which project a client belongs to."""

from pathlib import Path

import pytest

from supervisor.place import find_root


def folder(path: Path) -> str:
    path.mkdir(parents=True, exist_ok=True)
    return str(path.resolve())


@pytest.mark.parametrize("mark", [".claude", ".git"])
def test_the_nearest_folder_upwards_with_a_mark_is_the_root(tmp_path: Path, mark: str) -> None:
    folder(tmp_path / ".git")
    project = folder(tmp_path / "a" / "project")
    folder(Path(project) / mark)
    below = folder(Path(project) / "src" / "deep")

    assert find_root({"HOME": "/nowhere"}, below) == project


def test_without_a_mark_the_current_folder_is_the_root(tmp_path: Path) -> None:
    here = folder(tmp_path / "plain")
    assert find_root({"HOME": "/nowhere"}, here) == here


def test_what_the_client_names_goes_before_every_mark(tmp_path: Path) -> None:
    folder(tmp_path / ".git")
    named = folder(tmp_path / "named")
    assert find_root({"CLAUDE_PROJECT_DIR": named, "HOME": "/nowhere"}, str(tmp_path)) == named


def test_the_claude_folder_of_the_home_makes_it_no_project(tmp_path: Path) -> None:
    folder(tmp_path / ".claude")
    project = folder(tmp_path / "project")
    assert find_root({"HOME": str(tmp_path)}, project) == project


def test_a_home_under_git_is_a_project(tmp_path: Path) -> None:
    folder(tmp_path / ".git")
    below = folder(tmp_path / "notes")
    assert find_root({"HOME": str(tmp_path)}, below) == str(tmp_path.resolve())


def test_links_lead_to_the_same_root(tmp_path: Path) -> None:
    project = folder(tmp_path / "project")
    folder(Path(project) / ".git")
    (tmp_path / "link").symlink_to(project)
    assert find_root({"HOME": "/nowhere"}, str(tmp_path / "link")) == project
