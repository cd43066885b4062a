"""The project's agents that an agent may hand work to, where the CLI must not find them itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from supervisor.agents import Catalogue

from .conftest import Project, agent


def offered(project: Project, *lines: str, trusted: bool = False) -> dict[str, Any] | None:
    project.write("agents/lead.md", agent("lead", *lines))
    told = Catalogue(project.folders(), trusted).get("lead").sub_agents
    return None if told is None else json.loads(told)


@pytest.mark.parametrize("tools", ["Agent", "Task", "Agent(coder), Read", "'*'"])
def test_who_may_hand_work_on_is_told_of_the_projects_agents(project: Project, tools: str) -> None:
    lines = ("tools: Bash", "model: haiku", "effort: low", "maxTurns: 3", "disallowedTools: Write")
    project.write("agents/coder.md", agent("coder", *lines, body="You code."))

    told = offered(project, f"tools: {tools}")

    assert told is not None
    assert told["coder"] == {
        "description": "Does it.",
        "prompt": "You code.",
        "tools": ["Bash"],
        "model": "haiku",
        "effort": "low",
        "maxTurns": 3,
        "disallowedTools": ["Write"],
    }


@pytest.mark.parametrize(
    "lines", [(), ("tools: Read",), ("tools: Agent, Read", "disallowedTools: Agent, Task")]
)
def test_who_may_not_is_told_of_none(project: Project, lines: tuple[str, ...]) -> None:
    project.write("agents/coder.md", agent("coder"))

    assert offered(project, *lines) is None


def test_nothing_that_runs_code_is_handed_on(project: Project) -> None:
    hooks = "hooks: {Stop: [{hooks: [{type: command, command: evil}]}]}"
    servers = "mcpServers: [{calc: {command: evil}}]"
    project.write("agents/coder.md", agent("coder", hooks, servers, "permissionMode: plan"))

    assert "evil" not in json.dumps(offered(project, "tools: Agent"))


def test_a_broken_agent_is_left_out(project: Project) -> None:
    project.write("agents/bad.md", "---\nname: bad\ntools: [\n---\nx")

    told = offered(project, "tools: Agent")

    assert told is not None
    assert list(told) == ["lead"]


def test_what_the_cli_finds_itself_is_not_told(project: Project) -> None:
    project.write("home/agents/mine.md", agent("mine"))
    project.write("built-in/agents/shipped.md", agent("shipped"))

    told = offered(project, "tools: Agent")

    assert told is not None
    assert list(told) == ["lead"]
    assert offered(project, "tools: Agent", trusted=True) is None


def test_a_change_of_theirs_changes_the_digest(project: Project) -> None:
    project.write("agents/lead.md", agent("lead", "tools: Agent"))
    project.write("agents/coder.md", agent("coder", body="You code."))
    catalogue = project.catalogue()
    before = catalogue.get("lead")
    project.write("agents/coder.md", agent("coder", body="You code well."))
    assert catalogue.get("lead").digest != before.digest
