"""What is told of refused uses of tools fits why they were refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from supervisor.agents import AgentDefinition
from supervisor.pool.denials import told_denials
from supervisor.pool.permission import DENIED, IN_BACKGROUND, nobody
from supervisor.protocol import Denial

AGENT = AgentDefinition(
    name="coder",
    description="",
    system_prompt="",
    tools=("Read", "Write"),
    disallowed_tools=(),
    model=None,
    permission_mode=None,
    skills=(),
    expertise=(),
    source=Path("/p/.claude/agents/coder.md"),
    origin="project",
    digest="",
    warnings=(),
)


def told(denial: Denial, agent: AgentDefinition | None = AGENT) -> str:
    (line,) = told_denials([denial], agent)
    return line


def test_a_tool_that_the_file_does_not_list_is_to_be_listed_there() -> None:
    assert told(Denial("Bash", "make")) == (
        "Refused for lack of permission: Bash (make). To allow it, list Bash under `tools:` in "
        "/p/.claude/agents/coder.md, or only rules, such as Bash(git log:*)."
    )


def test_a_tool_that_is_listed_already_is_not_to_be_listed_again() -> None:
    line = told(Denial("Write", "/etc/hosts"))

    assert "To allow it, list" not in line
    assert "It has Write already, so something else forbids it" in line


@pytest.mark.parametrize(
    ("tools", "tool"),
    [(("*",), "Bash"), (("mcp__s",), "mcp__s__t"), (("mcp__s__*",), "mcp__s__t")],
)
def test_what_it_has_without_its_being_named_is_not_to_be_listed(
    tools: tuple[str, ...], tool: str
) -> None:
    assert f"It has {tool} already" in told(Denial(tool, ""), replace(AGENT, tools=tools))


def test_what_it_has_by_default_may_be_used_anywhere_once_it_is_listed() -> None:
    line = told(Denial("Write", "/etc/hosts"), replace(AGENT, tools=None))

    assert "To allow it, list Write under `tools:`" in line


def test_rules_of_bash_are_offered_for_bash_alone() -> None:
    assert "git log" not in told(Denial("WebFetch", ""))


def test_a_built_in_agent_is_to_be_copied_and_not_changed() -> None:
    line = told(Denial("Bash", ""), replace(AGENT, origin="built-in"))

    assert "in a copy of /p/.claude/agents/coder.md in the project's .claude/agents/" in line


def test_an_agent_that_there_is_no_longer_has_a_definition_all_the_same() -> None:
    assert "under `tools:` in its definition" in told(Denial("Bash", ""), None)


def test_what_a_person_has_denied_is_to_stay_denied() -> None:
    assert told(Denial("Bash", "make", reason=DENIED)) == f"Refused: Bash (make): {DENIED}."


@pytest.mark.parametrize(("why", "is_told"), [(IN_BACKGROUND, True), ("it has gone", False)])
def test_who_could_be_asked_in_another_way_is_told_so(why: str, is_told: bool) -> None:
    line = told(Denial("Bash", "make", reason=nobody(why).reason))

    assert ("A task that invoke waits for is asked about." in line) == is_told
    assert "To allow such uses unasked, list a rule under `tools:` in" in line
