"""The watch: a hint soon after each kind of change, by inotify and without."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from supervisor.pool import watch as watch_module
from supervisor.pool.watch import LOOK_EVERY_S, Watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

WITHIN_S = 10.0
"""Less than what a look without a hint takes, by far more than a hint does."""


def write(folder: Path) -> None:
    (folder / "agents" / "one.md").write_text("new")


def replace(folder: Path) -> None:
    (folder / "one.tmp").write_text("new")
    (folder / "one.tmp").replace(folder / "agents" / "one.md")


def remove(folder: Path) -> None:
    (folder / "agents" / "one.md").unlink()


def add(folder: Path) -> None:
    (folder / "agents" / "two.md").write_text("new")


def make_what_was_missing(folder: Path) -> None:
    (folder / "config").mkdir()


def move_the_folder_away(folder: Path) -> None:
    (folder / "agents").rename(folder / "away")


def edit_what_a_link_leads_to(folder: Path) -> None:
    (folder / "elsewhere" / "linked.md").write_text("new")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("agents", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "agents" / "one.md").write_text("old")
    (tmp_path / "elsewhere" / "linked.md").write_text("old")
    os.symlink(tmp_path / "elsewhere" / "linked.md", tmp_path / "agents" / "linked.md")
    return tmp_path


def paths(folder: Path) -> list[str]:
    names = ("agents", "agents/one.md", "agents/linked.md", "config/agent-pool/pool.toml")
    return [str(folder / name) for name in names]


@pytest.mark.parametrize(
    "change",
    [
        write,
        replace,
        remove,
        add,
        make_what_was_missing,
        move_the_folder_away,
        edit_what_a_link_leads_to,
    ],
)
async def test_a_change_is_hinted_at(folder: Path, change: Callable[[Path], None]) -> None:
    async with Watch() as watch:
        watch.at(paths(folder))
        change(folder)
        with trio.fail_after(WITHIN_S):
            await watch.hint()


async def test_what_happens_beside_is_no_hint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "LOOK_ANYWAY_EVERY_S", 0.5)
    async with Watch() as watch:
        watch.at(paths(folder))
        (folder / "beside.txt").write_text("new")
        began = trio.current_time()
        await watch.hint()
        assert trio.current_time() - began >= 0.5


async def test_without_inotify_it_is_looked_every_second(
    folder: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    def none_left() -> object:
        raise OSError("no descriptor is left")

    monkeypatch.setattr(watch_module, "_new_inotify", none_left)
    async with Watch() as watch:
        watch.at(paths(folder))
        began = trio.current_time()
        await watch.hint()
        assert trio.current_time() - began == LOOK_EVERY_S
