"""One mistake an agent file: is what is said enough to mend it without the manual?"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from supervisor.agents import AgentDefinition, Finding

from .conftest import Project, agent


@dataclass(frozen=True)
class Mistake:
    """A file, and what has to be said of it."""

    text: str
    line: int | None
    key: str | None
    severity: str
    says: tuple[str, ...]


def error(text: str, line: int | None, key: str | None, *says: str) -> Mistake:
    return Mistake(text, line, key, "error", says)


def warning(text: str, line: int | None, key: str | None, *says: str) -> Mistake:
    return Mistake(text, line, key, "warning", says)


def given(*lines: str) -> str:
    return agent("a", *lines)


def file(*lines: str) -> str:
    return "\n".join(lines) + "\n"


MISTAKES = {
    # the frames
    "no frontmatter": warning("Do it.\n", 1, None, "Start it with ---"),
    "no end": error(file("---", "name: a", "Do."), 1, None, "never closed", "put a line `---`"),
    "no body": error(
        file("---", "name: a", "description: It.", "---"), None, None, "the prompt is empty"
    ),
    "TOML": error(
        file("---", 'name = "a"', 'description = "b"', "---", "Do."), 2, None, "`key: value`"
    ),
    "no UTF-8": error(given("# \udce9"), 4, None, "0xe9 is not UTF-8; save the file"),
    # name and description
    "no description": warning(file("---", "name: a", "---", "Do."), 1, "description", "missing"),
    "a misspelt description": warning(
        file("---", "name: a", "desciption: It.", "---", "Do."), 3, "desciption",
        'Did you mean "description"?',
    ),
    "a colon in it": warning(
        file("---", "name: a", "description: Use: it", "---", "Do."), 3, "description",
        "put quotes around it",
    ),
    "a name that is a path": error(
        file("---", "name: ../a", "description: It.", "---", "Do."), 2, "name", 'write "a"'
    ),
    "a name that is a number": error(
        file("---", "name: 5", "description: It.", "---", "Do."), 2, "name", 'name: "5"'
    ),
    "a name twice": error(
        file("---", "name: a", "name: b", "description: It.", "---", "Do."), 3, "name",
        "first on line 2; remove one",
    ),
    # YAML
    "no blank after the colon": error(
        file("---", "name:a", "description: It.", "---", "Do."), 2, None,
        "a blank after the colon",
    ),
    "no colon": error(
        file("---", "name a", "description: It.", "---", "Do."), 2, None, '"name a"', "`key: value`"
    ),
    "a key that is indented": error(
        given("  tools: Read"), 4, "description", '"tools: Read"', "a key begins at the left"
    ),
    "tabs": warning(given("tools:", "\t- Read"), 5, None, "tabs indent this line"),
    "a list that is not closed": error(
        given("tools: [Read, Grep"), 4, "tools", "[Read, Grep", "close the list with ]"
    ),
    "quotes that are not closed": error(
        file("---", 'name: "a', "description: It.", "---", "Do."), 2, "name", "close the quotes"
    ),
    "quotes in quotes": error(
        file("---", "name: a", "description: 'It's nice'", "---", "Do."), 3, "description",
        "a quote stands inside of the quotes",
    ),
    "words in quotes": error(
        given('tools: "Read" "Grep"'), 4, "tools", "take the quotes out, and put commas"
    ),
    # values
    "a tool that is misspelt": warning(
        given("tools: Raed, Grep"), 4, "tools", '"Raed" is no tool', 'Did you mean "Read"?'
    ),
    "a word for all tools": warning(given("tools: all"), 4, "tools", 'Did you mean "*"?'),
    "tools with semicolons": error(
        given("tools: Read; Grep"), 4, "tools", '"Read;" is not a tool', "such as Read"
    ),
    "a denied tool that is misspelt": error(
        given("disallowedTools: bash"), 4, "disallowedTools", 'Did you mean "Bash"?'
    ),
    "a model that is misspelt": warning(
        given("model: sonnett"), 4, "model", '"sonnett"', 'Did you mean "sonnet"?'
    ),
    "a model of two words": error(
        given("model: Claude Sonnet"), 4, "model", '"Claude Sonnet"', "an alias (sonnet, opus"
    ),
    "a list for a model": error(given("model: [opus]"), 4, "model", 'text; in quotes if need be'),
    "a mode that is misspelt": error(
        given("permissionMode: accept-edits"), 4, "permissionMode", 'Did you mean "acceptEdits"?'
    ),
    "a mode's key in snake case": warning(
        given("permission_mode: plan"), 4, "permission_mode", 'taken for "permissionMode"'
    ),
    "a mode's key that is misspelt": error(
        given("permisionMod: plan"), 4, "permisionMod", 'Did you mean "permissionMode"?'
    ),
    "turns in words": warning(
        given("maxTurns: many"), 4, "maxTurns", '"many" is ignored', "a whole number above 0"
    ),
    "turns below 0": warning(given("maxTurns: -1"), 4, "maxTurns", '"-1"', "above 0"),
    "an effort that is misspelt": warning(
        given("effort: hgih"), 4, "effort", "low, medium, high", 'Did you mean "high"?'
    ),
    "a colour that is none": warning(given("color: magenta"), 4, "color", "red, blue, green"),
    "a memory of nobody": warning(given("memory: always"), 4, "memory", "user, project, local"),
    "a switch in another word": warning(
        given("omitClaudeMd: yes"), 4, "omitClaudeMd", "true or false"
    ),
    # what it names
    "a skill that does not exist": warning(
        given("skills: nowhere"), 4, "skills", 'no skill "nowhere"', "nowhere/SKILL.md"
    ),
    "a skill by a name that none can have": warning(
        given("skills:", "  - tools/method (@x)"), 5, "skills", "the agent works without it"
    ),
    "skills as a mapping": error(given("skills:", "  name: x"), 4, "skills", "skills: a, b"),
    "an expertise that does not exist": error(
        given("expertise: nowhere"), 4, "expertise", "Write one of", "or remove the name"
    ),
    "a server that does not exist": warning(
        given("mcpServers: [nowhere]"), 4, "mcpServers", "`claude mcp add` configures one"
    ),
    "an event that is misspelt": error(
        given("hooks:", "  PreToolUs: []"), 5, "hooks", 'Did you mean "PreToolUse"?'
    ),
    "hooks as a text": error(given("hooks: ./run"), 4, "hooks", "a mapping of events"),
}  # fmt: skip


def findings(project: Project, text: str) -> tuple[Finding, ...]:
    project.write("agents/a.md", text.encode("utf-8", "surrogateescape"))
    (record,) = project.catalogue().all()
    return record.warnings if isinstance(record, AgentDefinition) else record.findings


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_once_with_its_place_and_what_to_write(
    project: Project, name: str
) -> None:
    mistake = MISTAKES[name]

    (found,) = findings(project, mistake.text)

    assert (found.line, found.key, found.severity) == (mistake.line, mistake.key, mistake.severity)
    assert all(words in found.message for words in mistake.says), found.message


def test_mistakes_behind_one_that_yaml_stumbles_over_are_told_with_it(project: Project) -> None:
    text = agent("a", "tools: Read: Grep", "model: [opus", "effort: hgih")

    assert [(one.line, one.key) for one in findings(project, text)] == [
        (4, "tools"),
        (5, "model"),
        (6, "effort"),
    ]


def test_both_files_of_one_name_are_told_with_each_other(project: Project) -> None:
    project.write("agents/a.md", agent("same"))
    project.write("agents/b.md", agent("same"))

    (record,) = project.catalogue().all()

    assert not isinstance(record, AgentDefinition)
    assert [(one.path.name, one.line, one.key) for one in record.findings] == [
        ("a.md", 2, "name"),
        ("b.md", 2, "name"),
    ]


# forms of public files


EXAMPLES = """\
---
name: a
description: Use this agent for requests. Examples:

