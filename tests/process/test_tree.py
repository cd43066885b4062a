import errno
import itertools
import os
import signal
from collections.abc import Callable, Iterator

import pytest
import trio

from supervisor.process import (
    Child,
    ProcessId,
    find_tree,
    kill_exactly,
    kill_until_gone,
    measure_trees,
)
from supervisor.process import _scan as scan_module
from supervisor.process._scan import Census, Seen, look
from tests.process.trees import (
    DEADLINE_S,
    MAIN_THREAD_ENDS,
    TAG_VARIABLE,
    Stage,
    eventually,
    is_stopped,
)

IGNORE_TERM = "'signal.signal(15, signal.SIG_IGN); say(); stay()'"

TREES = {
    "a child": "run()",
    "a session of its own": "run(start_new_session=True)",
    "a daemon that was forked twice": "daemon()",
    "a process that ignores TERM": f"run({IGNORE_TERM})",
    "a daemon that ignores TERM": f"daemon({IGNORE_TERM}, start_new_session=True)",
    "a session without the tag": "run(start_new_session=True, env={})",
    "a process whose main thread has ended": f"run({MAIN_THREAD_ENDS!r})",
}
"""What a program leaves behind → how."""

MANY = ", ".join(f"*{started}" for started in TREES.values())


async def ended(child: Child) -> int | None:
    with trio.fail_after(DEADLINE_S):
        return await child.end()


async def exited(child: Child) -> None:
    with trio.fail_after(DEADLINE_S):
        await child.exited()


# the whole tree


@pytest.mark.parametrize("started", TREES.values(), ids=TREES.keys())
async def test_what_a_child_started_is_gone_with_it(stage: Stage, started: str) -> None:
    child, pids = await stage.start_program(f"say(*{started}); stay()")
    assert stage.alive(*pids) == set(pids)

    await ended(child)
    assert stage.alive() == set()


async def test_all_of_it_together_is_gone_when_the_end_is_over(stage: Stage) -> None:
    child, pids = await stage.start_program(f"say({MANY}); stay()")
    assert len(stage.alive(*pids)) == len(TREES)

    await ended(child)
    assert stage.alive() == set()


async def test_suspended_processes_are_gone_too(stage: Stage) -> None:
    child, pids = await stage.start_program("say(*run(), *run(start_new_session=True)); stay()")
    for pid in (*pids, child.pid):
        kill_exactly(stage.told[pid], signal.SIGSTOP)
    await eventually(lambda: all(map(is_stopped, (*pids, child.pid))))

    await ended(child)
    assert stage.alive() == set()


async def test_what_is_born_during_the_end_is_gone_too(stage: Stage) -> None:
    # It starts processes as fast as it can, each in a session of its own.
    code = "say()\nwhile True: subprocess.Popen(['sleep', '1000'], start_new_session=True)"
    child, _ = await stage.start_program(f"say(*run({code!r})); stay()")

    await ended(child)
    assert find_tree(TAG_VARIABLE, stage.tag_of(child), None) == {}


# a leader that ended by itself


async def test_orphans_of_a_leader_that_ended_are_swept_and_it_keeps_its_status(
    stage: Stage,
) -> None:
    child, pids = await stage.start_program("say(*daemon(), *run()); sys.exit(3)")
    await exited(child)
    assert stage.alive() == set(pids)

    assert await ended(child) == 3
    assert stage.alive() == set()


async def test_children_without_the_tag_of_orphans_with_it_are_swept(stage: Stage) -> None:
    untagged = "say(*run(env={}, start_new_session=True)); stay()"
    child, _ = await stage.start_program(f"say(*run({untagged!r}, start_new_session=True))")
    await exited(child)
    assert len(stage.alive()) == 2

    await ended(child)
    assert stage.alive() == set()


async def test_the_group_of_a_leader_that_ended_is_swept_without_the_tag(stage: Stage) -> None:
    child, (pid,) = await stage.start_program("say(*run(env={}))")
    await exited(child)
    assert stage.alive() == {pid}

    await ended(child)
    assert stage.alive() == set()


# only its own tree


async def test_another_child_and_what_it_started_live_on(stage: Stage) -> None:
    other, others = await stage.start_program(f"say({MANY}); stay()")
    child, _ = await stage.start_program(f"say({MANY}); stay()")
    await ended(child)

    assert stage.alive() == {other.pid, *others}


