"""What a storm does, settled by a seed before it begins."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

CLIENTS: Final = 2
AGENTS: Final = ("alpha", "beta", "gamma", "hoarder")
"""The last one has small memory ceilings, where they are settled at all."""
HOARDER: Final = AGENTS[-1]

HANDS_UP_S: Final = 1.0
"""`timeout_s` of a task whose process may never answer."""

LONG_LINE_EVERY: Final = 100
"""One line of 50 MB for so many tasks: each takes a second of a processor."""

FAULTS_PER_TASK: Final = 0.15
STRIKES_PER_TASK: Final = 0.1


class Prank(NamedTuple):
    """What a task makes its process do."""

    kind: str
    """Its name in the schedule."""
    text: str
    """What the task's text begins with."""
    cost: int = 0
    """Tasks that it can cost their answers: its own, or for `spills` another one's."""
    timeout_s: float | None = None
    """The task's deadline."""
    spills: bool = False
    """It may hit the task after its own instead."""
    agent: str | None = None
    """Only that one plays it."""


PRANKS: Final = (
    Prank("crash", "[[crash 3]]", 1),
    Prank("late crash", "[[sleep 0.05]] [[crash 4]]", 1),
    Prank("hang", "[[hang]]", 1, HANDS_UP_S),
    Prank("hang for good", "[[deaf]] [[ignore-term]] [[hang]]", 1, HANDS_UP_S),
    Prank("never mind the interrupt", "[[ignore-interrupt]] [[sleep 3]]", 1, HANDS_UP_S),
    Prank("stop itself", "[[stop]]", 1, HANDS_UP_S),
    Prank("grow and stay", "[[grow 400]] [[sleep 0.5]]", 1, spills=True, agent=HOARDER),
    Prank("grow and answer", "[[grow 400]]", 1, spills=True, agent=HOARDER),
    Prank("grow a little", "[[grow 90]]", agent=HOARDER),
    Prank("answer twice", "[[twice]]"),
    Prank("unasked turn", "[[unsolicited]]"),
    Prank("garbage", "[[garbage]]"),
    Prank("stderr flood", "[[stderr 3000]]"),
    Prank("setsid child", "[[orphan 300]]"),
    Prank("die after the answer", "[[die-after]]"),
)
LONG_LINE: Final = Prank("50 MB line", "[[long-line 50]]", agent=AGENTS[0])

PLAIN: Final = ("", "", "[[context]]", "[[sleep 0.02]]", "[[size 3000]]")
"""How a task begins that asks for no fault."""


@dataclass(frozen=True)
class Step:
    """One invoke."""

    number: int
    """Its place in the schedule."""
    agent: str
    """Who is asked."""
    word: str
    """What its answer has to hold, and no other's."""
    text: str
    """The whole task."""
    prank: Prank | None
    """The fault in it."""


Blow = Literal["kill", "pause", "stop", "crash at start"]

BLOWS: Final[tuple[Blow, ...]] = ("kill", "kill", "pause", "pause", "crash at start", "stop")

COSTS: Final[dict[Blow, int]] = {
    "kill": 1,  # whoever is in hand, or waits for the start
    "pause": 0,  # SIGCONT follows
    "crash at start": 2,  # and the kill that brings the start about
    "stop": 1,  # the task with a deadline that is sent to the stopped process
}


@dataclass(frozen=True)
class Strike:
    """A fault from outside."""

    at: int
    """It comes once so many invokes have begun."""
    blow: Blow
    """What it is."""
    agent: str
    """Whose process is stopped, for `stop`."""
    choice: float
    """Which one of the pool's processes is hit, for the others: 0 the oldest, 1 the newest."""
    seconds: float
    """How long a pause lasts."""


@dataclass(frozen=True)
class Schedule:
    """A whole storm."""

    seed: int
    """What settles it."""
    steps: tuple[Step, ...]
    """Every client takes the next one as soon as it has a hand free."""
    strikes: tuple[Strike, ...]
    """In their order."""

    @property
    def cost(self) -> int:
        """Tasks that all its faults can cost their answers."""
        own = sum(step.prank.cost for step in self.steps if step.prank)
        return own + sum(COSTS[strike.blow] for strike in self.strikes)

    @property
    def cost_to_others(self) -> int:
        """Those that a task may lose without a fault of its own."""
        spilt = sum(step.prank.cost for step in self.steps if step.prank and step.prank.spills)
        return spilt + sum(COSTS[s.blow] for s in self.strikes if s.blow != "stop")

    def lines(self) -> Iterator[str]:
        """What it is, for people: the faults, in order."""
        yield f"seed {self.seed}: {len(self.steps)} tasks, which may cost {self.cost} answers"
        for step in self.steps:
            if step.prank is not None:
                kind, cost = step.prank.kind, step.prank.cost
                yield f"  {step.number:5d} {step.agent}: {kind} (costs {cost})"
        for strike in self.strikes:
            yield f"  after {strike.at}: {strike}"


def plan(
    seed: int,
    invokes: int,
    pranks: Sequence[Prank] = PRANKS,
    rare: Prank | None = LONG_LINE,
    plain: Sequence[str] = PLAIN,
    blows: Sequence[Blow] = BLOWS,
    strikes_per_task: float = STRIKES_PER_TASK,
) -> Schedule:
    """The storm of `seed`: each kind of fault at least once, where there is room for it.

    Args:
        seed: the same gives the same.
        invokes: how many tasks.
        pranks: what tasks may make their processes do.
        rare: what few of them do.
        plain: how the other tasks begin.
        blows: what is done from outside.
        strikes_per_task: how often.
    """
    rng = random.Random(seed)
    played = _played(rng, invokes, pranks, rare)
    steps = tuple(_step(rng, seed, n, prank, plain) for n, prank in enumerate(played))
    wanted = max(len(blows), int(invokes * strikes_per_task))
    struck = [*blows, *rng.choices(blows, k=wanted - len(blows))]
    strikes = [
        Strike(
            at=rng.randrange(1, invokes),
            blow=blow,
            agent=rng.choice(AGENTS),
            choice=rng.random(),
            seconds=round(rng.uniform(0.02, 0.4), 3),
        )
        for blow in struck
    ]
    return Schedule(seed, steps, tuple(sorted(strikes, key=lambda strike: strike.at)))


def _played(
    rng: random.Random, invokes: int, pranks: Sequence[Prank], rare: Prank | None
) -> list[Prank | None]:
    wanted = int(invokes * FAULTS_PER_TASK)
    played: list[Prank | None] = list(pranks)
    played += [rare] * (-(-invokes // LONG_LINE_EVERY)) if rare else []
    if pranks:
        played += rng.choices(pranks, k=max(0, wanted - len(played)))
    played += [None] * (invokes - len(played))
    rng.shuffle(played)
    return played


def _step(
    rng: random.Random, seed: int, number: int, prank: Prank | None, plain: Sequence[str]
) -> Step:
    agent = (prank and prank.agent) or rng.choice(AGENTS)
    word = f"w{seed}x{number}y{rng.getrandbits(32):08x}"
    begin = prank.text if prank else rng.choice(plain)
    return Step(number, agent, word, f"{begin} {word}".strip(), prank)
