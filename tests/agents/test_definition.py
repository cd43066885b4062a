from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.agents import Finding
from supervisor.agents._definition import AgentFile, read_agent

PATH = Path("/p/agents/a.md")


def read(*lines: str, body: str = "Do it.", path: Path = PATH) -> AgentFile:
    text = "\n".join(["---", *lines, "---", body])
    agent = read_agent(path, text.encode())
    assert agent is not None
    return agent


def described(*lines: str) -> AgentFile:
    return read("name: a", "description: d", *lines)


def only(agent: AgentFile, severity: str) -> Finding:
    (finding,) = agent.findings
    assert finding.severity == severity, str(finding)
    return finding


def test_a_native_claude_code_file_is_read_as_it_is() -> None:
    agent = described("tools: Read, Grep,Glob", "model: sonnet", "permissionMode: plan")
    assert agent.findings == ()
    assert agent.tools == ("Read", "Grep", "Glob")
    assert (agent.model, agent.permission_mode) == ("sonnet", "plan")


@pytest.mark.parametrize(
    "lines",
    [
        ["tools: Read, Grep"],
        ["tools: Read Grep"],
        ["tools: [Read, 'Grep']"],
        ["tools:", "- Read", "- Grep"],
        ["tools: >-", "  Read,", "  Grep"],
    ],
)
def test_every_form_of_a_list_is_the_same_list(lines: list[str]) -> None:
    agent = described(*lines)
    assert (agent.tools, agent.findings) == (("Read", "Grep"), ())


def test_a_rule_in_parentheses_stays_one_tool() -> None:
    agent = described("tools: Bash(git log:*, git diff:*), mcp__files__read-all, Agent(x)")
    assert agent.tools == ("Bash(git log:*, git diff:*)", "mcp__files__read-all", "Agent(x)")
    assert agent.findings == ()


def test_no_list_of_tools_differs_from_an_empty_one() -> None:
    assert described().tools is None
    assert described("tools: []").tools == ()


def test_a_key_without_value_is_no_list_and_a_warning() -> None:
    agent = described("tools:")
    assert agent.tools is None
    assert "[]" in only(agent, "warning").message


@pytest.mark.parametrize("word", ["--model", "a;b", "Read/Grep", "Bash(x"])
def test_what_cannot_be_a_tool_is_an_error(word: str) -> None:
    error = only(described("model: opus", f"tools: ['{word}']"), "error")
    assert (error.line, error.key) == (5, "tools")
    assert word in error.message


def test_an_item_that_is_listed_twice_counts_once_with_a_warning() -> None:
    agent = described("tools: Read, Read")
    assert agent.tools == ("Read",)
    assert only(agent, "warning").line == 4


def test_inherit_means_no_model() -> None:
    assert described("model: inherit").model is None


@pytest.mark.parametrize(
    "model", ["opus", "claude-opus-4-8[1m]", "arn:aws:bedrock:eu:1:profile/x.y-v1:0", "claude@2025"]
)
def test_full_names_of_models_are_allowed(model: str) -> None:
    assert described(f"model: '{model}'").findings == ()


@pytest.mark.parametrize("model", ["--verbose", "two words", "a;b"])
def test_what_cannot_be_a_model_is_an_error(model: str) -> None:
    assert only(described(f"model: '{model}'"), "error").key == "model"


def test_an_unknown_permission_mode_is_an_error_that_lists_the_allowed_ones() -> None:
    error = only(described("permissionMode: acceptEdit"), "error")
    assert (error.line, error.key) == (4, "permissionMode")
    assert "bypassPermissions" in error.message
    assert 'Did you mean "acceptEdits"?' in error.message


@pytest.mark.parametrize(
    "line",
    [
        "name: 12",
        "name: [a]",
        "description: {a: b}",
        "model: true",
        "model: 2025-01-01",
        "tools: 5",
        "tools: {Read: yes}",
        "skills: 1.5",
        "expertise: [[a]]",
        "skills: [1]",
    ],
)
def test_a_wrong_type_is_an_error_with_the_value_and_what_is_allowed(line: str) -> None:
    key = line.split(":")[0]
    others = [f"{k}: a" for k in ("name", "description") if k != key]
    error = only(read(*others, line), "error")
    assert (error.key, error.line) == (key, len(others) + 2)
    assert "must be" in error.message


