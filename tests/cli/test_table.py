"""What `status` prints of the agents."""

from typing import Any

from supervisor.cli._control import _table

AGENT: dict[str, Any] = {
    "name": "a", "state": "idle", "pid": 7, "memory_bytes": None, "tasks_done": 0,
    "tasks_failed": 0, "restarts": 0, "queue_length": 0, "error": None, "warnings": [],
    "color": None,
}  # fmt: skip


def table(*agents: dict[str, Any], colour: bool = False) -> list[str]:
    rows = [AGENT | agent for agent in agents]
    facts: dict[str, Any] = {"pid": 1, "version": "1", "root": "/p", "log": "/log", "agents": rows}
    facts |= {"name": "p", "down": [], "warnings": [], "refused": []}
    return _table(facts, colour).splitlines()


def test_an_agents_name_has_the_colour_that_its_file_names() -> None:
    (row,) = [line for line in table({"color": "red"}, colour=True) if "idle" in line]

    assert row.startswith("\033[31ma    \033[0m  idle")


def test_without_a_terminal_nothing_is_coloured() -> None:
    assert "\033" not in "".join(table({"color": "red"}))


def test_an_agent_without_a_colour_has_none() -> None:
    assert "\033" not in "".join(table({}, colour=True))


def test_what_several_agents_are_warned_of_is_printed_once() -> None:
    lines = table({"name": "a", "warnings": ["w1", "w2"]}, {"name": "b", "warnings": ["w2"]})

    assert [line.strip() for line in lines if line.startswith("  w")] == ["w1", "w2"]
