"""How an agent's process is started: environment, arguments, permissions, and which CLI."""

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.agents import AgentDefinition, McpServer, Origin
from supervisor.place import VARIABLES, settled_variables
from supervisor.pool import Config, ConfigFiles, PoolError, TaskError
from supervisor.pool.launch import (
    PASSED_ON,
    PASSED_ON_PREFIXES,
    SETTINGS,
    Capabilities,
    Cli,
    CliFinder,
    arguments,
    environment,
    ignored_mode,
    passed_on,
    permission_mode,
    role,
    variables_of,
)

SHIPPED: Final = Path(__file__).resolve().parents[2] / "config" / "pool.toml"
AGENT: Final = AgentDefinition(
    name="a",
    description="",
    system_prompt="You are a.",
    tools=None,
    disallowed_tools=(),
    model=None,
    permission_mode=None,
    skills=(),
    expertise=(),
    source=Path("/agents/a.md"),
    origin="project",
    digest="",
    warnings=(),
)

CALC: Final = McpServer("calc", '{"command": "c"}', is_listed=True)

# environment

OURS: Final = (
    *VARIABLES, "AGENT_POOL_TAG", "CLAUDECODE", "CLAUDE_PROJECT_DIR", "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_SSE_PORT", "MCP_TIMEOUT", "NODE_OPTIONS", "PYTHONPATH",
    "LD_PRELOAD", "IS_SANDBOX", "GITHUB_TOKEN", "DATABASE_URL", "OPENAI_API_KEY", "SECRET",
)  # fmt: skip
PASSED: Final = (
    *sorted(PASSED_ON), "LC_ALL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "AWS_PROFILE",
    "VERTEX_REGION_CLAUDE", "CLOUDSDK_CONFIG", "AZURE_TENANT_ID",
)  # fmt: skip
NAMES = st.sampled_from([*OURS, *PASSED]) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="="), min_size=1
)
VALUES = st.text(st.characters(exclude_characters="\0"), max_size=5)


@given(st.dictionaries(NAMES, VALUES))
def test_nothing_outside_the_allow_list_passes(environ: dict[str, str]) -> None:
    passed = passed_on(environ)

    assert all(name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES) for name in passed)


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_the_sessions_or_the_clients_does_not_pass(name: str) -> None:
    assert passed_on({name: "x"}) == {}


@pytest.mark.parametrize("name", PASSED)
def test_what_the_cli_needs_and_logs_in_with_passes_unchanged(name: str) -> None:
    assert passed_on({name: "a value"}) == {name: "a value"}


def test_variables_that_an_agent_is_to_have_pass_by_name_or_by_their_beginning() -> None:
    environ = {"MY_TOKEN": "1", "MINE": "2", "X_A": "3", "X_B": "4", "Y": "5"}

    assert passed_on(environ, ["MY_TOKEN", "X_*"]) == {"MY_TOKEN": "1", "X_A": "3", "X_B": "4"}


@pytest.mark.parametrize("name", ["AGENT_POOL_TAG", "CLAUDECODE", "IS_SANDBOX", "CLAUDE_CLI"])
def test_what_is_ours_does_not_pass_whoever_asks_for_it(name: str) -> None:
    assert passed_on({name: "x"}, [name]) == {}


@given(st.dictionaries(st.sampled_from([*SETTINGS, *OURS]), VALUES))
def test_our_settings_hold_whatever_the_environment_says(environ: dict[str, str]) -> None:
    assert environment(passed_on(environ), "acceptEdits") == SETTINGS