async def test_strangers_with_a_similar_tag_live_on(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")
    tag = stage.tag_of(child)
    strangers = [
        await stage.start("sleep", "1000", env={"SOME_OTHER_NAME": tag}),
        await stage.start("sleep", "1000", env={f"X{TAG_VARIABLE}": tag}),
        await stage.start("sleep", "1000", env={"NOTE": f"{TAG_VARIABLE}={tag}"}),
    ]
    longer = stage.command(["sleep", "1000"])
    longer = type(longer)(longer.argv, longer.cwd, longer.env, TAG_VARIABLE, tag + "0")
    strangers.append(await stage.start_command(longer))
    await ended(child)

    assert stage.alive() == {stranger.pid for stranger in strangers}


async def test_who_looks_is_never_part_of_the_tree(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It carries the tag itself, and so does who started it.
    child = await stage.start("sleep", "1000")
    carriers = {child.pid, os.getpid(), os.getppid()}

    def environment(pid: int) -> list[bytes]:
        return [f"{TAG_VARIABLE}=x".encode()] if pid in carriers else []

    monkeypatch.setattr(scan_module, "_environment", environment)
    found = find_tree(TAG_VARIABLE, "x", None)
    assert {child.pid, os.getppid()} <= found.keys()
    assert os.getpid() not in found


# under cancellation


async def test_an_end_that_is_cancelled_completes(stage: Stage) -> None:
    child, _ = await stage.start_program(f"say({MANY}); stay()")
    with trio.CancelScope() as scope:
        scope.cancel()
        await ended(child)

    assert stage.alive() == set()
    seen = look(child.pid)
    assert seen is None or seen.id != stage.told[child.pid]


async def test_a_start_that_is_cancelled_gives_a_child_that_can_be_ended(stage: Stage) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        child = await stage.start("sleep", "1000")

    assert stage.alive() == {child.pid}
    await ended(child)
    assert stage.alive() == set()


async def test_what_the_kernel_does_not_let_go_is_given_up_and_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = await stage.start("sleep", "1000")
    seen = look(child.pid)
    assert seen is not None
    with monkeypatch.context() as patch, trio.fail_after(DEADLINE_S):
        patch.setattr("supervisor.process._kill.GIVE_UP_S", 0.05)
        patch.setattr("supervisor.process._kill.kill_exactly", lambda _: None)
        assert await kill_until_gone(lambda _: {child.pid: seen}) == [child.pid]


async def test_who_was_found_once_counts_until_it_is_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = await stage.start("sleep", "1000")
    seen = look(child.pid)
    assert seen is not None
    finds = [{child.pid: seen}]  # and never again
    kills: list[Callable[[ProcessId], None]] = [lambda _: None]  # the first one takes its time

    with monkeypatch.context() as patch, trio.fail_after(DEADLINE_S):
        patch.setattr(
            "supervisor.process._kill.kill_exactly",
            lambda who: (kills.pop(0) if kills else kill_exactly)(who),
        )
        assert await kill_until_gone(lambda _: finds.pop() if finds else {}) == []
    assert stage.alive() == set()


@pytest.mark.parametrize(("born", "looks"), [(0, 1), (1, 2)])
async def test_one_look_is_enough_where_nobody_was_born_meanwhile(
    monkeypatch: pytest.MonkeyPatch, born: int, looks: int
) -> None:
    births = itertools.count(step=born)
    monkeypatch.setattr(scan_module, "births", lambda: next(births))
    taken = []

    def find(census: Census) -> dict[int, Seen]:
        taken.append(census)
        return {}

    with trio.fail_after(DEADLINE_S):
        assert await kill_until_gone(find, younger=True) == []
    assert len(taken) == looks


async def test_a_moment_without_descriptors_is_waited_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, _ = await stage.start_program(f"say({MANY}); stay()")
    scandir, refusals = os.scandir, [errno.EMFILE, errno.ENFILE]

    def scarce(path: str) -> Iterator[os.DirEntry[str]]:
        if path == "/proc" and refusals:
            number = refusals.pop()
            raise OSError(number, os.strerror(number))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scarce)
    await ended(child)
    assert refusals == []
    assert stage.alive() == set()


# one process for certain


async def test_exactly_the_process_that_is_meant_is_killed(stage: Stage) -> None:
    child, other = await stage.start("sleep", "1000"), await stage.start("sleep", "1000")
    kill_exactly(stage.told[child.pid])
    await exited(child)

    assert stage.alive() == {other.pid}


@pytest.mark.parametrize("later", [-1.0, 1.0])
async def test_a_pid_that_was_given_to_another_process_is_left_alone(
    stage: Stage, later: float
) -> None:
    child = await stage.start("cat")
    was = stage.told[child.pid]
    kill_exactly(ProcessId(was.pid, was.started + later))
    await child.stdin.aclose()
    await exited(child)

    assert await ended(child) == 0


async def test_a_pid_that_nobody_has_is_no_error(stage: Stage) -> None:
    child = await stage.start("true")
    await ended(child)

    kill_exactly(stage.told[child.pid])


# memory

HOLD = "import mmap; held = mmap.mmap(-1, {size}, {kind}); held.write(bytes({size}))\n"
SIZE = 64 << 20
TOUCH_IN_TWO_MORE = """
pids = []
for _ in range(2):
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        bytes(held)
        os.write(its, b'.')
        stay()
    os.read(ours, 1)
    pids.append(pid)
say(*pids)
stay()
"""


def hold(kind: str) -> str:
    return HOLD.format(size=SIZE, kind=f"mmap.MAP_ANONYMOUS | mmap.{kind}")


def sum_of_residents(pids: list[int]) -> int:
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm") as file:
            total += int(file.read().split()[1]) * page
    return total


async def memory(child: Child) -> int:
    """Bytes of a child's whole tree."""
    with trio.fail_after(DEADLINE_S):
        leaders = {child.tag: child.pid}
        trees = await trio.to_thread.run_sync(measure_trees, TAG_VARIABLE, leaders)
    return trees[child.tag].size_bytes


async def test_shared_pages_are_counted_once(stage: Stage) -> None:
    child, pids = await stage.start_program(hold("MAP_SHARED") + TOUCH_IN_TWO_MORE)

    residents = sum_of_residents([child.pid, *pids])
    size = await memory(child)
    assert residents > 3 * SIZE
    assert SIZE < size < 2 * SIZE
    assert size < residents - 2 * SIZE + SIZE // 2


async def test_memory_of_their_own_is_added_up(stage: Stage) -> None:
    code = hold("MAP_PRIVATE") + "say(); stay()"
    child, pids = await stage.start_program(f"say(*run({code!r}), *daemon({code!r})); stay()")

    assert len(pids) == 2
    assert 2 * SIZE < await memory(child) < 3 * SIZE


async def test_a_tree_that_has_ended_takes_no_memory(stage: Stage) -> None:
    child = await stage.start("true")
    await exited(child)
    assert await memory(child) == 0

    await ended(child)
    assert await memory(child) == 0
