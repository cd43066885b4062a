"""A clock that counts bytes: how much any tree of processes can have grown at most.

To be sure that a tree is below a ceiling, it need not be looked at: between two looks it has not
grown by more than the whole machine has handed out. The kernel counts that, for everybody at
once, in one file. So where little happens, the clock hardly moves, and nobody need be sampled.
Where much happens it moves as if one tree had taken all of it, at an assumed greatest speed. Where
the kernel does not count, it always moves at that speed.

Memory that is mapped without being handed out, as the pages of a file that is cached already, is
not counted.
"""

import os

from supervisor.process import _scan

_PAGE = os.sysconf("SC_PAGE_SIZE")
_COUNTERS = "/proc/vmstat"


class GrowthClock:
    """Counts the bytes that one tree can have grown by."""

    def __init__(self, slope: int, now: float) -> None:
        """`slope`: bytes a second that no tree exceeds; `now`: on the clock that `read` goes by."""
        self._slope = slope
        self._now = now
        self._bytes = 0
        self._file = _open_counters()
        self._allocated = self._read_allocated()

    def read(self, now: float) -> int:
        """The bytes at `now`: no tree has grown by more than the difference of two readings."""
        most = int((now - self._now) * self._slope)
        allocated = self._read_allocated()
        if allocated is not None and self._allocated is not None:
            most = min(most, allocated - self._allocated)
        self._now, self._allocated = now, allocated
        self._bytes += max(most, 0)
        return self._bytes

    @property
    def handed_out(self) -> int | None:
        """Bytes that the kernel had handed out, to everybody, when it was read last.

        None: it does not count them.
        """
        return self._allocated

    def close(self) -> None:
        """Give the descriptor back; the clock goes by time alone from here on."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read_allocated(self) -> int | None:
        """Bytes that the kernel has handed out since the machine was started."""
        if self._file is None:
            return None
        try:
            counters = os.pread(self._file, 1 << 16, 0)
        except OSError:
            return None
        # pgalloc_dma 0, pgalloc_normal 178011061, … : pages, by the zone that they are in.
        pages, at = 0, counters.find(b"pgalloc_")
        while counters.startswith(b"pgalloc_", at):
            end = counters.index(b"\n", at)
            pages += int(counters[at:end].split()[1])
            at = end + 1
        return pages * _PAGE if pages else None


def _open_counters() -> int | None:
    if not _scan.HAS_PROC:
        return None
    try:
        return os.open(_COUNTERS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