@pytest.mark.parametrize(
    ("uid", "mode", "expected"),
    [
        (0, "bypassPermissions", "1"),
        (0, "acceptEdits", None),
        (1000, "bypassPermissions", None),
        (1000, "acceptEdits", None),
    ],
)
def test_is_sandbox_is_set_for_root_that_bypasses_permissions_and_only_then(
    monkeypatch: pytest.MonkeyPatch, uid: int, mode: str, expected: str | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    env = environment(passed_on({"IS_SANDBOX": "yes"}), mode)

    assert env.get("IS_SANDBOX") == expected


# arguments


def options(definition: AgentDefinition) -> dict[str, str | None]:
    """The options and their values."""
    words = arguments(definition, "acceptEdits", Capabilities())
    found: dict[str, str | None] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("-"):
            found[word] = None if following.startswith("-") else following
    return found


def test_it_speaks_stream_json_both_ways_with_no_mcp_servers_but_its_own() -> None:
    given = options(AGENT)

    assert given["--input-format"] == given["--output-format"] == "stream-json"
    assert {"-p", "--verbose", "--strict-mcp-config", "--no-session-persistence"} <= given.keys()
    assert given["--permission-mode"] == "acceptEdits"


def test_without_a_list_it_reads_and_edits_and_runs_no_commands() -> None:
    given = options(AGENT)

    assert given["--tools"] == "Read,Glob,Grep,Edit,Write,NotebookEdit,TodoWrite"
    assert "--allowedTools" not in given


def test_an_empty_list_is_no_tools_at_all() -> None:
    given = options(replace(AGENT, tools=()))

    assert given["--tools"] == ""
    assert "--allowedTools" not in given


def test_the_tools_of_the_list_are_there_and_allowed() -> None:
    given = options(replace(AGENT, tools=("Read", "Bash")))

    assert given["--tools"] == given["--allowedTools"] == "Read,Bash"


def test_a_permission_in_the_list_brings_its_tool_and_allows_no_more_than_it_says() -> None:
    given = options(replace(AGENT, tools=("Bash(git log:*)", "Bash(git diff:*)", "Read")))

    assert given["--tools"] == "Bash,Read"
    assert given["--allowedTools"] == "Bash(git log:*),Bash(git diff:*),Read"


def test_a_star_is_every_tool_as_the_cli_has_them() -> None:
    given = options(replace(AGENT, tools=("*",)))

    assert given["--tools"] == "default"
    assert "--allowedTools" not in given


def test_a_permission_beside_a_star_is_allowed() -> None:
    given = options(replace(AGENT, tools=("*", "Bash(git log:*)")))

    assert (given["--tools"], given["--allowedTools"]) == ("default", "Bash(git log:*)")


def test_disallowed_tools_and_the_model_are_handed_on() -> None:
    given = options(replace(AGENT, disallowed_tools=("Bash", "Write"), model="opus"))

    assert (given["--disallowedTools"], given["--model"]) == ("Bash,Write", "opus")


def test_what_is_not_given_is_left_to_the_cli() -> None:
    assert not options(AGENT).keys() & {
        "--disallowedTools",
        "--model",
        "--append-system-prompt",
        "--effort",
        "--max-turns",
        "--setting-sources",
        "--add-dir",
    }


def test_effort_and_the_limit_of_turns_are_handed_on() -> None:
    given = options(replace(AGENT, effort="low", max_turns=7))

    assert (given["--effort"], given["--max-turns"]) == ("low", "7")


def test_effort_is_left_out_for_a_binary_that_does_not_know_it() -> None:
    known = Capabilities(unknown_options={"--effort"})

    assert "--effort" not in arguments(replace(AGENT, effort="low"), "plan", known)


@pytest.mark.parametrize(
    ("sources", "word"), [(("user",), "user"), (("user", "local"), "user,local"), ((), "")]
)
def test_the_sources_of_settings_are_handed_on(sources: tuple[str, ...], word: str) -> None:
    assert options(replace(AGENT, setting_sources=sources))["--setting-sources"] == word


def test_a_folder_whose_memory_files_are_read_is_added_as_text_only() -> None:
    definition = replace(AGENT, claude_md_folders=(Path("/p"),))

    assert options(definition)["--add-dir"] == "/p"
    assert variables_of(definition) == {"CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1"}


@pytest.mark.parametrize(
    ("definition", "variables"),
    [
        (AGENT, {}),
        (replace(AGENT, omit_claude_md=True), {"CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1"}),
        (replace(AGENT, cache_lifetime="1h"), {"ENABLE_PROMPT_CACHING_1H": "1"}),
        (replace(AGENT, cache_lifetime="5m"), {}),
        (replace(AGENT, mcp_servers=(CALC,)), {"MCP_CONNECTION_NONBLOCKING": "0"}),
    ],
)
def test_what_the_cli_takes_by_variables_is_set_by_them(
    definition: AgentDefinition, variables: dict[str, str]
) -> None:
    assert variables_of(definition) == variables


# MCP servers


def test_a_server_that_the_definition_lists_is_allowed_whole() -> None:
    given = options(replace(AGENT, tools=("Read",), mcp_servers=(CALC,)))

    assert (given["--tools"], given["--allowedTools"]) == ("Read", "Read,mcp__calc")


def test_of_a_server_whose_tools_are_listed_those_are_allowed() -> None:
    given = options(replace(AGENT, tools=("mcp__calc__add", "Read"), mcp_servers=(CALC,)))

    assert (given["--tools"], given["--allowedTools"]) == ("Read", "mcp__calc__add,Read")


def test_a_server_that_is_only_named_by_a_tool_is_not_allowed_whole() -> None:
    named = replace(CALC, is_listed=False)

    given = options(replace(AGENT, tools=("Read",), mcp_servers=(named,)))

    assert given["--allowedTools"] == "Read"


@pytest.mark.parametrize("written", ["mcp__calc", "mcp__calc__*"])
def test_all_of_a_server_has_one_form_that_every_version_knows(written: str) -> None:
    definition = replace(AGENT, tools=(written,), disallowed_tools=("mcp__other__*",))

    given = options(replace(definition, mcp_servers=(CALC,)))

    assert (given["--allowedTools"], given["--disallowedTools"]) == ("mcp__calc", "mcp__other")


def test_an_option_that_the_binary_refused_is_left_out() -> None:
    words = arguments(AGENT, "plan", Capabilities(unknown_options={"--no-session-persistence"}))

    assert "--no-session-persistence" not in words


@given(st.from_regex(r"[A-Za-z0-9][\w.:/@\[\]-]{0,9}", fullmatch=True))
def test_the_same_definition_gives_the_same_arguments(model: str) -> None:
    definition = replace(AGENT, model=model, tools=("Bash", "Read"))

    assert arguments(definition, "plan", Capabilities()) == arguments(
        replace(definition), "plan", Capabilities()
    )


# what pool.toml says of it


def config(text: str, tmp_path: Path) -> Config:
    path = tmp_path / "pool.toml"
    path.write_text(text)
    return ConfigFiles(SHIPPED, (path,)).load()


def started(definition: AgentDefinition, text: str, tmp_path: Path) -> dict[str, str | None]:
    """The options of an agent with a pool.toml."""
    return options(role(definition, config(text, tmp_path), Path("/project"), trusted=False))


SAYS_ALL: Final = replace(
    AGENT, tools=("Read",), model="opus", permission_mode="plan", disallowed_tools=("Write",)
)


def test_what_pool_toml_leaves_open_the_definition_says(tmp_path: Path) -> None:
    assert started(SAYS_ALL, "", tmp_path) == options(SAYS_ALL)


def test_what_the_defaults_say_holds_where_the_definition_is_silent(tmp_path: Path) -> None:
    text = '[defaults.agent]\nmodel = "haiku"\neffort = "low"\ntools = ["Read", "Bash"]\n'

    given = started(AGENT, text, tmp_path)

    assert (given["--model"], given["--effort"], given["--tools"]) == ("haiku", "low", "Read,Bash")
    assert "--allowedTools" not in given


def test_the_defaults_do_not_come_before_a_definition(tmp_path: Path) -> None:
    given = started(SAYS_ALL, '[defaults.agent]\nmodel = "haiku"\ntools = []\n', tmp_path)

    assert (given["--model"], given["--tools"]) == ("opus", "Read")


def test_an_agents_own_table_comes_before_its_definition(tmp_path: Path) -> None:
    given = started(SAYS_ALL, '[agents.a]\nmodel = "haiku"\ntools = ["Bash(ls:*)"]\n', tmp_path)

    assert (given["--model"], given["--tools"], given["--allowedTools"]) == (
        "haiku",
        "Bash",
        "Bash(ls:*)",
    )


def test_an_empty_list_in_an_agents_own_table_is_no_tools_at_all(tmp_path: Path) -> None:
    assert started(SAYS_ALL, "[agents.a]\ntools = []\n", tmp_path)["--tools"] == ""


def test_an_agents_own_permission_mode_comes_before_its_definitions(tmp_path: Path) -> None:
    said = config('[agents.a]\npermission_mode = "dontAsk"\n', tmp_path)

    made = role(SAYS_ALL, said, Path("/project"), trusted=False)

    assert permission_mode(made, said.agent("a").permission_mode) == "dontAsk"


def test_what_either_denies_is_denied(tmp_path: Path) -> None:
    given = started(SAYS_ALL, '[defaults.agent]\ndisallowed_tools = ["Bash"]\n', tmp_path)

    assert given["--disallowedTools"] == "Write,Bash"


def test_extra_directories_are_opened_and_relative_ones_start_in_the_project(
    tmp_path: Path,
) -> None:
    said = config('[agents.a]\nextra_directories = ["docs", "/srv/data"]\n', tmp_path)

    words = arguments(role(AGENT, said, Path("/project"), False), "plan", Capabilities())

    assert words[-4:] == ["--add-dir", "/project/docs", "--add-dir", "/srv/data"]


def test_extra_arguments_come_last_as_they_are(tmp_path: Path) -> None:
    said = config('[agents.a]\nextra_arguments = ["--betas", "x y"]\n', tmp_path)

    words = arguments(role(AGENT, said, Path("/project"), False), "plan", Capabilities())

    assert words[-2:] == ["--betas", "x y"]


def test_an_effort_that_the_binary_refused_is_left_out(tmp_path: Path) -> None:
    said = config('[agents.a]\neffort = "low"\n', tmp_path)
    refused = Capabilities(unknown_options={"--effort"})

    assert "--effort" not in arguments(role(AGENT, said, Path("/"), False), "plan", refused)


@pytest.mark.parametrize(
    "text",
    [
        'model = "haiku"',
        'effort = "low"',
        'tools = ["Read"]',
        'disallowed_tools = ["Read"]',
        'extra_directories = ["/srv"]',
        'working_directory = "docs"',
        'environment = ["MINE"]',
        'extra_arguments = ["--x"]',
    ],
)
def test_the_digest_changes_with_all_that_decides_the_process(tmp_path: Path, text: str) -> None:
    def digest(text: str) -> str:
        return role(AGENT, config(text, tmp_path), Path("/project"), trusted=False).digest

    assert digest(f"[agents.a]\n{text}\n") != digest("") == digest("[agents.b]\nmodel = 'x'\n")


# permission mode


@pytest.mark.parametrize("origin", ["project", "user", "built-in", "AGENTS_DIR"])
def test_a_definitions_own_mode_counts(origin: Origin) -> None:
    definition = replace(AGENT, permission_mode="plan", origin=origin)

    assert permission_mode(definition, "acceptEdits") == "plan"


def test_without_one_the_configured_mode_counts() -> None:
    assert permission_mode(AGENT, "dontAsk") == "dontAsk"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("user", "bypassPermissions"),
        ("project", "acceptEdits"),
        ("built-in", "acceptEdits"),
        ("AGENTS_DIR", "acceptEdits"),
    ],
)
def test_only_the_users_own_definition_may_bypass_permissions(
    origin: Origin, expected: str
) -> None:
    definition = replace(AGENT, permission_mode="bypassPermissions", origin=origin)

    assert permission_mode(definition, "acceptEdits") == expected


