"""Dying with this program, and a cgroup for each child, where the machine has such."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.process import Child, _cgroup, _launcher, end_subtree, scan, use_cgroups
from tests.process.trees import DEADLINE_S, Stage, eventually

ROOT = Path(__file__).resolve().parents[2]

# dying with this program

KILLS_ITSELF = """
import os, signal, sys, trio
from pathlib import Path
from supervisor.process import Child, Command

async def main():
    argv = ("sleep", "1000")
    child = await Child.start(Command(argv, Path.cwd(), {"PATH": os.environ["PATH"]}, "T", "t"))
    while b"sleep" not in Path(f"/proc/{child.pid}/comm").read_bytes():
        await trio.sleep(0.001)
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

trio.run(main)
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
async def test_a_child_dies_with_the_program_that_is_killed() -> None:
    done = subprocess.run(  # noqa: ASYNC221 - nothing else is to happen meanwhile
        [sys.executable, "-c", KILLS_ITSELF],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    pid = int(done.stdout)
    await eventually(lambda: pid not in scan() or scan()[pid].zombie)


async def test_without_setpriv_it_starts_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_launcher, "_setpriv", lambda: None)
    child = await stage.start("sh", "-c", "exit 3")
    await child.exited()
    assert await child.end() == 3


async def test_a_script_without_its_interpreter_is_named(stage: Stage) -> None:
    program = stage.folder / "script"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with pytest.raises(FileNotFoundError, match="script"):
        await Child.start(stage.command([str(program)]))


# a cgroup of its own


@pytest.fixture
def subtree() -> Iterator[Path]:
    """Where children have their cgroups during the test."""
    path = use_cgroups(f"test-{uuid.uuid4().hex}")
    if path is None:
        pytest.skip("no writable cgroup v2 here")
    yield path
    end_subtree(path)
    assert not path.exists()


def leaves(subtree: Path) -> list[Path]:
    return [path for path in subtree.iterdir() if path.is_dir()]


SCRUBBED = "say(*daemon(env={}, start_new_session=True)); stay()"


async def test_a_daemon_that_scrubbed_its_environment_goes_with_its_child_alone(
    stage: Stage, subtree: Path
) -> None:
    child, (scrubbed,) = await stage.start_program(SCRUBBED)
    other, (neighbour,) = await stage.start_program(SCRUBBED)
    assert len(leaves(subtree)) == 2

    await child.end()
    assert stage.alive() == {other.pid, neighbour}
    assert scrubbed not in stage.alive()


@pytest.mark.usefixtures("subtree")
async def test_strangers_are_found_by_it_too(stage: Stage) -> None:
    child, _ = await stage.start_program(SCRUBBED)

    assert await child.end_strangers() == []
    assert stage.alive() == {child.pid}


@pytest.mark.usefixtures("subtree")
async def test_what_forks_faster_than_anybody_looks_is_gone(stage: Stage) -> None:
    # Each process forks the next, which has no tag and no parent by the time that it is seen.
    chain = "os.environ.clear(); say()\\nwhile os.fork() == 0: os.setsid()"
    child, _ = await stage.start_program(f"say(*run({chain!r}, env={{}})[:0]); stay()")
    leaf = child._leaf
    assert leaf is not None
    await child.end()
    assert not leaf.path.exists()


async def test_its_leaf_goes_with_it(stage: Stage, subtree: Path) -> None:
    child = await stage.start("sleep", "1000")
    assert len(leaves(subtree)) == 1
    await child.end()
    assert leaves(subtree) == []


async def test_a_start_that_fails_leaves_no_leaf(stage: Stage, subtree: Path) -> None:
    with pytest.raises(ValueError, match="null byte"):
        await Child.start(stage.command(["true", "a\0b"]))
    assert leaves(subtree) == []


async def test_what_a_program_left_in_its_subtree_is_ended(stage: Stage, subtree: Path) -> None:
    child, (scrubbed,) = await stage.start_program(SCRUBBED)
    assert end_subtree(subtree) == {child.pid, scrubbed}
    await stage.gone()  # the fixture sees that the subtree has gone, too


def test_without_a_place_for_it_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cgroup, "_own", lambda: Path("/proc/self/nowhere"))
    assert use_cgroups("test") is None
