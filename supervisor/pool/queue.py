"""The tasks that wait for one agent, and whose turn is next.

The most urgent priority first; within one, callers take turns, so that one who hands over a
hundred tasks does not keep another waiting for all of them; and the tasks of one caller keep their
order. A task that comes back (no process ever had all of it, or it is tried again) is next.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator

from supervisor.pool.outcome import PRIORITIES, Task


class TaskQueue:
    """Not bounded by itself: who puts decides."""

    def __init__(self) -> None:
        self._returned: deque[Task] = deque()
        self._lines: dict[str, OrderedDict[str, deque[Task]]] = {
            priority: OrderedDict() for priority in PRIORITIES
        }

    def put(self, task: Task) -> None:
        """Queue a task behind those of its caller, in its priority."""
        line = self._lines[task.priority]
        line.setdefault(task.caller, deque()).append(task)

    def put_back(self, task: Task) -> None:
        """Queue a task before all others."""
        self._returned.appendleft(task)

    def take(self) -> Task | None:
        """The next task that still wants an outcome, out of the queue; None: there is none."""
        while self:
            task = self._next()
            if task.outcome is None:
                return task
        return None

    def forget_settled(self) -> None:
        """Drop the tasks that have an outcome already."""
        self._returned = deque(_open(self._returned))
        for line in self._lines.values():
            for caller, tasks in list(line.items()):
                line[caller] = deque(_open(tasks))
                if not line[caller]:
                    del line[caller]

    def place(self, task: Task) -> int | None:
        """How many would be taken until `task` is, if none came or went: 1 is next; None: it is
        not here."""
        if task in self._returned:
            return self._returned.index(task) + 1
        before = len(self._returned)
        for priority, line in self._lines.items():
            if priority == task.priority:
                turn = _turn(line, task)
                return None if turn is None else before + turn
            before += sum(map(len, line.values()))
        return None

    def __iter__(self) -> Iterator[Task]:
        """In no promised order but that of one caller in one priority."""
        yield from self._returned
        for line in self._lines.values():
            for tasks in line.values():
                yield from tasks

    def __len__(self) -> int:
        return len(self._returned) + sum(
            len(tasks) for line in self._lines.values() for tasks in line.values()
        )

    def __bool__(self) -> bool:
        return bool(self._returned) or any(self._lines.values())

    def _next(self) -> Task:
        if self._returned:
            return self._returned.popleft()
        line = next(line for line in self._lines.values() if line)
        caller, tasks = next(iter(line.items()))
        task = tasks.popleft()
        if tasks:
            line.move_to_end(caller)  # the others' turn
        else:
            del line[caller]
        return task


def _turn(line: "OrderedDict[str, deque[Task]]", task: Task) -> int | None:
    """Its place among those of one priority, whose callers take turns."""
    own = line.get(task.caller, ())
    if task not in own:
        return None
    rounds = own.index(task)
    callers = list(line)
    ahead = callers.index(task.caller)
    # Who is ahead in the line has had one turn more by then.
    others = sum(
        min(len(line[caller]), rounds + (at < ahead))
        for at, caller in enumerate(callers)
        if caller != task.caller
    )
    return others + rounds + 1


def _open(tasks: "deque[Task]") -> Iterator[Task]:
    return (task for task in tasks if task.outcome is None)
