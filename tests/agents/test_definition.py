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


@pytest.mark.parametrize("word", ["--model", "a;b", "Bash(x"])
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
        "name: ../x", "model: 1", "permissionMode: none", "skills: [../b, '']", "tols: Read"
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
        ("disallowTools", "disallowedTools"),
        ("permisionMode", "permissionMode"),
        ("hook", "hooks"),
    ],
)
def test_a_misspelt_key_that_decides_rights_is_an_error(key: str, suggestion: str) -> None:
    error = only(described(f"{key}: x"), "error")
    assert (error.line, error.key) == (4, key)
    assert f'Did you mean "{suggestion}"?' in error.message


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("isolation: worktree", "an agent works in the project's own folder"),
        ("background: true", "is its caller's choice"),
        ("initialPrompt: Begin.", "only for an agent that is the main session"),
    ],
)
def test_a_key_of_claude_code_that_is_not_honoured_says_why(line: str, why: str) -> None:
    warning = only(described(line), "warning")
    assert (warning.line, warning.key) == (4, line.split(":")[0])
    assert warning.message.startswith("is not honoured: ")
    assert why in warning.message


@pytest.mark.parametrize(
    "line",
    ["background: false", "isolation:", "color: red", "hooks: {}", "mcpServers: []", "memory:"],
)
def test_a_key_that_asks_for_nothing_that_is_missing_is_no_warning(line: str) -> None:
    assert described(line).findings == ()


@pytest.mark.parametrize("key", ["allowed-tools", "allowedTools", "Tools", "allowed_tools"])
def test_tools_by_another_name_are_tools_with_a_warning(key: str) -> None:
    agent = described(f"{key}: Read")
    assert agent.tools == ("Read",)
    assert 'taken for "tools"' in only(agent, "warning").message


def test_keys_in_another_spelling_are_taken_for_what_they_mean() -> None:
    agent = described("disallowed-tools: Bash", "permission_mode: plan", "max-turns: 3")
    assert (agent.disallowed_tools, agent.permission_mode, agent.max_turns) == (
        ("Bash",),
        "plan",
        3,
    )
    assert [finding.severity for finding in agent.findings] == ["warning"] * 3


def test_the_right_spelling_counts_where_both_are_there() -> None:
    agent = described("allowed-tools: Bash", "tools: Read")
    assert agent.tools == ("Read",)
    assert '"tools" is there as well' in only(agent, "warning").message


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("effort: high", "effort", "high"),
        ("effort: XHIGH", "effort", "xhigh"),
        ("maxTurns: 7", "max_turns", 7),
        ('maxTurns: "7"', "max_turns", 7),
        ("memory: project", "memory", "project"),
        ("omitClaudeMd: true", "omit_claude_md", True),
        ('omitClaudeMd: "true"', "omit_claude_md", True),
        ("omitClaudeMd: false", "omit_claude_md", False),
        ("color: purple", "color", "purple"),
        ("experimental: {cacheTtl: 1h}", "cache_lifetime", "1h"),
        ("settingSources: [project, user]", "setting_sources", ("user", "project")),
        ("settingSources: []", "setting_sources", ()),
        ("permissionMode: manual", "permission_mode", "default"),
        ("permissionMode: auto", "permission_mode", "auto"),
        ("tools: *", "tools", ("*",)),
    ],
)
def test_what_a_key_holds_is_kept(line: str, attribute: str, value: object) -> None:
    agent = described(line)
    assert getattr(agent, attribute) == value
    assert not any(finding.is_error for finding in agent.findings)


@pytest.mark.parametrize(
    ("line", "attribute", "allowed"),
    [
        ("effort: extreme", "effort", "low, medium, high, xhigh, max"),
        ("effort: 37", "effort", "low, medium"),
        ("effort: [low]", "effort", "low, medium"),
        ("maxTurns: 0", "max_turns", "a whole number above 0"),
        ("maxTurns: -1", "max_turns", "above 0"),
        ("maxTurns: many", "max_turns", "above 0"),
        ("maxTurns: 1.5", "max_turns", "above 0"),
        ("maxTurns: 99999999999", "max_turns", "above 0"),
        ("memory: true", "memory", "user, project, local"),
        ("omitClaudeMd: maybe", "omit_claude_md", "true or false"),
        ("color: olive", "color", "red, blue"),
        ("experimental: {cacheTtl: 2d}", "cache_lifetime", "5m or 1h"),
        ("experimental: yes please", "cache_lifetime", "5m or 1h"),
    ],
)
def test_what_claude_code_would_ignore_is_ignored_with_a_warning(
    line: str, attribute: str, allowed: str
) -> None:
    agent = described(line)
    assert not getattr(agent, attribute)
    assert allowed in only(agent, "warning").message


def test_a_misspelt_setting_source_is_an_error() -> None:
    error = only(described("settingSources: [user, projekt]"), "error")
    assert (error.line, error.key) == (4, "settingSources")
    assert 'Did you mean "project"?' in error.message


def test_another_programs_name_for_a_tool_is_left_out_with_a_warning() -> None:
    agent = described("tools: [Read, playwright-test/browser_click, vscode:edit]")
    assert agent.tools == ("Read",)
    assert [finding.severity for finding in agent.findings] == ["warning", "warning"]


def test_a_list_of_which_no_tool_is_left_is_an_error() -> None:
    agent = described("tools: [search/read, edit/files]")
    (error,) = [finding for finding in agent.findings if finding.is_error]
    assert "the agent could do nothing" in error.message


def test_a_misspelt_tool_is_a_warning_with_a_suggestion() -> None:
    agent = described("tools: Read, Grpe")
    assert agent.tools == ("Read", "Grpe")
    assert 'Did you mean "Grep"?' in only(agent, "warning").message


def test_a_misspelt_tool_that_is_to_be_denied_is_an_error() -> None:
    assert 'Did you mean "Bash"?' in only(described("disallowedTools: Bsah"), "error").message


@pytest.mark.parametrize("tool", ["mcp__github__create_issue", "mcp__github", "SomeNewTool"])
def test_a_tool_that_is_like_none_that_is_known_is_no_finding(tool: str) -> None:
    assert described(f"tools: {tool}").findings == ()


def test_memory_brings_the_tools_that_it_needs() -> None:
    assert described("memory: user", "tools: Read, Bash").tools == ("Read", "Bash", "Write", "Edit")
    assert described("memory: user").tools is None
    assert described("memory: user", "tools: '*'").tools == ("*",)


def test_a_plugins_skill_is_a_warning() -> None:
    agent = described("skills: [superpowers:debugging, own]")
    assert [skill.name for skill in agent.skills] == ["own"]
    assert "a plugin's skill" in only(agent, "warning").message


def test_without_a_name_in_the_frontmatter_the_file_gives_it() -> None:
    agent = read("description: d")
    assert (agent.name, agent.is_named, agent.findings) == ("a", True, ())


def test_a_name_may_differ_from_the_files() -> None:
    agent = read("name: b", "description: d")
    assert (agent.name, agent.findings) == ("b", ())


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
