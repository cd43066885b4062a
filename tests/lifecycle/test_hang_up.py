"""SIGHUP: a daemon reads its files again, a program in a terminal ends with it."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest
import trio

from tests.client import Project, until
from tests.lifecycle.foreground import events, pool_of, serves, until_logged


async def test_a_pool_that_a_relay_started_reads_its_files_again(project: Project) -> None:
    async with project.connect() as client:
        await client.call("list")
        os.kill(pool_of(project), signal.SIGHUP)
        await until_logged(project, "configuration_reloaded")
        assert not (await client.call("list"))["isError"]
    line = next(one for one in project.log_lines() if one["event"] == "configuration_reloaded")
    assert line["why"] == "SIGHUP"
    assert "pool_stopping" not in events(project)


@pytest.mark.skipif(sys.platform != "linux", reason="a terminal is made as Linux has it")
async def test_a_pool_on_a_terminal_of_its_own_ends_with_it_and_not_before(
    project: Project,
) -> None:
    master, slave = pty.openpty()
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", "agent_pool", "run"],
        stdin=slave,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=project.folder,
        env=project.environment(),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    await until(lambda: serves(project), "the pool listens")
    process.send_signal(signal.SIGHUP)
    await until_logged(project, "configuration_reloaded")
    os.close(master)
    with trio.fail_after(60):
        assert await process.wait() == 0
    assert project.log_lines()[-1]["why"] == "SIGHUP"
