"""Looking at processes: by /proc, and by psutil where there is none."""

import os
import shutil

import pytest
import trio

from supervisor.process import Child, _scan, find_tree, kill_exactly, scan, tagged
from supervisor.process._scan import (
    Census,
    Seen,
    births,
    descendants,
    look,
    memory_of,
    newcomers,
    scan_younger,
)
from tests.process.trees import DEADLINE_S, MAIN_THREAD_ENDS, TAG_VARIABLE, Stage


@pytest.fixture(params=["proc", "psutil"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How processes are looked at; children are to be started after this."""
    monkeypatch.setattr(_scan, "HAS_PROC", request.param == "proc")
    return str(request.param)


async def exited(child: Child) -> None:
    with trio.fail_after(DEADLINE_S):
        await child.exited()


def seen(pid: int) -> Seen:
    found = look(pid)
    assert found is not None
    return found


@pytest.mark.usefixtures("way")
def test_a_scan_finds_ourselves_and_our_parent() -> None:
    everyone = scan()

    assert everyone[os.getpid()].parent == os.getppid()
    assert os.getppid() in everyone


@pytest.mark.usefixtures("way")
async def test_a_scan_finds_a_child_below_us_alive(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")

    found = scan()[child.pid]
    assert found.parent == os.getpid()
    assert not found.zombie
    assert found == look(child.pid)


@pytest.mark.usefixtures("way")
async def test_a_process_that_ended_unreaped_is_a_zombie(stage: Stage) -> None:
    child = await stage.start("true")
    await exited(child)

    assert seen(child.pid).zombie


@pytest.mark.usefixtures("way")
async def test_nobody_is_seen_where_nobody_is(stage: Stage) -> None:
    child = await stage.start("true")
    await child.end()

    assert look(child.pid) is None
    assert child.pid not in scan()


@pytest.mark.usefixtures("way")
async def test_a_programs_name_may_hold_brackets_and_blanks(stage: Stage) -> None:
    sleep = shutil.which("sleep")
    assert sleep
    # The kernel keeps fifteen bytes of a name.
    program = stage.folder / "a) S (name) 1 2"
    program.symlink_to(sleep)
    child = await stage.start(str(program), "1000")

    assert seen(child.pid).parent == os.getpid()


@pytest.mark.usefixtures("way")
async def test_two_looks_agree_on_who_it_is_and_two_processes_differ(stage: Stage) -> None:
    one, two = await stage.start("sleep", "1000"), await stage.start("sleep", "1000")

    assert seen(one.pid).id == seen(one.pid).id != seen(two.pid).id


@pytest.mark.usefixtures("way")
async def test_the_tag_is_found_with_its_whole_value_only(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")
    tag = stage.tag_of(child)

    assert tagged(TAG_VARIABLE, tag, scan()) == {child.pid}
    assert tagged(TAG_VARIABLE, tag[:-1], scan()) == set()
    assert tagged(TAG_VARIABLE[1:], tag, scan()) == set()


@pytest.mark.usefixtures("way")
async def test_a_tree_is_found_by_tag_and_by_descent_and_ended(stage: Stage) -> None:
    code = "say(*run(), *daemon(), *run(env={}, start_new_session=True)); stay()"
    child, pids = await stage.start_program(code)

    assert find_tree(TAG_VARIABLE, stage.tag_of(child), child.pid).keys() == {child.pid, *pids}
    with trio.fail_after(DEADLINE_S):
        await child.end()
    assert stage.alive() == set()


@pytest.mark.usefixtures("way")
async def test_a_zombie_is_no_part_of_a_tree(stage: Stage) -> None:
    child = await stage.start("true")
    await exited(child)

    assert find_tree(TAG_VARIABLE, stage.tag_of(child), child.pid) == {}


@pytest.mark.usefixtures("way")
async def test_the_very_process_is_killed(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")
    kill_exactly(seen(child.pid).id)

    await exited(child)


@pytest.mark.usefixtures("way")
async def test_memory_is_counted_and_that_of_the_gone_is_not(stage: Stage) -> None:
    child, gone = await stage.start("sleep", "1000"), await stage.start("true")
    await gone.end()

    assert sum(memory_of(child.pid)) > 0
    assert memory_of(gone.pid) == (0, 0)


async def test_both_ways_see_the_same_parents(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, pids = await stage.start_program("say(*run(), *daemon()); stay()")
    ours = [child.pid, *pids]
    by_proc = [(seen(pid).parent, seen(pid).zombie) for pid in ours]
    monkeypatch.setattr(_scan, "HAS_PROC", False)

    assert [(seen(pid).parent, seen(pid).zombie) for pid in ours] == by_proc


def test_descent_is_followed_over_generations_and_not_beyond() -> None:
    parents = {2: 1, 3: 2, 4: 3, 5: 1, 6: 5}
    among = {p: Seen(_scan.ProcessId(p, 0.0), parent, False) for p, parent in parents.items()}

    assert descendants({2}, among) == {3, 4}
    assert descendants({2, 5}, among) == {3, 4, 6}
    assert descendants({4}, among) == set()


def test_descent_ends_where_reused_pids_make_a_circle() -> None:
    parents = {2: 3, 3: 2}
    among = {p: Seen(_scan.ProcessId(p, 0.0), parent, False) for p, parent in parents.items()}

    assert descendants({2}, among) == {2, 3}


# looking at few


async def test_children_are_among_the_younger_and_the_first_process_is_not(stage: Stage) -> None:
    child, pids = await stage.start_program("say(*run(), *daemon()); stay()")
    younger = scan_younger()

    assert {child.pid, *pids} <= younger.keys()
    assert 1 not in younger


async def test_a_pid_that_an_older_process_had_is_looked_at(stage: Stage) -> None:
    scan_younger()
    child = await stage.start("sleep", "1000")
    _scan._older.add((str(child.pid), 1))  # whoever had that pid had another inode

    assert child.pid in scan_younger()


async def test_who_is_known_is_not_looked_at_again_and_who_has_gone_is_told(stage: Stage) -> None:
    child, other = await stage.start("sleep", "1000"), await stage.start("sleep", "1000")
    first, _ = newcomers(set())
    assert {child.pid, other.pid} <= {seen.id.pid for seen in first.values()}
    await other.end()
    another = await stage.start("sleep", "1000")
    new, gone = newcomers(set(first))

    pids = {seen.id.pid for seen in new.values()}
    assert another.pid in pids
    assert child.pid not in pids
    assert str(other.pid) in {name for name, _ in gone}


async def test_a_birth_makes_a_look_uncertain(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = births()
    census = Census(younger=True)
    await stage.start("sleep", "1000")

    assert before is not None
    assert births() not in (before, None)
    assert not census.missed_nobody()
    monkeypatch.setattr(_scan, "births", lambda: 1)  # there are others on this machine
    assert Census(younger=True).missed_nobody()


async def test_where_births_are_not_counted_no_look_is_certain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_scan, "births", lambda: None)

    assert not Census(younger=True).missed_nobody()


async def test_a_program_that_is_being_started_makes_a_look_uncertain(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = await stage.start("sleep", "1000")
    monkeypatch.setattr(_scan, "births", lambda: 1)
    environment = _scan._environment
    monkeypatch.setattr(
        _scan, "_environment", lambda pid: [b""] if pid == child.pid else environment(pid)
    )
    census = Census(younger=True)
    census.tags(TAG_VARIABLE)

    assert not census.missed_nobody()


async def test_a_main_thread_that_ended_before_the_others_is_no_zombie(stage: Stage) -> None:
    child, _ = await stage.start_program(MAIN_THREAD_ENDS)

    assert not seen(child.pid).zombie
