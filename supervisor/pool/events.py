"""What happens in the pool, as typed values: logs and live views are readers of these."""

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Self


@dataclass(frozen=True)
class PoolEvent:
    """Something that happened to one agent."""

    agent: str
    """Its name."""
    worker: str | None = field(default=None, kw_only=True)
    """Which of its workers it concerns, as the tree knows it: agent#number."""
    task_id: str | None = field(default=None, kw_only=True)
    """The task that it concerns, or that was in hand."""
    attempt: int | None = field(default=None, kw_only=True)
    """Which attempt at that task, counted from 1."""

    level = "info"
    """How much it matters to somebody who reads the log."""

    @property
    def kind(self) -> str:
        """What it is called in the log: `agent_down`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def defined_as(self) -> str:
        """The name of the agent's definition: that of a conversation is its agent's."""
        return self.agent.partition("@")[0]

    def told_by(self, worker: str, task_id: str | None, attempt: int | None) -> Self:
        """The same, with what its worker knows; what it says itself stays."""
        return replace(
            self,
            worker=self.worker or worker,
            task_id=self.task_id or task_id,
            attempt=self.attempt or attempt,
        )

    def fields(self) -> dict[str, object]:
        """The values, by name, without those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class WorkerStarted(PoolEvent):
    """A process was started, or a spare was taken."""

    pid: int
    spare: bool | None = None


@dataclass(frozen=True)
class WorkerReady(PoolEvent):
    """A process answered `initialize`."""

    pid: int
    ready_s: float


@dataclass(frozen=True)
class WorkerExited(PoolEvent):
    """A process is gone, with everything that it started."""

    pid: int
    status: int | None
    planned: bool


@dataclass(frozen=True)
class WorkerRestarted(PoolEvent):
    """The supervisor restarts a worker after an unplanned end."""

    delay_s: float
    reason: str
    level = "warning"


@dataclass(frozen=True)
class WorkerRecycled(PoolEvent):
    """A process is replaced, or ended, as planned."""

    pid: int
    why: str


@dataclass(frozen=True)
class SpareReady(PoolEvent):
    """A process without a role stands by."""

    pid: int


@dataclass(frozen=True)
class SpareEnded(PoolEvent):
    """A process without a role is gone."""

    pid: int
    why: str


@dataclass(frozen=True)
class SpareFailed(PoolEvent):
    """A process without a role cannot be started; it is tried again later."""

    reason: str
    level = "warning"


@dataclass(frozen=True)
class AdmissionWaits(PoolEvent):
    """There is no room for a process: it waits."""

    reason: str
    level = "warning"


@dataclass(frozen=True)
class BudgetExceeded(PoolEvent):
    """All processes together take too much, and all of them work: the biggest is recycled next."""

    limit_bytes: int
    used_bytes: int
    size_bytes: int
    level = "warning"


@dataclass(frozen=True)
class WorkerHung(PoolEvent):
    """A process answers nothing: it is killed."""

    pid: int
    reason: str
    level = "warning"


@dataclass(frozen=True)
class SpawnDelayed(PoolEvent):
    """The machine had no room for a process for a moment; it is tried again."""

    reason: str
    delay_s: float
    level = "warning"


@dataclass(frozen=True)
class AgentDown(PoolEvent):
    """An agent's supervisor has given up."""

    reason: str
    level = "error"


@dataclass(frozen=True)
class TaskQueued(PoolEvent):
    """A task was accepted."""

    size: int
    level = "debug"


@dataclass(frozen=True)
class TaskStarted(PoolEvent):
    """A task's line goes to a process."""

    pid: int


@dataclass(frozen=True)
class PermissionAsked(PoolEvent):
    """The agent wants to use a tool, and a person is asked; the task's clock stands still."""

    pid: int
    tool: str
    detail: str


@dataclass(frozen=True)
class PermissionAnswered(PoolEvent):
    """What came of it: allowed once, allowed for the task, denied, or withdrawn."""

    pid: int
    tool: str
    detail: str
    answer: str
    seconds: float
    reason: str | None = None


@dataclass(frozen=True)
class PermissionsBypassed(PoolEvent):
    """A process was started that asks for no permission: it may do anything."""

    pid: int
    level = "warning"


@dataclass(frozen=True)
class TaskRetried(PoolEvent):
    """A task was cut off, and is queued again, before all others."""

    reason: str
    level = "warning"


@dataclass(frozen=True)
class TaskEnded(PoolEvent):
    """A task has its outcome."""

    outcome: str
    waited_s: float
    ran_s: float
    pid: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class ContextReset(PoolEvent):
    """The context was cleared, with evidence; or could not be, so the process is replaced."""

    pid: int
    by: str
    seconds: float
    level = "debug"


@dataclass(frozen=True)
class CeilingCrossed(PoolEvent):
    """A process tree has grown past a ceiling."""

    pid: int
    ceiling: str
    limit_bytes: int
    size_bytes: int
    level = "warning"


@dataclass(frozen=True)
class TemporaryFull(PoolEvent):
    """The temporary folder has grown past its limit: the process is recycled after the task."""

    pid: int
    limit_bytes: int
    size_bytes: int
    level = "warning"


@dataclass(frozen=True)
class LedgerFailed(PoolEvent):
    """The ledger cannot be written: no task is accepted; it concerns every agent."""

    reason: str
    level = "error"


@dataclass(frozen=True)
class ConfigurationReloaded(PoolEvent):
    """Files have been changed, and what they say is in force; it concerns every agent."""

    why: str
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    agents_changed: bool


@dataclass(frozen=True)
class ConfigurationRefused(PoolEvent):
    """Files have been changed, and are wrong: what was in force stays; it concerns every agent."""

    why: str
    problems: tuple[str, ...]
    level = "error"


@dataclass(frozen=True)
class TasksInterrupted(PoolEvent):
    """A pool before this one was killed with tasks in hand; it concerns every agent."""

    ended: int
    run_again: int
    level = "warning"


@dataclass(frozen=True)
class SweepFailed(PoolEvent):
    """Memory could not be measured this time; it concerns every agent."""

    reason: str
    level = "error"


@dataclass(frozen=True)
class Dropped(PoolEvent):
    """Something that a process printed and that belongs to nothing."""

    pid: int
    what: str
    detail: str
    number: int
    level = "warning"


@dataclass(frozen=True)
class ServerFailed(PoolEvent):
    """An MCP server of a process could not be started or reached; it goes on without."""

    pid: int
    server: str
    reason: str
    level = "warning"


@dataclass(frozen=True)
class StderrLine(PoolEvent):
    """A line that a process printed on its stderr."""

    pid: int
    line: str
