"""What hypothesis makes up for a pool to go through: a script of steps, one after the other."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from hypothesis import strategies as st

ALPHA: Final = "alpha"
"""An agent as it is by default."""
TWINS: Final = "twins"
"""Two workers serve it, and a task whose process dies is tried again."""
BRIEF: Final = "brief"
"""Its process is recycled all the time, its queue is short, and so are its replies."""
CAREFUL: Final = "careful"
"""What a killed pool has left in its queue is run by the next one."""
AGENTS: Final = (ALPHA, TWINS, BRIEF, CAREFUL)

RETRIES: Final = {TWINS: 1}
"""How often a task is tried again."""

CLIENTS: Final = 3

SOON_S: Final = 0.4
"""A deadline that a task may or may not meet."""


class Kind(NamedTuple):
    """What a task makes its process do."""

    name: str
    """In the script."""
    text: str
    """What the task begins with."""
    ends: str = "result"
    """How it ends where nothing else befalls it."""

    def __repr__(self) -> str:
        return f"<{self.name}>"


KINDS: Final = (
    Kind("answer", ""),
    Kind("answer soon", "[[sleep 0.1]]"),
    Kind("answer slowly", "[[slow 0.3]]"),
    Kind("answer at length", "[[size 3000]]"),
    Kind("hang", "[[hang]]", "deadline_exceeded"),
    Kind("crash", "[[crash 3]]", "agent_crashed"),
    Kind("crash soon", "[[sleep 0.1]] [[crash 4]]", "agent_crashed"),
    Kind("fail", "[[error 400]]", "api_error"),
    Kind("hang for good", "[[deaf]] [[ignore-term]] [[hang]]", "deadline_exceeded"),
    Kind("never mind the interrupt", "[[ignore-interrupt]] [[sleep 0.5]]"),
    Kind("answer twice", "[[twice]]"),
    Kind("answer late again", "[[late 0.05]]"),
    Kind("unasked turn", "[[unsolicited]]"),
    Kind("garbage", "[[garbage]]"),
    Kind("grow", "[[grow 90]]"),
    Kind("die after the answer", "[[die-after]]"),
)

Way = Literal["invoke", "invoke for a moment", "submit"]
"""How a task is handed over; for a moment: with `if_longer_than_s`."""


@dataclass(frozen=True)
class Send:
    """A client hands a task over, and does not wait."""

    client: int
    agent: str
    kind: Kind
    way: Way = "invoke"
    timeout_s: float | None = None
    conversation: str | None = None
    priority: str = "normal"


@dataclass(frozen=True)
class SendMany:
    """A client hands over tasks with one call, and does not wait."""

    client: int
    tasks: tuple[tuple[str, Kind], ...]
    max_parallel: int | None


@dataclass(frozen=True)
class Ask:
    """A client calls a tool about the `back`-th last task, as soon as its id is known."""

    client: int
    tool: Literal["cancel", "result", "wait"]
    back: int


@dataclass(frozen=True)
class Withdraw:
    """Whoever made the call of the `back`-th last task cancels it."""

    back: int


@dataclass(frozen=True)
class Await:
    """Nothing is done until the call of the `back`-th last task has its answer."""

    back: int


@dataclass(frozen=True)
class Kill:
    """A process of that agent is killed from outside: one of them, as `choice` says."""

    agent: str
    choice: int


@dataclass(frozen=True)
class Reset:
    """A client resets an agent, or a conversation with it."""

    client: int
    agent: str
    conversation: str | None


@dataclass(frozen=True)
class Leave:
    """A client goes, whatever it waits for; it comes back with its next call."""

    client: int


@dataclass(frozen=True)
class EndPool:
    """The pool is killed, or told to stop; the next call of anybody starts another."""

    how: Literal["SIGKILL", "SIGTERM"]


@dataclass(frozen=True)
class Pause:
    """Nothing is done for so long."""

    seconds: float


Step = Send | SendMany | Ask | Withdraw | Await | Kill | Reset | Leave | EndPool | Pause

WHO = st.integers(0, CLIENTS - 1)
AGENT = st.sampled_from(AGENTS)
KIND = st.sampled_from(KINDS)
CONVERSATION = st.sampled_from([None, None, "tea", "rain"])
BACK = st.integers(0, 5)

SEND = st.builds(
    Send,
    client=WHO,
    agent=AGENT,
    kind=KIND,
    way=st.sampled_from(["invoke", "submit", "invoke for a moment"]),
    timeout_s=st.sampled_from([None, None, None, 0.02, SOON_S]),
    conversation=CONVERSATION,
    priority=st.sampled_from(["normal", "high", "low"]),
)
SEND_MANY = st.builds(
    SendMany,
    client=WHO,
    tasks=st.lists(st.tuples(AGENT, KIND), min_size=2, max_size=4).map(tuple),
    max_parallel=st.sampled_from([None, 1]),
)
CHANGE_OF_MIND: st.SearchStrategy[Step] = st.one_of(
    st.builds(Ask, client=WHO, tool=st.just("cancel"), back=BACK),
    st.builds(Ask, client=WHO, tool=st.sampled_from(["result", "wait"]), back=BACK),
    st.builds(Withdraw, back=BACK),
)
TROUBLE: st.SearchStrategy[Step] = st.one_of(
    st.builds(Kill, agent=AGENT, choice=st.integers(0, 3)),
    st.builds(Reset, client=WHO, agent=AGENT, conversation=CONVERSATION),
    st.builds(Leave, client=WHO),
)
MEANWHILE: st.SearchStrategy[Step] = st.one_of(
    st.builds(Await, back=BACK),
    st.builds(Pause, seconds=st.sampled_from([0.01, 0.05, 0.2])),
)
END: st.SearchStrategy[Step] = st.builds(
    EndPool, how=st.sampled_from(["SIGKILL", "SIGKILL", "SIGTERM"])
)

WEIGHED: Final[list[st.SearchStrategy[Step]]] = [
    *[SEND] * 6,
    *[SEND_MANY] * 2,
    *[CHANGE_OF_MIND] * 4,
    *[TROUBLE] * 3,
    *[MEANWHILE] * 3,
]
LIFE = st.lists(st.sampled_from(WEIGHED).flatmap(lambda step: step), min_size=12, max_size=30)
"""What happens in the life of one pool."""


def _one_after_the_other(lives: list[tuple[list[Step], Step]]) -> list[Step]:
    return [step for life, end in lives for step in (*life, end)]


SCRIPTS: st.SearchStrategy[list[Step]] = st.lists(st.tuples(LIFE, END), min_size=1, max_size=2).map(
    _one_after_the_other
)
"""One or two pools, one after the other."""
