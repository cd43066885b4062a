"""What must hold between the tables: names, groups that are there, no circles, rules of OTP."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from supervisor.pool.config.lines import At
from supervisor.pool.config.problems import alternatives, did_you_mean, nearest, written
from supervisor.pool.config.tables import AgentTable, Config, GroupTable, Table

NAME_LIMIT = 100
"""Characters of a name."""

T = TypeVar("T", bound=Table)


@dataclass(frozen=True)
class Clash:
    """Something that each key by itself does not show."""

    message: str
    """What is wrong, and what is allowed."""
    keys: tuple[At, ...]
    """What does not go together."""
    also: tuple[At, ...] = ()
    """What it depends on besides."""
    of_absence: bool = False
    """It is that something is said nowhere."""


def check_rules(config: Config) -> Iterator[Clash]:
    """Everything that each key by itself does not show."""
    yield from _check_names(config)
    yield from _check_groups(config.supervisors)
    for at, agent in _named(config.defaults.agent, config.agents, "agent"):
        yield from _check_agent(at, agent, config.supervisors)
    for at, table in _named(config.defaults.supervisor, config.supervisors, "supervisor"):
        if table.backoff.maximum < table.backoff.initial:
            why = "maximum must not be below initial"
            yield Clash(why, ((*at, "backoff", "maximum"), (*at, "backoff", "initial")))


def unused_groups(config: Config, named: Collection[str]) -> Iterator[tuple[str, str]]:
    """The groups that no agent is in, each with what to say of it.

    Args:
        config: the configuration.
        named: all texts that could name one, also those that failed to do so.
    """
    tables = (config.defaults.agent, *config.agents.values())
    used = {table.supervisor for table in tables}
    for name in tuple(used):
        used.update(_ancestors(name, config.supervisors))
    for name in config.supervisors:
        if name in used or name in named or any(nearest(one, [name]) for one in named):
            continue
        yield (
            name,
            (
                f"no agent is in this group; put one into it by supervisor = {written(name)} under "
                "[agents.<name>], or take the table out"
            ),
        )


def _check_names(config: Config) -> Iterator[Clash]:
    for table in ("supervisors", "agents"):
        for name in getattr(config, table):
            if not is_name(name):
                near = re.sub(r"[^\w. -]+", "-", name).strip("-. ")[:NAME_LIMIT]
                near = re.sub(r"\.{2,}", ".", near)
                why = (
                    f"{written(name)} is no name: allowed are letters, digits, "
                    f'"-", "_", "." and spaces inside, {NAME_LIMIT} characters at most'
                )
                yield Clash(why + did_you_mean(near or None), ((table, name),))


def is_name(name: str) -> bool:
    """Whether an agent or a group may be called so."""
    # A name is a part of paths in the tree, and a word on a command line. This is the rule for the
    # names of agents; marks belong to letters, without them whole scripts could not be written.
    return (
        0 < len(name) <= NAME_LIMIT
        and name[0] not in "-. "
        and name[-1] != " "
        and ".." not in name
        and all(one in "-_. " or unicodedata.category(one)[0] in "LMN" for one in name)
    )


def _check_groups(groups: Mapping[str, GroupTable]) -> Iterator[Clash]:
    for name, group in groups.items():
        at = ("supervisors", name, "parent")
        if not group.parent:
            continue
        if group.parent not in groups:
            yield _no_group(group.parent, set(groups) - {name}, at)
        elif name == group.parent:
            why = f"{written(name)} would be within itself: name another group, or none"
            yield Clash(why, (at,))
        elif name in (around := _ancestors(name, groups)):
            circle = " in ".join(written(one) for one in (name, *around))
            why = f"groups within each other: {circle}; take parent out of one of them"
            yield Clash(why, (at,), tuple(("supervisors", one, "parent") for one in around))


def _named(default: T, named: Mapping[str, T], kind: str) -> Iterator[tuple[At, T]]:
    yield ("defaults", kind), default
    for name, table in named.items():
        yield (f"{kind}s", name), table


def _check_agent(at: At, agent: AgentTable, groups: Mapping[str, GroupTable]) -> Iterator[Clash]:
    above = groups.get(agent.supervisor)
    if agent.supervisor and above is None:
        yield _no_group(agent.supervisor, groups, (*at, "supervisor"))
    if agent.significant and agent.restart == "permanent":
        why = (
            'significant = true does not fit restart = "permanent", which never ends for good: '
            'set restart to "transient" or "temporary"'
        )
        yield Clash(why, ((*at, "significant"), (*at, "restart")))
    is_told = agent.supervisor and above is None
    if agent.significant and not is_told and (above is None or above.auto_shutdown == "never"):
        why = (
            "significant = true needs a group (supervisor = …) whose auto_shutdown is "
            '"any_significant" or "all_significant"'
        )
        of_group = ("supervisors", agent.supervisor, "auto_shutdown")
        keys = ((*at, "significant"), (*at, "supervisor"))
        yield Clash(why, keys, () if above is None else (of_group,), of_absence=True)
    if agent.min_replicas > agent.replicas:
        why = "min_replicas must not be above replicas"
        yield Clash(why, ((*at, "min_replicas"), (*at, "replicas")))
    if agent.hard_ceiling < agent.soft_ceiling:
        why = "hard_ceiling must not be below soft_ceiling"
        yield Clash(why, ((*at, "hard_ceiling"), (*at, "soft_ceiling")))


def _no_group(name: str, groups: Collection[str], at: At) -> Clash:
    said = f"there is no group {written(name)}{did_you_mean(nearest(name, groups))}"
    if groups:
        listed = alternatives(sorted(groups))
        said += f" (allowed: {listed}; each is a table [supervisors.<name>])"
    else:
        said += "; none is configured: a group is a table [supervisors.<name>]"
    return Clash(said, (at,), (("supervisors", name),), of_absence=True)


def _ancestors(name: str, groups: Mapping[str, GroupTable]) -> list[str]:
    """The groups that a group is in, the nearest first, up to the first that comes again."""
    found: list[str] = []
    while (group := groups.get(name)) is not None and group.parent not in ("", *found):
        name = group.parent
        found.append(name)
    return found
