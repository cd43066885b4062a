"""What the kernel tells of a process."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.process._machine import is_dying, is_stopped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells it")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"], stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_that_runs_is_neither_dying_nor_stopped(
    process: subprocess.Popen[bytes],
) -> None:
    assert not is_dying(process.pid)
    assert not is_stopped(process.pid)


def test_a_process_is_dying_from_the_moment_of_its_kill_until_it_is_reaped(
    process: subprocess.Popen[bytes],
) -> None:
    process.send_signal(signal.SIGKILL)
    assert is_dying(process.pid)
    assert process.stdout is not None
    process.stdout.read()  # it has ended
    assert is_dying(process.pid)
    process.wait()
    assert not is_dying(process.pid)
