"""A pool whose state folder somebody removes: it ends, and leaves alone who comes in its place."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from supervisor import relay
from supervisor.cli._lock import Hold, sign_lock, take_lock
from supervisor.place import Place, PlaceError, noted_cgroup
from tests.client import Project
from tests.lifecycle.foreground import foreground


async def test_a_pool_whose_state_folder_was_removed_ends_and_says_why(project: Project) -> None:
    async with foreground(project) as pool:
        shutil.rmtree(project.place.folder)

        assert await pool.exit_status() == 0
        assert f"its state folder {project.place.folder} was removed" in pool.output


async def test_its_end_harms_nobody_in_the_pool_that_has_come_meanwhile(project: Project) -> None:
    async with foreground(project) as old:
        shutil.rmtree(project.place.folder)
        async with project.connect() as client:
            agent = (await client.call("warmup", agent="coder"))["structuredContent"]["pid"]
            await old.exit_status()

            assert psutil.pid_exists(agent)
            assert (await client.agent("coder"))["pid"] == agent
            async with project.connect() as another:  # the socket is there yet
                assert (await another.agent("coder"))["pid"] == agent


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(str(tmp_path), {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "s")})
    found.prepare()
    return found


@pytest.fixture
def hold(place: Place) -> Iterator[Hold]:
    lock = take_lock(place)
    yield Hold(place, lock)
    os.close(lock)


def test_a_place_is_lost_to_the_pool_that_has_a_lock_file_of_its_own(
    place: Place, hold: Hold
) -> None:
    assert hold.loss() is None
    os.unlink(place.lock)
    assert hold.loss() is None
    os.close(take_lock(place))

    assert "another pool has made its own" in (hold.loss() or "")


def test_a_place_is_lost_where_its_folder_was_made_anew(place: Place, hold: Hold) -> None:
    shutil.rmtree(place.folder)
    place.prepare()

    assert hold.loss() == f"its state folder {place.folder} was removed"


def test_cgroups_of_a_places_pools_are_known_by_what_their_names_begin_with(place: Place) -> None:
    for name, is_known in (("", True), ("-0a1b", True), ("0a1b", False), ("/x", False)):
        Path(place.cgroup_note).write_text(f"/cgroup/{place.cgroup}{name}")

        assert (noted_cgroup(place.folder) is not None) == is_known


FULL = "its disk is full: make room there"


def test_a_lock_that_cannot_be_signed_tells_of_the_full_disk(place: Place) -> None:
    with open("/dev/full", "r+b", buffering=0) as full, pytest.raises(PlaceError) as error:
        sign_lock(full.fileno(), place, None)

    assert str(error.value).startswith(f"the state folder {place.folder} cannot be used: No space")
    assert FULL in str(error.value)


def test_a_pool_that_could_leave_no_word_on_a_full_disk_has_it_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: str) -> None:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")

    monkeypatch.setattr(relay, "_write_something", write)

    assert FULL in relay.last_words(place)


def test_a_log_that_is_not_there_is_not_named(place: Place) -> None:
    assert place.log not in relay.last_words(place)
    assert sorted(os.listdir(place.folder)) == ["log"]
