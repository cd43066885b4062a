"""What can be wrong with a ledger, told to a person: the file, what is the matter, what to do."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final, Literal

Trouble = Literal[
    "damaged", "not_a_ledger", "newer", "read_only", "full", "locked", "missing", "failed", "closed"
]
"""What is wrong, for programs."""

_ADVICE: Final[dict[Trouble, str]] = {
    "damaged": "end the program and move the file away (with its -wal and -shm), or mend it with "
    "sqlite3's .recover; a new one is made at the next start",
    "not_a_ledger": "move it away; a new one is made at the next task",
    "newer": "run the version of the program that made it, or a later one",
    "read_only": "make the file and its folder writable for this user",
    "full": "make room on its disk, or raise the quota or the size limit",
    "locked": "end the other program that has it open",
    "missing": "put it back, or start the program anew: that makes a new one",
    "failed": "see whether its disk is well and has room, and whether the size of files is limited",
    "closed": "nothing more is written",
}

_OF_SQLITE: Final[dict[int, Trouble]] = {
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "not_a_ledger",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_CANTOPEN: "read_only",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
}

_OF_SYSTEM: Final[dict[int, Trouble]] = {
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.ENOENT: "missing",
}


class LedgerError(Exception):
    """The ledger, or a file of it, cannot be used as it was asked to be."""

    def __init__(self, trouble: Trouble, path: str | os.PathLike[str], reason: str) -> None:
        """`reason`: what is wrong with the file at `path`, in a few words."""
        self.trouble: Trouble = trouble
        """What is wrong, for programs."""
        self.path = Path(path)
        """The file."""
        self.reason = reason
        """What is wrong, for people."""
        self.advice = _ADVICE[trouble]
        """What to do about it."""
        super().__init__(f"the ledger {self.path}: {reason}; {self.advice}")


def from_sqlite(path: str | os.PathLike[str], error: sqlite3.Error) -> LedgerError:
    """What an error of SQLite's means for the ledger at `path`."""
    # The low byte is the primary code. Errors of the Python module itself have none.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return LedgerError(_OF_SQLITE.get(code, "failed"), path, str(error))


def from_system(path: str | os.PathLike[str], error: OSError) -> LedgerError:
    """What an error of the system's means for the ledger, or a file of it, at `path`."""
    trouble = _OF_SYSTEM.get(error.errno or 0, "failed")
    return LedgerError(trouble, path, error.strerror or str(error))
