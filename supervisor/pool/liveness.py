"""Is a process still there behind its pipes? It is asked, not guessed from its silence.

A live CLI answers a cheap control request within milliseconds, idle or busy, while a long tool
call may be silent for many minutes. So each process is asked twice within its timeout; any
sign of life (an answer, be it a refusal, or any output) counts. Two questions in a row without
one, and it is hung: stopped, deadlocked or swapped out. Slow is not hung: the machine's pressure
stretches the bound.

A CLI that never answers such questions is found out once a binary, by the first one. Of its
processes it is only looked whether the kernel says that they are stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from supervisor.pool.agent_process import AgentProcess, ProcessGoneError
from supervisor.process import pressure

QUESTIONS = 2
"""That have to be left unanswered in a row: the pool itself may be late for one of them."""

OFF_S = 5.0
"""Seconds after which it is looked again whether processes are to be asked at all."""

MOST_STRETCHED = 10.0
"""Times that the bound is stretched at most, on a machine that does nothing but wait."""


@dataclass(frozen=True)
class Hung:
    """What was seen of a process that hangs."""

    waited_s: float
    """Seconds without a sign of life."""
    asked: bool
    """It was asked; else the kernel says that it is stopped."""

    @property
    def in_words(self) -> str:
        """To follow the name of a process."""
        if self.asked:
            return f"has answered no question for {self.waited_s:.1f} s"
        return f"has been stopped for {self.waited_s:.1f} s"


async def hang(process: AgentProcess, timeout_s: Callable[[], float]) -> Hung:
    """Wait until the process hangs; for ever, if it never does.

    Args:
        process: one that is ready.
        timeout_s: gives the seconds without a sign of life that make it hung, on a machine without
            pressure, as they are now; 0: any.
    """
    # It has just answered, to become ready; and its first moments are the busiest.
    await trio.sleep(timeout_s() / QUESTIONS)
    unanswered, since = 0, trio.current_time()
    while unanswered < QUESTIONS:
        each_s = timeout_s() / QUESTIONS * stretch()
        if not each_s:
            await trio.sleep(OFF_S)
            unanswered, since = 0, trio.current_time()
            continue
        began = trio.current_time()
        if await _lives(process, each_s):
            unanswered, since = 0, trio.current_time()
        else:
            unanswered += 1
        await trio.sleep_until(began + each_s)
    return Hung(trio.current_time() - since, asked=process.capabilities.ping is True)


def stretch() -> float:
    """How much longer than usual things may take on this machine now: 1 to `MOST_STRETCHED`."""
    return 1 + (MOST_STRETCHED - 1) * pressure() / 100


async def _lives(process: AgentProcess, limit_s: float) -> bool:
    if process.capabilities.ping is False:
        await trio.sleep(limit_s)
        return not process.child.is_stopped
    try:
        answered = await process.ping(limit_s)
    except ProcessGoneError:
        return process.gone  # then others see to its end; else it has stopped reading
    if answered:
        process.capabilities.ping = True
    elif process.capabilities.ping is None and not process.child.is_stopped:
        # Its binary has never answered anybody: nothing can be told from this.
        process.capabilities.ping = False
        return True
    return answered
