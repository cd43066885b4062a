"""What must hold between the tables: names, groups that are there, no circles, rules of OTP."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeVar

from supervisor.pool.config.lines import At
from supervisor.pool.config.problems import alternatives, did_you_mean, nearest, written
from supervisor.pool.config.tables import AgentTable, Config, GroupTable, Table

NAME_LIMIT = 100
"""Characters of a name."""

T = TypeVar("T", bound=Table)
Wrong = Callable[..., None]
"""Told of each mistake: what is wrong, and the keys that do not go together."""


def check_rules(config: Config, wrong: Wrong) -> None:
    """Tell `wrong` of everything that each key by itself does not show."""
    _check_names(config, wrong)
    _check_groups(config.supervisors, wrong)
    for at, agent in _named(config.defaults.agent, config.agents, "agent"):
        _check_agent(at, agent, config.supervisors, wrong)
    for at, table in _named(config.defaults.supervisor, config.supervisors, "supervisor"):
        if table.backoff.maximum < table.backoff.initial:
            why = "maximum must not be below initial"
            wrong(why, (*at, "backoff", "maximum"), (*at, "backoff", "initial"))


def _check_names(config: Config, wrong: Wrong) -> None:
    for table in ("supervisors", "agents"):
        for name in getattr(config, table):
            if not _is_name(name):
                near = re.sub(r"[^\w. -]+", "-", name).strip("-. ")[:NAME_LIMIT]
                near = re.sub(r"\.{2,}", ".", near)
                why = (
                    f"{written(name)} is no name: allowed are letters, digits, "
                    f'"-", "_", "." and spaces inside, {NAME_LIMIT} characters at most'
                )
                wrong(why + did_you_mean(near or None), (table, name))


def _is_name(name: str) -> bool:
    # A name is a part of paths in the tree, and a word on a command line. This is the rule for the
    # names of agents; marks belong to letters, without them whole scripts could not be written.
    return (
        0 < len(name) <= NAME_LIMIT
        and name[0] not in "-. "
        and name[-1] != " "
        and ".." not in name
        and all(one in "-_. " or unicodedata.category(one)[0] in "LMN" for one in name)
    )


def _check_groups(groups: Mapping[str, GroupTable], wrong: Wrong) -> None:
    for name, group in groups.items():
        at = ("supervisors", name, "parent")
        if not group.parent:
            continue
        if group.parent not in groups:
            wrong(_no_group(group.parent, set(groups) - {name}), at)
        elif name == group.parent:
            wrong(f"{written(name)} would be within itself: name another group, or none", at)
        elif name in (around := _ancestors(name, groups)):
            circle = " in ".join(written(one) for one in (name, *around))
            wrong(f"groups within each other: {circle}; take parent out of one of them", at)


def _named(default: T, named: Mapping[str, T], kind: str) -> Iterator[tuple[At, T]]:
    yield ("defaults", kind), default
    for name, table in named.items():
        yield (f"{kind}s", name), table


def _check_agent(at: At, agent: AgentTable, groups: Mapping[str, GroupTable], wrong: Wrong) -> None:
    above = groups.get(agent.supervisor)
    if agent.supervisor and above is None:
        wrong(_no_group(agent.supervisor, groups), (*at, "supervisor"))
    if agent.significant and agent.restart == "permanent":
        why = (
            'significant = true does not fit restart = "permanent", which never ends for good: '
            'set restart to "transient" or "temporary"'
        )
        wrong(why, (*at, "significant"), (*at, "restart"))
    if agent.significant and (above is None or above.auto_shutdown == "never"):
        why = (
            "significant = true needs a group (supervisor = …) whose auto_shutdown is "
            '"any_significant" or "all_significant"'
        )
        wrong(why, (*at, "significant"), (*at, "supervisor"))
    if agent.min_replicas > agent.replicas:
        why = "min_replicas must not be above replicas"
        wrong(why, (*at, "min_replicas"), (*at, "replicas"))
    if agent.hard_ceiling < agent.soft_ceiling:
        why = "hard_ceiling must not be below soft_ceiling"
        wrong(why, (*at, "hard_ceiling"), (*at, "soft_ceiling"))


def _no_group(name: str, groups: Collection[str]) -> str:
    said = f"there is no group {written(name)}{did_you_mean(nearest(name, groups))}"
    if not groups:
        return f"{said}; none is configured: a group is a table [supervisors.<name>]"
    return f"{said} (allowed: {alternatives(sorted(groups))}; each is a table [supervisors.<name>])"


def _ancestors(name: str, groups: Mapping[str, GroupTable]) -> list[str]:
    """The groups that a group is in, the nearest first, up to the first that comes again."""
    found: list[str] = []
    while (group := groups.get(name)) is not None and group.parent not in ("", *found):
        name = group.parent
        found.append(name)
    return found
