"""The tasks in memory: those of which something may still change, or is not on the disk yet."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from supervisor.ledger._changes import Change, Written
from supervisor.ledger._values import TaskRecord
from supervisor.ledger._writer import Batch


@dataclass(eq=False)
class Live:
    """A task in memory."""

    record: TaskRecord
    """Its record as it is now."""
    is_new: bool = False
    """It is being accepted."""
    text: str | None = None
    """Its text, until that is written."""
    reply: str | None = None
    """Its reply, until that is written."""
    reply_in_file: bool = False
    """The reply gets a file of its own."""
    version: int = 0
    """Counts its changes."""
    written: int = 0
    """The version that is on the disk."""
    batch: Batch = field(default_factory=Batch)
    """That of its last change."""

    @property
    def is_unwritten(self) -> bool:
        """Something of it is not on the disk yet."""
        return self.written != self.version

    @property
    def is_settled(self) -> bool:
        """Nothing more is to come of it, and all of it is on the disk."""
        is_over = self.record.state == "ended" and not self.record.attempt_is_open
        return is_over and not self.is_unwritten


class Memory:
    """The live tasks, by id. A task that is settled is forgotten."""

    def __init__(self, put: Callable[[Change], Batch]) -> None:
        """`put` has a change written, and tells in which batch."""
        self._put = put
        self._live: dict[str, Live] = {}

    def get(self, task_id: str) -> Live | None:
        """The live task, if it is one and has been accepted."""
        live = self._live.get(task_id)
        return None if live is None or live.is_new else live

    def find(self, task_id: str) -> Live:
        """The live task.

        Raises:
            ValueError: it is none.
        """
        live = self.get(task_id)
        if live is None:
            raise ValueError(f"{task_id} is not open: it was never accepted here, or has ended")
        return live

    def all(self) -> list[Live]:
        """All live tasks that have been accepted."""
        return [live for live in self._live.values() if not live.is_new]

    def add(self, live: Live) -> Live:
        """Take a task in.

        Raises:
            ValueError: there is one of this id.
        """
        if self._live.setdefault(live.record.id, live) is not live:
            raise ValueError(f"{live.record.id} is not new: a task of this id is open")
        return live

    def changed(self, live: Live, record: TaskRecord) -> TaskRecord:
        """The task has a new record, which is to be written."""
        live.record = record
        live.version += 1
        live.batch = self._put(
            Change(record, live.version, live.is_new, live.text, live.reply, live.reply_in_file)
        )
        return record

    def withdraw(self, live: Live) -> None:
        """Forget a task that was not accepted, on the disk too."""
        self._live.pop(live.record.id, None)
        self._put(Change(live.record, withdrawn=True))

    def confirm(self, written: Written) -> None:
        """A change is on the disk."""
        change = written.change
        live = self._live.get(change.record.id)
        if live is None or change.withdrawn:
            return
        live.is_new = False
        live.written = change.version
        if change.text is not None:
            live.text = None
        if change.reply is not None:
            live.reply = None
            live.record = replace(live.record, reply_path=written.reply_path)
        if live.is_settled or written.duplicate:
            del self._live[change.record.id]

    def put_back(self, change: Change) -> None:
        """A change could not be written: it is written later, but no task is accepted by that."""
        live = self._live.get(change.record.id)
        if change.withdrawn:
            self._put(change)
        elif live is not None and change.is_new:
            self.withdraw(live)
        elif live is not None and live.version == change.version:
            live.batch = self._put(change)
