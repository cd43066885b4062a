"""SIGKILL in the middle: each accept that returned, and each outcome that was written, is there."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.ledger import TaskFilter
from tests.ledger.stage import opened

PROGRAM = """
import os, sys, time, trio
from pathlib import Path
from supervisor.ledger import Ledger, TaskRecord

folder = Path(sys.argv[1])

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

async def caller(ledger, name):
    for number in range(1_000_000):
        task_id = f"t-{name}-{number}"
        await ledger.accept(TaskRecord(task_id, "agent", time.time()), "text of " + task_id)
        say("accepted", task_id)
        ledger.started(task_id, os.getpid())
        if number % 3:
            ledger.ended(task_id, "result", reply="reply to " + task_id, reply_in_file=number % 2)
            if number % 5 == 0:
                await ledger.written(task_id)
                say("ended", task_id)

async def main():
    async with await Ledger.open(folder / "ledger.sqlite", folder / "replies") as ledger:
        async with trio.open_nursery() as nursery:
            for name in "abcdefgh":
                nursery.start_soon(caller, ledger, name)

trio.run(main)
"""


@pytest.mark.parametrize("lines", [1, 40, 400])
async def test_what_a_killed_program_was_told_is_there(tmp_path: Path, lines: int) -> None:
    said = killed_after(lines, tmp_path)
    accepted = {name for what, name in said if what == "accepted"}
    ended = {name for what, name in said if what == "ended"}
    async with opened(tmp_path) as ledger:
        await ledger.check()
        known = {record.id for record in await ledger.tasks(limit=1_000_000)}
        assert accepted <= known
        # Of each caller's tasks one may have been on its way.
        assert len(known - accepted) <= 8
        for name in accepted:
            assert await ledger.text_of(name) == f"text of {name}"
        for name in ended:
            assert await ledger.reply_of(name) == f"reply to {name}"


async def test_what_it_left_open_is_interrupted(tmp_path: Path) -> None:
    said = killed_after(100, tmp_path)
    async with opened(tmp_path) as ledger:
        found = await ledger.interrupt_open("It was killed.")
        outcomes = {record.id: record.outcome for record in await ledger.tasks(limit=1_000_000)}

        # Every third one has no outcome, and nobody knows of one that was on its way.
        assert found.ended
        assert set(outcomes.values()) == {"result", "interrupted"}
        assert all(outcomes[name] == "result" for what, name in said if what == "ended")
        assert await ledger.tasks(TaskFilter(state="running")) == ()
        assert await ledger.tasks(TaskFilter(state="queued")) == ()


def killed_after(lines: int, folder: Path) -> list[tuple[str, str]]:
    """Run the program until it has said so much, and kill it; all that it has said."""
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        said = [program.stdout.readline() for _ in range(lines)]
        program.kill()
        said += program.stdout.readlines()
    assert program.returncode == -signal.SIGKILL
    return [(what, name) for what, _, name in (line.strip().partition(" ") for line in said)]
