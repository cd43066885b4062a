import errno
import os
import signal
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from supervisor.process import Child, Command
from supervisor.process._scan import look
from tests.process.trees import DEADLINE_S, TAG_VARIABLE, Stage, all_of, first_line

PRINT_ENVIRONMENT = "import os, sys; sys.stdout.write(ascii(dict(os.environ)))"


async def ended(child: Child) -> int | None:
    """End it within the deadline."""
    with trio.fail_after(DEADLINE_S):
        return await child.end()


async def exited(child: Child) -> None:
    """Wait for its exit within the deadline."""
    with trio.fail_after(DEADLINE_S):
        await child.exited()


# start, exit, status


@pytest.mark.parametrize("status", [0, 1, 7, 255])
async def test_a_child_that_ended_by_itself_keeps_its_exit_status(
    stage: Stage, status: int
) -> None:
    child = await stage.start("sh", "-c", f"exit {status}")
    await exited(child)

    assert await ended(child) == status


async def test_a_child_that_a_signal_ended_has_its_number_as_a_negative_status(
    stage: Stage,
) -> None:
    child = await stage.start("sh", "-c", "kill -TERM $$")
    await exited(child)

    assert await ended(child) == -signal.SIGTERM


async def test_a_child_that_has_to_be_ended_is_killed(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")

    assert await ended(child) == -signal.SIGKILL


async def test_after_its_exit_a_pid_is_kept_until_the_end_and_then_given_back(
    stage: Stage,
) -> None:
    child = await stage.start("true")
    await exited(child)
    before = look(child.pid)
    await ended(child)

    assert before is not None
    assert before.zombie
    after = look(child.pid)
    assert after is None or after.id != before.id


async def test_ending_twice_gives_the_same_status(stage: Stage) -> None:
    child = await stage.start("sh", "-c", "exit 5")
    await exited(child)

    assert [await ended(child), await ended(child)] == [5, 5]


async def test_the_exit_is_told_to_every_waiter(stage: Stage) -> None:
    child = await stage.start("cat")
    told: list[int] = []

    async def wait(number: int) -> None:
        await exited(child)
        told.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        assert told == []
        await child.stdin.aclose()

    assert sorted(told) == [0, 1, 2]


async def test_the_exit_is_told_also_afterwards(stage: Stage) -> None:
    child = await stage.start("true")
    await exited(child)
    await exited(child)
    await ended(child)

    await exited(child)


async def test_who_waits_for_the_exit_learns_that_it_was_ended(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(exited, child)
        await trio.testing.wait_all_tasks_blocked()
        await ended(child)


async def test_waiting_for_the_exit_can_be_cancelled(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")

    with trio.fail_after(DEADLINE_S), trio.move_on_after(0.01) as scope:
        await child.exited()
    assert scope.cancelled_caught
    assert stage.alive(child.pid)


# pipes


async def test_what_is_written_is_read_and_what_is_printed_comes_back(stage: Stage) -> None:
    child = await stage.start("sh", "-c", "cat; echo problem >&2")
    with trio.fail_after(DEADLINE_S):
        await child.stdin.send_all(b"hello")
        await child.stdin.aclose()

    assert await all_of(child.stdout) == b"hello"
    assert await all_of(child.stderr) == b"problem\n"


async def test_megabytes_pass_both_ways_at_once(stage: Stage) -> None:
    data = os.urandom(3_000_000)
    child = await stage.start("cat")

    async def write() -> None:
        await child.stdin.send_all(data)
        await child.stdin.aclose()

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            back = await all_of(child.stdout)
    assert back == data


async def test_writing_to_a_child_that_has_ended_is_a_broken_pipe(stage: Stage) -> None:
    child = await stage.start("true")
    await exited(child)

    with trio.fail_after(DEADLINE_S), pytest.raises(trio.BrokenResourceError):
        await child.stdin.send_all(b"x" * 100_000)


async def test_the_last_words_of_a_child_can_be_read_after_its_exit(stage: Stage) -> None:
    child = await stage.start("echo", "farewell")
    await exited(child)

    assert await all_of(child.stdout) == b"farewell\n"


async def test_a_reader_learns_that_the_end_closed_its_pipe(stage: Stage) -> None:
    child = await stage.start("sleep", "1000")

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            # Its copy of the pipe lives in another program: no end of file will come.
            await child.stdout.receive_some(10)

    holder = os.open(f"/proc/{child.pid}/fd/1", os.O_WRONLY)
    try:
        with trio.fail_after(DEADLINE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                await child.end()
    finally:
        os.close(holder)


async def test_no_other_child_holds_the_pipes_open(stage: Stage) -> None:
    first = await stage.start("cat")
    await stage.start("sleep", "1000")
    await first.stdin.aclose()

    await exited(first)


async def test_starts_and_ends_leak_no_descriptor(stage: Stage) -> None:
    await ended(await stage.start("true"))  # what is opened once and for all
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        child = await stage.start("true" if number % 2 else "cat")
        if number % 3:
            await child.stdin.aclose()
            await exited(child)
        await ended(child)

    assert len(os.listdir("/proc/self/fd")) == before


# what it is started with


async def test_its_environment_is_what_was_given_and_the_tag(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "not for it")
    command = stage.command(
        [sys.executable, "-S", "-c", PRINT_ENVIRONMENT], env={"GREETING": "hélène"}
    )
    child = await Child.start(command)
    printed = await all_of(child.stdout)
    await ended(child)

    wanted = {**command.env, TAG_VARIABLE: command.tag}
    # What Python adds by itself, where it has no locale.
    assert eval(printed) | {"LC_CTYPE": ""} == wanted | {"LC_CTYPE": ""}


async def test_it_runs_in_its_folder_as_the_leader_of_a_session(stage: Stage) -> None:
    folder = stage.folder / "a folder"
    folder.mkdir()
    code = "import os; print(os.getcwd(), os.getsid(0) == os.getpgid(0) == os.getpid(), sep='|')"
    child = await stage.start_command(stage.command([sys.executable, "-S", "-c", code], cwd=folder))
    line = await first_line(child)
    await ended(child)

    assert line.decode() == f"{folder}|True"


async def test_it_inherits_no_descriptor_but_its_pipes(stage: Stage) -> None:
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        # 3 is the listing's own.
        child = await stage.start(
            sys.executable, "-S", "-c", "import os; print(*os.listdir('/proc/self/fd'))"
        )
        assert set((await first_line(child)).split()) == {b"0", b"1", b"2", b"3"}
    finally:
        os.close(reader)
        os.close(writer)


# failures to start


def tagged_anywhere(command: Command) -> bool:
    """Some process carries the command's tag."""
    wanted = f"{TAG_VARIABLE}={command.tag}".encode()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{name}/environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            return True
    return False


async def assert_leaves_nothing(command: Command, error: type[Exception]) -> str:
    """Starting it raises `error`, which leaves no process and no descriptor; its message."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(error) as raised:
        await Child.start(command)
    assert not tagged_anywhere(command)
    assert len(os.listdir("/proc/self/fd")) == before
    return str(raised.value)


async def test_a_program_that_is_not_there_is_named(stage: Stage) -> None:
    command = stage.command(["/no/such/program"])

    assert "/no/such/program" in await assert_leaves_nothing(command, FileNotFoundError)


async def test_a_folder_that_is_not_there_is_named(stage: Stage) -> None:
    command = stage.command(["true"], cwd=stage.folder / "gone")

    assert "gone" in await assert_leaves_nothing(command, FileNotFoundError)


async def test_a_program_that_may_not_be_run_is_named(stage: Stage) -> None:
    program = stage.folder / "no program"
    program.write_text("")
    command = stage.command([str(program)])

    assert "no program" in await assert_leaves_nothing(command, PermissionError)


async def test_a_zero_byte_in_an_argument_is_refused(stage: Stage) -> None:
    await assert_leaves_nothing(stage.command(["true", "a\0b"]), ValueError)


async def test_a_zero_byte_in_a_variable_is_refused(stage: Stage) -> None:
    await assert_leaves_nothing(stage.command(["true"], env={"NAME": "a\0b"}), ValueError)


async def test_a_start_that_lacks_descriptors_at_the_last_moment_leaves_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_fd: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", none_left)
        await assert_leaves_nothing(stage.command(["sleep", "1000"]), OSError)


async def test_after_a_failed_start_the_next_one_works(stage: Stage) -> None:
    with pytest.raises(FileNotFoundError):
        await Child.start(stage.command(["/no/such/program"]))

    assert await first_line(await stage.start("echo", "fine")) == b"fine"
