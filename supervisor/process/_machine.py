"""The state of the machine: how hard it is pressed, what is left, whether a process is stopped."""

import signal
from contextlib import suppress

import psutil


def pressure() -> float:
    """Percent of the last ten seconds in which somebody waited for CPU or memory, 0 to 100.

    0 where the kernel does not tell (no PSI: macOS, older Linux).
    """
    return max(_average("/proc/pressure/cpu"), memory_pressure())


def memory_pressure() -> float:
    """The same for memory alone."""
    return _average("/proc/pressure/memory")


def available_bytes() -> int:
    """Bytes of memory that programs can still have, without swapping."""
    # A quarter of what psutil takes, which reads all of that file.
    with suppress(OSError), open("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    available: int = psutil.virtual_memory().available
    return available


def is_stopped(pid: int) -> bool:
    """Whether the process has been stopped by a signal or a debugger; False where it is gone."""
    try:
        status: str = psutil.Process(pid).status()
    except psutil.Error:
        return False
    return status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


def is_dying(pid: int) -> bool:
    """Whether SIGKILL waits for the process, or it has ended and is not reaped.

    Such a process runs no instruction of its own any more, but may still take what it was waiting
    to read. False where the kernel does not tell.
    """
    try:
        with open(f"/proc/{pid}/status") as file:
            facts = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return False
    pending = int(facts.get("SigPnd", "0"), 16) | int(facts.get("ShdPnd", "0"), 16)
    return bool(pending & 1 << signal.SIGKILL - 1) or facts.get("State", "").startswith(("Z", "X"))


def _average(path: str) -> float:
    # some avg10=1.53 avg60=0.87 avg300=0.29 total=123456
    try:
        with open(path) as file:
            words = file.readline().split()
    except OSError:
        return 0.0
    return next((float(w.removeprefix("avg10=")) for w in words if w.startswith("avg10=")), 0.0)