@pytest.mark.parametrize(
    ("origin", "expected"), [("project", "bypassPermissions"), ("AGENTS_DIR", "acceptEdits")]
)
def test_a_project_that_is_trusted_may_bypass_permissions(
    tmp_path: Path, origin: Origin, expected: str
) -> None:
    definition = replace(AGENT, permission_mode="bypassPermissions", origin=origin)

    made = role(definition, config("", tmp_path), Path("/project"), trusted=True)

    assert permission_mode(made, "acceptEdits") == expected
    assert made.mode == expected
    assert (ignored_mode(made) is None) == (expected == "bypassPermissions")


@pytest.mark.parametrize("wanted", ["acceptEdits", "auto", "bypassPermissions"])
@pytest.mark.parametrize("configured", ["ask", "default", "dontAsk", "plan"])
def test_a_strangers_file_takes_no_question_away_that_the_user_wants_asked(
    tmp_path: Path, wanted: Any, configured: str
) -> None:
    definition = replace(AGENT, permission_mode=wanted, origin="project")
    said = config(f'[defaults.agent]\npermission_mode = "{configured}"', tmp_path)

    made = role(definition, said, Path("/project"), trusted=False)

    assert made.mode == configured
    assert wanted in (ignored_mode(made) or "")
    assert role(definition, said, Path("/project"), trusted=True).mode == wanted


