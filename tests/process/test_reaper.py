"""Adopting and reaping: each in a program of its own, since a subreaper stays one for life."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.trees import DEADLINE_S, PRELUDE

ROOT = Path(__file__).resolve().parents[2]

BODY = """
import psutil
import trio
from pathlib import Path
from supervisor.process import (
    Child, Command, become_subreaper, end_everything_below, reap_adopted_forever, scan,
)

def program(code):
    return (sys.executable, '-S', '-c', f'PRELUDE = {PRELUDE!r}\\n' + PRELUDE + code)

async def start(code, tag='a tag'):
    env = {'PATH': os.environ['PATH']}
    tag = f'{tag} of {os.getpid()}'  # a tree is found by it, and other tests run beside this one
    child = await Child.start(Command(program(code), Path.cwd(), env, 'REAPER_TEST_TAG', tag))
    line = b''
    while b'\\n' not in line:
        more = await child.stdout.receive_some(1000)
        assert more
        line += more
    return child, [int(word) for word in line.split()]

def state(pid):
    seen = scan().get(pid)
    return 'gone' if seen is None else 'zombie' if seen.zombie else 'alive'

async def until(condition):
    while not condition():
        await trio.sleep(0.01)

async def limited():
    try:
        with trio.fail_after(%s):
            await main()
    finally:
        for left in psutil.Process().children(recursive=True):
            left.kill()
""" % (DEADLINE_S / 2)


def play(code: str, folder: Path) -> None:
    """Run `async def main()` in a program of its own; fails with what it printed."""
    source = f"PRELUDE = {PRELUDE!r}\n{PRELUDE}{BODY}{code}\ntrio.run(limited)\n"
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")


@linux_only
def test_an_orphan_of_a_subreaper_is_adopted_and_reaped_when_it_ends(tmp_path: Path) -> None:
    play(
        """
async def main():
    assert become_subreaper()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reap_adopted_forever)
        child, (orphan,) = await start('say(*daemon()); stay()')
        assert scan()[orphan].parent == os.getpid()
        os.kill(orphan, signal.SIGKILL)
        await until(lambda: state(orphan) == 'gone')
        assert state(child.pid) == 'alive'
        await child.end()
        nursery.cancel_scope.cancel()
""",
        tmp_path,
    )


@linux_only
def test_an_orphan_that_ended_before_anybody_listened_is_reaped_too(tmp_path: Path) -> None:
    play(
        """
async def main():
    assert become_subreaper()
    child, (orphan,) = await start('say(*daemon()); stay()')
    os.kill(orphan, signal.SIGKILL)
    await until(lambda: state(orphan) == 'zombie')
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reap_adopted_forever)
        await until(lambda: state(orphan) == 'gone')
        await child.end()
        nursery.cancel_scope.cancel()
""",
        tmp_path,
    )


@linux_only
def test_reaping_never_takes_the_exit_status_of_a_child(tmp_path: Path) -> None:
    play(
        """
async def one(number):
    child, _ = await start(f'say(*daemon("say()")); sys.exit({number})', f'tag {number}')
    await child.exited()
    assert await child.end() == number

async def main():
    assert become_subreaper()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reap_adopted_forever)
        for batch in range(0, 20, 5):
            async with trio.open_nursery() as starts:
                for number in range(batch, batch + 5):
                    starts.start_soon(one, number)
        # Nobody of theirs is left, not as a zombie either.
        below = lambda: [s for s in scan().values() if s.parent == os.getpid()]
        await until(lambda: not below())
        nursery.cancel_scope.cancel()
""",
        tmp_path,
    )


@linux_only
def test_the_end_of_everything_finds_daemons_that_scrubbed_their_environment(
    tmp_path: Path,
) -> None:
    play(
        """
async def main():
    assert become_subreaper()
    scrubbed = 'daemon(env={}, start_new_session=True)'
    child, (stray, grandchild) = await start(f'say(*daemon("say(*{scrubbed})", env={{}})); stay()')
    await until(lambda: state(stray) != 'alive')
    await child.end()
    assert state(grandchild) == 'alive'  # by the tag nobody could find it

    assert await end_everything_below() == []
    assert state(grandchild) == state(stray) == 'gone'
""",
        tmp_path,
    )


def test_the_end_of_everything_spares_who_calls_and_who_is_above(tmp_path: Path) -> None:
    play(
        """
async def main():
    assert await end_everything_below() == []
    assert state(os.getpid()) == state(os.getppid()) == 'alive'
""",
        tmp_path,
    )


@linux_only
def test_the_end_of_everything_leaves_the_status_of_a_child_to_its_end(tmp_path: Path) -> None:
    play(
        """
async def main():
    assert become_subreaper()
    child, _ = await start('say(); stay()')
    assert await end_everything_below() == []
    assert await child.end() == -signal.SIGKILL
""",
        tmp_path,
    )


@linux_only
@pytest.mark.parametrize("started", ["run()", "daemon()"])
def test_a_child_that_ended_and_left_nobody_is_reaped_without_a_look_at_the_machine(
    tmp_path: Path, started: str
) -> None:
    play(
        f"STARTED = {started!r}"
        """
from supervisor.process import _kill

def refuse(*_):
    raise AssertionError('somebody looked')

async def main():
    assert become_subreaper()
    other, (below,) = await start(f'say(*{STARTED}); stay()', 'another tag')
    child, _ = await start('say(); sys.exit(3)')
    await child.exited()
    _kill.Census, census = refuse, _kill.Census
    assert await child.end() == 3
    assert state(child.pid) == 'gone'
    assert state(other.pid) == state(below) == 'alive'
    _kill.Census = census
    await other.end()
""",
        tmp_path,
    )


LEFT = """
async def main():
    assert become_subreaper()
    child, (orphan,) = await start('say(*daemon()); sys.exit(3)')
    await child.exited()
    assert state(orphan) == 'alive'
    assert await child.end() == 3
    assert state(orphan) != 'alive'
"""


@linux_only
def test_what_a_child_that_ended_has_left_is_looked_for(tmp_path: Path) -> None:
    play(LEFT, tmp_path)


@linux_only
def test_what_another_has_left_hides_nobody_and_lives_on(tmp_path: Path) -> None:
    play(
        """
async def main():
    assert become_subreaper()
    other, (its_daemon,) = await start('say(*daemon()); stay()', 'another tag')
    child, (orphan,) = await start('say(*daemon()); sys.exit(3)')
    await child.exited()
    assert await child.end() == 3
    assert (state(orphan) != 'alive', state(its_daemon)) == (True, 'alive')
    await other.end()
    assert state(its_daemon) != 'alive'
""",
        tmp_path,
    )


@linux_only
def test_where_our_children_cannot_be_listed_it_is_looked_for_all_the_same(tmp_path: Path) -> None:
    play(
        f"""
from supervisor.process import _reaper

def refuse():
    raise OSError

_reaper._children = refuse
{LEFT}""",
        tmp_path,
    )


@linux_only
def test_who_was_there_before_this_program_is_no_orphan(tmp_path: Path) -> None:
    play(
        """
import subprocess
from supervisor.process import _reaper

async def main():
    with subprocess.Popen(['sleep', '1000']) as before:
        assert become_subreaper()
        child, _ = await start('say(); sys.exit(3)')
        assert _reaper.nobody_was_left(child.pid, 'REAPER_TEST_TAG', None)
        with subprocess.Popen(['sleep', '1000']) as stranger:
            assert not _reaper.nobody_was_left(child.pid, 'REAPER_TEST_TAG', None)
            stranger.kill()
        before.kill()
        await child.end()
""",
        tmp_path,
    )