<example>
Context: User needs a new endpoint
user: "Create it: now"
assistant: "I'll use it."
</example>

model: opus
tools: Read
---
Do it.
"""


@pytest.mark.parametrize("indentation", ["", "  "])
def test_a_description_with_examples_in_many_lines_without_quotes_is_kept_whole(
    project: Project, indentation: str
) -> None:
    head, examples, tail = EXAMPLES.partition("<example>")
    body, end, rest = (examples + tail).partition("</example>")
    inside = "\n".join(indentation + line for line in (body + end).split("\n"))
    project.write("agents/a.md", head + inside + rest)

    definition = project.catalogue().get("a")

    assert (definition.model, definition.tools) == ("opus", ("Read",))
    assert definition.description.startswith("Use this agent for requests. Examples:\n\n")
    assert "Context: User needs a new endpoint" in definition.description
    assert definition.description.endswith("</example>")
    assert [(one.line, one.key) for one in definition.warnings] == [(3, "description")]


def test_a_description_does_not_swallow_a_key_that_restricts(project: Project) -> None:
    text = file("---", "name: a", "description: It: is", "  tools: Read", "---", "Do.")

    assert any(found.is_error for found in findings(project, text))


@pytest.mark.parametrize(
    "line",
    ["dissallowedTools: Bash", "disallowed-tools: Bash", "permission_mode: plan", "Tools: Read"],
)
def test_a_description_in_many_lines_swallows_no_other_spelling_of_such_a_key(
    project: Project, line: str
) -> None:
    text = EXAMPLES.replace("model: opus", line).replace("for requests.", "like this: now.")

    assert any(found.is_error for found in findings(project, text))


def test_tools_of_agent_teams_are_known(project: Project) -> None:
    assert findings(project, agent("a", "disallowedTools: TeamCreate, TeamDelete")) == ()


# skills that no agent names


def test_skills_that_no_agent_names_are_looked_at(project: Project) -> None:
    path = project.write("skills/s/SKILL.md", "---\nname: s\ndescrption: It.\n---\nDo.\n")
    project.write("agents/a.md", agent("a"))

    (found,) = project.catalogue().unnamed_findings()

    assert str(found) == f'{path}:3: descrption: unknown key, ignored. Did you mean "description"?'


def test_a_skill_that_an_agent_names_is_told_of_with_the_agent(project: Project) -> None:
    project.write("skills/s/SKILL.md", "---\nname: s\ndescrption: It.\n---\nDo.\n")
    project.write("agents/a.md", agent("a", "skills: s"))
    catalogue = project.catalogue()

    assert [one.key for one in catalogue.get("a").warnings] == ["descrption"]
    assert catalogue.unnamed_findings() == ()


def test_what_is_broken_in_a_skill_that_nobody_names_stops_nobody(project: Project) -> None:
    project.write("skills/s/SKILL.md", "---\nname: s\nDo.\n")

    (found,) = project.catalogue().unnamed_findings()

    assert (found.line, found.severity) == (1, "warning")