def test_a_configured_bypass_holds_for_an_agent_that_says_nothing() -> None:
    assert permission_mode(AGENT, "bypassPermissions") == "bypassPermissions"


# which CLI


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def find(command: str | None = None, path: str = "") -> Cli:
    environ = {"PATH": path} if command is None else {"PATH": path, "CLAUDE_CLI": command}
    return CliFinder(environ).find()


def refusal(command: str | None = None, path: str = "") -> TaskError:
    with pytest.raises(PoolError) as caught:
        find(command, path)
    return caught.value.error


def test_without_the_variable_claude_is_looked_for_on_the_path(tmp_path: Path) -> None:
    claude = program(tmp_path / "bin" / "claude")

    assert find(path=str(tmp_path / "bin")).argv == (str(claude),)


def test_a_command_of_pool_toml_is_found_where_the_variable_is_silent(tmp_path: Path) -> None:
    mine = program(tmp_path / "bin" / "mine")
    finder = CliFinder({"PATH": str(tmp_path / "bin")}).otherwise("mine --flag", tmp_path)

    assert finder.find().argv == (str(mine), "--flag")


def test_the_variable_comes_before_a_command_of_pool_toml(tmp_path: Path) -> None:
    claude = program(tmp_path / "claude")
    finder = CliFinder({"CLAUDE_CLI": str(claude)}).otherwise("mine", tmp_path)

    assert finder.find().argv == (str(claude),)


