"""Conversations: agents whose context is kept between calls, each in a process of its own.

A conversation is a mailbox like any agent's, called `agent@name`, with one worker. Plain calls
never wait for one. The CLI keeps what is said on disk, so a conversation outlives its process: a
new one takes it up again. `max_conversations` limits how many of an agent have a process at once;
the one that was used least recently gives its up.
"""

import re
from collections.abc import Iterable, Mapping

from supervisor.pool.agent import Agent, Seat
from supervisor.pool.outcome import PoolError, TaskError
from supervisor.pool.worker import Worker

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a conversation may be called."""

KNOWN_LIMIT = 256
"""Conversations that are remembered here; the ledger knows the sessions of all."""


def check_name(name: str) -> None:
    """Refuse what is no name of a conversation.

    Raises:
        PoolError: `invalid_arguments`.
    """
    if NAME.fullmatch(name) is None:
        shown = name if len(name) <= 64 else name[:64] + "…"
        raise PoolError(
            TaskError(
                "invalid_arguments",
                f'"{shown}" cannot be the name of a conversation.',
                "Allowed: 1 to 64 letters, digits, dots, dashes and underscores, a letter or a "
                "digit first.",
            )
        )


def make_room(
    wanted: Agent, all_agents: Iterable[Agent], workers: Mapping[Seat, Worker], limit: int
) -> None:
    """Have the conversation that was used least recently give its process up, if need be.

    Raises:
        PoolError: `conversations_busy`: all that there may be are at work.
    """
    if wanted.seats[0].process is not None:
        return
    running = [
        agent
        for agent in all_agents
        if agent.conversation is not None
        and agent.defined_as == wanted.defined_as
        and agent is not wanted
        and (agent.seats[0].process is not None or agent.is_wanted)
    ]
    if len(running) < limit:
        return
    idle = [agent for agent in running if agent.state == "idle" and not agent.is_wanted]
    if not idle:
        names = ", ".join(sorted(agent.conversation or "" for agent in running))
        raise PoolError(
            TaskError(
                "conversations_busy",
                f'all {limit} conversations that "{wanted.defined_as}" may have at once are at '
                f"work: {names}.",
                "Wait for one of them, or raise max_conversations in pool.toml.",
            )
        )
    least = min(idle, key=lambda agent: agent.last_used)
    workers[least.seats[0]].rest(f'the conversation "{wanted.conversation}" needs a process')


def forgettable(agents: Iterable[Agent], limit: int = KNOWN_LIMIT) -> list[Agent]:
    """The conversations beyond the limit that nobody uses, the least recently used first."""
    known = [agent for agent in agents if agent.conversation is not None]
    unused = [a for a in known if a.state == "stopped" and not (a.is_wanted or a.callers)]
    unused.sort(key=lambda agent: agent.last_used)
    return unused[: max(0, len(known) - limit)]
