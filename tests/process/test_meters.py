"""Sampling whole trees again and again: who counts, how much, and what it holds on to."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from supervisor.process import (
    Child,
    ProcessId,
    TreeMeters,
    _measure,
    _scan,
    kill_exactly,
    measure_trees,
)
from supervisor.process._cgroup import leaf_name
from tests.process.trees import (
    DEADLINE_S,
    MAIN_THREAD_ENDS,
    TAG_VARIABLE,
    Stage,
    eventually,
    first_line,
    is_stopped,
    program,
)

SIZE = 64 << 20

GROW = f"""
import mmap

def hold():
    held = mmap.mmap(-1, {SIZE}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held.write(bytes({SIZE}))
    return held
"""

HOLD = f"{GROW}held = hold()\nsay()\nstay()\n"

WHO = {
    "the leader": "held = hold()",
    "a child": f"run({HOLD!r})",
    "a grandchild": f"run({f'run({HOLD!r}); say(); stay()'!r})",
    "a session of its own": f"run({HOLD!r}, start_new_session=True)",
    "a daemon": f"daemon({HOLD!r})",
    "a session without the tag": f"run({HOLD!r}, start_new_session=True, env={{}})",
    "a child of another thread": (
        f"import threading; t = threading.Thread(target=run, args=({HOLD!r},)); t.start(); t.join()"
    ),
}
"""Who grows, once told to → how."""


@pytest.fixture
def meters() -> Iterator[TreeMeters]:
    meters = TreeMeters(TAG_VARIABLE)
    yield meters
    meters.close()


def size(meters: TreeMeters, child: Child) -> int:
    meters.refresh()
    return meters.size_bytes(child.tag)


async def start_told(stage: Stage, then: str) -> Child:
    """A program that does `then` once it reads a line, and says so."""
    code = f"{GROW}say()\nsys.stdin.readline()\n{then}\nsay()\nstay()"
    child, _ = await stage.start_program(code)
    return child


async def tell(child: Child) -> None:
    await child.stdin.send_all(b"\n")
    await first_line(child)


# who counts


@pytest.mark.parametrize("then", WHO.values(), ids=WHO.keys())
async def test_growth_is_seen_wherever_in_the_tree_it_is(
    stage: Stage, meters: TreeMeters, then: str
) -> None:
    child = await start_told(stage, then)
    meters.follow({child.tag: child.pid})
    before = size(meters, child)
    await tell(child)

    assert SIZE <= size(meters, child) - before < 2 * SIZE


async def test_growth_of_those_who_are_known_is_seen_without_looking_for_others(
    stage: Stage, meters: TreeMeters
) -> None:
    child = await start_told(stage, "held = hold()")
    meters.follow({child.tag: child.pid})
    before = size(meters, child)
    await tell(child)

    assert meters.size_bytes(child.tag) - before >= SIZE


async def test_bystanders_and_other_trees_do_not_count(stage: Stage, meters: TreeMeters) -> None:
    child = await stage.start("sleep", "1000")
    meters.follow({child.tag: child.pid})
    before = size(meters, child)
    for env in ({f"X{TAG_VARIABLE}": child.tag}, {"NOTE": f"{TAG_VARIABLE}={child.tag}"}):
        other = await stage.start(*program(HOLD), env=env)
        await first_line(other)

    assert size(meters, child) == pytest.approx(before, abs=SIZE // 8)


async def test_each_tree_has_its_own_size(stage: Stage, meters: TreeMeters) -> None:
    small, _ = await stage.start_program("say(); stay()")
    large, _ = await stage.start_program(f"say(*run({HOLD!r})); stay()")
    meters.follow({child.tag: child.pid for child in (small, large)})

    assert size(meters, small) < SIZE < size(meters, large)


async def test_a_tree_that_is_followed_later_counts_with_those_it_has_by_then(
    stage: Stage, meters: TreeMeters
) -> None:
    one, _ = await stage.start_program("say(); stay()")
    two, _ = await stage.start_program(f"say(*daemon({HOLD!r})); stay()")
    meters.follow({one.tag: one.pid})
    size(meters, one)
    meters.follow({one.tag: one.pid, two.tag: two.pid})

    assert size(meters, two) > SIZE


async def test_who_has_left_its_parent_and_its_tag_behind_still_counts_once_it_was_seen(
    stage: Stage, meters: TreeMeters
) -> None:
    # Its parent ends, so that it descends from nobody in the tree.
    orphan = f"say(*run({HOLD!r}, start_new_session=True, env={{}})); sys.stdin.readline()"
    child, _ = await stage.start_program(
        f"say(*run({orphan!r}, start_new_session=True, env={{}})); sys.stdin.readline(); stay()"
    )
    meters.follow({child.tag: child.pid})
    size(meters, child)
    parent = next(one for one in stage.told.values() if one.pid != child.pid)
    kill_exactly(parent)
    await stage.gone(parent.pid)

    assert size(meters, child) > SIZE


async def test_who_is_found_by_nothing_else_is_found_by_its_cgroup(
    stage: Stage, meters: TreeMeters, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = await stage.start("sleep", "1000")
    other, _ = await stage.start_program(HOLD)
    inside = {other.pid: ["", "pool", leaf_name(child.tag)]}
    monkeypatch.setattr(_measure, "uses_cgroups", lambda: True)
    monkeypatch.setattr(_scan, "in_cgroups", lambda pid: inside.get(pid, []))
    meters.follow({child.tag: child.pid})

    assert size(meters, child) > SIZE


async def test_a_program_that_is_just_being_started_is_looked_at_again(
    stage: Stage, meters: TreeMeters, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, (pid,) = await stage.start_program(f"say(*daemon({HOLD!r})); stay()")
    meters.follow({child.tag: child.pid})
    with monkeypatch.context() as patch:
        environment = _scan._environment
        patch.setattr(_scan, "_environment", lambda one: [b""] if one == pid else environment(one))
        assert size(meters, child) < SIZE

    assert size(meters, child) > SIZE


async def test_without_proc_the_same_trees_have_the_same_members(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, pids = await stage.start_program(f"say(*run({HOLD!r}), *daemon({HOLD!r})); stay()")
    monkeypatch.setattr(_scan, "HAS_PROC", False)
    meters = TreeMeters(TAG_VARIABLE)
    meters.follow({child.tag: child.pid})

    assert size(meters, child) > 2 * SIZE
    found = meters.memory(child.tag).processes
    assert {one.pid for one in found} == {child.pid, *pids}


# how much


async def test_the_figures_name_the_biggest_first(stage: Stage) -> None:
    child, (pid,) = await stage.start_program(f"say(*run({HOLD!r})); stay()")
    memory = await child.memory()

    assert [one.pid for one in memory.processes] == [pid, child.pid]
    assert memory.processes[0].own_bytes > SIZE > memory.processes[1].own_bytes
    assert memory.processes[0].name.startswith("python")


FORK = f"""{GROW}
held = hold()
ours, its = os.pipe()
pid = os.fork()
if pid == 0:
    sys.stdin.readline()
    held[:] = b'x' * {SIZE}
    say()
    stay()
say(pid)
stay()
"""


async def test_what_a_fork_has_in_common_is_counted_once_until_it_is_written_to(
    stage: Stage, meters: TreeMeters
) -> None:
    child, _ = await stage.start_program(FORK)
    meters.follow({child.tag: child.pid})
    meters.refresh()
    assert SIZE < meters.memory(child.tag).size_bytes < 1.5 * SIZE
    await tell(child)

    assert 2 * SIZE < meters.memory(child.tag).size_bytes < 2.5 * SIZE


VFORK = f"""{GROW}
import ctypes, time
held = hold()
# The parent stays in the call as long as the child lives, and never sees what that does to it.
if ctypes.PyDLL(None).vfork() == 0:
    say()
    time.sleep(1000)
"""


async def test_what_a_vfork_borrows_is_counted_once(stage: Stage, meters: TreeMeters) -> None:
    child, _ = await stage.start_program(VFORK)
    meters.follow({child.tag: child.pid})
    meters.refresh()

    assert meters.size_bytes(child.tag) > 2 * SIZE
    assert SIZE < meters.memory(child.tag).size_bytes < 1.5 * SIZE


async def test_memory_counts_though_the_main_thread_has_ended(
    stage: Stage, meters: TreeMeters
) -> None:
    code = MAIN_THREAD_ENDS.replace("say()", "held = hold(); say()")
    child, _ = await stage.start_program(GROW + code)
    meters.follow({child.tag: child.pid})

    assert size(meters, child) > SIZE


# what it holds on to


async def test_who_has_ended_counts_no_longer(stage: Stage, meters: TreeMeters) -> None:
    child, (pid,) = await stage.start_program(f"say(*run({HOLD!r})); stay()")
    meters.follow({child.tag: child.pid})
    assert size(meters, child) > SIZE
    kill_exactly(stage.told[pid])
    await stage.gone(pid)

    assert meters.size_bytes(child.tag) < SIZE


async def test_every_descriptor_is_given_back(stage: Stage, meters: TreeMeters) -> None:
    before = len(os.listdir("/proc/self/fd"))
    child, (pid,) = await stage.start_program("say(*run()); stay()")
    child_has = len(os.listdir("/proc/self/fd"))
    meters.follow({child.tag: child.pid})
    size(meters, child)
    assert len(os.listdir("/proc/self/fd")) == child_has + 2

    kill_exactly(stage.told[pid])
    await stage.gone(pid)
    size(meters, child)
    assert len(os.listdir("/proc/self/fd")) == child_has + 1
    meters.follow({})
    assert len(os.listdir("/proc/self/fd")) == child_has > before


@pytest.mark.parametrize("descriptors", [0, 1])
async def test_who_gets_no_descriptor_is_measured_all_the_same(
    stage: Stage, descriptors: int
) -> None:
    child, _ = await stage.start_program(f"say(*run({HOLD!r}), *run({HOLD!r})); stay()")
    before = len(os.listdir("/proc/self/fd"))
    meters = TreeMeters(TAG_VARIABLE, descriptors)
    meters.follow({child.tag: child.pid})

    assert 2 * SIZE < size(meters, child) < 3 * SIZE
    assert len(os.listdir("/proc/self/fd")) == before + descriptors
    meters.close()


async def test_where_no_descriptor_is_left_those_who_are_known_are_still_sampled(
    stage: Stage, meters: TreeMeters, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = await start_told(stage, "held = hold()")
    meters.follow({child.tag: child.pid})
    before = size(meters, child)
    await tell(child)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            meters.refresh()
        assert meters.size_bytes(child.tag) - before >= SIZE
        assert meters.memory(child.tag).size_bytes - before >= SIZE


async def test_who_is_new_while_no_descriptor_is_left_is_found_later(
    stage: Stage, meters: TreeMeters, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, _ = await stage.start_program(f"say(*daemon({HOLD!r})); stay()")
    meters.follow({child.tag: child.pid})

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            meters.refresh()

    assert size(meters, child) > SIZE


# only its own


async def test_a_pid_that_another_process_has_now_does_not_count(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, _ = await stage.start_program(HOLD)
    meters = TreeMeters(TAG_VARIABLE, descriptors=0)
    meters.follow({child.tag: child.pid})
    assert size(meters, child) > SIZE
    look = _scan.look

    def reused(pid: int) -> _scan.Seen | None:
        seen = look(pid)
        return seen and _scan.Seen(ProcessId(pid, seen.id.started + 1), seen.parent, seen.zombie)

    monkeypatch.setattr(_scan, "look", reused)
    assert meters.size_bytes(child.tag) == 0


REUSE = """
import os, sys
from supervisor.process import TreeMeters

def fork(env):
    pid = os.fork()
    if pid == 0:
        code = 'import time; held = bytearray(b"x") * (64 << 20); print(flush=True); time.sleep(9)'
        os.execve(sys.executable, [sys.executable, '-S', '-c', code], env)
    return pid

ours, its = os.pipe()
os.dup2(its, 1)
leader = fork({'TAG': 'tree'})
os.read(ours, 1)
meters = TreeMeters('TAG')
meters.follow({'tree': leader})
meters.refresh()
sizes = [meters.size_bytes('tree')]
os.kill(leader, 9)
os.waitpid(leader, 0)
with open('/proc/sys/kernel/ns_last_pid', 'w') as file:
    file.write(str(leader - 1))
stranger = fork({})
os.read(ours, 1)
sizes.append(meters.size_bytes('tree'))
meters.refresh()
sizes.append(meters.size_bytes('tree'))
meters.freeze('tree')
with open(f'/proc/{stranger}/stat') as file:
    state = file.read().split()[2]
print(stranger == leader, sizes[0] > 64 << 20, sizes[1:], state != 'T', file=sys.stderr)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can have a pid given out again")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_the_pid_of_one_that_has_gone_is_nobody_elses(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        ["unshare", "-pf", "--kill-child", "--mount-proc", sys.executable, "-c", REUSE],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"there are no pid namespaces here: {done.stderr}")

    assert done.stderr == "True True [0, 0] True\n"


# stopping


async def test_all_of_a_tree_stops_where_it_is_and_nobody_else(
    stage: Stage, meters: TreeMeters
) -> None:
    other = await stage.start("sleep", "1000")
    child, pids = await stage.start_program("say(*run(), *daemon()); stay()")
    meters.follow({child.tag: child.pid})
    meters.refresh()
    meters.freeze(child.tag)

    await eventually(lambda: all(map(is_stopped, (child.pid, *pids))))
    assert not is_stopped(other.pid)
    with trio.fail_after(DEADLINE_S):
        assert await child.end() == -signal.SIGKILL
    assert stage.alive() == {other.pid}


# one look


async def test_one_look_keeps_no_descriptor(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")
    before = len(os.listdir("/proc/self/fd"))
    measure_trees(TAG_VARIABLE, {child.tag: child.pid})

    assert len(os.listdir("/proc/self/fd")) == before