def test_a_relative_path_in_a_command_of_pool_toml_starts_in_the_project(tmp_path: Path) -> None:
    mine = program(tmp_path / "bin" / "mine")

    assert CliFinder({}).otherwise("./bin/mine", tmp_path).find().argv == (str(mine),)


def test_what_a_binary_taught_is_known_under_every_command(tmp_path: Path) -> None:
    finder = CliFinder({"CLAUDE_CLI": str(program(tmp_path / "claude"))})
    finder.capabilities(finder.find()).rewind = True

    other = finder.otherwise("mine", tmp_path)

    assert other.capabilities(other.find()).rewind is True


def test_a_cli_that_is_nowhere_is_told_with_what_to_do(tmp_path: Path) -> None:
    error = refusal(path=str(tmp_path))

    assert error.code == "cli_missing"
    assert 'the agent CLI "claude" cannot be started: no such program on the PATH' in error.message
    assert "npm install -g @anthropic-ai/claude-code" in error.advice
    assert "CLAUDE_CLI" in error.advice


def test_a_path_to_nothing_is_told(tmp_path: Path) -> None:
    error = refusal(f"{tmp_path}/nothing")

    assert (error.code, "no such file" in error.message) == ("cli_missing", True)


def test_a_folder_is_no_cli(tmp_path: Path) -> None:
    error = refusal(str(tmp_path))

    assert (error.code, "it is a folder" in error.message) == ("cli_missing", True)


@pytest.mark.parametrize("name", ["claude", "a claude"])
def test_a_file_that_is_not_executable_is_told(tmp_path: Path, name: str) -> None:
    error = refusal(str(program(tmp_path / name, 0o644)))

    assert (error.code, "it is not executable" in error.message) == ("cli_missing", True)


@pytest.mark.parametrize("command", ["claude 'x", '"', "   ", "''"])
def test_a_command_line_that_is_none_is_told(tmp_path: Path, command: str) -> None:
    error = refusal(command, str(tmp_path))

    assert error.code == "cli_missing"
    assert command in error.message


def test_a_command_line_is_split_as_a_shell_splits_it(tmp_path: Path) -> None:
    claude = program(tmp_path / "claude")

    assert find(f"{claude} --flag 'two words' x\\ y").argv == (
        str(claude),
        "--flag",
        "two words",
        "x y",
    )


@pytest.mark.parametrize("name", ["with space", "it's", 'a"b', "a\\b", "$HOME"])
def test_a_path_to_a_file_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    claude = program(tmp_path / name / "claude")

    assert find(str(claude)).argv == (str(claude),)


def test_a_path_with_a_space_may_be_quoted_in_a_command_line(tmp_path: Path) -> None:
    claude = program(tmp_path / "with space" / "claude")

    assert find(f"{shlex.quote(str(claude))} --flag").argv == (str(claude), "--flag")


@pytest.mark.parametrize("command", ["./claude", "../here/claude", "./claude --flag", "~/claude"])
def test_a_relative_path_means_what_it_means_to_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    here = tmp_path / "here"
    claude = program(here / "claude")
    monkeypatch.setenv("HOME", str(here))

    settled = settled_variables({"CLAUDE_CLI": command}, str(here))["CLAUDE_CLI"]

    assert find(settled).argv[0] == str(claude)