def test_all_findings_of_a_file_come_at_once() -> None:
    agent = read(
        "name: ../x", "model: 1", "permissionMode: none", "skills: [a/b, '']", "tols: Read"
    )
    assert [finding.line for finding in agent.findings if finding.is_error] == [2, 3, 4, 5, 5, 6]
    assert {finding.key for finding in agent.findings if not finding.is_error} == {"description"}


@pytest.mark.parametrize(("key", "suggestion"), [("skill", "skills"), ("modle", "model")])
def test_a_misspelt_key_is_a_warning_with_a_suggestion(key: str, suggestion: str) -> None:
    warning = only(described(f"{key}: x"), "warning")
    assert (warning.line, warning.key) == (4, key)
    assert f'Did you mean "{suggestion}"?' in warning.message


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("tols", "tools"),
        ("disallowed-tools", "disallowedTools"),
        ("allowed-tools", "tools"),
        ("permission_mode", "permissionMode"),
    ],
)
def test_a_misspelt_key_that_decides_rights_is_an_error(key: str, suggestion: str) -> None:
    error = only(described(f"{key}: x"), "error")
    assert (error.line, error.key) == (4, key)
    assert f'Did you mean "{suggestion}"?' in error.message


@pytest.mark.parametrize("line", ["color: red", "maxTurns: 3", "hooks: {}", "mcpServers: []"])
def test_keys_of_claude_code_that_have_no_effect_here_say_so(line: str) -> None:
    assert "does not use it yet" in only(described(line), "warning").message


def test_without_a_name_in_the_frontmatter_the_file_gives_it() -> None:
    agent = read("description: d")
    assert (agent.name, agent.is_named, agent.findings) == ("a", True, ())


def test_a_name_that_differs_from_the_files_is_a_warning() -> None:
    agent = read("name: b", "description: d")
    assert agent.name == "b"
    assert "a.md" in only(agent, "warning").message


@pytest.mark.parametrize("name", ["../agents-evil/x", "/etc/x", "a/b", "'..'", "'Code: Reviewer'"])
def test_a_name_that_is_not_allowed_is_an_error_on_its_line(name: str) -> None:
    agent = read(f"name: {name}", "description: d")
    error = only(agent, "error")
    assert (error.line, error.key) == (2, "name")
    assert (agent.name, agent.is_named) == ("a", False)


@pytest.mark.parametrize("key", ["skills", "expertise"])
@pytest.mark.parametrize("name", ["../agents-evil/x", "/etc/passwd", "..", "a\\\\b"])
def test_a_part_outside_its_folder_is_an_error_on_its_line(key: str, name: str) -> None:
    error = only(described(f"{key}:", "  - ok", f'  - "{name}"'), "error")
    assert (error.line, error.key) == (6, key)


def test_a_file_whose_own_name_is_not_allowed_needs_a_name() -> None:
    error = only(read("description: d", path=Path("/p/my:agent.md")), "error")
    assert "rename the file" in error.message


def test_broken_yaml_is_listed_under_the_name_that_can_be_seen() -> None:
    agent = read("name: b", "tools: [")
    assert (agent.name, agent.is_named) == ("b", False)


def test_broken_yaml_without_a_name_is_listed_under_the_files() -> None:
    assert read("tools: [").name == "a"


def test_a_file_without_frontmatter_is_an_agent_with_a_warning() -> None:
    agent = read_agent(PATH, b"\n## The *helper*\n\nHelps.")
    assert agent is not None
    assert (agent.name, agent.description) == ("a", "The *helper*")
    assert "no frontmatter" in only(agent, "warning").message


def test_a_readme_without_frontmatter_is_no_agent() -> None:
    assert read_agent(Path("/p/ReadMe.md"), b"# About these agents") is None


def test_a_readme_with_frontmatter_is_an_agent() -> None:
    assert read("name: README", "description: d", path=Path("/p/README.md")).name == "README"


def test_a_missing_description_is_a_warning_and_the_first_line_stands_in() -> None:
    agent = read("name: a", body="# Reviewer\n\nReviews.")
    assert agent.description == "Reviewer"
    assert only(agent, "warning").key == "description"


def test_written_line_breaks_in_a_description_become_real_ones() -> None:
    assert described("# x").description == "d"
    assert read("name: a", r"description: one\n\ntwo").description == "one\n\ntwo"
