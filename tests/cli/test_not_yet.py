"""A pool that holds its lock, and cannot be reached: it is starting, or about to end."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.cli._control import status, tree
from supervisor.cli._failure import CommandError
from supervisor.cli._lock import sign_ending, sign_lock
from supervisor.cli._top import top
from supervisor.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """That of a pool, this process, which has its lock and no socket yet."""
    found = Place(str(tmp_path), {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "s")})
    found.prepare()
    lock = os.open(found.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    sign_lock(lock, found, None)
    yield found
    os.close(lock)


def test_status_says_that_it_is_starting_with_a_status_of_its_own(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(place, as_json=False, starts_s=0.0) == 4
    assert f"the pool (pid {os.getpid()}) is starting" in capsys.readouterr().out


def test_status_says_that_it_is_ending(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    sign_ending(place.lock)

    assert status(place, as_json=True) == 4
    record = json.loads(capsys.readouterr().out)
    assert (record["running"], record["state"], record["code"]) == (True, "ending", "pool_ending")


def test_one_that_ends_is_not_waited_for(place: Place) -> None:
    sign_ending(place.lock)
    began = time.monotonic()

    with pytest.raises(CommandError) as refused:
        tree(place, as_json=False)

    assert (refused.value.status, refused.value.code) == (4, "pool_ending")
    assert time.monotonic() - began < 3


def test_top_says_so_too(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    sign_ending(place.lock)

    assert top(place, once=True, as_json=False) == 4
    assert "is ending" in capsys.readouterr().out