def test_a_script_that_the_command_line_names_is_settled_too(tmp_path: Path) -> None:
    node, script = program(tmp_path / "bin" / "node"), program(tmp_path / "a b" / "cli.js", 0o644)

    settled = settled_variables({"CLAUDE_CLI": "node './a b/cli.js'"}, str(tmp_path))

    assert find(settled["CLAUDE_CLI"], str(node.parent)).argv == (str(node), str(script))


def npm_package(folder: Path, version: str, name: str = "@anthropic-ai/claude-code") -> Path:
    """As npm lays it out: a link in bin/ to the script in the package."""
    package = folder / "lib" / "node_modules" / name
    script = program(package / "cli.js")
    (package / "package.json").write_text(json.dumps({"name": name, "version": version}))
    link = folder / "bin" / "claude"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(script)
    return link


def test_npms_package_tells_the_version_through_the_link_in_bin(tmp_path: Path) -> None:
    assert find(str(npm_package(tmp_path, "2.1.197"))).version == "2.1.197"


def test_a_script_that_node_runs_tells_it_too(tmp_path: Path) -> None:
    node = program(tmp_path / "node")
    script = npm_package(tmp_path, "2.1.50").resolve()

    assert find(f"{node} {script}").version == "2.1.50"


def test_a_package_of_somebody_else_tells_nothing(tmp_path: Path) -> None:
    assert find(str(npm_package(tmp_path, "1.0.0", "some-cli"))).version is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": 3}', "\0"])
def test_a_broken_package_json_tells_nothing(tmp_path: Path, text: str) -> None:
    link = npm_package(tmp_path, "2.1.197")
    (link.resolve().parent / "package.json").write_text(text)

    assert find(str(link)).version is None


def test_the_native_installers_file_name_is_its_version(tmp_path: Path) -> None:
    binary = program(tmp_path / "share" / "claude" / "versions" / "2.1.150")
    link = tmp_path / "claude"
    link.symlink_to(binary)

    assert find(str(link)).version == "2.1.150"


@pytest.mark.parametrize("version", ["2.0.59", "1.9.999", "0.2.126"])
def test_a_cli_that_ignores_the_agents_prompt_is_refused(tmp_path: Path, version: str) -> None:
    error = refusal(str(npm_package(tmp_path, version)))

    assert error.code == "cli_too_old"
    assert f"is version {version}; agents need 2.0.60 or newer" in error.message
    assert "Update it" in error.advice


@pytest.mark.parametrize("version", ["2.0.60", "2.1.0", "10.0.0", "2.0.100-beta.1"])
def test_a_newer_one_is_not(tmp_path: Path, version: str) -> None:
    assert find(str(npm_package(tmp_path, version))).version == version


def test_what_one_process_of_a_binary_taught_the_next_one_knows(tmp_path: Path) -> None:
    finder = CliFinder({"CLAUDE_CLI": str(program(tmp_path / "claude"))})

    finder.capabilities(finder.find()).rewind = True

    assert finder.capabilities(finder.find()).rewind is True


def test_a_binary_that_was_replaced_is_found_out_anew(tmp_path: Path) -> None:
    claude = program(tmp_path / "claude")
    finder = CliFinder({"CLAUDE_CLI": str(claude)})
    finder.capabilities(finder.find()).rewind = True

    claude.write_text("#!/bin/sh\n# updated\n")

    assert finder.capabilities(finder.find()).rewind is None


def test_a_script_that_was_replaced_is_found_out_anew(tmp_path: Path) -> None:
    node, script = program(tmp_path / "node"), program(tmp_path / "cli.js", 0o644)
    finder = CliFinder({"CLAUDE_CLI": f"{node} {script}"})
    finder.capabilities(finder.find()).clear = True

    script.write_text("// updated\n")

    assert finder.capabilities(finder.find()).clear is None


def test_a_cli_that_is_installed_later_is_found_then(tmp_path: Path) -> None:
    finder = CliFinder({"PATH": str(tmp_path)})
    with pytest.raises(PoolError):
        finder.find()

    claude = program(tmp_path / "claude")

    assert finder.find().argv == (str(claude),)


@pytest.mark.parametrize(
    ("rewind", "clear", "words"),
    [
        (None, None, "unknown"),
        (True, None, "rewind"),
        (True, True, "rewind"),
        (False, None, "unknown"),
        (False, True, "/clear"),
        (False, False, "new process"),
    ],
)
def test_how_the_context_is_reset_is_told_in_words(
    rewind: bool | None, clear: bool | None, words: str
) -> None:
    assert Capabilities(rewind=rewind, clear=clear).reset_by() == words
