from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from supervisor.agents import _disk
from supervisor.agents._disk import MAX_FILE_BYTES, Absent, Disk, FileBytes, Listing, Unreadable


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reading is trusted at once, as if the last change were long ago."""
    monkeypatch.setattr(_disk, "_TICK_NS", -(10**15))
    monkeypatch.setattr(_disk, "_COARSE_TICK_NS", -(10**15))


def data(disk: Disk, path: Path) -> bytes:
    content = disk.look(str(path))
    assert isinstance(content, FileBytes)
    return content.data


@pytest.mark.usefixtures("settled")
def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"x")
    disk = Disk()
    content = disk.look(str(tmp_path / "a"))
    monkeypatch.setattr(_disk, "_read", None)
    assert disk.look(str(tmp_path / "a")) is content


@pytest.mark.usefixtures("settled")
def test_an_edit_that_keeps_size_and_modification_time_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    os.utime(path, ns=(0, 0))
    disk = Disk()
    assert data(disk, path) == b"x"
    (tmp_path / "b").write_bytes(b"y")
    os.utime(tmp_path / "b", ns=(0, 0))
    (tmp_path / "b").replace(path)
    assert data(disk, path) == b"y"


def test_a_second_edit_within_one_tick_of_the_file_clock_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    info = path.stat()
    now = time.time_ns()
    same = (now, now, info.st_size, info.st_ino, info.st_dev, info.st_mode)
    monkeypatch.setattr(_disk, "_stamp", lambda _: same)
    disk = Disk()
    assert data(disk, path) == b"x"
    path.write_bytes(b"y")
    assert data(disk, path) == b"y"


def test_many_quick_edits_of_equal_size_are_all_seen(tmp_path: Path) -> None:
    path, disk = tmp_path / "a", Disk()
    for number in range(300):
        path.write_bytes(b"%03d" % number)
        assert data(disk, path) == b"%03d" % number


def test_a_file_that_was_only_touched_keeps_its_content_object(tmp_path: Path) -> None:
    path, disk = tmp_path / "a", Disk()
    path.write_bytes(b"x")
    content = disk.look(str(path))
    os.utime(path, ns=(1, 1))
    assert disk.is_unchanged([(str(path), content)])


def test_what_is_not_there_is_seen_when_it_appears(tmp_path: Path) -> None:
    path, disk = tmp_path / "folder" / "a", Disk()
    missing = disk.look(str(path))
    assert missing == Absent()
    path.parent.mkdir()
    path.write_bytes(b"x")
    assert not disk.is_unchanged([(str(path), missing)])
    assert data(disk, path) == b"x"


def test_a_folder_lists_markdown_and_folders_without_hidden_entries(tmp_path: Path) -> None:
    for name in ("b.md", "A.MD", "c.txt", ".#b.md", "._b.md"):
        (tmp_path / name).touch()
    (tmp_path / "d.md").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "gone.md").symlink_to("nowhere")
    listing = Disk().look(str(tmp_path))
    assert listing == Listing(("A.MD", "b.md", "gone.md"), ("d.md",), has_others=True)


def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.md")
    content = Disk().look(str(tmp_path / "a.md"))
    assert isinstance(content, Unreadable)
    assert "regular file" in content.problem


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.md").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    content = Disk().look(str(tmp_path / "a.md"))
    assert isinstance(content, Unreadable)
    assert str(MAX_FILE_BYTES) in content.problem


def test_a_link_to_itself_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.md").symlink_to("a.md")
    content = Disk().look(str(tmp_path / "a.md"))
    assert isinstance(content, Unreadable)
    assert "cannot be read" in content.problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_can_be_read_once_it_is_given(tmp_path: Path) -> None:
    path, disk = tmp_path / "a.md", Disk()
    path.write_bytes(b"x")
    path.chmod(0)
    assert isinstance(disk.look(str(path)), Unreadable)
    path.chmod(0o600)
    assert data(disk, path) == b"x"
